//! Bad input: each case with its exit status and the remedy that it names. Those with a guest need QEMU
//! and a cached kernel.

use crate::support;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::{
    RESUMED, capture_on, collector, evidence_in, folder_with, investigation, note_skipped,
    resumed_capture_on, status_and_message,
};

const CREATE: &str = r#"[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }

[[experiment.probe]]
tracepoint = "sys_exit"
name = "end"

"#;

/// Run a capture of `text` on the host and return exit status and message, and whether there is evidence.
fn capture(text: &str) -> (Option<i32>, String) {
    let folder = folder_with(text);
    let result = collector(
        folder.path(),
        ["capture", "--investigation", "i.toml", "-o", "out/e.json"],
    )
    .output()
    .unwrap();
    assert_eq!(
        folder.path().join("out/e.json").exists(),
        result.status.success()
    );
    status_and_message(&result)
}

fn refused(text: &str, expected: &[&str]) {
    let (status, printed) = capture(text);
    assert_eq!(status, Some(2), "{printed}");
    for part in expected {
        assert!(printed.contains(part), "`{part}` is not in:\n{printed}");
    }
}

/// Check that what is wrong in an investigation is pointed at, with line and column.
#[test]
fn bad_investigations() {
    refused("[[experiment]\nname = 1\n", &["error", "i.toml:1:"]);
    refused(
        &CREATE.replace(
            "syscall = \"socket\"",
            "syscall = \"socket\", command = [\"true\"]",
        ),
        &[
            "i.toml:3:",
            "a workload is one of `syscall`, `calls` and `command`",
        ],
    );
    refused(
        &CREATE.replace("socket", "sokcet"),
        &[
            "i.toml:3:2",
            "`sokcet` is not known",
            "did you mean `socket`?",
        ],
    );
    refused(
        &CREATE.replace("SOCK_STREAM", "SOCK_STREM"),
        &["i.toml:3:", "did you mean `SOCK_STREAM`?"],
    );
    for (argument, expected) in [
        ("\"/etc/passwd\"", "a text is written { text ="),
        ("{ string = \"a\" }", "an argument is a number"),
    ] {
        refused(
            &CREATE.replace("\"SOCK_STREAM\"", argument),
            &["i.toml:3:", expected],
        );
    }
    refused(
        &CREATE.replace(
            "name = \"create\"\n",
            "name = \"create\"\nlimits = { nofiles = 3 }\n",
        ),
        &[
            "i.toml:2:",
            "resource limit `nofiles`",
            "did you mean `nofile`?",
        ],
    );
    refused(
        &format!(
            "{CREATE}[[experiment.probe]]\nfunction = \"sock_alloc\"\nsignal = {{ name = \"SIGKIL\", at = \"exit\" }}\n"
        ),
        &["i.toml:", "signal `SIGKIL`", "did you mean `SIGKILL`?"],
    );
    // Names and paths together, in the order of the text.
    refused(
        &format!(
            "{}\nreads = [{{ at = \"exit\", name = \"data\", path = \"fd->\" }}]\n",
            CREATE.replace("SOCK_STREAM", "SOCK_STREM").trim_end()
        ),
        &[
            "did you mean `SOCK_STREAM`?",
            "i.toml:8:",
            "read `data` is not a path",
        ],
    );
    let (status, printed) = {
        let folder = tempfile::tempdir().unwrap();
        status_and_message(
            &collector(folder.path(), ["capture", "--investigation", "none.toml"])
                .output()
                .unwrap(),
        )
    };
    assert_eq!(status, Some(2));
    assert!(
        printed.contains("none.toml") && printed.contains("--investigation"),
        "{printed}"
    );
}

/// Check that a command that cannot be run is said before anything is, with its place, on the host and in a guest.
#[test]
fn no_such_program() {
    for machine in ["host", "guest:debian-6.1"] {
        let text = "[[experiment]]\nname = \"listing\"\nworkload = { command = [\"no-such-program\", \"-l\"] }\n\n\
                    [[experiment.probe]]\ntracepoint = \"sys_exit\"\nname = \"end\"\n";
        let folder = folder_with(text);
        let mut capture = capture_on(machine, folder.path(), "i.toml");
        let (status, printed) = status_and_message(&capture.output().unwrap());
        assert_eq!(status, Some(2), "{printed}");
        assert!(
            printed.contains("cannot run `no-such-program`: it is not in PATH")
                && printed.contains("i.toml:"),
            "{printed}"
        );
        assert!(!folder.path().join("e.json").exists());
    }
}

/// Check that a file that is not a kernel is refused as bad input, before anything is booted.
#[test]
fn no_kernel_image() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "no kernel").unwrap();
    for (name, expected) in [
        ("guest:./absent", "No such file or directory"),
        (
            "guest:./text",
            "it is not a Linux kernel image that a guest boots",
        ),
        ("guest:text", "unknown guest `guest:text`"),
    ] {
        let mut capture = capture_on(name, folder.path(), investigation("pipe.toml"));
        let (status, printed) = status_and_message(&capture.output().unwrap());
        assert_eq!(status, Some(2), "{printed}");
        assert!(printed.contains(expected), "{printed}");
    }
}

