"""Runs action.yml as a hosted runner does: its steps in order, on new books, with a release that a server on this machine hands out;
and the workflow that the `init` of the installed release writes, which uses it.

The release is one of the programs on PATH, or that in DIST. On the runner's PATH is what this machine has in /usr/bin and
/usr/local/bin, and mdbook; neither our programs, which the action has to install, nor sudo, with which it would change this
machine."""

import contextlib
import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import yaml
from new_book import NewBook
from packing import PROGRAMS, archive_of, installed, pack, version_of
from rehearsal import REPOSITORY, Failed, copy_checkout, filled, say
from steps import ROOT, holds

BOOK = "docs/a book"
CHAPTER = f"{BOOK}/book/first.md"
PAGE = f"{BOOK}/site/first.html"


class Redirecting(http.server.SimpleHTTPRequestHandler):
    """Hands files out of a folder, with a redirection on the way, as releases have it."""

    def do_GET(self):
        if self.path.startswith("/download/"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/download/", "/stored/", 1))
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder):
    """The address at which what is in `folder`/stored can be had."""
    handler = functools.partial(Redirecting, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/download"
        finally:
            server.shutdown()


def assignments(text):
    """What a step wrote to GITHUB_ENV or GITHUB_OUTPUT: `NAME=VALUE`, or lines between `NAME<<END` and END."""
    lines = iter(text.splitlines())
    for line in lines:
        if end := re.fullmatch(r"([^=<]+)<<(.+)", line):
            value = []
            for inner in lines:
                if inner == end[2]:
                    break
                value.append(inner)
            yield end[1], "\n".join(value)
        elif "=" in line:
            yield tuple(line.split("=", 1))
        elif line:
            raise Failed(f"`{line}` is no assignment of a variable")


class Runner:
    """A fresh runner with a checked out repository, and what an action does there."""

    def __init__(self, home, action, qemu, workspace=None):
        shutil.rmtree(home, ignore_errors=True)
        self.home, self.temp, self.action = home / "home", home / "temp", action
        self.workspace = workspace or home / "workspace"
        for folder in (self.home, self.workspace / ".git", self.temp):
            folder.mkdir(parents=True, exist_ok=True)
        self.programs = home / "programs"
        self.programs.mkdir()
        for program in (one for folder in ("/usr/local/bin", "/usr/bin") for one in Path(folder).iterdir()):
            unwanted = program.name in (*PROGRAMS, "mdbook", "sudo") or program.name.startswith("qemu-") and not qemu
            if not unwanted and not (self.programs / program.name).is_symlink():
                (self.programs / program.name).symlink_to(program)
        (self.programs / "mdbook").symlink_to(shutil.which("mdbook"))
        self.path, self.variables, self.context, self.steps, self.said = [str(self.programs)], {}, {}, [], ""

    def environment(self):
        return {
            "PATH": ":".join(self.path), "HOME": str(self.home), "LANG": "C.UTF-8", "CI": "true", "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace), "GITHUB_ACTION_PATH": str(self.action), "GITHUB_REPOSITORY": REPOSITORY,
            "RUNNER_TEMP": str(self.temp), "RUNNER_OS": "Linux",
        } | self.variables  # fmt: skip

    def execute(self, step):
        """The status of a step with a command. What it says of the steps after it, they get."""
        if step.get("shell") != "bash":
            raise Failed(f"`{step['name']}` has no shell `bash`")
        files = {name: self.temp / f"_{name.lower()}" for name in ("GITHUB_PATH", "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        script = self.temp / "_step.sh"
        script.write_text(filled(step["run"], self.context))
        environment = self.environment() | {name: str(file) for name, file in files.items()}
        environment |= {name: str(filled(value, self.context)) for name, value in step.get("env", {}).items()}
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            cwd=self.workspace, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
        print(ended.stdout, end="", flush=True)
        self.said += ended.stdout
        self.path = [line for line in reversed(files["GITHUB_PATH"].read_text().splitlines()) if line] + self.path
        self.variables |= dict(assignments(files["GITHUB_ENV"].read_text()))
        for name, value in assignments(files["GITHUB_OUTPUT"].read_text()):
            self.context[f"steps.{step.get('id')}.outputs.{name}"] = value
        return ended.returncode

    def keep(self, options):
        """The cache of this machine, as if an earlier run had filled it. Its key is computed from files, and not understood here."""
        # What a name with an exclamation mark excludes has to lie where the other one looks: below a folder nothing is excluded.
        if options["path"].split() != ["~/.cache/qed/*", "!~/.cache/qed/guests"]:
            raise Failed(f"the action keeps `{options['path']}`, and QED's cache is ~/.cache/qed, without its saved guests")
        kept = self.home / ".cache/qed"
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qed"
        kept.parent.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        kept.symlink_to(cache)

    def use(self, **inputs):
        """Runs the action; the status of the step that failed, or 0."""
        definition = yaml.safe_load((self.action / "action.yml").read_text())
        for name in set(inputs) - set(definition["inputs"]):
            raise Failed(f"the action has no input `{name}`")
        for name, declared in definition["inputs"].items():
            if name not in inputs and declared.get("required"):
                raise Failed(f"the action needs the input `{name}`")
            self.context[f"inputs.{name}"] = inputs.get(name, declared.get("default", ""))
        for step in definition["runs"]["steps"]:
            if not holds(step.get("if"), self.context):
                continue
            say(f"action: {step['name']}")
            self.steps.append(step["name"])
            if "run" in step:
                status = self.execute(step)
                if status:
                    return status
            elif step["uses"].partition("@")[0] == "actions/cache":
                self.keep(step["with"])
            else:
                raise SystemExit(f"rehearsal: `{step['uses']}` is not known here")
        return 0

    def annotations(self, kind):
        """What would be shown at a file and a line of the repository, or above all of them."""
        return re.findall(rf"^::{kind} (.*)$", self.said, re.MULTILINE)

    def does(self, *command):
        """A command of the workflow behind the action, in the book's folder."""
        ended = subprocess.run(command, cwd=self.workspace / BOOK, env=self.environment(), check=False)
        if ended.returncode:
            raise Failed(f"`{' '.join(command)}` ended with {ended.returncode} behind the action")


class WrittenBook(NewBook):
    """The workflow that the `init` of an installed release writes. The action that it uses is that of this checkout, and the archive that
    it names comes from the server on this machine."""

    def __init__(self, action):
        super().__init__(action.home / "book")
        self.released, self.runner = action, None
        self.QED = installed(action.archive, action.home / "installed") / "mdbook-qed"

    def run(self, row, context):
        self.runner = Runner(self.home / "runner", self.released.home / "checkout", qemu=True, workspace=self.workspace)
        # An action has the variables of the job, too.
        self.runner.variables |= {name: filled(value, context) for name, value in row.definition.get("env", {}).items()}
        super().run(row, context)

    def execute(self, row, step, folder, environment):
        # Behind the action, its programs are on PATH, and nothing else of ours.
        super().execute(row, step, folder, environment | self.runner.environment())

    def use(self, options):
        released, address = self.released, options["archive"]
        wanted = rf"https://github\.com/{re.escape(self.repository)}/releases/download/v[^/]+/{re.escape(released.name)}"
        demand(re.fullmatch(wanted, address), f"the workflow takes the archive from {address}")
        demand(options["sha256"] == released.digest, f"the workflow installs {options['sha256']}, and the archive is {released.digest}")
        status = self.runner.use(**options | {"archive": f"{released.address}/{released.name}"})
        demand(status == 0, f"the action ended with {status}")
        if shutil.which("qemu-system-x86_64"):
            demand(list((self.workspace / self.BOOK).glob(".qed/evidence/guest-*.json")), "nothing was captured")

    def rehearse(self):
        say("the workflow that the `init` of the installed release writes")
        workflow = self.written()
        used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
        others = [one for one in used if not one.startswith("actions/")]
        demand(len(others) == 1, f"the workflow uses {', '.join(used)}")
        self.repository, _, commit = others[0].partition("@")
        demand(re.fullmatch("[0-9a-f]{40}", commit), f"`{others[0]}` is not pinned by commit")
        self.actions[self.repository] = self.use
        count = self.all_jobs(workflow, "pull_request")
        demand(not self.pages.exists() and not self.deployed.exists(), "a pull request handed a site over")
        count += self.all_jobs(workflow, "push")
        demand(self.verify(count) == 0, "the site does not verify")
        demand("✔ PASS" in (self.deployed / "first.html").read_text(), "no claim of the book passed")


def demand(truth, complaint):
    if not truth:
        raise Failed(complaint)


class Action:
    """action.yml of this checkout on new books, with a good release and with a changed one."""

    def __init__(self, dist=None):
        self.home = ROOT / ".rehearsal/action"
        self.dist = dist or os.environ.get("DIST")
        self.address = None
        self.digest = None

    def runner(self, *, choices, qemu=False):
        """A runner with a new book in a folder of its repository; `choices` are for `init`."""
        runner = Runner(self.home / "runner", self.home / "checkout", qemu)
        made = ["mdbook-qed", "init", *choices, BOOK]
        ended = subprocess.run(made, cwd=runner.workspace, check=False, stdout=subprocess.DEVNULL)
        demand(ended.returncode == 0, f"`{' '.join(made)}` failed")
        return runner

    def write(self, runner, text):
        """Adds to the book's chapter; the line of the first word."""
        chapter = runner.workspace / CHAPTER
        before = chapter.read_text()
        chapter.write_text(before + text)
        return before.count("\n") + len(text) - len(text.lstrip("\n")) + 1

    def use(self, runner, **inputs):
        return runner.use(**({"archive": f"{self.address}/{self.name}", "sha256": self.digest, "book": BOOK} | inputs))

    def good(self):
        say("a good release: the book is built, and what can go stale is annotated; then it is sealed and verified")
        runner = self.runner(choices=["--recorded"])
        line = self.write(runner, "\nIt once was at `0xffffffff81234560`.\n")
        status = self.use(runner)
        demand(status == 0, f"the action ended with {status}")
        demand("✔ PASS" in (runner.workspace / PAGE).read_text(), "no claim of the book passed")
        found = runner.annotations("warning")
        demand(any(one.startswith(f"file={CHAPTER},line={line},") for one in found), f"no warning at {CHAPTER}:{line}, but {found}")
        demand("Keep kernels" not in " ".join(runner.steps), f"nothing was to be captured, and yet: {runner.steps}")
        runner.does("mdbook-qed", "publish", "site")
        runner.does("mdbook-qed", "verify", "site")

    def changed(self):
        say("a changed release: nothing is installed")
        runner = self.runner(choices=["--recorded"])
        status = self.use(runner, archive=f"{self.address}/changed/{self.name}")
        demand(status != 0 and len(runner.steps) == 1, f"the action went on: {runner.steps}")
        demand(runner.annotations("error"), "the action does not say why")
        demand(not (runner.temp / "qed").exists() and runner.path == [str(runner.programs)], "something was installed")
        demand(not (runner.workspace / PAGE).exists(), "a book was built")

    def without_qemu(self):
        say("a runner without QEMU: the book is built from recorded evidence")
        runner = self.runner(choices=["--recorded"])
        status = self.use(runner, capture="true")
        demand(status == 0, f"the action ended with {status}")
        found = runner.annotations("warning")
        demand(any("no guest was captured" in one for one in found), f"the action does not say that nothing was captured, but {found}")
        demand("✔ PASS" in (runner.workspace / PAGE).read_text(), "no claim of the book passed")
        demand(not list((runner.workspace / BOOK).glob(".qed/evidence/*.json")), "something was captured")

        say("a runner without QEMU, and a book without recorded evidence: refused")
        runner = self.runner(choices=["--no-capture"])
        status = self.use(runner, capture="true")
        found = runner.annotations("error")
        demand(status == 3 and any("nothing was recorded" in one for one in found), f"the action ended with {status}: {found}")
        demand(not (runner.workspace / PAGE).exists(), "a book was built")

    def false_claim(self):
        say("a false claim: annotated at its line")
        runner = self.runner(choices=["--recorded"])
        # At the expression, the line behind the block's first one.
        line = self.write(runner, "\n```qed-claim false_one\nfirst.outcome.returned == 1\n```\n") + 1
        status = self.use(runner)
        found = runner.annotations("error")
        at = rf"file={re.escape(CHAPTER)},line={line}(?:,[^:]*)?::.*false_one"
        demand(status == 1, f"the action ended with {status}")
        demand(any(re.match(at, one) for one in found), f"no error at {CHAPTER}:{line}, but {found}")
        demand(not (runner.workspace / PAGE).exists(), "the book was built all the same")

    def with_qemu(self):
        if shutil.which("qemu-system-x86_64") is None:
            say("this machine has no QEMU: no capture is rehearsed")
            return
        say("a runner with QEMU: the book is captured")
        runner = self.runner(choices=["--no-capture"], qemu=True)
        status = self.use(runner, capture="true")
        demand(status == 0, f"the action ended with {status}")
        demand(list((runner.workspace / BOOK).glob(".qed/evidence/guest-*.json")), "there is no evidence of a guest")
        demand("✔ PASS" in (runner.workspace / PAGE).read_text(), "no claim of the book passed")

    def written(self):
        WrittenBook(self).rehearse()

    @contextlib.contextmanager
    def release(self):
        """Serves the release while the block runs, and a changed one of the same name beside it."""
        for program in ("mdbook-qed", "mdbook"):
            if shutil.which(program) is None:
                raise SystemExit(f"rehearsal: there is no {program} on PATH")
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        (self.home.parent / ".gitignore").write_text("*\n")
        copy_checkout(self.home / "checkout")
        if self.dist is None:
            pack(None, self.home / "dist", version_of(ROOT))
        archive = archive_of(Path(self.dist or self.home / "dist"))
        self.archive = archive
        content = archive.read_bytes()
        self.name, self.digest = archive.name, hashlib.sha256(content).hexdigest()
        stored = self.home / "server/stored"
        (stored / "changed").mkdir(parents=True)
        (stored / self.name).write_bytes(content)
        (stored / "changed" / self.name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        try:
            with served(self.home / "server") as self.address:
                yield
        finally:
            for made in ("runner", "server", "book/runner", "installed"):
                shutil.rmtree(self.home / made, ignore_errors=True)

    def rehearse(self):
        with self.release():
            scenarios = (self.good, self.changed, self.without_qemu, self.false_claim, self.with_qemu, self.written)
            for scenario in scenarios:
                scenario()
        say(f"action.yml: {len(scenarios)} runners, all as they should be")
        return 0
