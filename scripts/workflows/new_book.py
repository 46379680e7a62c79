"""Runs the workflow of a new book, which `mdbook-qed init` writes, for a pull request and for a push."""

import shutil
import subprocess

from rehearsal import Failed, Rehearsal, say
from steps import ROOT, load


class NewBook(Rehearsal):
    """The workflow that `mdbook-qed init` writes, on a new book."""

    BOOK = "docs/a book"
    # The program that writes it.
    QED = "mdbook-qed"

    def __init__(self, home=ROOT / ".rehearsal/book"):
        super().__init__(home)
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

    def written(self):
        """The workflow of a new book, which is left in the folder of what is checked out."""
        shutil.rmtree(self.home, ignore_errors=True)
        # The top of a repository: the book is in a folder of it.
        (self.source / ".git").mkdir(parents=True)
        made = [self.QED, "init", "--recorded", self.BOOK]
        if subprocess.run(made, cwd=self.source, check=False).returncode:
            raise Failed(f"`{' '.join(map(str, made))}` failed")
        return load(self.source / self.BOOK / ".github/workflows/book.yml")

    def rehearse(self):
        for program in ("qed-collector", "mdbook-qed", "mdbook"):
            if shutil.which(program) is None:
                raise SystemExit(f"rehearsal: there is no {program} on PATH")
        workflow = self.written()
        count = self.all_jobs(workflow, "pull_request")
        if self.pages.exists() or self.deployed.exists():
            raise Failed("a pull request handed a site over")
        count += self.all_jobs(workflow, "push")
        return self.verify(count)
