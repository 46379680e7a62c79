"""Runs release.yml with made-up tags: one that is a release of this checkout, ones that are not, and ones that start nothing.

The checkout of a job is a copy of this one, in which versions and changelog are made those of the tag. With RELEASE_PROGRAMS, a
folder with `qed-collector`, `mdbook-qed` and `xtask`, these programs are packed instead of built, and the steps are left out that
lint, test, and install from packages; all others are run."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from action import Action
from packing import archive_of, installed, pack
from rehearsal import REPOSITORY, Failed, Rehearsal, copy_checkout, say
from steps import FOLDER, MAKE, ROOT, load

VERSION = "9.8.7"
OURS = r"qed-[a-z-]+|mdbook-qed|xtask"


def matches(pattern, tag):
    """Whether GitHub starts a workflow for a tag: `*` is anything but a slash, `+` and `[…]` are as in a regular expression."""
    words = re.findall(r"\[[^\]]*\]|.", pattern)
    known = {"*": "[^/]*", "+": "+"}
    return re.fullmatch("".join(known.get(word) or (word if word.startswith("[") else re.escape(word)) for word in words), tag)


def replaced(path, pattern, replacement):
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    if count == 0:
        raise SystemExit(f"rehearsal: {path.name} has no version of ours")
    path.write_text(text)


class Release(Rehearsal):
    """release.yml, on a copy of this checkout."""

    # The steps that build and test for most of an hour.
    LEFT_OUT = ("make lint", "make test", "make dist-crates")
    BUILDS = "make dist-reproducible"

    def __init__(self):
        super().__init__(ROOT / ".rehearsal/release")
        self.published = self.home / "published"
        self.programs = os.environ.get("RELEASE_PROGRAMS")
        self.context = {}
        self.actions["softprops/action-gh-release"] = self.publish
        # Whether the changelog of the checkout has a chapter for the version, and the repository that its crates name.
        self.noted, self.repository = True, REPOSITORY
        self.tag = None
        self.left_out = set()

    def checkout(self, options):
        copy_checkout(self.workspace)
        self.prepare()
        # What is packed is what was committed.
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "rehearsal"], ["tag", self.tag]):
            name = ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@example.invalid", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *name, *command], cwd=self.workspace, check=True)
        for cached in ("target", ".tools"):
            (self.workspace / cached).symlink_to(ROOT / cached)

    def prepare(self):
        """Makes versions and changelog what they are in the commit of a release."""
        replaced(self.workspace / "Cargo.toml", r'^(version = ")[^"]+', rf"\g<1>{VERSION}")
        replaced(self.workspace / "Cargo.toml", r'^(qed-[a-z-]+ = \{ version = ")[^"]+', rf"\g<1>{VERSION}")
        replaced(self.workspace / "Cargo.lock", rf'^(name = "(?:{OURS})"\nversion = ")[^"]+', rf"\g<1>{VERSION}")
        # There is none before the first release.
        top = self.workspace / "Cargo.toml"
        top.write_text(re.sub(r"^repository = .*\n", "", top.read_text(), flags=re.MULTILINE))
        if self.repository:
            replaced(top, r"^\[workspace\.package\]\n", rf'\g<0>repository = "https://github.com/{self.repository}"\n')
            for manifest in self.workspace.glob("*/Cargo.toml"):
                text = manifest.read_text()
                if "\npublish = false" not in text and "\nrepository.workspace = true" not in text:
                    replaced(manifest, r"^\[package\]\n", r"\g<0>repository.workspace = true\n")
        changelog = self.workspace / "CHANGELOG.md"
        head, _, entries = changelog.read_text().partition("## Unreleased\n")
        chapter = f"## {VERSION} (a rehearsal)\n\n- A tag was rehearsed.\n" if self.noted else "- Nobody gave this a version.\n"
        changelog.write_text(f"{head}## Unreleased\n\n{chapter}{entries}")

    def command(self, step):
        run = step["run"].strip()
        if not MAKE.fullmatch(run):
            raise Failed(f"`{run}` is not one target of make")
        if self.programs and run in self.LEFT_OUT:
            say(f"`{run}` is left out, because RELEASE_PROGRAMS names programs")
            self.left_out.add(run)
            return None
        if self.programs and run == self.BUILDS:
            say(f"the programs in {self.programs} are packed")
            pack(self.programs, self.workspace / "dist", VERSION, self.workspace)
            return None
        return ["sh", "-c", run]

    def found(self, patterns):
        """Files of the workspace by patterns, one a line. A pattern that no file has is an error."""
        files = []
        for pattern in patterns.split():
            one = sorted(self.workspace.glob(pattern))
            if not one:
                raise Failed(f"no file is called {pattern}")
            files += one
        return files

    def attest(self, options):
        self.attested = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.found(options["subject-path"])}
        for name, digest in self.attested.items():
            say(f"to be signed: {name}, sha256 {digest}")

    def publish(self, options):
        """What `softprops/action-gh-release` does: a release with the tag's name, some files and a text."""
        [body] = self.found(options["body_path"])
        body = body.read_text()
        if not body.strip():
            raise Failed("the release says nothing of what is new")
        target = self.published / self.tag
        if target.exists():
            raise Failed(f"there is a release {self.tag} already")
        files = self.found(options["files"])
        target.mkdir(parents=True)
        for file in files:
            shutil.copy2(file, target / file.name)
        (self.home / "NOTES.md").write_text(body)
        digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        if digests != self.attested:
            raise Failed(f"{', '.join(sorted(digests))} would be published, and {', '.join(sorted(self.attested or {}))} were attested")

    def push(self, tag, noted=True, repository=REPOSITORY):
        """Pushes a tag to a checkout of VERSION; the number of jobs that ran."""
        self.tag, self.noted, self.repository = tag, noted, repository
        return self.all_jobs(load(FOLDER / "release.yml"), "push", ref_name=tag)

    def refused(self, tag, reason, **made):
        say(f"{tag}, {reason}: has to be refused")
        try:
            self.push(tag, **made)
        except Failed as failure:
            if "`make release-check`" not in str(failure):
                raise
            say(f"refused: {failure}")
        else:
            raise Failed(f"{tag} was published")
        if (self.published / tag).exists():
            raise Failed(f"{tag} was refused, and something of it was published")

    def check_published(self, folder):
        """Does what a stranger does with a release: compares, installs, asks for the version, and builds a book with it by our action."""
        names = sorted(file.name for file in folder.iterdir())
        wanted = ["SHA256SUMS", "install.sh", f"qed-{VERSION}-x86_64-linux.tar.gz", f"qed_{VERSION}_amd64.deb"]
        if names != wanted:
            raise Failed(f"published were {', '.join(names)}, and not {', '.join(wanted)}")
        listed = {line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
        if listed != set(wanted) - {"SHA256SUMS"}:
            raise Failed(f"SHA256SUMS names {', '.join(sorted(listed))}")
        if subprocess.run(["sha256sum", "--strict", "--check", "SHA256SUMS"], cwd=folder, check=False).returncode:
            raise Failed("a published file is not what SHA256SUMS says")
        programs = installed(archive_of(folder), self.home / "installed")
        for name in ("qed-collector", "mdbook-qed"):
            said = subprocess.run([programs / name, "--version"], check=False, capture_output=True, text=True)
            if said.returncode or not self.programs and VERSION not in said.stdout:
                raise Failed(f"the published {name} does not say that it is {VERSION}: {said.stdout}{said.stderr}")
        notes = (self.home / "NOTES.md").read_text()
        if "A tag was rehearsed." not in notes:
            raise Failed(f"the notes of the release are not its chapter of the changelog: {notes}")
        if len(notes) > 9000 or f"https://github.com/{REPOSITORY}/blob/v{VERSION}/CHANGELOG.md" not in notes:
            raise Failed(f"the notes of the release are not the summary of its chapter, with the address of the rest: {notes}")
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        action = Action(folder)
        with action.release():
            action.good()

    def rehearse(self):
        for pattern in load(FOLDER / "release.yml")["on"]["push"]["tags"]:
            for tag, starts in ((f"v{VERSION}", True), (f"v{VERSION}-rc.1", True), (VERSION, False), ("v9.8", False), ("nightly", False)):
                if bool(matches(pattern, tag)) != starts:
                    raise Failed(f"the tag {tag} would {'not ' if starts else ''}start the workflow")
        if self.programs:
            self.programs = str(Path(self.programs).resolve())
        shutil.rmtree(self.published, ignore_errors=True)
        self.refused("v9.8.8", f"but all crates are of version {VERSION}")
        self.refused(f"v{VERSION}", "of which the changelog says nothing", noted=False)
        self.refused(f"v{VERSION}", "whose crates name no repository", repository=None)
        self.refused(f"v{VERSION}", "whose crates name another repository", repository="example/other")
        say(f"v{VERSION}")
        count = self.push(f"v{VERSION}")
        self.check_published(self.published / f"v{VERSION}")
        say(f"{count} jobs; the release is {(self.published / self.tag).relative_to(ROOT)}")
        if self.programs:
            say(f"NOT rehearsed, because RELEASE_PROGRAMS names programs: {', '.join(sorted(self.left_out))}; nothing was built twice")
        return 0
