//! The steps of action.yml, as a runner starts them: with a made-up release, and with made-up programs.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{ARCHIVE, checkout, text};

/// Run a step in `dir`, which is also the runner's temporary folder.
fn step(dir: &Path, name: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(checkout().join("scripts/action").join(name))
        .current_dir(dir)
        .env("RUNNER_TEMP", dir)
        .env("GITHUB_PATH", dir.join("path"))
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn program(path: &Path, script: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
}

/// An archive as `make dist` packs it; its digest.
fn archive(dir: &Path) -> String {
    let top = dir.join("packed").join(ARCHIVE.trim_end_matches(".tar.gz"));
    for name in [
        "bin/qed-collector",
        "bin/mdbook-qed",
        "share/doc/qed/README.md",
    ] {
        program(&top.join(name), "#!/bin/sh\necho made up\n");
    }
    let script = format!(
        "cd {} && find bin share -type f | sort | xargs sha256sum > SHA256SUMS && cd .. && tar -czf ../{ARCHIVE} * && sha256sum < ../{ARCHIVE} | cut -d ' ' -f 1",
        top.display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output).trim().to_owned()
}

/// Check that the archive with the digest that the workflow names is installed and put on the path, and that any other, or
/// none, is refused with an annotation.
#[test]
fn installs_by_digest() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let digest = archive(dir);
    let address = format!("file://{}", dir.join(ARCHIVE).display());
    let output = step(
        dir,
        "install.sh",
        &[("ARCHIVE", &address), ("SHA256", &digest)],
    );
    assert!(output.status.success(), "{}", text(&output));
    let path = std::fs::read_to_string(dir.join("path")).unwrap();
    assert!(
        Path::new(path.trim()).join("mdbook-qed").is_file(),
        "{path}"
    );

    std::fs::remove_dir_all(dir.join("qed")).unwrap();
    let other = "0".repeat(64);
    let removed = format!("file://{}/none/{ARCHIVE}", dir.display());
    for (address, digest, wanted) in [
        (&address, other.as_str(), "was not installed"),
        (&address, other.as_str(), "is not what was released"),
        (&address, "", "say the archive's digest"),
        (&address, "abc", "64 digits"),
        (&removed, digest.as_str(), "cannot be fetched"),
        (
            &"file:///etc/passwd".to_owned(),
            digest.as_str(),
            "has to end in",
        ),
    ] {
        let output = step(
            dir,
            "install.sh",
            &[("ARCHIVE", address), ("SHA256", digest)],
        );
        let message = text(&output);
        assert!(
            !output.status.success() && message.contains(wanted),
            "{message}"
        );
        assert!(message.contains("::error title=qed::"), "{message}");
        assert!(!dir.join("qed/bin").exists());
    }
}

/// Check that the last step captures only if it is told to, judges before it builds, ends with the status of what fails, and
/// lets no build capture.
#[test]
fn captures_judges_builds() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir_all(dir.join("docs/book")).unwrap();
    let log = dir.join("log");
    let say = |name: &str, status: u8| {
        let script = format!(
            "#!/bin/sh\necho {name} \"$@\" $MDBOOK_PREPROCESSOR__QED__CAPTURE >> {}\nexit {status}\n",
            log.display()
        );
        program(&dir.join("bin").join(name), &script);
    };
    let run = |capture: &str| {
        let _ = std::fs::remove_file(&log);
        let path = format!(
            "{}:{}",
            dir.join("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let output = step(
            dir,
            "build.sh",
            &[("BOOK", "docs/book"), ("CAPTURE", capture), ("PATH", &path)],
        );
        let message = std::fs::read_to_string(&log).unwrap_or_default();
        (output.status.code(), message)
    };
    for name in [
        "qed-collector",
        "mdbook-qed",
        "mdbook",
        "qemu-system-x86_64",
    ] {
        say(name, 0);
    }
    let (judge, build) = (
        "mdbook-qed check docs/book --format github\n",
        "mdbook build docs/book never\n",
    );
    assert_eq!(run("false"), (Some(0), format!("{judge}{build}")));
    let capture = "qed-collector capture --book book.toml\n";
    assert_eq!(run("true"), (Some(0), format!("{capture}{judge}{build}")));
    assert_eq!(run("yes").0, Some(2));
    std::fs::remove_file(dir.join("bin/mdbook")).unwrap();
    let nowhere = format!("{}:/usr/bin:/bin", dir.join("bin").display());
    let output = step(
        dir,
        "build.sh",
        &[
            ("BOOK", "docs/book"),
            ("CAPTURE", "false"),
            ("PATH", &nowhere),
        ],
    );
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output).contains("there is no mdbook on PATH"),
        "{}",
        text(&output)
    );
    say("mdbook", 0);
    say("mdbook-qed", 1);
    assert_eq!(run("false"), (Some(1), judge.to_owned()));
    // This runner has QEMU, and should have captured.
    say("qed-collector", 3);
    assert_eq!(run("true"), (Some(3), capture.to_owned()));
}

