"""Runs a workflow on this machine: the same steps in the same order, each job in a workspace of its own, to which nothing gets
but what an artifact brings.

  rehearse.py       publish.yml on this checkout; what it "deploys" goes to .rehearsal/deployed
  rehearse.py book  the workflow that `mdbook-qed init` writes, on a new book in a folder of its repository, for a pull request and for
                    a push; what it "deploys" goes to .rehearsal/book/deployed
  rehearse.py sweep sweep.yml on this checkout, on the series in SERIES; the record goes to .rehearsal/sweep/sweep.json

The workspace lies at the same place for every job, as on a runner. For publish.yml, target/ and .tools/ are those of this
checkout, as if they came from a cache; for a new book and a sweep, the programs are those on PATH instead of what their steps install
or build."""

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

from steps import FOLDER, MAKE, ROOT, holds, in_order, load, needs, rows

REPOSITORY = "example/rehearsal"

# What a step gets of this machine's environment. Nothing of what a job before it made is in there.
KEPT = (
    "PATH", "HOME", "USER", "LANG", "TERM", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "QED_COLLECTOR", "TMPDIR", "XDG_CACHE_HOME",
    "SERIES"
)  # fmt: skip


class Failed(Exception):
    """A step that failed, as it would end the run."""


def say(text):
    print(f"\033[1mrehearsal: {text}\033[0m", flush=True)


def filled(value, context):
    """A value with its `${{ name }}` replaced. No expression but a name is understood."""
    if not isinstance(value, str):
        return value

    def look_up(found):
        name = found[1].strip()
        if name not in context:
            raise SystemExit(f"rehearsal: `{name}` is not known here")
        return str(context[name])

    return re.sub(r"\$\{\{(.*?)\}\}", look_up, value)


def copy(source, target):
    """A file or folder without hidden files, which artifacts leave out."""
    if source.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / source.name)
        return
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))