/// Check that names that this kernel does not have are told with the nearest ones, by `plan` and in evidence.
#[test]
fn unknown_names() {
    let text = format!(
        "{CREATE}[[experiment.probe]]\nfunction = \"sock_aloc\"\n\n[[experiment.probe]]\ntracepoint = \"sys_exit\"\n\
         reads = [{{ at = \"exit\", name = \"data\", path = \"fd->private_dat\" }}]\n"
    );
    let folder = folder_with(&text);
    let plan = collector(folder.path(), ["plan", "--investigation", "i.toml"])
        .output()
        .unwrap();
    let (status, reported) = status_and_message(&plan);
    assert_eq!(status, Some(2), "{reported}");
    assert!(
        reported.contains("error: `create.sys_exit.exit.data` would not be read: ")
            && reported.contains("--> i.toml:14:"),
        "{reported}"
    );
    let text = String::from_utf8(plan.stdout).unwrap();
    assert!(
        text.contains("`sock_alloc`") || text.contains("without kprobes"),
        "{text}"
    );
    assert!(text.contains("private_data"), "{text}");
    let captured = collector(
        folder.path(),
        ["capture", "--investigation", "i.toml", "-o", "e.json"],
    )
    .output()
    .unwrap();
    assert!(
        captured.status.success(),
        "{}",
        status_and_message(&captured).1
    );
    assert!(
        fs::read_to_string(folder.path().join("e.json"))
            .unwrap()
            .contains("private_data")
    );
}

/// Check that a guest, where functions can be probed, tells an unknown one with the nearest name, and plans and
/// captures the rest.
#[test]
fn unknown_function_in_a_guest() {
    let text = format!(
        "{CREATE}[[experiment.probe]]\nfunction = \"sock_aloc\"\n\n[[experiment.probe]]\nfunction = \"sock_alloc\"\n\n\
         [[experiment.probe]]\nname = \"inside\"\nfunction = \"__sys_socket\"\nbefore-call = \"__sock_creat\"\n"
    );
    let folder = folder_with(&text);
    let plan = collector(
        folder.path(),
        [
            "plan",
            "--on",
            "guest:debian-6.1",
            "--investigation",
            "i.toml",
        ],
    )
    .output()
    .unwrap();
    let text = String::from_utf8_lossy(&plan.stdout);
    let (status, reported) = status_and_message(&plan);
    assert_eq!(status, Some(2), "{reported}");
    assert!(
        reported.contains("`create.sock_aloc`") && !reported.contains("`create.sock_alloc`"),
        "{reported}"
    );
    assert!(
        text.contains(
            "REFUSED: this kernel has no function `sock_aloc`; the nearest name is `sock_alloc` (i.toml:"
        ),
        "{text}"
    );
    assert!(
        text.contains("function sock_alloc() -> struct socket *"),
        "{text}"
    );
    let mut capture = resumed_capture_on("guest:debian-6.1", folder.path(), "i.toml");
    let (status, printed) = status_and_message(&capture.output().unwrap());
    assert_eq!(status, Some(0), "{printed}");
    assert!(
        printed.contains("nothing was watched by `create.sock_aloc`: this kernel has no function `sock_aloc`; the nearest name is `sock_alloc` (i.toml:"),
        "{printed}"
    );
    assert!(
        printed.contains(
            "nothing was watched by `create.inside`: this kernel has no function `__sock_creat`; the nearest name is `__sock_create`"
        ),
        "{printed}"
    );
    assert_eq!(printed.matches("note:").count(), 2, "{printed}");
}

/// Check that notes are told unless `-q` is given, and that the evidence is the same with it.
#[test]
fn quiet() {
    let text = CREATE.trim_end().to_owned()
        + "\nreads = [{ at = \"exit\", name = \"data\", path = \"fd->private_dat\" }]\n";
    let folder = folder_with(&text);
    let run = |quiet: &[&str]| {
        let args = [
            "capture",
            "--investigation",
            "i.toml",
            "--on",
            "host",
            "-o",
            "e.json",
        ];
        let output = collector(folder.path(), [quiet, &args].concat()).output();
        let (status, reported) = status_and_message(&output.unwrap());
        assert_eq!(status, Some(0), "{reported}");
        let evidence = evidence_in(folder.path());
        let refused = &evidence.experiments["create"].probes["end"].refused_reads;
        assert!(refused.exit["data"].contains("private_data"), "{refused:?}");
        reported
    };
    let reported = run(&[]);
    assert!(
        reported.contains("note: host: `create.end.exit.data` is not read: ")
            && reported.contains("(i.toml:8:"),
        "{reported}"
    );
    assert_eq!(run(&["-q"]), "");
}

