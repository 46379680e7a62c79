"""Lists what is in the two programs and is not QED's own, with the texts of its licences: THIRD-PARTY-LICENSES of a release.

  licences.py [--arm64] FILE       write the list to FILE
  licences.py [--arm64] --summary  print how much would be in it, and write nothing

With --arm64 it is also that of the collector for guests for arm64, which a release has where it can be built.

In it is every crate that the programs are linked from, with the features that a release has; those of the eBPF object; the
procedural macros, because what they generate is compiled in; C code that crates bring along; Rust's standard library, and
the libraries of C of this machine, which make the programs static. The same crates, compiler and libraries give the same
bytes on every machine. A crate without a licence expression, or without the text of a licence, is an error: whatever needs
a decision is decided here, in `NOTICES`.

CARGO, RUSTC and CC name other programs than `cargo`, `rustc` and `gcc`, and CC_ARM64 than `aarch64-linux-gnu-gcc`."""

import html.parser
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = "x86_64-unknown-linux-gnu"
ARM64 = "aarch64-unknown-linux-gnu"
PROGRAMS = ("qed-collector", "mdbook-qed")
# Which a release has for arm64.
FOR_ARM64 = ("qed-collector",)
# What scripts/dist/build.sh builds in one go, whose features are therefore joined.
BUILT = (*PROGRAMS, "xtask")
# Whose object is part of the collector.
EBPF, EBPF_FEATURES = "qed-collector-ebpf", "programs"

# `LICENSE-MIT`, `COPYING`, `SOURCE-CODE-PRO-LICENSE.txt`, but no source file of such a name.
LICENCE_FILE = re.compile(r"(?:.*[-_.])?(?:licen[cs]e|copying|copyright|notice|unlicense)(?:[-_.].*)?", re.IGNORECASE)
TEXTS = {"", ".txt", ".md", ".0"}

# Crates whose package holds no text of a licence that asks for its notice: the notices, from their repositories.
NOTICES = {
    "cel": "Copyright (c) 2022 Tom Forbes and Contributors",
    "font-awesome-as-a-crate": "Copyright (c) 2016 Onur Aslan <onur@onur.im>",
    "iced-x86": "Copyright (C) 2018-present iced project and contributors",
}

# A licence that asks for no notice: its text is enough (https://spdx.org/licenses/0BSD.html).
ZERO_CLAUSE_BSD = """\
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
"""

# The archives that a static program is linked from, and the licences of the packages of Debian that they are in.
ARCHIVES = {
    "libc.a": "LGPL-2.1-or-later, and others for parts of it",
    "libgcc_eh.a": "GPL-3.0-or-later WITH GCC-exception-3.1, and others for parts of it",
}

HEAD = """\
WHAT IS IN qed-collector AND mdbook-qed BESIDES QED'S OWN CODE

Both programs are static: they hold code of the crates and libraries below. Each stands here with its version, its licence as its
authors declare it, where its source is, and the texts of its licences by number; the texts follow in part 3. QED itself is
licensed under MIT or Apache-2.0, at your choice.

The programs use all crates unchanged, as they are on Rust's registry of crates under this name and version; `cargo vendor` in
QED's sources fetches the sources of all of them. With those sources the programs can be linked again, also with other
versions of the libraries.
"""


class Refused(Exception):
    """What has to be decided or repaired before a release can be made."""


@dataclass
class Part:
    """A crate or a library: the texts of its licences by the name of their file."""

    name: str
    version: str
    licence: str
    source: str
    texts: dict


def output_of(*command):
    """What a program prints on standard output."""
    try:
        environment = os.environ | {"LC_ALL": "C.UTF-8"}
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8", env=environment).stdout
    except FileNotFoundError:
        raise Refused(f"{command[0]} is missing") from None
    except subprocess.CalledProcessError as error:
        raise Refused(f"`{' '.join(command)}` failed: {error.stderr.strip()}") from None


def tree(packages, *options, target=HOST):
    """The names and versions of all crates that cargo would build for programs in `packages`, with the features they have then."""
    chosen = [word for package in packages for word in ("-p", package)]
    command = ["tree", "--locked", "--target", target, "-e", "normal", "--prefix", "none", "--format", "{p}", *chosen, *options]
    lines = [line.split() for line in output_of(os.environ.get("CARGO", "cargo"), *command).splitlines()]
    return {(words[0], words[1].removeprefix("v")) for words in lines if len(words) > 1}


def linked(metadata, built, roots):
    """The packages of others that `roots` depend on, of those in `built`. Nothing that only builds or tests them."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [one for one in metadata["workspace_members"] if packages[one]["name"] in roots]
    found = set(waiting)
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            package = packages[dependency["pkg"]]
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if normal and package["id"] not in found and (package["name"], package["version"]) in built:
                found.add(package["id"])
                waiting.append(package["id"])
    others = [packages[one] for one in found - set(metadata["workspace_members"])]
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def tidied(text):
    """A text without what differs between copies of it: ends of lines, spaces before them, empty lines around it."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


