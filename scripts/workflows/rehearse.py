"""Runs publish.yml on this machine: the same steps in the same order, each job in a workspace of its own, to which
nothing gets but what an artifact brings. What it "deploys" goes to .rehearsal/deployed.

The workspace lies at the same place for every job, as on a runner, and target/ and .tools/ are those of this checkout, as
if they came from a cache."""

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from steps import FOLDER, MAKE, ROOT, in_order, load, rows

HOME = ROOT / ".rehearsal"
WORKSPACE = HOME / "workspace"
ARTIFACTS = HOME / "artifacts"
DEPLOYED = HOME / "deployed"
SUMMARY = HOME / "summary.md"
REPOSITORY = "example/rehearsal"

# What a step gets of this machine's environment. Nothing of what a job before it made is in there.
KEPT = ("PATH", "HOME", "USER", "LANG", "TERM", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "QED_COLLECTOR", "TMPDIR")


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


def artifact(name):
    if not re.fullmatch(r"[\w.-]+", name):
        raise Failed(f"`{name}` cannot be an artifact's name")
    return ARTIFACTS / name


def checkout(options, job):
    # Times are kept, so that cargo sees that nothing changed.
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (WORKSPACE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, WORKSPACE / name)
    for cached in ("target", ".tools"):
        (WORKSPACE / cached).symlink_to(ROOT / cached)


def upload(options, job):
    source, target = WORKSPACE / options["path"], artifact(options["name"])
    if target.exists():
        raise Failed(f"there is an artifact {options['name']} already")
    if not source.exists():
        raise Failed(f"there is no {options['path']} to hand over")
    copy(source, target)
    for file in sorted(p for p in target.rglob("*") if p.is_file()):
        say(f"handed over: {file.relative_to(ARTIFACTS)}, {file.stat().st_size} bytes")


def download(options, job):
    target = WORKSPACE / options["path"]
    if "name" in options:
        if not artifact(options["name"]).exists():
            raise Failed(f"there is no artifact {options['name']}")
        copy(artifact(options["name"]), target)
        return
    found = [a for a in ARTIFACTS.iterdir() if fnmatch.fnmatch(a.name, options["pattern"])]
    for one in found:
        copy(one, target / one.name)


def upload_pages(options, job):
    ARTIFACTS.mkdir(exist_ok=True)
    with tarfile.open(ARTIFACTS / "github-pages.tar", "w") as tar:
        for file in sorted((WORKSPACE / options["path"]).rglob("*")):
            name = file.relative_to(WORKSPACE / options["path"])
            if file.is_file() and not any(part.startswith(".") for part in name.parts):
                tar.add(file, name)


def attest(options, job):
    file = WORKSPACE / options["subject-path"]
    job["attested"] = hashlib.sha256(file.read_bytes()).hexdigest()
    say(f"to be signed: {options['subject-path']}, sha256 {job['attested']}")


def deploy(options, job):
    new = HOME / "new"
    shutil.rmtree(new, ignore_errors=True)
    with tarfile.open(ARTIFACTS / "github-pages.tar") as tar:
        tar.extractall(new, filter="data")
    manifest = hashlib.sha256((new / "qed/manifest.json").read_bytes()).hexdigest()
    if manifest != job["attested"]:
        raise Failed("the site has another manifest than the one that was attested")
    shutil.rmtree(DEPLOYED, ignore_errors=True)
    new.rename(DEPLOYED)


ACTIONS = {
    "actions/checkout": checkout,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
    "actions/upload-pages-artifact": upload_pages,
    "actions/attest": attest,
    "actions/deploy-pages": deploy,
}


def run(row):
    """Runs a job, or a row of one, from an empty workspace."""
    shutil.rmtree(WORKSPACE, ignore_errors=True)
    WORKSPACE.mkdir(parents=True)
    context = {
        "github.repository": REPOSITORY,
        "github.sha": "0" * 40,
        "strategy.job-index": row.index,
        "vars.QED_SITE_URL": DEPLOYED.as_uri(),
        **{f"matrix.{key}": value for key, value in row.matrix.items()},
    }
    environment = {key: os.environ[key] for key in KEPT if key in os.environ}
    environment |= {key: filled(value, context) for key, value in row.definition.get("env", {}).items()}
    environment |= {"CI": "true", "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_STEP_SUMMARY": str(SUMMARY)}
    memory = {}
    for step in row.steps:
        say(f"{row.name}: {step['name']}")
        if "run" in step:
            if not MAKE.fullmatch(step["run"].strip()):
                raise Failed(f"`{step['run']}` is not one target of make")
            ended = subprocess.run(step["run"], shell=True, cwd=WORKSPACE, env=environment, check=False)
            if ended.returncode:
                raise Failed(f"{row.name}: `{step['run']}` ended with {ended.returncode}")
        else:
            action = ACTIONS.get(step["uses"].partition("@")[0])
            if action is None:
                raise SystemExit(f"rehearsal: `{step['uses']}` is not known here")
            options = {key: filled(value, context) for key, value in step.get("with", {}).items()}
            action(options, memory)


def main():
    shutil.rmtree(ARTIFACTS, ignore_errors=True)
    HOME.mkdir(exist_ok=True)
    (HOME / ".gitignore").write_text("*\n")
    SUMMARY.write_text("")
    count = 0
    try:
        for name, definition in in_order(load(FOLDER / "publish.yml")):
            for row in rows(name, definition):
                run(row)
                count += 1
    except Failed as failure:
        print(f"rehearsal: {failure}", file=sys.stderr)
        print("rehearsal: nothing was deployed; what was deployed before is untouched", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(WORKSPACE, ignore_errors=True)
    say("what any reader can do with a copy of the site")
    verified = subprocess.run(["mdbook-qed", "verify", str(DEPLOYED)], cwd=ROOT, check=False)
    say(f"{count} jobs; the summary is {SUMMARY.relative_to(ROOT)}, the site {DEPLOYED.relative_to(ROOT)}")
    return verified.returncode


if __name__ == "__main__":
    sys.exit(main())
