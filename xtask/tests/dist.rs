//! Packing a release and installing it, with made-up programs: scripts/dist/.

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use common::{ARCHIVE, checkout, text};

const PACKAGE: &str = "qed_1.2.3_amd64.deb";

#[track_caller]
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    text(output)
}

/// A static program of the smallest kind, which prints one line.
fn printing(line: &str) -> Vec<u8> {
    const BASE: u64 = 0x0040_0000;
    const HEADERS: u64 = 64 + 56;
    // write(1, line, length); exit(0)
    let length = u32::try_from(line.len()).unwrap().to_le_bytes();
    let code = [
        &[0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0][..],
        &[0x48, 0x8d, 0x35, 16, 0, 0, 0, 0xba],
        &length,
        &[0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05],
        line.as_bytes(),
    ]
    .concat();
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for x86-64.
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    // Its only segment: the whole file, readable and executable.
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let size = HEADERS + code.len() as u64;
    let segment = [0, BASE, BASE, size, size, 0x1000];
    elf.extend(segment.map(u64::to_le_bytes).concat());
    elf.extend(code);
    elf
}

/// Programs and pages below `dir`, made in another order and with other times and modes if `other`.
fn built(dir: &Path, other: bool) {
    let programs = [
        ("programs/qed-collector", printing("collector\n")),
        ("programs/mdbook-qed", printing("preprocessor\n")),
    ];
    let pages = [
        ("pages/man/man1/mdbook-qed.1", ".TH mdbook-qed 1\n"),
        ("pages/man/man1/qed-collector.1", ".TH qed-collector 1\n"),
        ("pages/completions/bash/mdbook-qed.bash", "a\n"),
        ("pages/completions/bash/qed-collector.bash", "b\n"),
        ("pages/completions/zsh/_mdbook-qed", "c\n"),
        ("pages/completions/zsh/_qed-collector", "d\n"),
        ("pages/completions/fish/mdbook-qed.fish", "e\n"),
        ("pages/completions/fish/qed-collector.fish", "f\n"),
        ("pages/THIRD-PARTY-LICENSES", "g\n"),
    ];
    let pages = pages.map(|(name, content)| (name, content.as_bytes().to_vec()));
    let mut files: Vec<_> = programs.into_iter().chain(pages).collect();
    if other {
        files.reverse();
    }
    for (name, content) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        if other {
            let file = std::fs::File::open(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(&path, mode).unwrap();
        }
    }
}

fn pack(dir: &Path, version: &str) -> Output {
    Command::new(checkout().join("scripts/dist/pack.sh"))
        .args(["programs", "pages", "out", version])
        .current_dir(dir)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .unwrap()
}

/// True if the test that says so is skipped: nothing packs Debian packages here.
fn without_dpkg() -> bool {
    let missing = Command::new("dpkg-deb").arg("--version").output().is_err();
    if missing {
        // Not `eprintln!`: the harness hides what it prints of a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: dpkg-deb is missing here");
    }
    missing
}

/// A packed release in a folder of its own.
fn release() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    built(dir.path(), false);
    good(&pack(dir.path(), "1.2.3"));
    dir
}

fn install(dir: &Path, arguments: &[&str]) -> Output {
    Command::new("sh")
        .arg("out/install.sh")
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir.join("home"))
        .output()
        .unwrap()
}

fn run(dir: &Path, program: &str, arguments: &[&str]) -> String {
    good(
        &Command::new(program)
            .args(arguments)
            .current_dir(dir)
            .output()
            .unwrap(),
    )
}

/// Check that the same programs give the same bytes, whatever their files' times, modes and order, and wherever it is.
#[test]
fn same_bytes() {
    if without_dpkg() {
        return;
    }
    let (one, other) = (release(), tempfile::tempdir().unwrap());
    built(other.path(), true);
    good(&pack(other.path(), "1.2.3"));
    for name in [ARCHIVE, PACKAGE, "install.sh", "SHA256SUMS"] {
        let read = |dir: &Path| std::fs::read(dir.join("out").join(name)).unwrap();
        assert!(read(one.path()) == read(other.path()), "{name}");
    }
    run(
        &one.path().join("out"),
        "sha256sum",
        &["--strict", "-c", "SHA256SUMS"],
    );
}

