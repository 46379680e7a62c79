"""A second opinion on claims, from an implementation that shares no code with the first.

The expressions are parsed and evaluated by cel-python. What CEL does not have, the functions of claims, is written here
anew, from their descriptions. The mutation test (mutants.rs) sends claims with changed values and compares the answers.

Standard input: JSON documents, one per line. First the tables of a machine, then its claims:

    {"names": {"symbols": [{"address", "size", "name"}, ...], "enums": {TYPE: {NAME: NUMBER}},
               "integers": {TYPE: {"size", "signed"}}}}
    {"expression", "when", "leaves": {PATH: VALUE}, "constants": {NAME: {"value"}}, "trials": [{PATH: VALUE}, ...]}

Standard output: for each claim a line with one answer per trial: true, false, null (the condition is false), or the
reason why there is no answer.
"""

import errno
import json
import operator
import re
import sys

import celpy
import celpy.evaluation
from celpy.celtypes import BoolType, BytesType, IntType, MapType, StringType, UintType


class Wrong(Exception):
    """The values contradict each other or are of the wrong kind."""


def leafy(base):
    """A CEL number that remembers which value of the evidence it is."""

    class Leafy(base):
        def __new__(cls, value, leaf):
            made = super().__new__(cls, value)
            made.leaf = leaf
            return made

    return Leafy


LeafInt = leafy(IntType)
LeafUint = leafy(UintType)


class LeafError(UintType):
    """An error in the place of a pointer or an unsigned number: one of the last 4095 values."""

    def __new__(cls, value, leaf, bits):
        made = super().__new__(cls, value)
        made.leaf = leaf
        made.number = (1 << bits) - value
        return made


class Name(StringType):
    """What a number is called. It can have several names."""

    def __new__(cls, name, names):
        made = super().__new__(cls, name)
        made.names = set(names) | {name}
        return made


# Names that the C library's table has not: the numbers inside of the kernel, and of damaged file systems.
FURTHER = {"EFSBADCRC": errno.EBADMSG, "EFSCORRUPTED": errno.EUCLEAN}


def errno_names(number):
    names = {name for name in dir(errno) if name.startswith("E") and getattr(errno, name) == number}
    return names | {name for name, known in FURTHER.items() if known == number}


class Opaque:
    """A place in the source or a stack: only functions look into it."""

    def __init__(self, leaf):
        self.leaf = leaf


def error_of(path, leaf, integers):
    """The value as an error, if it is one by its place: addresses anywhere, numbers where they come back."""
    number = int(leaf["value"], 16) if leaf["kind"] == "address" else int(leaf["value"])
    segments = path.split(".")
    back = segments[-2:-1] == ["exit"] or segments[-1] == "return" and segments[-2] not in ("args", "entry")
    if leaf["kind"] != "address" and not back:
        return None
    widths = [64]
    if leaf["kind"] == "int":
        known = integers.get(leaf.get("type"))
        narrow = known == {"size": 4, "signed": False} if known else leaf.get("type") == "unsigned int"
        widths += [32] * narrow
    for bits in widths:
        if (1 << bits) - 4095 <= number < 1 << bits:
            return LeafError(number, leaf, bits)
    return None


class Cut(Opaque):
    """A text or bytes of which only the beginning was kept. Questions that the beginning does not decide are Wrong."""

    def __init__(self, leaf):
        super().__init__(leaf)
        is_text = leaf["kind"] == "text"
        self.kept = leaf["value"].encode() if is_text else bytes.fromhex(leaf["value"])
        self.whole = leaf["cut"].get("whole")


def raw(value):
    """The bytes of a text or of bytes, as far as they are known, and whether these are all."""
    if isinstance(value, Cut):
        return value.kept, False
    if isinstance(value, str):
        return value.encode(), True
    if isinstance(value, BytesType):
        return bytes(value), True
    raise Wrong("neither text nor bytes")


def cut_equal(a, b):
    """Whether two values are equal of which one was cut, or both."""
    if isinstance(a, Cut) and isinstance(b, Cut):
        raise Wrong("both were cut")
    cut, other = (a, b) if isinstance(a, Cut) else (b, a)
    text, _ = raw(other)
    if (cut.leaf["kind"] == "text") != isinstance(other, str):
        raise Wrong("different kinds")
    if not text.startswith(cut.kept) or cut.whole is not None and cut.whole != len(text):
        return False
    raise Wrong("it was cut")


def text_contains(text, part):
    (text, all_of_text), (part, all_of_part) = raw(text), raw(part)
    if part in text and all_of_part:
        return True
    if part not in text and all_of_text:
        return False
    raise Wrong("it was cut")


def text_starts(text, part):
    (text, all_of_text), (part, all_of_part) = raw(text), raw(part)
    if text.startswith(part) and all_of_part:
        return True
    if not text.startswith(part) and (all_of_text or not part.startswith(text)):
        return False
    raise Wrong("it was cut")


