"""What must hold of this repository's workflows, and no general checker knows. Prints a line for each fault."""

import re
import sys

import yaml

from steps import FOLDER, MAKE, ROOT, load, rows, targets

PINNED = re.compile(r"^\s*(?:- )?uses: [\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
HOSTED = {"ubuntu-24.04"}
SCRIPT = re.compile(r'"\$GITHUB_ACTION_PATH/(scripts/action/[a-z-]+\.sh)"')


def faults_in(path):
    text = path.read_text()
    workflow = load(path)
    if workflow.get("permissions") != {}:
        yield "the workflow itself has permissions: each job has to ask for its own"
    if "concurrency" not in workflow:
        yield "the concurrency group is missing"
    for line in text.splitlines():
        if "uses:" in line and not PINNED.match(line):
            yield f"not pinned by commit, with its version beside it: {line.strip()}"
    if re.search(r"\bsecrets\b\s*[.\[]", text):
        yield "a secret is used"
    by_strangers = [event for event in workflow["on"] if event.startswith(("pull_request", "issue", "fork"))]
    known = targets()
    for name, definition in workflow["jobs"].items():
        permissions = definition.get("permissions")
        if permissions is None:
            yield f"{name}: it does not say what it is permitted"
        writes = [key for key, value in (permissions or {}).items() if value == "write"]
        if "timeout-minutes" not in definition:
            yield f"{name}: it may run forever"
        for row in rows(name, definition):
            runner = row.matrix.get("runner", definition["runs-on"])
            runner = runner if isinstance(runner, str) else " ".join(runner)
            if runner not in HOSTED:
                if by_strangers:
                    yield f"{row.name}: {', '.join(by_strangers)} runs on {runner}"
                if set(permissions or {}) - {"contents"} or writes:
                    yield f"{row.name}: on {runner} it is permitted {permissions}"
        for step in definition["steps"]:
            run = step.get("run")
            if run is not None:
                made = MAKE.fullmatch(run.strip())
                if not made or made[1] not in known:
                    yield f"{name}: `{run.strip()}` is not a target of the Makefile"
                if writes:
                    yield f"{name}: `{run.strip()}` runs with permission to write {', '.join(writes)}"
            elif step["uses"].startswith("actions/checkout@"):
                if step.get("with", {}).get("persist-credentials") is not False:
                    yield f"{name}: the checkout leaves its credentials behind"


def faults_in_action(path):
    """An action has no Makefile: each of its steps runs one script of scripts/action, and takes inputs as variables alone."""
    text = path.read_text()
    for line in text.splitlines():
        if "uses:" in line and not PINNED.match(line):
            yield f"not pinned by commit, with its version beside it: {line.strip()}"
    for step in yaml.safe_load(text)["runs"]["steps"]:
        run = step.get("run")
        if run is None:
            continue
        script = SCRIPT.fullmatch(run.strip())
        if not script or not (ROOT / script[1]).is_file():
            yield f"`{run.strip()}` is not a script of scripts/action"


def main():
    paths = sorted(FOLDER.glob("*.yml"))
    found = [f"{path.relative_to(ROOT)}: {fault}" for path in paths for fault in faults_in(path)]
    found += [f"action.yml: {fault}" for fault in faults_in_action(ROOT / "action.yml")]
    print("\n".join(found + [f"{len(paths)} workflows, {len(found)} faults"]))
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