/// Check that a misspelt name in `public` is a note with its place in `plan` as in `capture`, and not a failure.
#[test]
fn misspelt_public() {
    let text = CREATE.trim_end().to_owned() + "\npublic = [\"rett\"]\n";
    let folder = folder_with(&text);
    for args in [
        &["plan", "--investigation", "i.toml"][..],
        &["capture", "--investigation", "i.toml", "-o", "e.json"],
    ] {
        let (status, reported) =
            status_and_message(&collector(folder.path(), args).output().unwrap());
        assert_eq!(status, Some(0), "{reported}");
        assert!(
            reported.contains(
                "`public` of `create.end` lists `rett`, which is not an argument of it: "
            ) && reported.contains("did you mean `ret`?")
                && reported.contains("(i.toml:"),
            "{reported}"
        );
    }
}

/// Check that a system call with fewer arguments than the kernel takes is a note in `plan` and in `capture`, that one which C declares
/// without a number of them is none, and that `plan` says which plain number the tracepoint itself has names for.
#[test]
fn too_few_arguments_and_names() {
    let text = r#"
[[experiment]]
name = "make"
workload = { before = [{ syscall = "openat", args = ["AT_FDCWD", { text = "/" }, "O_RDONLY"] }], syscall = "mkdir", args = [{ text = "/made" }] }
[[experiment.probe]]
tracepoint = "kmalloc"
[[experiment]]
name = "again"
inherit = "make"
[[experiment.probe]]
tracepoint = "kmalloc"
names = { gfp_flags = "kmalloc.gfp_flags" }
"#;
    let folder = folder_with(text);
    let on = ["--investigation", "i.toml", "--on", "guest:debian-6.12"];
    let few = "`mkdir` is made with 1 argument, and takes 2: pathname, mode (i.toml:4:";
    let named = "`make.kmalloc.args.gfp_flags` is a plain number, and this tracepoint has names for it (i.toml:6:";
    let capture = [&["capture", "-o", "e.json"][..], &RESUMED].concat();
    for args in [&["plan"][..], &capture] {
        let output = collector(folder.path(), [args, &on].concat()).output();
        let (status, reported) = status_and_message(&output.unwrap());
        assert_eq!(status, Some(0), "{reported}");
        assert_eq!(reported.matches(few).count(), 1, "{reported}");
        assert!(!reported.contains("`openat` is made"), "{reported}");
        let is_plan = args == ["plan"];
        assert_eq!(reported.contains(named), is_plan, "{reported}");
        assert_eq!(
            reported.contains("`names = { gfp_flags = \"kmalloc.gfp_flags\" }`"),
            is_plan,
            "{reported}"
        );
        assert!(!reported.contains("`again.kmalloc"), "{reported}");
    }
}

/// Check that a misspelt function in `within` is told with the nearest name and its place: by `capture` as a note, by `plan` as an
/// error. Both know it from the debug information, which the capture fetches.
#[test]
fn misspelt_within() {
    let text = format!(
        "{CREATE}[[experiment.probe]]\nfunction = \"sock_alloc\"\nwithin = \"__sock_creat\"\n"
    );
    let folder = folder_with(&text);
    let on = ["--investigation", "i.toml", "--on", "guest:debian-6.12"];
    let why = "`within`: this kernel has no function `__sock_creat`, neither as a symbol nor inlined; the nearest name is `__sock_create`";
    let capture = [&["capture", "-o", "e.json"][..], &on, &RESUMED].concat();
    let (status, reported) =
        status_and_message(&collector(folder.path(), capture).output().unwrap());
    assert_eq!(status, Some(0), "{reported}");
    let note = format!("nothing was watched by `create.sock_alloc`: {why} (i.toml:11:10)");
    assert!(reported.contains(&note), "{reported}");
    let plan = collector(folder.path(), [&["plan"][..], &on].concat())
        .output()
        .unwrap();
    let (status, reported) = status_and_message(&plan);
    assert_eq!(status, Some(2), "{reported}");
    let error = format!("error: nothing would be watched by `create.sock_alloc`: {why}");
    assert!(
        reported.starts_with(&error) && reported.contains("--> i.toml:11:10"),
        "{reported}"
    );
    let text = String::from_utf8(plan.stdout).unwrap();
    assert!(
        text.contains(&format!("REFUSED: {why} (i.toml:11:10)")),
        "{text}"
    );
}

/// Check that a misspelt function in `within` and in an excuse is told with the nearest name where no debug information says whether it
/// is inlined: as a note of `capture`, since it may be there.
#[test]
fn misspelt_within_without_debuginfo() {
    let create = CREATE.replacen(
        "[[experiment.probe]]",
        "[[experiment.excuse]]\nwithin = \"sock_aloc\"\nreason = \"no\"\n\n[[experiment.probe]]",
        1,
    );
    let text = format!(
        "{create}[[experiment.probe]]\nfunction = \"sock_alloc\"\nwithin = \"__sock_creat\"\n"
    );
    let folder = folder_with(&text);
    let on = [
        "--investigation",
        "i.toml",
        "--on",
        "guest:debian-6.12",
        "--debuginfo",
        "none",
    ];
    let doubt = |name: &str| {
        format!(
            "no symbol of this kernel is called `{name}`, and it is not known whether it is inlined: "
        )
    };
    let capture = [&["capture", "-o", "e.json"][..], &on, &RESUMED].concat();
    let (status, reported) =
        status_and_message(&collector(folder.path(), capture).output().unwrap());
    assert_eq!(status, Some(0), "{reported}");
    for (name, near, place) in [
        ("__sock_creat", "__sock_create", "(i.toml:15:10)"),
        ("sock_aloc", "sock_alloc", "(i.toml:6:10)"),
    ] {
        let found = reported.lines().find(|line| line.contains(&doubt(name)));
        let found = found.unwrap_or_else(|| panic!("{name}: {reported}"));
        assert!(
            found.contains(&format!("the nearest name is `{near}`")) && found.contains(place),
            "{found}"
        );
    }
    assert!(
        reported.contains(
            "nothing was counted by `create.sock_alloc`: of 1 hit it is not known whether it is within"
        ),
        "{reported}"
    );
}