def text_ends(text, part):
    (text, all_of_text), (part, all_of_part) = raw(text), raw(part)
    if all_of_text and all_of_part:
        return text.endswith(part)
    if part not in text and all_of_text:
        return False
    raise Wrong("it was cut")


def bind(path, leaf, integers):
    """A value of the evidence as CEL sees it."""
    kind = leaf["kind"]
    if "cut" in leaf and kind in ("text", "bytes"):
        return Cut(leaf)
    if kind in ("address", "int", "size", "offset", "flags"):
        error = error_of(path, leaf, integers)
        if error is not None:
            return error
    if kind == "address":
        return LeafUint(int(leaf["value"], 16), leaf)
    if kind == "symbol":
        return LeafUint(int(leaf["address"], 16), leaf)
    if kind == "bool":
        return BoolType(leaf["value"])
    if kind == "text":
        return StringType(leaf["value"])
    if kind == "bytes":
        return BytesType(bytes.fromhex(leaf["value"]))
    if kind in ("location", "stack"):
        return Opaque(leaf)
    number = int(leaf["ns"] if kind == "time" else leaf["value"])
    return LeafUint(number, leaf) if number >= 1 << 63 else LeafInt(number, leaf)


class Machine:
    """The tables of one machine."""

    def __init__(self, names):
        self.symbols = [(int(s["address"], 16), s["size"], s["name"]) for s in names["symbols"]]
        self.enums = names["enums"]
        self.integers = names.get("integers", {})

    def lookup(self, address):
        for start, size, name in self.symbols:
            if start <= address < start + size:
                return name, address - start
        return None

    def sound(self, leaf):
        """Raises if a name in the value is not that of its number."""
        kind = leaf["kind"]
        if kind == "address" and "symbol" in leaf:
            found = self.lookup(int(leaf["value"], 16))
            if found is None or "%s+0x%x" % found != leaf["symbol"]:
                raise Wrong("symbol")
        elif kind == "symbol":
            if self.lookup(int(leaf["address"], 16)) != (leaf["name"], leaf["offset"]):
                raise Wrong("symbol")
        elif kind == "enum" and "name" in leaf:
            if int(self.enums.get(leaf["type"], {}).get(leaf["name"], -(1 << 70))) != int(leaf["value"]):
                raise Wrong("enumerator")
        elif kind == "int" and leaf.get("type") in self.integers:
            known = self.integers[leaf["type"]]
            bits = 8 * known["size"] - known["signed"]
            if not (-(1 << bits) if known["signed"] else 0) <= int(leaf["value"]) < 1 << bits:
                raise Wrong("out of range")
        elif kind == "stack":
            for frame in leaf["value"]:
                if "symbol" in frame:
                    if self.lookup(int(frame["address"], 16)) != (frame["symbol"], frame.get("offset")):
                        raise Wrong("frame")

    def symbol_of(self, value):
        leaf = getattr(value, "leaf", None)
        if leaf is None or leaf["kind"] not in ("address", "symbol"):
            raise Wrong("not a measured address")
        if leaf["kind"] == "address" and "symbol" not in leaf:
            raise Wrong("no symbol")
        return self.lookup(int(value))


def kind_of(value):
    return getattr(value, "leaf", {}).get("kind")


def power_of_two(n):
    if n <= 0 or n & (n - 1):
        raise Wrong("no power of two")
    return n


def positive(value):
    if int(value) < 0:
        raise Wrong("negative")
    return int(value)


def functions_on(stack):
    """Names of the functions on a stack, the innermost first, and whether all of them are known. `None` stands where an
    interrupt or a fault came in, behind the frame of its entry."""
    names = []
    whole = "cut" not in stack.leaf
    for frame in stack.leaf["value"]:
        if "site" in frame:
            names.append(frame["site"]["function"])
            names += [outer["function"] for outer in frame["site"].get("inlined_into", [])]
        else:
            whole = False
            names.append(frame.get("symbol"))
        if frame.get("interrupts"):
            names.append(None)
    return names, whole


def version_number(text):
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:-rc(\d+))?", text)
    if not match:
        raise Wrong("no version")
    major, minor, patch = (int(part or 0) for part in match.groups()[:3])
    candidate = 0xFFFF if match.group(4) is None else int(match.group(4))
    if max(major, minor, patch) > 0xFFFF:
        raise Wrong("version too large")
    return UintType(major << 48 | minor << 32 | patch << 16 | candidate)


