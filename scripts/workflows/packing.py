"""A release of given programs, packed as `make dist` packs those that it built."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rehearsal import Failed
from steps import ROOT

PROGRAMS = ("qed-collector", "mdbook-qed")


def version_of(checkout):
    found = re.search(r'^\[workspace\.package\]\nversion = "(.+)"$', (checkout / "Cargo.toml").read_text(), re.MULTILINE)
    return found[1]


def archive_of(folder):
    """The archive of the release in a folder."""
    found = sorted(folder.glob("qed-*-x86_64-linux.tar.gz"))
    if len(found) != 1:
        raise SystemExit(f"rehearsal: there is not one archive of a release in {folder}, but {len(found)}")
    return found[0]


def installed(archive, prefix):
    """Installs an archive as a stranger does, by the digest beside it, in a fresh folder; gives back the folder of its programs."""
    shutil.rmtree(prefix, ignore_errors=True)
    command = ["sh", archive.parent / "install.sh", archive, "--prefix", prefix]
    if subprocess.run(command, check=False).returncode:
        raise Failed(f"{archive.name} cannot be installed")
    return prefix / "bin"


def pack(programs, out, version, checkout=ROOT):
    """Packs the programs in a folder, or those on PATH without one. `xtask` has to be there: it writes the manual pages."""
    found = {name: shutil.which(name, path=programs) for name in (*PROGRAMS, "xtask")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise SystemExit(f"rehearsal: there is no {' and no '.join(missing)} {f'in {programs}' if programs else 'on PATH'}")
    with tempfile.TemporaryDirectory() as work:
        built, pages = Path(work) / "programs", Path(work) / "pages"
        built.mkdir()
        for name in PROGRAMS:
            shutil.copy2(found[name], built / name)
        for command in (
            [found["xtask"], "pages", pages],
            [sys.executable, checkout / "scripts/dist/licences.py", pages / "THIRD-PARTY-LICENSES"],
            [checkout / "scripts/dist/pack.sh", built, pages, out, version],
        ):
            # Any time will do, if it is the same for all files.
            environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
            if subprocess.run(command, check=False, env=environment).returncode:
                raise Failed(f"`{' '.join(map(str, command))}` failed")
