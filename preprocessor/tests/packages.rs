//! The packages that would be published on the registry of crates are whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a package, as cargo lists them.
fn packaged(name: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "package",
            "--list",
            "--offline",
            "--allow-dirty",
            "-p",
            name,
        ])
        .current_dir(checkout())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let list = String::from_utf8(output.stdout).unwrap();
    list.lines().map(str::to_owned).collect()
}

/// The files that a source includes, relative to the package. Its unit tests, which stand at the end of a file or in `tests.rs`, may include
/// what is outside: they are run in a checkout.
fn included(file: &str, text: &str) -> Vec<String> {
    if file.ends_with("tests.rs") || file.contains("/tests/") {
        return Vec::new();
    }
    let folder = Path::new(file).parent().unwrap();
    let text = &text[..text.find("#[cfg(test)]").unwrap_or(text.len())];
    let mut found = Vec::new();
    for (at, start) in ["include_str!(\"", "include_bytes!(\""]
        .iter()
        .flat_map(|start| text.match_indices(start))
    {
        let rest = &text[at + start.len()..];
        let mut path = folder.to_owned();
        for part in rest.split('"').next().unwrap().split('/') {
            match part {
                ".." => assert!(path.pop(), "{file} includes what is outside of its package"),
                part => path.push(part),
            }
        }
        found.push(path.to_string_lossy().into_owned());
    }
    found
}

/// Check that each package holds every file that its sources include, with its licences and what it is about, and
/// nothing that works in a checkout alone; and that what it depends on can be found outside of one.
#[test]
fn packages_are_whole() {
    let root = std::fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
    let root: toml::Table = root.parse().unwrap();
    for (name, folder, least) in [
        ("qed-evidence", "evidence", 2),
        ("qed-programs", "programs", 0),
        ("qed-collector-ebpf", "collector-ebpf", 0),
        ("qed-collector", "collector", 0),
        ("mdbook-qed", "preprocessor", 2),
    ] {
        let files = packaged(name);
        for wanted in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.lock"] {
            assert!(files.contains(wanted), "{name} has no {wanted}: {files:?}");
        }
        if name == "qed-collector" {
            // What spares who installs it the toolchain, and says of which sources it is.
            assert!(files.contains("ebpf/qed-ebpf.o") && files.contains("ebpf/sources.sha256"));
        }
        let mut includes = 0;
        for file in files.iter().filter(|file| file.ends_with(".rs")) {
            let text = std::fs::read_to_string(checkout().join(folder).join(file)).unwrap();
            for path in included(file, &text) {
                assert!(files.contains(&path), "{file} includes {path}");
                includes += 1;
            }
            let built =
                name == "qed-collector" && (file == "build.rs" || file.starts_with("build/"));
            assert!(file.starts_with("src/") || built, "{file}");
        }
        assert!(includes >= least, "{name}");

        let manifest = std::fs::read_to_string(checkout().join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for key in ["description", "keywords", "categories", "readme"] {
            assert!(manifest["package"].get(key).is_some(), "{name}: {key}");
        }
        for dependency in manifest["dependencies"].as_table().unwrap().keys() {
            if let Some(shared) = root["workspace"]["dependencies"].get(dependency)
                && shared.get("path").is_some()
            {
                assert!(shared.get("version").is_some(), "{name}: {dependency}");
            }
        }
    }
}

/// Check that `cargo binstall` is sent to the archive that a release has, and to the programs where they are in it.
#[test]
fn binstall_finds_the_archive() {
    let pack = std::fs::read_to_string(checkout().join("scripts/dist/pack.sh")).unwrap();
    assert!(pack.contains("name=qed-$version-x86_64-linux\n") && pack.contains("$name.tar.gz"));
    assert!(pack.contains("-t \"$root/bin\" \"$programs/qed-collector\" \"$programs/mdbook-qed\""));
    for folder in ["collector", "preprocessor"] {
        let manifest = std::fs::read_to_string(checkout().join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let of =
            &manifest["package"]["metadata"]["binstall"]["overrides"]["x86_64-unknown-linux-gnu"];
        let text = |key: &str| of[key].as_str().unwrap().to_owned();
        assert!(text("pkg-url").ends_with("/v{ version }/qed-{ version }-x86_64-linux.tar.gz"));
        assert_eq!(text("bin-dir"), "qed-{ version }-x86_64-linux/bin/{ bin }");
        assert_eq!(text("pkg-fmt"), "tgz");
    }
}
