"""Runs a workflow on this machine: the same steps in the same order, each job in a workspace of its own, to which nothing gets
but what an artifact brings.

  rehearse.py       publish.yml on this checkout; what it "deploys" goes to .rehearsal/deployed
  rehearse.py book  the workflow that `mdbook-qed init` writes, on a new book in a folder of its repository, for a pull request and for
                    a push; what it "deploys" goes to .rehearsal/book/deployed (new_book.py)
  rehearse.py sweep sweep.yml on this checkout, on the series in SERIES; the record goes to .rehearsal/sweep/sweep.json
  rehearse.py action   action.yml on new books, with a release of the programs on PATH, and the workflow that the `init` of an installed
                       release writes (action.py)
  rehearse.py release  release.yml on this checkout with made-up tags; what it "publishes" goes to .rehearsal/release/published
                       (release.py)

The workspace lies at the same place for every job, as on a runner. For publish.yml, target/ and .tools/ are those of this
checkout, as if they came from a cache; for a new book and a sweep, the programs are those on PATH instead of what their steps install
or build."""

import json
import os
import shutil
import sys

from action import Action
from new_book import NewBook
from rehearsal import Failed, Rehearsal, copy_checkout, say
from release import Release
from steps import FOLDER, MAKE, ROOT, load


class Publication(Rehearsal):
    """publish.yml, on this checkout."""

    def __init__(self):
        super().__init__(ROOT / ".rehearsal")
        self.context = {"vars.QED_SITE_URL": self.deployed.as_uri()}

    def checkout(self, options):
        copy_checkout(self.workspace)
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


REHEARSALS = {"publish": Publication, "book": NewBook, "sweep": Sweep, "action": Action, "release": Release}


def main(arguments):
    name = arguments[0] if arguments else "publish"
    if len(arguments) > 1 or name not in REHEARSALS:
        raise SystemExit(f"rehearsal: say one of {', '.join(REHEARSALS)}")
    try:
        return REHEARSALS[name]().rehearse()
    except Failed as failure:
        print(f"rehearsal: {failure}", file=sys.stderr)
        if name in ("publish", "book"):
            print("rehearsal: nothing was deployed; what was deployed before is untouched", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