/// Check what is in the archive and in the package, whose it is, and that the package says what it needs.
#[test]
fn contents() {
    if without_dpkg() {
        return;
    }
    let release = release();
    let out = release.path().join("out");
    let archive = run(&out, "tar", &["-tvzf", ARCHIVE]);
    let package = run(&out, "dpkg-deb", &["-c", PACKAGE]);
    for (list, files) in [
        (
            &archive,
            &[
                "-rwxr-xr-x 0/0",
                "/bin/qed-collector",
                "/bin/mdbook-qed",
                "/share/man/man1/qed-collector.1",
                "/share/bash-completion/completions/mdbook-qed",
                "/share/zsh/site-functions/_qed-collector",
                "/share/fish/vendor_completions.d/mdbook-qed.fish",
                "/LICENSE-MIT",
                "/LICENSE-APACHE",
                "/LICENSE-GPL-2.0",
                "/share/doc/qed/THIRD-PARTY-LICENSES",
                "/install.sh",
                "/SHA256SUMS",
                "2023-11-14",
            ][..],
        ),
        (
            &package,
            &[
                "-rwxr-xr-x root/root",
                "./usr/bin/qed-collector",
                "./usr/bin/mdbook-qed",
                "./usr/share/man/man1/mdbook-qed.1.gz",
                "./usr/share/zsh/vendor-completions/_mdbook-qed",
                "./usr/share/doc/qed/copyright",
                "./usr/share/doc/qed/THIRD-PARTY-LICENSES.gz",
                "./usr/share/qed/release",
                "2023-11-14",
            ][..],
        ),
    ] {
        for file in files {
            assert!(list.contains(file), "{file}\n{list}");
        }
        for line in list.lines() {
            assert!(
                line.contains(" 0/0 ") || line.contains(" root/root "),
                "{line}"
            );
        }
    }
    let control = run(&out, "dpkg-deb", &["-f", PACKAGE]);
    for line in [
        "Package: qed\n",
        "Version: 1.2.3\n",
        "Architecture: amd64\n",
        "Recommends: qemu-system-x86, apt, ca-certificates\n",
    ] {
        assert!(control.contains(line), "{line}{control}");
    }
    assert!(!control.contains("Depends:"), "{control}");
}

/// Check that what an earlier release left behind goes, and that files of the folder's owner stay.
#[test]
fn keeps_files_of_others() {
    if without_dpkg() {
        return;
    }
    let release = release();
    let out = release.path().join("out");
    let old = [
        "qed-1.2.2-x86_64-linux.tar.gz",
        "qed_1.2.2_amd64.deb",
        "NOTES.md",
    ];
    std::fs::create_dir(out.join("pictures")).unwrap();
    for name in ["letter.txt", "pictures/dog.png"].iter().chain(&old) {
        std::fs::write(out.join(name), "x").unwrap();
    }
    good(&pack(release.path(), "1.2.3"));
    for name in ["letter.txt", "pictures/dog.png", ARCHIVE, PACKAGE] {
        assert!(out.join(name).is_file(), "{name}");
    }
    for name in old {
        assert!(!out.join(name).exists(), "{name}");
    }
}