/// Check that debug information of another kernel is not used for a guest, that this is told with both build ids, and that nothing has
/// a source line from there.
#[test]
fn vmlinux_of_another_kernel() {
    let other = Path::new("/bin/ls");
    let id = qed_collector::guest::debuginfo::build_id(other).expect("a build id");
    let folder = folder_with(
        "[[experiment]]\nname = \"e\"\nworkload = { syscall = \"getpid\" }\n\
         [[experiment.probe]]\nfunction = \"__x64_sys_getpid\"\nstack = true\n",
    );
    let args = [
        "capture",
        "--on",
        "guest:debian-6.1",
        "-o",
        "e.json",
        "--investigation",
        "i.toml",
    ];
    let mut capture = collector(folder.path(), args);
    let (status, reported) = status_and_message(
        &capture
            .arg("--debuginfo")
            .arg(other)
            .args(RESUMED)
            .output()
            .unwrap(),
    );
    assert_eq!(status, Some(0), "{reported}");
    let evidence = evidence_in(folder.path());
    let own = evidence
        .kernel
        .build_id
        .value()
        .expect("a build id")
        .to_string();
    assert!(
        reported.contains("note: guest:debian-6.1: there are no source lines: ")
            && reported.contains(&format!("has build id {id}, the kernel at hand {own}")),
        "{reported}"
    );
    assert_eq!(evidence.kernel.debuginfo.value(), None);
    let text = fs::read_to_string(folder.path().join("e.json")).unwrap();
    assert!(!text.contains("\"kind\": \"location\"") && !text.contains("\"kind\":\"location\""));
}

/// Check that a guest whose configuration is not beside its image is captured, that its values say under which names to put it there,
/// and that it is used under such a name.
#[test]
fn configuration_beside_an_image() {
    let cache = qed_collector::guest::cache::Cache::for_user().unwrap();
    let source = qed_collector::guest::KernelSource::parse("debian-6.1").unwrap();
    let kernel = qed_collector::guest::fetch::find_kernel(&source, &cache, false, &|_| {}).unwrap();
    let folder = folder_with(
        "config = [\"randomize_base\"]\n[[experiment]]\nname = \"e\"\nworkload = { syscall = \"getpid\" }\n\
         [[experiment.probe]]\nfunction = \"__x64_sys_getpid\"\n",
    );
    fs::copy(&kernel.path, folder.path().join("vmlinuz")).unwrap();
    let found = || {
        let mut capture = capture_on("guest:mine=vmlinuz", folder.path(), "i.toml");
        let (status, reported) = status_and_message(&capture.output().unwrap());
        assert_eq!(status, Some(0), "{reported}");
        evidence_in(folder.path()).kernel.config["randomize_base"].clone()
    };
    let missing = format!("{:?}", found());
    for part in [
        "there is no /proc/config.gz; no configuration of this kernel was found around its image: put the one that it was built with \
         beside the image, as `config` or ",
        "`.config`",
    ] {
        assert!(missing.contains(part), "{part}: {missing}");
    }
    fs::copy(kernel.config().unwrap(), folder.path().join("config")).unwrap();
    assert_eq!(
        found().value().map(ToString::to_string).as_deref(),
        Some("y")
    );
}

/// Check that an ordinary user is told which capabilities the host wants, and that no evidence is left.
#[test]
fn missing_privileges() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let mut command = unprivileged(folder.path());
    command.args(["capture", "--investigation", "i.toml", "-o", "e.json"]);
    let (status, printed) = status_and_message(&command.output().unwrap());
    assert_eq!(status, Some(3), "{printed}");
    assert!(printed.contains("CAP_BPF"), "{printed}");
    assert!(!folder.path().join("e.json").exists());
}

/// A copy of the program in `folder`, run by an ordinary user where this test is root.
fn unprivileged(folder: &Path) -> Command {
    let program = folder.join("qed-collector");
    fs::copy(support::program(), &program).unwrap();
    fs::copy(investigation("socket.toml"), folder.join("i.toml")).unwrap();
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env_remove("XDG_CACHE_HOME");
    if nix::unistd::geteuid().is_root() {
        // SAFETY: between fork and exec only system calls are made; nothing allocates or locks.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setgroups(&[])?;
                nix::unistd::setgid(65534.into())?;
                nix::unistd::setuid(65534.into())?;
                Ok(())
            });
        }
    }
    command
}

