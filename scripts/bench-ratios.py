#!/usr/bin/env python3
"""Ratios of the times that the benches of two builds print. Called by bench-against.sh.

    bench-ratios.py list < MESSAGES             name, folder and program of each bench in cargo's JSON messages
    bench-ratios.py compare BEFORE AFTER        run the benches of two such lists in turn, and print the ratios
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
TIME = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) ?(ns|µs|us|ms|s)\b")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Counts of what a bench worked on, such as machines or bytes: measurements have a point.
COUNT = re.compile(r"(?<![\w.])\d+(?![\w.])(?! ?(?:ns|µs|us|ms|s)\b)")
# Captures of one book differ by so much in size.
SAME_SIZE = 1.02
# A goal is a constant, and no measurement.
GOAL = re.compile(r"goal of \d+(?:\.\d+)? ?\w+")


def benches(messages):
    """The benches among cargo's messages: name, folder of the package, program."""
    for line in messages:
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact" or not message.get("executable"):
            continue
        if "bench" in message["target"]["kind"]:
            folder = os.path.dirname(message["manifest_path"])
            yield message["target"]["name"], folder, message["executable"]


def times(output):
    """The times in the output of a bench, in seconds, by the words around them."""
    found = {}
    for line in output.splitlines():
        line = GOAL.sub("goal", line)
        key = " ".join(NUMBER.sub("#", line).split())
        for nth, (number, unit) in enumerate(TIME.findall(line), 1):
            found.setdefault((key, nth), []).append(float(number) * UNITS[unit])
    return {key: statistics.median(values) for key, values in found.items()}


def counts(output):
    """The counts in the output of a bench, by the words around them."""
    found = {}
    for line in output.splitlines():
        line = GOAL.sub("goal", line)
        key = " ".join(NUMBER.sub("#", line).split())
        found[key] = [int(count) for count in COUNT.findall(line)]
    return found


def differ(old, new):
    """True if two sides worked on different amounts, so that their times say nothing about speed."""
    pairs = zip(old, new)
    return len(old) != len(new) or any(max(pair) > SAME_SIZE * min(pair) for pair in pairs)


def run(folder, program):
    """The output of one run of a bench."""
    done = subprocess.run(
        [program, "--bench"], cwd=folder, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"error: {program} ended with status {done.returncode}; see above")
    return done.stdout


def compare(before, after, rounds, limit):
    """Print the ratio of each time of each bench that both sides have; true if none is above `limit`."""
    fine, compared = True, 0
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            print(f"{name}: only one side has this bench")
            continue
        sides = (before[name], after[name])
        seen, sizes = ({}, {}), ({}, {})
        for nth in range(rounds):
            # In turn, so that what slows the machine for a while weighs on both.
            for side in (0, 1) if nth % 2 == 0 else (1, 0):
                output = run(*sides[side])
                sizes[side].update(counts(output))
                for key, value in times(output).items():
                    seen[side].setdefault(key, []).append(value)
        print(f"{name}:")
        if not seen[1]:
            print("  printed no time: see why above")
        for key in seen[1]:
            if key not in seen[0]:
                print(f"  not compared, as the other side does not print it: {key[0]}")
                continue
            old, new = (statistics.median(one[key]) for one in seen)
            if old == 0:
                print(f"  not compared, as the other side prints 0: {key[0]}")
                continue
            compared += 1
            ratio = new / old
            fine &= ratio <= limit
            mark = "" if ratio <= limit else f"  ABOVE {limit}"
            print(f"  RATIO {ratio:5.3f}{mark}  {new * 1e3:.3f} ms / {old * 1e3:.3f} ms  time {key[1]} of: {key[0]}")
            amounts = [side.get(key[0], []) for side in sizes]
            if differ(*amounts):
                print(f"    not of the same work: {amounts[1]} here, {amounts[0]} there")
    if compared == 0:
        sys.exit("error: nothing could be compared: no bench printed the same time on both sides")
    return fine


def read(path):
    """A list that `list` wrote."""
    with open(path, encoding="utf-8") as lines:
        rows = (line.rstrip("\n").split("\t") for line in lines)
        return {name: (folder, program) for name, folder, program in rows}


def main():
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before")
    comparing.add_argument("after")
    comparing.add_argument("--rounds", type=int, default=5)
    comparing.add_argument("--limit", type=float, default=1.05)
    arguments = parser.parse_args()
    if arguments.command == "list":
        for row in benches(sys.stdin):
            print("\t".join(row))
        return 0
    fine = compare(read(arguments.before), read(arguments.after), arguments.rounds, arguments.limit)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