/// Check that programs that need libraries, what is not a program, what is not a version, and programs without the list of
/// what they are linked from, are refused.
#[test]
fn refuses_to_pack() {
    let dir = tempfile::tempdir().unwrap();
    built(dir.path(), false);
    let printed = pack(dir.path(), "1.2;x");
    assert!(
        !printed.status.success() && text(&printed).contains("is not a version"),
        "{}",
        text(&printed)
    );
    let list = dir.path().join("pages/THIRD-PARTY-LICENSES");
    std::fs::write(&list, "").unwrap();
    let printed = text(&pack(dir.path(), "1.2.3"));
    assert!(
        printed.contains("THIRD-PARTY-LICENSES is missing"),
        "{printed}"
    );
    std::fs::write(&list, "g\n").unwrap();
    std::fs::copy("/bin/sh", dir.path().join("programs/mdbook-qed")).unwrap();
    let printed = pack(dir.path(), "1.2.3");
    assert!(
        !printed.status.success() && text(&printed).contains("needs shared libraries"),
        "{}",
        text(&printed)
    );
    std::fs::write(dir.path().join("programs/mdbook-qed"), "#!/bin/sh\n").unwrap();
    let printed = text(&pack(dir.path(), "1.2.3"));
    assert!(
        printed.contains("mdbook-qed is not an ELF program"),
        "{printed}"
    );
    std::fs::remove_file(dir.path().join("programs/qed-collector")).unwrap();
    assert!(text(&pack(dir.path(), "1.2.3")).contains("qed-collector is missing"));
}

/// Check that an archive is installed where one says, without root, and that a second time it is replaced.
#[test]
fn installs() {
    if without_dpkg() {
        return;
    }
    let release = release();
    let archive = format!("out/{ARCHIVE}");
    let printed = good(&install(release.path(), &[&archive]));
    assert!(
        printed.contains("home/.local/bin") && printed.contains("PATH"),
        "{printed}"
    );
    for prefix in ["elsewhere", "elsewhere"] {
        good(&install(release.path(), &[&archive, "--prefix", prefix]));
        assert_eq!(
            run(release.path(), "elsewhere/bin/qed-collector", &[]),
            "collector\n"
        );
        let left: Vec<_> = std::fs::read_dir(release.path().join(prefix))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
    assert!(
        release
            .path()
            .join("elsewhere/share/man/man1/mdbook-qed.1")
            .is_file()
    );
}

/// Check that an installation, and the package, record which archive it was, for the workflow of a new book; and that the record is
/// replaced with the programs.
#[test]
fn records_the_release() {
    if without_dpkg() {
        return;
    }
    let release = release();
    let dir = release.path();
    let record = dir.join("there/share/qed/release");
    let archive = format!("out/{ARCHIVE}");
    std::fs::create_dir_all(record.parent().unwrap()).unwrap();
    std::fs::write(&record, "of an earlier release\n").unwrap();
    good(&install(dir, &[&archive, "--prefix", "there"]));
    let digest = |path: &str| {
        let printed = run(dir, "sha256sum", &[path]);
        printed.split(' ').next().unwrap().to_owned()
    };
    let expected = format!(
        "archive {ARCHIVE}\nversion 1.2.3\nsha256 {}\nmdbook-qed {}\n",
        digest(&archive),
        digest("there/bin/mdbook-qed")
    );
    assert_eq!(std::fs::read_to_string(&record).unwrap(), expected);
    run(
        dir,
        "dpkg-deb",
        &["-x", &format!("out/{PACKAGE}"), "package"],
    );
    let packaged = dir.join("package/usr/share/qed/release");
    assert_eq!(std::fs::read_to_string(packaged).unwrap(), expected);
}

/// Check that nothing is installed of an archive that was changed, is of another release, was cut, or whose digest is not
/// there or there twice.
#[test]
fn refuses_to_install() {
    if without_dpkg() {
        return;
    }
    let archive = format!("out/{ARCHIVE}");
    let change = |name: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let release = release();
        let path = release.path().join("out").join(name);
        std::fs::write(&path, change(std::fs::read(&path).unwrap())).unwrap();
        let printed = install(release.path(), &[&archive, "--prefix", "there"]);
        assert!(!printed.status.success(), "{}", text(&printed));
        assert!(
            !release.path().join("there/bin").exists()
                && !release.path().join("there/share").exists()
        );
        text(&printed)
    };
    let one_bit = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    assert!(change(ARCHIVE, &one_bit).contains("is not what was released"));
    assert!(
        change(ARCHIVE, &|bytes| bytes[..bytes.len() - 1].to_vec())
            .contains("is not what was released")
    );
    assert!(change(ARCHIVE, &|_| Vec::new()).contains("is not what was released"));
    assert!(change("SHA256SUMS", &|_| Vec::new()).contains("does not name"));
    assert!(
        change("SHA256SUMS", &|bytes| [bytes.clone(), bytes].concat()).contains("more than once")
    );
    let other = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .unwrap()
            .replace("1.2.3", "1.2.4")
            .into_bytes()
    };
    assert!(change("SHA256SUMS", &other).contains("does not name"));

    // Signed by itself, and yet not what its own list says.
    let release = release();
    let script = format!(
        "cd out && gzip -d {ARCHIVE} && mkdir x && tar -xf qed-1.2.3-x86_64-linux.tar -C x && echo more >> x/qed-1.2.3-x86_64-linux/bin/mdbook-qed && \
         tar -czf {ARCHIVE} -C x qed-1.2.3-x86_64-linux && sha256sum {ARCHIVE} > SHA256SUMS"
    );
    run(release.path(), "sh", &["-c", &script]);
    let printed = install(release.path(), &[&archive, "--prefix", "there"]);
    assert!(
        !printed.status.success() && text(&printed).contains("a file in"),
        "{}",
        text(&printed)
    );
    assert!(!release.path().join("there/bin").exists());

    for (arguments, printed) in [
        (&[][..], "usage"),
        (&["out/none.tar.gz"][..], "there is no file"),
        (&["--prefix"][..], "needs a value"),
        (&["--force", "x"][..], "unknown option"),
    ] {
        let output = install(release.path(), arguments);
        assert!(
            !output.status.success() && text(&output).contains(printed),
            "{}",
            text(&output)
        );
    }
}