/// The cache of a user who fetched the kernel of 6.1 before, and no other.
fn copy_cache(to: &Path) {
    let cache = qed_collector::guest::cache::Cache::for_user().unwrap();
    let kernel = qed_collector::guest::fetch::find_kernel(
        &qed_collector::guest::KernelSource::parse("debian-6.1").unwrap(),
        &cache,
        false,
        &|_| {},
    )
    .expect("a kernel");
    let (from, to_kernels) = (cache.kernels_folder(), to.join("qed/kernels"));
    let folder = kernel.path.parent().unwrap();
    copy(
        folder,
        &to_kernels.join(folder.strip_prefix(&from).unwrap()),
    );
    // What the archive said when it was asked.
    for entry in fs::read_dir(&from).unwrap().flatten() {
        if entry.path().is_file() && !entry.file_name().to_string_lossy().starts_with('.') {
            fs::copy(entry.path(), to_kernels.join(entry.file_name())).unwrap();
        }
    }
    // A failure of KVM that is known already is not waited for again.
    let _ = fs::copy(cache.root().join("kvm.json"), to.join("qed/kvm.json"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Give everything below `folder` to the ordinary user.
fn give_away(folder: &Path) {
    if nix::unistd::geteuid().is_root() {
        let done = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(folder)
            .status();
        assert!(done.unwrap().success());
    }
}

/// Check that an ordinary user without any capability captures in a guest.
#[test]
fn unprivileged_guest() {
    let folder = tempfile::tempdir().unwrap();
    copy_cache(&folder.path().join(".cache"));
    let mut command = unprivileged(folder.path());
    give_away(folder.path());
    command.args([
        "capture",
        "--on",
        "guest:debian-6.1",
        "--investigation",
        "i.toml",
        "--debuginfo",
        "none",
        "--boots",
        "0",
        "-o",
        "e.json",
    ]);
    let (status, printed) = status_and_message(&command.output().unwrap());
    assert_eq!(status, Some(0), "{printed}");
    let evidence = evidence_in(folder.path());
    assert!(
        evidence
            .experiments
            .values()
            .all(|e| e.broken_reason().is_none())
    );
    assert_eq!(
        evidence.experiments["create"].probes["fd_install"]
            .hits
            .len(),
        1
    );
}

/// Check that without QEMU its package is named, whether the kernel is cached or not, and that no kernel is downloaded then.
#[test]
fn no_qemu() {
    for cached in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        if cached {
            copy_cache(folder.path());
        }
        let (status, printed) = status_and_message(
            &capture_on(
                "guest:debian-6.1",
                folder.path(),
                investigation("socket.toml"),
            )
            .env("XDG_CACHE_HOME", folder.path())
            .env("PATH", "")
            .output()
            .unwrap(),
        );
        assert_eq!(status, Some(3), "{printed}");
        assert!(
            printed.contains("apt-get install qemu-system-x86"),
            "{printed}"
        );
        assert!(!printed.contains("downloading"), "{printed}");
    }
}

/// Sources that nobody serves, as apt's configuration.
fn offline(folder: &Path) -> std::path::PathBuf {
    let config = folder.join("apt.conf");
    let sources = folder.join("sources.list");
    fs::write(
        &sources,
        "deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n",
    )
    .unwrap();
    let text = format!(
        "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"/nonexistent\";\nDir::State::lists \"{}\";\nAcquire::http::Proxy \"http://127.0.0.1:9\";\n",
        sources.display(),
        folder.join("lists").display()
    );
    fs::write(&config, text).unwrap();
    config
}

/// Check that without a network and without a cached kernel it is soon said what to do.
#[test]
fn no_network_no_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let (status, printed) = status_and_message(
        &capture_on(
            "guest:debian-6.1",
            folder.path(),
            investigation("socket.toml"),
        )
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .env("APT_CONFIG", offline(folder.path()))
        .output()
        .unwrap(),
    );
    assert_eq!(status, Some(3), "{printed}");
    assert!(
        printed.contains("no kernel for guest:debian-6.1"),
        "{printed}"
    );
    assert!(printed.contains("guest:PATH-TO-VMLINUZ"), "{printed}");
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
}

/// Check that where the machine's sources name no mirror of Debian, the ways to name one are told.
#[test]
fn no_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let config = offline(folder.path());
    fs::write(folder.path().join("sources.list"), "").unwrap();
    let (status, printed) = status_and_message(
        &capture_on(
            "guest:debian-6.1",
            folder.path(),
            investigation("socket.toml"),
        )
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .env("APT_CONFIG", config)
        .output()
        .unwrap(),
    );
    assert_eq!(status, Some(3), "{printed}");
    assert!(
        printed.contains("this machine's apt sources name no mirror of Debian")
            && printed.contains("QED_DEBIAN_MIRROR"),
        "{printed}"
    );
    assert_eq!(printed.matches("no kernel for").count(), 1, "{printed}");
}

