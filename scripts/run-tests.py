#!/usr/bin/env python3
"""Run the tests of crates of the workspace, as `cargo test` does, in an order and beside each other as `make test` wants them.

    scripts/run-tests.py PROFILE but mdbook-qed    the tests of all crates but these
    scripts/run-tests.py PROFILE of mdbook-qed     those of these crates

`cargo test -p CRATE` would choose other features of the dependencies, and compile everything a second time. So all is compiled for
the whole workspace, and the programs of tests are run here, one after the other: first those that take long. What a program says is
shown when it has ended, so that two runs beside each other do not mix. All are run, also behind one that fails.
"""

import json
import os
import subprocess
import sys
import time

# What takes long comes first, so that no long one is left over when the other run has ended.
LONG = ["qed-collector integration", "mdbook-qed integration", "qed-evidence integration"]


def compiled(profile):
    """The programs of tests of the workspace: crate, target, folder of the crate, file."""
    command = ["cargo", "test", "--profile", profile, "--workspace", "--no-run", "--message-format=json-render-diagnostics"]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    found = []
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact" or not message["profile"]["test"] or not message["executable"]:
            continue
        folder = os.path.dirname(message["manifest_path"])
        found.append((crate_name(message["package_id"]), message["target"]["name"], folder, message["executable"]))
    return found


def crate_name(package):
    """The name in an id such as path+file:///a/evidence#qed-evidence@0.1.0, or path+file:///a/xtask#0.1.0."""
    place, _, version = package.partition("#")
    name = version.partition("@")[0] if "@" in version else place.rpartition("/")[2]
    return name


def run(name, command, folder):
    """Run a program to its end; true if it succeeded."""
    print(f"{name}: begins", flush=True)
    begin = time.monotonic()
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    sys.stdout.buffer.write(ended.stdout)
    word = "passed" if ended.returncode == 0 else f"FAILED ({ended.returncode})"
    print(f"{name}: {word} in {time.monotonic() - begin:.1f} s", flush=True)
    return ended.returncode == 0


def main():
    profile, choice, *crates = sys.argv[1:]
    if choice not in ("of", "but") or not crates:
        sys.exit(__doc__)
    programs = compiled(profile)
    unknown = set(crates) - {crate for crate, *_ in programs}
    if unknown:
        sys.exit(f"run-tests: no tests of {', '.join(sorted(unknown))}")
    chosen = [program for program in programs if (program[0] in crates) == (choice == "of")]
    rank = {name: number for number, name in enumerate(LONG)}
    chosen.sort(key=lambda program: rank.get(f"{program[0]} {program[1]}", len(LONG)))
    failed = [
        f"{crate} {target}"
        for crate, target, folder, program in chosen
        if not run(f"{crate} {target}", [program], folder)
    ]
    # Examples in comments, which cargo compiles itself.
    if choice == "but":
        command = ["cargo", "test", "--profile", profile, "--workspace", "--doc"]
        if not run("examples", command, os.getcwd()):
            failed.append("examples")
    if failed:
        sys.exit(f"run-tests: failed: {', '.join(failed)}")


main()