/// A checkout for `check-tag.sh`: the version and repository of its crates, the version in Cargo.lock, the repository that runs it.
#[derive(Clone, Copy)]
struct Tagged<'a> {
    version: &'a str,
    lock: &'a str,
    changelog: &'a str,
    repository: &'a str,
    inherited: &'a str,
    runs_in: Option<&'a str>,
}

const GOOD_TAG: Tagged<'_> = Tagged {
    version: "1.2.3",
    lock: "1.2.3",
    changelog: "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2026-11-28)\n\n### Added\n- a\n\n## 1.2.30\n\n- b\n",
    repository: "repository = \"https://github.com/a/qed\"\n",
    inherited: "repository.workspace = true\n",
    runs_in: Some("a/qed"),
};

/// The success and output of `check-tag.sh`, and the notes that it wrote.
fn check_tag(tag: &str, made: Tagged<'_>) -> (bool, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let Tagged {
        version,
        repository,
        inherited,
        ..
    } = made;
    write(
        "Cargo.toml",
        &format!(
            "[workspace.package]\nversion = \"{version}\"\n{repository}edition = \"2024\"\n\n[workspace.dependencies]\nanyhow = \"1\"\n\
             qed-evidence = {{ version = \"{version}\", path = \"evidence\" }}\n"
        ),
    );
    for (name, more) in [("evidence", inherited), ("layers", "publish = false\n")] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        let text = format!("[package]\nname = \"{name}\"\nversion.workspace = true\n{more}");
        write(&format!("{name}/Cargo.toml"), &text);
    }
    write(
        "Cargo.lock",
        &format!(
            "[[package]]\nname = \"qed-evidence\"\nversion = \"{}\"\n",
            made.lock
        ),
    );
    write("CHANGELOG.md", made.changelog);
    let mut command = Command::new(checkout().join("scripts/dist/check-tag.sh"));
    command
        .args([tag, "notes/NOTES.md"])
        .env("CHECKOUT", dir.path())
        .env_remove("GITHUB_REPOSITORY");
    command.envs(made.runs_in.map(|name| ("GITHUB_REPOSITORY", name)));
    let output = command.output().unwrap();
    let notes = std::fs::read_to_string(dir.path().join("notes/NOTES.md")).unwrap_or_default();
    (output.status.success(), text(&output), notes)
}