/// Check that a vmlinux that somebody names is used or refused, and not passed over.
#[test]
fn no_vmlinux() {
    for (name, expected) in [
        ("/absent/vmlinux", "No such file or directory"),
        ("i.toml", "ELF"),
    ] {
        let folder = folder_with(CREATE);
        let args = [
            "capture",
            "--investigation",
            "i.toml",
            "--debuginfo",
            name,
            "-o",
            "e.json",
        ];
        let (status, printed) =
            status_and_message(&collector(folder.path(), args).output().unwrap());
        assert_eq!(status, Some(2), "{printed}");
        assert!(
            printed.contains("--debuginfo") && printed.contains(name) && printed.contains(expected),
            "{printed}"
        );
        assert!(!folder.path().join("e.json").exists());
    }
}

/// Check that nobody has to read all of a plan, and that one that cannot be written is a failure.
#[test]
fn nobody_reads() {
    let folder = folder_with(CREATE);
    let run = |to: Stdio| {
        let mut command = collector(folder.path(), ["plan", "--investigation", "i.toml"]);
        status_and_message(
            &command
                .stdout(to)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
                .wait_with_output()
                .unwrap(),
        )
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run(writer.into()), (Some(0), String::new()));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let (status, printed) = run(full.into());
    assert_eq!(status, Some(3), "{printed}");
    assert!(
        printed.contains("standard output") && printed.contains("No space left"),
        "{printed}"
    );
}

/// Check that without a network a cached kernel is used, and that this is said.
#[test]
fn no_network_cached_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    copy_cache(&cache);
    let result = capture_on(
        "guest:debian-6.1",
        folder.path(),
        investigation("pipe.toml"),
    )
    .arg("--refresh")
    .env("XDG_CACHE_HOME", &cache)
    .env("APT_CONFIG", offline(folder.path()))
    .output()
    .unwrap();
    let (status, printed) = status_and_message(&result);
    assert_eq!(status, Some(0), "{printed}");
    assert!(
        printed.contains("could not be fetched") && printed.contains("from the cache"),
        "{printed}"
    );
}

/// Check that where KVM is refused or hangs the guest is emulated, and that it is said why and remembered.
#[test]
fn kvm_falls_back() {
    let qemu =
        qed_collector::guest::find_program::find_in_path("qemu-system-x86_64").expect("QEMU");
    let usable = qed_collector::guest::accel::check_device(qed_collector::arch::Arch::HOST);
    for (without, expected) in [
        (
            "echo 'kvm is refused' >&2; exit 1",
            "QEMU cannot use KVM: kvm is refused",
        ),
        ("exec sleep 60", "showed no sign of life within 4s"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        copy_cache(folder.path());
        let _ = fs::remove_file(folder.path().join("qed/kvm.json"));
        let fake = folder.path().join("qemu-system-x86_64");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *'-accel kvm'*) {without};; esac\nexec '{}' \"$@\"\n",
            qemu.display()
        );
        fs::write(&fake, script).unwrap();
        fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        for remembered in ["", "found earlier in this boot"] {
            let (status, printed) = status_and_message(
                &capture_on(
                    "guest:debian-6.1",
                    folder.path(),
                    investigation("pipe.toml"),
                )
                .env("XDG_CACHE_HOME", folder.path())
                .env("PATH", format!("{}:{path}", folder.path().display()))
                .output()
                .unwrap(),
            );
            assert_eq!(status, Some(0), "{printed}");
            let evidence = evidence_in(folder.path());
            let ran = evidence.machine.accelerator.expect("what ran it");
            assert!(ran.starts_with("emulated ("), "{ran}");
            match &usable {
                Ok(()) => assert!(ran.contains(expected) && ran.contains(remembered), "{ran}"),
                Err(reason) => assert!(ran.contains(&reason.to_string()), "{ran}"),
            }
        }
    }
}

/// Check that a guest that hangs is given up at its limit, and that no QEMU is left.
#[test]
fn hanging_guest() {
    let folder = tempfile::tempdir().unwrap();
    let (status, printed) = status_and_message(
        &collector(
            folder.path(),
            [
                "capture",
                "--on",
                "guest:debian-6.1",
                "--limit",
                "0",
                "--debuginfo",
                "none",
                "-o",
                "e.json",
                "--investigation",
            ],
        )
        .arg(investigation("pipe.toml"))
        .output()
        .unwrap(),
    );
    assert_eq!(status, Some(3), "{printed}");
    assert!(
        printed.contains("made no progress for") && printed.contains("Allow more time"),
        "{printed}"
    );
    assert!(!folder.path().join("e.json").exists());
}

/// Check that evidence that cannot be written whole leaves what was there, and nothing half.
#[test]
fn full_disk() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("e.json"), "old").unwrap();
    let mut command = collector(
        folder.path(),
        ["capture", "-o", "e.json", "--investigation"],
    );
    command.arg(investigation("socket.toml"));
    // SAFETY: between fork and exec only system calls are made; nothing allocates or locks.
    unsafe {
        command.pre_exec(|| {
            nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, 4096, 4096)?;
            // The signal would end the process; ignored, the write fails as on a full disk.
            nix::sys::signal::signal(
                nix::sys::signal::Signal::SIGXFSZ,
                nix::sys::signal::SigHandler::SigIgn,
            )?;
            Ok(())
        });
    }
    let (status, printed) = status_and_message(&command.output().unwrap());
    assert_eq!(status, Some(3), "{printed}");
    assert!(
        printed.contains("the evidence there before is untouched"),
        "{printed}"
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("e.json")).unwrap(),
        "old"
    );
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        left.iter().all(|name| name == "e.json" || name == ".lock"),
        "{left:?}"
    );
}