def read(path):
    data = path.read_bytes()
    try:
        return tidied(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return tidied(data.decode("latin-1"))


def texts_of(package):
    """The texts of licences in a crate's package, by their files below its folder."""
    folder = Path(package["manifest_path"]).parent
    files = [file for file in folder.rglob("*") if LICENCE_FILE.fullmatch(file.name) and file.suffix.lower() in TEXTS or
             package["license_file"] and file == folder / package["license_file"]]  # fmt: skip
    texts = {file.relative_to(folder).as_posix(): read(file) for file in files if file.is_file()}
    if any("/" not in name for name in texts):
        return texts
    # The package holds none of its own. Under Apache-2.0 and 0BSD, the text of the licence is enough.
    alternatives = [alternative.strip() for alternative in re.split(r" OR |/", package["license"])]
    if package["name"] in NOTICES and re.search(r"\bMIT\b", package["license"]):
        permission = read(ROOT / "LICENSE-MIT")
        permission = permission[permission.index("Permission is hereby granted") :]
        return texts | {"MIT": tidied(f"{NOTICES[package['name']]}\n\n{permission}")}
    if "Apache-2.0" in alternatives:
        return texts | {"Apache-2.0": read(ROOT / "LICENSE-APACHE")}
    if "0BSD" in alternatives:
        return texts | {"0BSD": tidied(ZERO_CLAUSE_BSD)}
    raise Refused(
        f"{package['name']} {package['version']} ({package['license']}) comes without the text of its licence: "
        "add its copyright notice to NOTICES in scripts/dist/licences.py"
    )


def crate(package):
    if not package["license"]:
        raise Refused(f"{package['name']} {package['version']} has no licence expression: it cannot be part of a release")
    source = package["repository"] or package["homepage"] or "its package alone"
    return Part(package["name"], package["version"], package["license"], source, texts_of(package))


class Text(html.parser.HTMLParser):
    """The text of a page, a line for each block."""

    BLOCKS = {"p", "h1", "h2", "h3", "h4", "li", "ul", "div", "details", "summary", "pre", "br", "tr"}
    HIDDEN = {"title", "style", "script"}

    def __init__(self):
        super().__init__()
        self.found, self.pre, self.hidden = [], 0, 0

    def handle_starttag(self, tag, attrs):
        self.pre += tag == "pre"
        self.hidden += tag in self.HIDDEN
        if tag in self.BLOCKS:
            self.found.append("\n")

    def handle_endtag(self, tag):
        self.pre -= tag == "pre"
        self.hidden -= tag in self.HIDDEN
        if tag in self.BLOCKS:
            self.found.append("\n")

    def handle_data(self, data):
        if not self.hidden:
            self.found.append(data if self.pre else re.sub(r"\s+", " ", data))

    @classmethod
    def of(cls, page):
        parser = cls()
        parser.feed(page)
        parser.close()
        lines = tidied("\n".join(line.rstrip() for line in "".join(parser.found).split("\n")))
        return re.sub(r"\n{3,}", "\n\n", lines)


def standard_library():
    rustc = os.environ.get("RUSTC", "rustc")
    version = re.search(r"^release: (.+)$", output_of(rustc, "-vV"), re.MULTILINE)[1]
    name = "COPYRIGHT-library.html"
    page = Path(output_of(rustc, "--print", "sysroot").strip()) / "share/doc/rust" / name
    if not page.is_file():
        raise Refused(f"the compiler has no share/doc/rust/{name}, the licences of its standard library: install Rust with rustup")
    licence = "MIT OR Apache-2.0, and others for parts of it"
    return Part("Rust's standard library", version, licence, "https://github.com/rust-lang/rust", {name: Text.of(page.read_text())})


def c_library(archive, licence, compiler=None):
    """The package of Debian that an archive of C code is in."""
    path = Path(output_of(compiler or os.environ.get("CC", "gcc"), f"-print-file-name={archive}").strip())
    if not path.is_absolute():
        raise Refused(f"the C compiler has no {archive}: install libc6-dev and gcc")
    # `PACKAGE:ARCHITECTURE: FILE`, behind lines about diversions.
    package = output_of("dpkg-query", "-S", str(path.resolve())).splitlines()[-1].partition(":")[0]
    version = output_of("dpkg-query", "-W", "-f", "${Version}", package)
    source = output_of("dpkg-query", "-W", "-f", "${source:Package} ${source:Version}", package)
    text = read(Path("/usr/share/doc") / package / "copyright")
    return Part(f"{package} ({archive})", version, licence, f"Debian's source package {source}", {"copyright": text})


def listed(title, parts, numbers):
    lines = ["", title, ""]
    for part in parts:
        texts = ", ".join(f"{name} [{numbers[text]}]" for name, text in sorted(part.texts.items()))
        lines += [f"{part.name} {part.version}", f"    licence: {part.licence}", f"    source: {part.source}", f"    texts: {texts}"]
    return lines


def document(crates, libraries):
    """The whole list. Each text stands in it once, in the order of its first use."""
    parts, numbers, users = [*crates, *libraries], {}, {}
    for part in parts:
        for name, text in sorted(part.texts.items()):
            numbers.setdefault(text, len(numbers) + 1)
            users.setdefault(text, []).append(f"{part.name} {part.version} ({name})")
    lines = [HEAD.rstrip("\n")]
    lines += listed("1. CRATES", crates, numbers)
    lines += listed("2. LIBRARIES", libraries, numbers)
    lines += ["", "3. TEXTS"]
    for text, number in numbers.items():
        lines += ["", "=" * 100, f"[{number}] {'; '.join(users[text])}", "-" * 100, "", text.rstrip("\n")]
    return "\n".join(lines) + "\n"


def summary(crates, libraries):
    """A line for each licence expression, and for each library; then what is peculiar."""
    count = {}
    for part in crates:
        count[part.licence] = count.get(part.licence, 0) + 1
    lines = [f"{number:4} {licence}" for licence, number in sorted(count.items(), key=lambda item: (-item[1], item[0]))]
    lines += [f"     {part.name} {part.version}: {part.licence}" for part in libraries]
    for part in crates:
        lines += [f"     {part.name} {part.version} brings {name}" for name in sorted(part.texts) if "/" in name]
    texts = {text for part in [*crates, *libraries] for text in part.texts.values()}
    return "\n".join([*lines, f"{len(crates)} crates, {len(libraries)} libraries, {len(texts)} texts"])


def check_names(document_text, metadata):
    """Holds the list to say nothing of the machine that made it."""
    folders = {str(ROOT), metadata["target_directory"], str(Path.home())} - {"/"}
    registries = {package["manifest_path"].partition("/registry/")[0] for package in metadata["packages"] if package["source"]}
    for folder in sorted(folders | registries):
        if folder in document_text:
            raise Refused(f"the list would name the folder {folder} of this machine")


def check_same_crates(listed, other):
    """Holds the programs for another architecture to be linked from no crate that is not `listed`."""
    ours = {"qed-collector", "qed-collector-ebpf", "qed-evidence", "qed-programs"}
    missing = sorted(f"{name} {version}" for name, version in other - listed if name not in ours)
    if missing:
        raise Refused(f"qed-collector for arm64 is linked from crates that the other programs are not: {', '.join(missing)}")


def collect(arm64=False):
    """The crates and libraries of the programs, and what cargo says of the workspace."""
    cargo = os.environ.get("CARGO", "cargo")
    command = ["metadata", "--locked", "--format-version", "1", "--filter-platform", HOST, "--features", f"{EBPF}/{EBPF_FEATURES}"]
    metadata = json.loads(output_of(cargo, *command))
    packages = {
        package["id"]: package
        for built, roots in (
            (tree(BUILT), PROGRAMS),
            (tree([EBPF], "--features", EBPF_FEATURES), (EBPF,)),
        )
        for package in linked(metadata, built, roots)
    }
    crates = [crate(package) for package in sorted(packages.values(), key=lambda package: (package["name"], package["version"]))]
    stale = sorted(set(NOTICES) - {part.name for part in crates})
    if stale:
        raise Refused(f"NOTICES in scripts/dist/licences.py has crates that are not linked: {', '.join(stale)}")
    libraries = [standard_library(), *(c_library(archive, licence) for archive, licence in ARCHIVES.items())]
    if arm64:
        check_same_crates({(part.name, part.version) for part in crates}, tree(FOR_ARM64, target=ARM64))
        compiler = os.environ.get("CC_ARM64", "aarch64-linux-gnu-gcc")
        libraries += [c_library(archive, licence, compiler) for archive, licence in ARCHIVES.items()]
    return crates, libraries, metadata


def main(arguments):
    arm64 = arguments[:1] == ["--arm64"]
    arguments = arguments[arm64:]
    if len(arguments) != 1 or arguments[0].startswith("-") and arguments[0] != "--summary":
        print("usage: scripts/dist/licences.py [--arm64] FILE | --summary", file=sys.stderr)
        return 2
    try:
        crates, libraries, metadata = collect(arm64)
        text = document(crates, libraries)
        check_names(text, metadata)
    except Refused as refused:
        print(f"licences: {refused}", file=sys.stderr)
        return 1
    if arguments[0] == "--summary":
        print(summary(crates, libraries))
    else:
        Path(arguments[0]).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
