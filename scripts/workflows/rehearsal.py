"""What all rehearsals of a workflow have in common: its jobs, their workspace, and what the actions that they use do here."""

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import tarfile

from steps import ROOT, holds, in_order, needs, rows

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


def copy_checkout(target):
    """This checkout with what is not committed yet, without what is ignored."""
    # Times are kept, so that cargo sees that nothing changed.
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


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

    def all_jobs(self, workflow, event, **more):
        """Runs all jobs for an event; the number of those that ran. `more` is what else is known as `github.NAME`."""
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
        } | {f"github.{name}": value for name, value in more.items()}
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