/// Check the same on a disk that is really full, as the user sees it: one message that names what is full.
#[test]
fn really_full_disk() {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // 64 KiB, of which the old evidence takes what the new would need.
    let script = format!(
        "head -c 60000 /dev/zero > disk/e.json && '{}' capture -o disk/e.json --investigation '{}'; status=$?; \
         ls -A disk; wc -c < disk/e.json; exit $status",
        support::program().display(),
        investigation("socket.toml").display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path());
    // A mount that only this process and its children see, and that ends with them.
    let (target, root) = (disk.clone(), nix::unistd::geteuid().is_root());
    let see = move || {
        if root {
            unshare(CloneFlags::CLONE_NEWNS)?;
        } else {
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        }
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(
            Some("tmpfs"),
            &target,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=64k"),
        )?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(see) };
    let output = command.output().expect("a mount namespace");
    let (status, printed) = status_and_message(&output);
    assert_eq!(status, Some(3), "{printed}");
    assert!(printed.contains("No space left on device"), "{printed}");
    assert!(
        printed.contains("disk/e.json")
            && printed.contains("the evidence there before is untouched"),
        "{printed}"
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        ".lock\ne.json\n60000\n"
    );
}

/// The processes that `root` started, and theirs, by what they run.
fn descendants(root: u32) -> Vec<(u32, String)> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((name, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let parent = rest.split(' ').nth(1).and_then(|p| p.parse::<u32>().ok());
        let name = name.split_once('(').map_or("", |(_, name)| name).to_owned();
        parents.push((pid, parent.unwrap_or(0), name));
    }
    let mut found = vec![(root, String::new())];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at].0;
        found.extend(
            parents
                .iter()
                .filter(|p| p.1 == parent)
                .map(|p| (p.0, p.2.clone())),
        );
        at += 1;
    }
    found.split_off(1)
}

fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The guards of commands that `collector` started: they are nobody's children.
fn guards(collector: u32) -> Vec<(u32, String)> {
    let wanted = format!("__workload\0{collector}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let guards = processes.filter(|entry| {
        fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| line.ends_with(&wanted))
    });
    guards
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(|pid| (pid, "guard".to_owned()))
        .collect()
}

/// End a capture by `signal` when it has started a process, and check that nothing of it lives on: no process, hence
/// no program (the kernel closes its links), no half-written evidence, no lock.
fn killed(machine: &str, text: &Path, signal: Signal, expected: &str) {
    if is_ignored(signal) {
        note_skipped(&format!(
            "{signal} is ignored here, and so by what this test starts"
        ));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("e.json"), "old").unwrap();
    let capture = || capture_on(machine, folder.path(), text);
    let mut child = capture()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let children = loop {
        let children = descendants(child.id());
        if children.iter().any(|(_, name)| name == expected) {
            break children;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    };
    // A second capture into the same folder says so, and ends.
    let (status, message) = status_and_message(&capture().output().unwrap());
    assert!(
        child.try_wait().unwrap().is_none(),
        "the first ended too soon for this test"
    );
    assert_eq!(status, Some(3), "{message}");
    assert!(
        message.contains("another capture is writing to"),
        "{message}"
    );
    let children = [children, descendants(child.id()), guards(child.id())].concat();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(signal as i32)
    );
    let started = Instant::now();
    while children.iter().any(|(pid, _)| alive(*pid)) {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "left behind: {children:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("e.json")).unwrap(),
        "old"
    );
    assert!(
        qed_collector::cli::store::Store::open(folder.path()).is_ok(),
        "the lock is still held"
    );
}

/// True if this process was started with a signal ignored, as `nohup` and a shell's `&` do.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    mask & 1 << (signal as u32 - 1) != 0
}

/// The ways in which a capture is ended from outside: at once, politely, and from a terminal.
const SIGNALS: [Signal; 3] = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT];

/// Check that a killed capture on the host leaves nothing behind, also nothing that its command started, and that a
/// second one at once is refused.
#[test]
fn killed_on_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let slow = folder.path().join("slow.toml");
    fs::write(
        &slow,
        "[[experiment]]\nname = \"slow\"\nworkload = { command = [\"sh\", \"-c\", \"sleep 30; true\"] }\ntimeout-ms = 40000\n\n\
         [[experiment.probe]]\ntracepoint = \"sys_exit\"\nname = \"exit\"\nsyscall = \"socket\"\n",
    )
    .unwrap();
    for signal in SIGNALS {
        killed("host", &slow, signal, "sleep");
    }
}

/// Check that a killed capture in a guest leaves nothing behind, and that a second one at once is refused.
#[test]
fn killed_in_a_guest() {
    for signal in SIGNALS {
        killed(
            "guest:debian-6.1",
            &investigation("socket.toml"),
            signal,
            "qemu-system-x86",
        );
    }
}