class Rehearsal:
    """A workflow and its folders; what its actions do here."""

    def __init__(self, home):
        self.home = home
        self.workspace = home / "workspace"
        self.artifacts = home / "artifacts"
        self.deployed = home / "deployed"
        self.summary = home / "summary.md"
        # The digest of the manifest that was attested in this job.
        self.attested = None
        self.actions = {
            "actions/cache": lambda options: None,
            "actions/checkout": self.checkout,
            "actions/upload-artifact": self.upload,
            "actions/download-artifact": self.download,
            "actions/upload-pages-artifact": self.upload_pages,
            "actions/attest": self.attest,
            "actions/deploy-pages": self.deploy,
        }

    def artifact(self, name):
        if not re.fullmatch(r"[\w.-]+", name):
            raise Failed(f"`{name}` cannot be an artifact's name")
        return self.artifacts / name

    def upload(self, options):
        source, target = self.workspace / options["path"], self.artifact(options["name"])
        if target.exists():
            raise Failed(f"there is an artifact {options['name']} already")
        if not source.exists():
            raise Failed(f"there is no {options['path']} to hand over")
        copy(source, target)
        for file in sorted(p for p in target.rglob("*") if p.is_file()):
            say(f"handed over: {file.relative_to(self.artifacts)}, {file.stat().st_size} bytes")

    def download(self, options):
        target = self.workspace / options["path"]
        if "name" in options:
            if not self.artifact(options["name"]).exists():
                raise Failed(f"there is no artifact {options['name']}")
            copy(self.artifact(options["name"]), target)
            return
        found = [a for a in self.artifacts.iterdir() if fnmatch.fnmatch(a.name, options["pattern"])]
        for one in found:
            copy(one, target / one.name)

    @property
    def pages(self):
        return self.artifacts / "github-pages.tar"

    def upload_pages(self, options):
        site = self.workspace / options["path"]
        if not site.is_dir():
            raise Failed(f"there is no {options['path']} to hand over")
        self.artifacts.mkdir(exist_ok=True)
        with tarfile.open(self.pages, "w") as tar:
            for file in sorted(site.rglob("*")):
                name = file.relative_to(site)
                if file.is_file() and not any(part.startswith(".") for part in name.parts):
                    tar.add(file, name)

    def attest(self, options):
        file = self.workspace / options["subject-path"]
        self.attested = hashlib.sha256(file.read_bytes()).hexdigest()
        say(f"to be signed: {options['subject-path']}, sha256 {self.attested}")

    def deploy(self, options):
        new = self.home / "new"
        shutil.rmtree(new, ignore_errors=True)
        with tarfile.open(self.pages) as tar:
            tar.extractall(new, filter="data")
        self.check_attested(hashlib.sha256((new / "qed/manifest.json").read_bytes()).hexdigest())
        shutil.rmtree(self.deployed, ignore_errors=True)
        new.rename(self.deployed)

    def run(self, row, context):
        """Runs a job, or a row of one, from an empty workspace."""
        shutil.rmtree(self.workspace, ignore_errors=True)
        self.workspace.mkdir(parents=True)
        self.attested = None
        context = context | {f"matrix.{key}": value for key, value in row.matrix.items()} | {"strategy.job-index": row.index}
        environment = {key: os.environ[key] for key in KEPT if key in os.environ}
        environment |= {key: str(filled(value, context)) for key, value in row.definition.get("env", {}).items()}
        environment |= {"CI": "true", "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_STEP_SUMMARY": str(self.summary)}
        folder = row.definition.get("defaults", {}).get("run", {}).get("working-directory", ".")
        for step in row.steps:
            say(f"{row.name}: {step['name']}")
            if not holds(step.get("if"), context):
                say(f"not for {context['github.event_name']}")
            elif "run" in step:
                self.execute(row, step, self.workspace / folder, environment)
            else:
                name = step["uses"].partition("@")[0]
                if name not in self.actions:
                    raise SystemExit(f"rehearsal: `{step['uses']}` is not known here")
                # The key of a cache is computed from files.
                options = step.get("with", {}) if name != "actions/cache" else {}
                self.actions[name]({key: filled(value, context) for key, value in options.items()})

    def execute(self, row, step, folder, environment):
        command = self.command(step)
        if command is None:
            return
        ended = subprocess.run(command, cwd=folder, env=environment, check=False)
        if ended.returncode:
            raise Failed(f"{row.name}: `{step['run'].strip()}` ended with {ended.returncode}")

    def all_jobs(self, workflow, event):
        """Runs all jobs for an event; the number of those that ran."""
        shutil.rmtree(self.artifacts, ignore_errors=True)
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / ".gitignore").write_text("*\n")
        self.summary.write_text("")
        context = self.context | {
            "github.repository": REPOSITORY,
            "github.sha": "0" * 40,
            "github.event_name": event,
            "github.ref_name": "main" if event != "pull_request" else "1/merge",
            "github.event.repository.default_branch": "main",
        }
        count, skipped = 0, set()
        try:
            for name, definition in in_order(workflow):
                if not holds(definition.get("if"), context) or skipped & set(needs(definition)):
                    skipped.add(name)
                    say(f"{name}: not for {event}")
                    continue
                for row in rows(name, definition):
                    self.run(row, context)
                    count += 1
        finally:
            shutil.rmtree(self.workspace, ignore_errors=True)
        return count

    def verify(self, count):
        say("what any reader can do with a copy of the site")
        verified = subprocess.run(["mdbook-qed", "verify", str(self.deployed)], cwd=ROOT, check=False)
        say(f"{count} jobs; the summary is {self.summary.relative_to(ROOT)}, the site {self.deployed.relative_to(ROOT)}")
        return verified.returncode


class Publication(Rehearsal):
    """publish.yml, on this checkout."""

    def __init__(self):
        super().__init__(ROOT / ".rehearsal")
        self.context = {"vars.QED_SITE_URL": self.deployed.as_uri()}

    def checkout(self, options):
        # Times are kept, so that cargo sees that nothing changed.
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
        for name in filter(None, names.decode().split("\0")):
            if (ROOT / name).is_file():
                (self.workspace / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.workspace / name)
        for cached in ("target", ".tools"):
            (self.workspace / cached).symlink_to(ROOT / cached)

    def check_attested(self, manifest):
        if manifest != self.attested:
            raise Failed("the site has another manifest than the one that was attested")

    def command(self, step):
        if not MAKE.fullmatch(step["run"].strip()):
            raise Failed(f"`{step['run']}` is not one target of make")
        return ["sh", "-c", step["run"]]

    def rehearse(self):
        return self.verify(self.all_jobs(load(FOLDER / "publish.yml"), "push"))