/// Check that a runner without QEMU and without a way to install it is told so, and goes on: what the host gave, or what was recorded, is
/// judged and built. Only a machine without any evidence ends the run, and so does what fails for another reason.
#[test]
fn runners_without_qemu() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir_all(dir.join("docs/book")).unwrap();
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for name in ["bash", "env", "sh", "grep"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{name}"), bin.join(name)).unwrap();
    }
    let path = bin.to_str().unwrap();
    let run = |collector: u8, checked: &str| {
        let log = dir.join("log");
        let _ = std::fs::remove_file(&log);
        let to = if checked.starts_with("error: ") {
            ">&2"
        } else {
            ""
        };
        for (name, script) in [
            ("qed-collector", format!("exit {collector}")),
            ("mdbook-qed", format!("echo '{checked}' {to}")),
            ("mdbook", "echo built".to_owned()),
        ] {
            let log = log.display();
            program(
                &bin.join(name),
                &format!("#!/bin/sh\necho {name} >> {log}\n{script}\n"),
            );
        }
        let machine = step(dir, "machine.sh", &[("BOOK", "docs/book"), ("PATH", path)]);
        let message = text(&machine);
        assert!(machine.status.success(), "{message}");
        assert!(
            message.contains("::warning title=qed::this runner has no QEMU"),
            "{message}"
        );
        let build = step(
            dir,
            "build.sh",
            &[("BOOK", "docs/book"), ("CAPTURE", "true"), ("PATH", path)],
        );
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        (build.status.code(), text(&build), log)
    };
    let all = "qed-collector\nmdbook-qed\nmdbook-qed\nmdbook\n";
    let skipped = "::warning title=qed::this runner has no QEMU (qemu-system-x86): not every guest was captured";

    let (status, message, log) = run(3, "1 claim on 1 machine: 1 PASS");
    assert_eq!((status, log.as_str()), (Some(0), all), "{message}");
    assert!(
        message.contains(skipped) && message.contains("built"),
        "{message}"
    );

    // The host was captured.
    let (status, message, log) = run(0, "1 claim on 2 machines: 2 PASS");
    assert_eq!((status, log.as_str()), (Some(0), all), "{message}");
    assert!(!message.contains(skipped), "{message}");

    let absent = "guest:debian-6.1: not judged, there is no evidence of `guest:debian-6.1` yet";
    let none = "error: there is no evidence of any machine of this book (guest:debian-6.1)";
    for (collector, found) in [(0, absent), (3, absent), (3, none)] {
        let (status, message, log) = run(collector, found);
        assert_eq!(status, Some(3), "{message}");
        assert_eq!(log, "qed-collector\nmdbook-qed\n");
        let found = found.trim_start_matches("error: ");
        let reported = format!("nothing was recorded: {found}");
        assert!(
            message.contains("::error title=qed::") && message.contains(&reported),
            "{message}"
        );
    }

    for other in [1, 2] {
        let (status, message, log) = run(other, absent);
        assert_eq!(
            (status, log.as_str()),
            (Some(i32::from(other)), "qed-collector\n"),
            "{message}"
        );
    }
}

/// Check that QEMU for arm64 is missed where the book names a guest for it, and there alone.
#[test]
fn books_with_a_guest_for_arm64() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let bin = dir.join("bin");
    program(&bin.join("qemu-system-x86_64"), "#!/bin/sh\n");
    for name in ["bash", "env", "grep"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{name}"), bin.join(name)).unwrap();
    }
    std::fs::create_dir_all(dir.join("docs/book")).unwrap();
    for (guest, missing) in [("debian-7.3", false), ("debian-7.3-arm64", true)] {
        std::fs::write(
            dir.join("docs/book/book.toml"),
            format!("[preprocessor.qed]\nmachines = [\"guest:{guest}\"]\n"),
        )
        .unwrap();
        let path = bin.to_str().unwrap();
        let machine = step(dir, "machine.sh", &[("BOOK", "docs/book"), ("PATH", path)]);
        let message = text(&machine);
        assert!(machine.status.success(), "{message}");
        assert_eq!(message.contains("qemu-system-arm"), missing, "{message}");
    }
}