/// Check that two captures at once into different folders do not disturb each other.
#[test]
fn two_at_once() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = |folder: &tempfile::TempDir| {
        collector(
            folder.path(),
            ["capture", "-o", "e.json", "--investigation"],
        )
        .arg(investigation("socket.toml"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
    };
    let running = folders.each_ref().map(start);
    for (child, folder) in running.into_iter().zip(&folders) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", status_and_message(&output).1);
        let evidence = evidence_in(folder.path());
        for (name, experiment) in &evidence.experiments {
            assert_eq!(experiment.broken_reason(), None, "{name}");
        }
    }
}

/// Check that the book of a folder, or of one above, says what to capture, that no other investigation takes the place of its
/// evidence unasked, and that without a book one is asked for.
#[test]
fn book_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    for args in [
        &["capture"][..],
        &["sweep"],
        &["discover", "--experiment", "create"],
    ] {
        let output = collector(folder.path(), args).output().unwrap();
        let (status, reported) = status_and_message(&output);
        assert_eq!(status, Some(2), "{reported}");
        assert!(
            reported.contains("--investigation FILE") && reported.contains("--book FOLDER"),
            "{reported}"
        );
    }
    write(
        "book.toml",
        "[preprocessor.qed]\ninvestigation = \"own.toml\"\nmachines = [\"guest:debian-6.1\"]\n",
    );
    write("own.toml", "[[experiment]]\n");
    write("other.toml", CREATE);
    let inside = folder.path().join("src");
    std::fs::create_dir(&inside).unwrap();
    for (from, args) in [
        (folder.path(), &["capture", "--on", "host"][..]),
        (folder.path(), &["plan"]),
        (&inside, &["capture"]),
        (&inside, &["capture", "--book", ".."]),
        (folder.path(), &["sweep"]),
        (&inside, &["sweep", "--series", "6.1"]),
        (&inside, &["sweep", "--book", ".."]),
        (&inside, &["discover", "--experiment", "create"]),
        (
            &inside,
            &[
                "discover",
                "--experiment",
                "create",
                "--book",
                "../book.toml",
            ],
        ),
        (
            &inside,
            &[
                "plan",
                "--book",
                "../book.toml",
                "--on",
                "guest:debian-6.12",
            ],
        ),
    ] {
        let (status, reported) = status_and_message(&collector(from, args).output().unwrap());
        assert_eq!(status, Some(2), "{args:?}: {reported}");
        assert!(reported.contains("own.toml:1:1"), "{args:?}: {reported}");
    }
    // Its machines are those of another investigation, too, and never the host unasked.
    let asked = ["capture", "--investigation", "other.toml", "-o", "e.json"];
    let mut asked = collector(folder.path(), asked);
    asked.env("PATH", "/nonexistent");
    let (status, reported) = status_and_message(&asked.output().unwrap());
    assert_eq!(status, Some(3), "{reported}");
    assert!(reported.contains("qemu-system-x86_64"), "{reported}");
    assert!(!folder.path().join("e.json").exists());
    let other = ["capture", "--investigation", "other.toml", "--on", "host"];
    let (status, reported) = status_and_message(&collector(folder.path(), other).output().unwrap());
    assert_eq!(status, Some(2), "{reported}");
    assert!(
        reported.contains("would replace that of this folder's book"),
        "{reported}"
    );
    assert!(
        reported.contains("-o FILE") && reported.contains("--force"),
        "{reported}"
    );
    let forced = [&other[..], &["--force"]].concat();
    let (status, reported) =
        status_and_message(&collector(folder.path(), forced).output().unwrap());
    assert_eq!(status, Some(0), "{reported}");
    let evidence = fs::read(folder.path().join(".qed/evidence/host.json")).unwrap();
    let evidence = qed_evidence::reader::read(&evidence).unwrap();
    assert_eq!(evidence.run.investigation, "other.toml");
    // The book says on which guest to trace, too; its image here is no kernel.
    write(
        "book.toml",
        "[preprocessor.qed]\ninvestigation = \"own.toml\"\nmachines = [\"host\", { guest = \"image\", name = \"mine\" }]\n",
    );
    write("image", "no kernel");
    write("own.toml", CREATE);
    let (status, reported) = status_and_message(
        &collector(&inside, ["discover", "--experiment", "create"])
            .output()
            .unwrap(),
    );
    assert_eq!(status, Some(2), "{reported}");
    assert!(reported.contains("cannot boot ../image"), "{reported}");
    let typo = ["discover", "--experiment", "craete", "--on", "host"];
    let (status, reported) = status_and_message(&collector(&inside, typo).output().unwrap());
    assert_eq!(status, Some(2), "{reported}");
    assert!(
        reported.contains("../own.toml has no experiment `craete`"),
        "{reported}"
    );
    write("own.toml", "[[experiment]]\n");
    // Its own investigation is what the evidence is for.
    let own = ["capture", "--investigation", "./own.toml", "--on", "host"];
    let (_, reported) = status_and_message(&collector(folder.path(), own).output().unwrap());
    assert!(reported.contains("own.toml:1:1"), "{reported}");
}