def functions(machine, root):
    """The functions of claims. `root` holds all values by the segments of their paths."""

    def of_stack(test):
        def run(stack, *wanted):
            names, whole = functions_on(stack)
            if test(names, *[str(name) for name in wanted]):
                return BoolType(True)
            if not whole:
                raise Wrong("may be inlined")
            return BoolType(False)

        return run

    def calls(names, caller, callee):
        for at, name in enumerate(names):
            outer = names[at + 1 :]
            if None in outer:
                outer = outer[: outer.index(None)]
            if name == callee and caller in outer:
                return True
        return False

    def error_number(value):
        if isinstance(value, LeafError):
            return IntType(value.number)
        if kind_of(value) == "errno":
            return IntType(abs(int(value)))
        if not -4095 <= int(value) <= 0:
            raise Wrong("no error")
        return IntType(-int(value))

    def name(value):
        if isinstance(value, LeafError):
            names = errno_names(value.number)
            return Name(min(names), names)
        leaf = getattr(value, "leaf", {})
        if leaf.get("kind") not in ("errno", "enum") or "name" not in leaf:
            raise Wrong("no name")
        if leaf["kind"] == "errno":
            return Name(leaf["name"], errno_names(abs(int(value))))
        enumeration = machine.enums.get(leaf["type"], {})
        return Name(leaf["name"], {name for name, number in enumeration.items() if int(number) == int(value)})

    def text(value):
        if not isinstance(value, str):
            raise Wrong("no text")
        return str(value)

    def of_texts(test):
        def run(value, part):
            names = getattr(value, "names", None)
            for one in ([] if names else [value]) + [part]:
                if not isinstance(one, str) and not (isinstance(one, Cut) and kind_of(one) == "text"):
                    raise Wrong("no text")
            answers = {test(name, part) for name in (names or [value])}
            if len(answers) != 1:
                raise Wrong("several names")
            return BoolType(answers.pop())

        return run

    def length(value):
        if isinstance(value, Opaque) and "cut" in value.leaf:
            if "whole" not in value.leaf["cut"]:
                raise Wrong("it was cut")
            return IntType(value.leaf["cut"]["whole"])
        if isinstance(value, Opaque):
            return IntType(len(value.leaf["value"]))
        return IntType(len(value.encode() if isinstance(value, str) else bytes(value)))

    def byte(value, at):
        if kind_of(value) == "text" or isinstance(value, str):
            raise Wrong("no bytes")
        (data, _), at = raw(value), positive(at)
        if at >= len(data):
            raise Wrong("outside of the bytes")
        return IntType(data[at])

    def place(field):
        def run(value):
            if kind_of(value) != "location":
                raise Wrong("no place")
            return value.leaf["value"][field]

        return run

    def freed(node):
        ledger = node["objects"] if "objects" in node else node
        prefix = "" if "objects" in node else "#"
        allocated, leaked = (int(ledger[prefix + part]) for part in ("allocated", "leaked"))
        if allocated == 0:
            raise Wrong("nothing was allocated")
        return BoolType(leaked == 0)

    def of_graph(leaf):
        def find(graph, function):
            node = graph
            for segment in ("#" + str(function)).split(".") + ["#" + part for part in leaf.split("#")]:
                node = node[StringType(segment)]
            return node

        return find

    runs, all_runs, caller = of_graph("runs"), of_graph("all#runs"), of_graph("parent")
    share = of_graph("coverage")

    def inside(inner, outer):
        entered = int(outer["order"]) < int(inner["order"])
        return BoolType(entered and int(inner["return_order"]) < int(outer["return_order"]))

    def mask(a, m):
        bits = positive(a) & positive(m)
        return UintType(bits) if kind_of(a) in ("address", "symbol") else type(whole(int(a)))(bits)

    table = {
        **COMPARISONS,
        "aligned": lambda a, n: BoolType(positive(a) % power_of_two(int(n)) == 0),
        "mask": mask,
        "delta": lambda a, b: IntType(int(a) - int(b)),
        "int": lambda x: whole(-x.number if isinstance(x, LeafError) else int(x)),
        "address": lambda x: UintType(positive(x)),
        "errno": error_number,
        "name": name,
        "symbol": lambda a: StringType("%s+0x%x" % machine.symbol_of(a)),
        "symbol_name": lambda a: StringType(machine.symbol_of(a)[0]),
        "file": lambda x: StringType(place("file")(x)),
        "line": lambda x: IntType(place("line")(x)),
        "function_name": lambda x: StringType(place("function")(x)),
        "on_stack": of_stack(lambda names, wanted: wanted in names),
        "calls": of_stack(calls),
        "contains": of_texts(text_contains),
        "starts_with": of_texts(text_starts),
        "ends_with": of_texts(text_ends),
        "length": length,
        "byte": byte,
        "version": lambda t: version_number(text(t)),
        "kernel_at_least": lambda t: BoolType(version_number(text(root["kernel"]["release"])) >= version_number(text(t))),
        "fired": lambda node: whole(int(node["hits"])),
        "never": lambda node: BoolType(int(node["hits"]) == 0),
        "before": lambda a, b: BoolType(int(a["order"]) < int(b["order"])),
        "returns_before": lambda a, b: BoolType(int(a["return_order"]) < int(b["return_order"])),
        "inside": inside,
        "ran": lambda graph, f: BoolType(int(runs(graph, f)) > 0),
        "never_ran": lambda graph, f: BoolType(int(all_runs(graph, f)) == 0),
        "calls_of": lambda graph, f: whole(int(all_runs(graph, f))),
        "parent": lambda graph, f: caller(graph, f),
        "coverage": lambda graph, scope: whole(int(share(graph, scope))),
        "freed": freed,
    }
    return table


