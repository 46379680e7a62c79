"""Tests of licences.py, on made-up crates: `make lint` runs them. They need neither cargo nor a network."""

import json
import random
import tempfile
import unittest
from pathlib import Path

import licences
from licences import Part, Refused


class Crates(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def package(self, name, licence="MIT", files=None, **more):
        """What cargo says of a crate with these files."""
        folder = self.folder / "registry" / f"{name}-1.0.0"
        for file, text in ({"LICENSE-MIT": f"Copyright {name}\n"} if files is None else files).items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        said = {"id": name, "name": name, "version": "1.0.0", "license": licence, "license_file": None, "source": "registry"}
        return said | {"repository": f"https://example.org/{name}", "homepage": None, "manifest_path": str(folder / "Cargo.toml")} | more

    def test_linked(self):
        """Check that what only builds or tests a program is left out, and what was not chosen by a feature; not what stands behind others."""
        edges = {
            "ours": [("lib", None), ("make", "build"), ("bench", "dev"), ("optional", None), ("also", "build"), ("also", None)],
            "other": [("elsewhere", None)],
            "lib": [("deep", None)],
            "deep": [("lib", None)],
        }
        names = ["ours", "other", "lib", "deep", "make", "bench", "optional", "also", "elsewhere"]
        metadata = {"packages": [self.package(name) for name in names], "workspace_members": ["ours", "other"]}
        depends = lambda one: [{"pkg": to, "dep_kinds": [{"kind": kind}]} for to, kind in edges.get(one, [])]  # noqa: E731
        metadata["resolve"] = {"nodes": [{"id": name, "deps": depends(name)} for name in names]}
        built = {(name, "1.0.0") for name in names if name != "optional"}
        found = [package["name"] for package in licences.linked(metadata, built, ("ours",))]
        self.assertEqual(found, ["also", "deep", "lib"])

    def test_another_architecture(self):
        """Check that a crate which only the program for arm64 is linked from is refused by name, and QED's own are not."""
        listed = {("a", "1.0.0"), ("b", "1.0.0")}
        licences.check_same_crates(listed, {("a", "1.0.0"), ("qed-evidence", "0.1.0")})
        with self.assertRaisesRegex(Refused, "that the other programs are not: b 2.0.0, c 1.0.0"):
            licences.check_same_crates(listed, {("a", "1.0.0"), ("c", "1.0.0"), ("b", "2.0.0")})

    def test_without_expression(self):
        """Check that a crate without a licence expression is refused by name, even if it has a file."""
        for nothing in (None, ""):
            with self.assertRaisesRegex(Refused, "odd 1.0.0 has no licence expression"):
                licences.crate(self.package("odd", licence=nothing, license_file="LICENSE-MIT"))

    def test_without_text(self):
        """Check that a crate without any text is refused, unless its notice is known or Apache-2.0 may be chosen."""
        readme = {"README.md": "MIT", "src/license.rs": "fn f() {}", "src/licensed.txt": "x"}
        for licence in ("MIT", "BSD-3-Clause", "MIT AND Apache-2.0", "Apache-2.0 WITH LLVM-exception"):
            with self.assertRaisesRegex(Refused, "odd 1.0.0 .* comes without the text"):
                licences.crate(self.package("odd", licence, readme))
        for licence in ("MIT OR Apache-2.0", "Apache-2.0 / MIT", "Apache-2.0"):
            part = licences.crate(self.package("odd", licence, readme))
            self.assertIn("TERMS AND CONDITIONS", part.texts["Apache-2.0"])
        for licence in ("0BSD", "MIT OR 0BSD"):
            part = licences.crate(self.package("odd", licence, readme))
            self.assertIn("with or without fee", part.texts["0BSD"])
        name, notice = next(iter(licences.NOTICES.items()))
        text = licences.crate(self.package(name, "MIT", readme)).texts["MIT"]
        self.assertTrue(text.startswith(notice) and "WITHOUT WARRANTY OF ANY KIND" in text, text)
        with self.assertRaises(Refused):
            licences.crate(self.package(name, "BSD-3-Clause", readme))

    def test_texts(self):
        """Check that all texts are found, those of C code in a folder of the crate, too, in any encoding."""
        files = {
            "LICENSE-MIT": "a  \r\nb\r\n\r\n",
            "COPYING": "\xe9".encode("latin-1"),
            "Licence.md": "c",
            "c_src/allocator/LICENSE": "d",
            "fonts/ROUND-LICENSE.txt": "e",
            "TERMS": "f",
            "src/copyright.svg": "g",
        }
        texts = licences.crate(self.package("one", files=files, license_file="TERMS")).texts
        wanted = {
            "LICENSE-MIT": "a\nb\n", "COPYING": "\xe9\n", "Licence.md": "c\n", "c_src/allocator/LICENSE": "d\n",
            "fonts/ROUND-LICENSE.txt": "e\n", "TERMS": "f\n",
        }  # fmt: skip
        self.assertEqual(texts, wanted)

    def test_document(self):
        """Check that the list is the same in whichever order files are found, holds each text once, and no folder of this machine."""
        packages = [self.package(name, files={"LICENSE": "the same", f"NOTICE-{name}": f"of {name}"}) for name in ("b", "a", "c")]
        libraries = [Part("libc", "2", "LGPL-2.1-or-later", "a package", {"copyright": "the same\n"})]
        documents = set()
        for seed in range(5):
            random.Random(seed).shuffle(packages)
            crates = [licences.crate(package) for package in sorted(packages, key=lambda package: package["name"])]
            for part in crates:
                part.texts = dict(random.Random(seed).sample(sorted(part.texts.items()), 2))
            documents.add(licences.document(crates, libraries))
        self.assertEqual(len(documents), 1)
        text = documents.pop()
        self.assertEqual(text.count("the same\n"), 1)
        self.assertIn("[1] a 1.0.0 (LICENSE); b 1.0.0 (LICENSE); c 1.0.0 (LICENSE); libc 2 (copyright)\n", text)
        self.assertIn("b 1.0.0\n    licence: MIT\n    source: https://example.org/b\n    texts: LICENSE [1], NOTICE-b [3]\n", text)
        metadata = {"target_directory": "/nowhere/target", "packages": packages}
        licences.check_names(text, json.loads(json.dumps(metadata)))
        for folder in (self.folder, licences.ROOT, "/nowhere/target"):
            with self.assertRaisesRegex(Refused, "would name the folder"):
                licences.check_names(f"{text}{folder}/registry/x", metadata)

    def test_page(self):
        """Check that a page becomes text: no tags, no style, what is preformatted as it is."""
        page = "<title>no</title><style>p {}</style><h1>A\n library</h1><p>of &lt;b@example.org&gt;</p><pre>  x\n   y</pre>"
        self.assertEqual(licences.Text.of(page), "A library\n\nof <b@example.org>\n\n  x\n   y\n")


if __name__ == "__main__":
    unittest.main()