/// Check that a tag is refused which is not the version of all crates, whose crates do not name the repository that it is in, or of
/// which the changelog says nothing, or not all.
#[test]
fn tags() {
    for runs_in in [GOOD_TAG.runs_in, None] {
        let (good, printed, notes) = check_tag(
            "v1.2.3",
            Tagged {
                runs_in,
                ..GOOD_TAG
            },
        );
        assert!(good, "{printed}");
        assert!(notes.contains("- a") && !notes.contains("- b"), "{notes}");
    }
    let made = GOOD_TAG;
    let logged = |changelog| Tagged { changelog, ..made };
    for (tag, made, wanted) in [
        ("1.2.3", made, "no tag of a release"),
        ("v1.2.3;id", made, "no tag of a release"),
        ("", made, "no tag of a release"),
        ("v1.2.4", made, "the crates are of version 1.2.3"),
        (
            "v1.2.3",
            Tagged {
                lock: "1.2.2",
                ..made
            },
            "Cargo.lock has another version",
        ),
        (
            "v1.2.4",
            Tagged {
                version: "1.2.4",
                lock: "1.2.4",
                ..made
            },
            "says nothing about 1.2.4",
        ),
        (
            "v1.2.3",
            Tagged {
                repository: "",
                ..made
            },
            "the crates name no repository",
        ),
        (
            "v1.2.3",
            Tagged {
                repository: "repository = \"\"\n",
                ..made
            },
            "the crates name no repository",
        ),
        (
            "v1.2.3",
            Tagged {
                inherited: "",
                ..made
            },
            "evidence/Cargo.toml does not name the repository",
        ),
        (
            "v1.2.3",
            Tagged {
                runs_in: Some("b/fork"),
                ..made
            },
            "and this is b/fork",
        ),
        (
            "v1.2.3",
            logged("## 1.2.3\n\n## 1.2.2\n- a\n"),
            "says nothing about 1.2.3",
        ),
        (
            "v1.2.3",
            logged("## Unreleased\n- b\n## 1.2.3\n- a\n"),
            "entries under",
        ),
    ] {
        let (good, printed, notes) = check_tag(tag, made);
        assert!(
            !good && printed.contains(wanted) && notes.is_empty(),
            "{tag}: {printed}"
        );
    }
}

/// Check that the notes of a release whose chapter is long are the summary at its beginning and the address of the rest, and that a long
/// chapter without one is refused; and that the next release of this checkout has one.
#[test]
fn notes_of_a_long_chapter() {
    let entries = format!("### Added\n\n{}", "- an entry\n".repeat(1000));
    let log = |summary: &str| {
        format!("# Changelog\n\n## 1.2.3\n\n{summary}{entries}\n## 1.2.2\n\n- old\n")
    };
    let check = |changelog: &str| {
        check_tag(
            "v1.2.3",
            Tagged {
                changelog,
                ..GOOD_TAG
            },
        )
    };
    let (good, printed, notes) = check(&log("The first one.\n\n- short\n\n"));
    assert!(good, "{printed}");
    let wanted = "\nThe first one.\n\n- short\n\nAll changes: https://github.com/a/qed/blob/v1.2.3/CHANGELOG.md\n";
    assert_eq!(notes, wanted);
    for (summary, wanted) in [
        ("", "write a summary above its first heading"),
        (&*"x".repeat(9000), "8000 are the most"),
    ] {
        let (good, printed, notes) = check(&log(summary));
        assert!(
            !good && printed.contains(wanted) && notes.is_empty(),
            "{printed}"
        );
    }
    let own = std::fs::read_to_string(checkout().join("CHANGELOG.md")).unwrap();
    let next = own.replace("## Unreleased\n", "## 1.2.3\n");
    let (good, printed, notes) = check(&next);
    // Right behind a release there is nothing yet.
    let is_fit = good && notes.len() < 9000 || printed.contains("says nothing about");
    assert!(is_fit, "{printed}{notes}");
}