def comparison(name, test):
    """A comparison as CEL defines it: numbers of both types are compared by their values, which cel-python refuses."""
    plain = celpy.evaluation.base_functions[name]

    def compare(a, b):
        if name in ("_==_", "_!=_") and (hasattr(a, "names") or hasattr(b, "names")):
            same = getattr(a, "names", {str(a)}) & getattr(b, "names", {str(b)})
            return BoolType(bool(same) == (name == "_==_"))
        errors = [isinstance(value, LeafError) for value in (a, b)]
        if errors == [True, True] or errors == [True, False] and not isinstance(b, UintType):
            a = IntType(-a.number)
        if errors == [True, True] or errors == [False, True] and not isinstance(a, UintType):
            b = IntType(-b.number)
        if isinstance(a, Cut) or isinstance(b, Cut):
            if test not in (operator.eq, operator.ne):
                raise Wrong("no order")
            return BoolType(cut_equal(a, b) == (test is operator.eq))
        if isinstance(a, (IntType, UintType)) and isinstance(b, (IntType, UintType)):
            return BoolType(test(int(a), int(b)))
        return plain(a, b)

    return compare


COMPARISONS = {
    "_==_": comparison("_==_", operator.eq),
    "_!=_": comparison("_!=_", operator.ne),
    "_<_": comparison("_<_", operator.lt),
    "_<=_": comparison("_<=_", operator.le),
    "_>_": comparison("_>_", operator.gt),
    "_>=_": comparison("_>=_", operator.ge),
}


def whole(value):
    """A CEL number of the type that can hold it."""
    return UintType(value) if value >= 1 << 63 else IntType(value)


# Names that no path has, for those that CEL takes for tokens even behind a dot.
TOKENS = {"in": "in_", "true": "true_", "false": "false_", "null": "null_"}


def without_tokens(text):
    """The expression with such names for those of its paths, and its texts as they are."""
    pattern = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\.\s*(in|true|false|null)\b(?!\s*\()"""
    return re.sub(pattern, lambda match: "." + TOKENS[match[1]] if match[1] else match[0], text)


def put(root, path, value):
    """Hangs a value into the tree of all values."""
    segments = [TOKENS.get(segment, segment) for segment in path.replace("#", ".#").split(".")]
    node = root
    for segment in segments[:-1]:
        node = node.setdefault(StringType(segment), MapType())
    node[StringType(segments[-1])] = value


class Claim:
    """One claim, parsed once and evaluated with many values."""

    def __init__(self, document, machine):
        self.machine = machine
        self.leaves = document["leaves"]
        self.root = MapType()
        for path, leaf in self.leaves.items():
            put(self.root, path, bind(path, leaf, machine.integers))
        for name, constant in document["constants"].items():
            self.root[StringType(name)] = whole(int(constant["value"]))
        environment = celpy.Environment()
        table = functions(machine, self.root)

        def program(text):
            return environment.program(environment.compile(without_tokens(text)), functions=table)

        self.expression = program(document["expression"])
        self.when = program(document["when"]) if document["when"] else None

    def judge(self, replaced):
        for path, leaf in replaced.items():
            put(self.root, path, bind(path, leaf, self.machine.integers))
        try:
            for path, leaf in self.leaves.items():
                self.machine.sound(replaced.get(path, leaf))
            if self.when and not self.truth(self.when):
                return None
            return self.truth(self.expression)
        except Exception as error:  # whatever went wrong, there is no answer
            return "%s: %s" % (type(error).__name__, error)
        finally:
            for path in replaced:
                put(self.root, path, bind(path, self.leaves[path], self.machine.integers))

    def truth(self, program):
        answer = program.evaluate({str(name): value for name, value in self.root.items()})
        if not isinstance(answer, (BoolType, bool)):
            raise Wrong("neither true nor false")
        return bool(answer)


def main():
    machine = None
    for line in sys.stdin:
        document = json.loads(line)
        if "names" in document:
            machine = Machine(document["names"])
            continue
        claim = Claim(document, machine)
        print(json.dumps([claim.judge(trial) for trial in document["trials"]]), flush=True)


if __name__ == "__main__":
    main()
