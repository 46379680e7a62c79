"""What the workflows of this repository are made of, for `check.py` and `rehearse.py`."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".github/workflows"

# A step runs one target of the Makefile and nothing else, so that it can be run anywhere.
MAKE = re.compile(r"make ([a-z]+(?:-[a-z]+)*)")


# Operators of expressions, and those of Python, which bind in the same order.
OPERATORS = {"==": "==", "!=": "!=", "&&": "and", "||": "or"}


@dataclass
class Row:
    """A job, or one row of its matrix."""

    job: str
    index: int
    matrix: dict
    definition: dict = field(repr=False)

    @property
    def name(self):
        values = [str(v) for v in self.matrix.values() if isinstance(v, str) and v]
        return f"{self.job} ({values[0]})" if values else self.job

    @property
    def steps(self):
        return self.definition["steps"]


def load(path):
    """A workflow as data. YAML 1.1 takes the key `on` for a boolean."""
    workflow = yaml.safe_load(path.read_text())
    workflow["on"] = workflow.pop(True)
    return workflow


def rows(job, definition):
    """The rows of a job's matrix. Only a list of rows is known, no product of axes."""
    matrix = definition.get("strategy", {}).get("matrix")
    if matrix is None:
        return [Row(job, 0, {}, definition)]
    if set(matrix) != {"include"}:
        raise SystemExit(f"{job}: only a matrix of `include` rows is understood")
    return [Row(job, index, row, definition) for index, row in enumerate(matrix["include"])]


def in_order(workflow):
    """All jobs, each behind those that it needs."""
    waiting = dict(workflow["jobs"])
    done = []
    while waiting:
        ready = [name for name, job in waiting.items() if set(needs(job)) <= set(done)]
        if not ready:
            raise SystemExit(f"jobs that wait for each other: {', '.join(waiting)}")
        for name in ready:
            yield name, waiting.pop(name)
            done.append(name)


def needs(definition):
    wanted = definition.get("needs", [])
    return [wanted] if isinstance(wanted, str) else wanted


def holds(condition, context):
    """The truth of an `if`, without one yes. Names, texts, `==`, `!=`, `&&` and `||` are understood."""
    if condition is None:
        return True
    words = []
    for word in re.findall(r"'[^']*'|[\w.-]+|[=!&|]+|\S", condition):
        if word in context:
            words.append(repr(context[word]))
        elif word in OPERATORS:
            words.append(OPERATORS[word])
        elif word.startswith("'"):
            words.append(repr(word[1:-1]))
        else:
            raise SystemExit(f"`{word}` in `{condition}` is not understood")
    return bool(eval(" ".join(words), {"__builtins__": {}}))


def targets():
    """The targets of the Makefile."""
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):(?!=)", text, re.MULTILINE))