class NewBook(Rehearsal):
    """The workflow that `mdbook-qed init` writes, on a new book."""

    BOOK = "docs/a book"

    def __init__(self):
        super().__init__(ROOT / ".rehearsal/book")
        self.source = self.home / "source"
        # A program that does not know where it comes from has the workflow ask for it.
        self.context = {"vars.QED_REPOSITORY": ROOT.as_uri(), "vars.QED_COMMIT": "0" * 40}

    def checkout(self, options):
        shutil.copytree(self.source, self.workspace, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))

    def check_attested(self, manifest):
        say(f"sha256 of the manifest: {manifest}; nothing is attested")

    def command(self, step):
        if step["name"].startswith("Install "):
            say("that of this machine is used")
            return None
        return ["bash", "-e", "-c", step["run"]]

    def rehearse(self):
        for program in ("qed-collector", "mdbook-qed", "mdbook"):
            if shutil.which(program) is None:
                raise SystemExit(f"rehearsal: there is no {program} on PATH")
        shutil.rmtree(self.home, ignore_errors=True)
        # The top of a repository: the book is in a folder of it.
        (self.source / ".git").mkdir(parents=True)
        made = ["mdbook-qed", "init", "--recorded", self.BOOK]
        if subprocess.run(made, cwd=self.source, check=False).returncode:
            raise Failed(f"`{' '.join(made)}` failed")
        workflow = load(self.source / self.BOOK / ".github/workflows/book.yml")
        count = self.all_jobs(workflow, "pull_request")
        if self.pages.exists() or self.deployed.exists():
            raise Failed("a pull request handed a site over")
        count += self.all_jobs(workflow, "push")
        return self.verify(count)


class Sweep(Publication):
    """sweep.yml, on this checkout."""

    # What builds the programs: those of this machine are used.
    BUILDS = ("make build", "make renderer")

    def __init__(self):
        super().__init__()
        self.home = ROOT / ".rehearsal/sweep"
        self.workspace, self.artifacts = self.home / "workspace", self.home / "artifacts"
        self.summary = self.home / "summary.md"
        self.context = {}

    def command(self, step):
        command = super().command(step)
        if step["run"].strip() in self.BUILDS:
            say("that of this machine is used")
            return None
        return command

    def rehearse(self):
        for program in ("qed-collector", "mdbook-qed"):
            if shutil.which(program) is None:
                raise SystemExit(f"rehearsal: there is no {program} on PATH")
        count = self.all_jobs(load(FOLDER / "sweep.yml"), "workflow_dispatch")
        record = self.artifact("sweep-record") / "sweep.json"
        kernels = [kernel["machine"] for kernel in json.loads(record.read_text())["kernels"]]
        expected = [f"guest:debian-{series}" for series in os.environ["SERIES"].split()]
        if kernels != expected:
            raise Failed(f"the record is of {', '.join(kernels)}, not of {', '.join(expected)}")
        target = self.home / "sweep.json"
        shutil.copy2(record, target)
        say(f"{count} jobs; the record is {target.relative_to(ROOT)}")
        return 0


REHEARSALS = {"publish": Publication, "book": NewBook, "sweep": Sweep}


def main(arguments):
    name = arguments[0] if arguments else "publish"
    if len(arguments) > 1 or name not in REHEARSALS:
        raise SystemExit(f"rehearsal: say one of {', '.join(REHEARSALS)}")
    try:
        return REHEARSALS[name]().rehearse()
    except Failed as failure:
        print(f"rehearsal: {failure}", file=sys.stderr)
        print("rehearsal: nothing was deployed; what was deployed before is untouched", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
