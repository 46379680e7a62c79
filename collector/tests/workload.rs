//! The workload's process: real system calls and commands, in the program as it is shipped.

use std::{path::Path, time::Duration};

use qed_collector::workload::{
    Arg, Exit, RunningWorkload, SyscallInvocation, WorkloadError, WorkloadKind, WorkloadOutcome,
    WorkloadSpec, WorkloadState, names,
};

fn spec(kind: WorkloadKind) -> WorkloadSpec {
    WorkloadSpec {
        kind,
        limits: Vec::new(),
        drop_capabilities: false,
        warm_up: 0,
        threads: 1,
        max_output: 64 << 10,
        timeout: Duration::from_secs(10),
        around: qed_collector::workload::WorkloadEnvironment::default(),
    }
}

fn syscall(name: &str, args: Vec<Arg>) -> WorkloadSpec {
    sequence(Vec::new(), call(name, args))
}

fn call(name: &str, args: Vec<Arg>) -> SyscallInvocation {
    SyscallInvocation {
        number: names::syscall_number(name).unwrap(),
        name: name.into(),
        args,
    }
}

fn sequence(before: Vec<SyscallInvocation>, call: SyscallInvocation) -> WorkloadSpec {
    spec(WorkloadKind::Syscall {
        before,
        sequence: Vec::new(),
        call,
    })
}

fn calls(mut calls: Vec<SyscallInvocation>) -> WorkloadSpec {
    let call = calls.pop().unwrap();
    spec(WorkloadKind::Syscall {
        before: Vec::new(),
        sequence: calls,
        call,
    })
}

fn socket() -> WorkloadSpec {
    syscall("socket", vec![Arg::Int(2), Arg::Int(1), Arg::Int(0)])
}

fn command(words: &[&str]) -> WorkloadSpec {
    spec(WorkloadKind::Command(
        words.iter().map(|word| (*word).to_owned()).collect(),
    ))
}

async fn start(spec: &WorkloadSpec) -> Result<RunningWorkload, WorkloadError> {
    RunningWorkload::start_as(Path::new(env!("CARGO_BIN_EXE_qed-collector")), spec).await
}

async fn run(spec: &WorkloadSpec) -> WorkloadOutcome {
    let mut running = start(spec).await.unwrap();
    running.release_gate().await.unwrap();
    running.report().await.unwrap();
    running.release().await.unwrap()
}

/// Check that the first descriptor is 3, that it is open after the call, and that nothing is printed, which the call did not do.
#[tokio::test]
async fn first_socket_is_three_and_stays_open() {
    let mut spec = socket();
    spec.warm_up = 3;
    let mut running = start(&spec).await.unwrap();
    let link = format!("/proc/{}/fd/3", running.tgid());
    assert!(!Path::new(&link).exists(), "open at the gate");
    assert_eq!(
        running.release_gate().await.unwrap(),
        WorkloadState::Returned
    );
    let target = std::fs::read_link(&link).unwrap();
    assert!(
        target.to_string_lossy().starts_with("socket:["),
        "{target:?}"
    );
    running.report().await.unwrap();
    let outcome = running.release().await.unwrap();
    assert_eq!((outcome.returned, outcome.errno), (Some(3), Some(0)));
    assert_eq!(outcome.exit, Exit::Exited(0));
    assert_eq!(String::from_utf8(outcome.stdout).unwrap(), "");
    assert_eq!((outcome.printed, outcome.complained), (Some(0), Some(0)));
}

/// Check that a limit makes the call fail, that the failure is an outcome, and that the report still arrives.
#[tokio::test]
async fn exhausted_descriptors_are_an_outcome() {
    let mut spec = socket();
    spec.limits = vec![(names::resource_number("nofile").unwrap(), 3)];
    let outcome = run(&spec).await;
    assert_eq!(outcome.errno, Some(libc::EMFILE));
    assert_eq!(outcome.stdout, b"");
}

/// Check that what the kernel writes into a buffer is read back.
#[tokio::test]
async fn buffers_are_read_back() {
    let buffer = Arg::Buffer {
        size: 8,
        name: "fds".into(),
    };
    let outcome = run(&syscall("pipe2", vec![buffer, Arg::Int(0)])).await;
    let mut expected = 3i32.to_ne_bytes().to_vec();
    expected.extend(4i32.to_ne_bytes());
    assert_eq!(outcome.buffers, [("fds".to_owned(), expected)]);
}

/// Check that capabilities are gone when asked: a raw socket is refused to root.
#[tokio::test]
async fn capabilities_are_dropped() {
    let mut spec = syscall("socket", vec![Arg::Int(2), Arg::Int(3), Arg::Int(1)]);
    spec.drop_capabilities = true;
    assert_eq!(run(&spec).await.errno, Some(libc::EPERM));
}

/// Check that a signal which ends the process inside the call is an outcome, without a return value.
#[tokio::test]
async fn death_in_the_call_is_an_outcome() {
    // tgkill cannot name itself before it runs; exit_group ends the process in the call as well.
    let mut running = start(&syscall("exit_group", vec![Arg::Int(7)]))
        .await
        .unwrap();
    assert_eq!(running.release_gate().await.unwrap(), WorkloadState::Ended);
    running.report().await.unwrap();
    let outcome = running.release().await.unwrap();
    assert_eq!((outcome.returned, outcome.exit), (None, Exit::Exited(7)));

    let mut running = start(&syscall("pause", vec![])).await.unwrap();
    let pid = nix::unistd::Pid::from_raw(running.tgid() as i32);
    let killer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    });
    assert_eq!(running.release_gate().await.unwrap(), WorkloadState::Ended);
    killer.await.unwrap();
    let outcome = running.release().await.unwrap();
    assert_eq!((outcome.returned, outcome.exit), (None, Exit::Signaled(9)));
}

/// Check that a call that never returns is ended at the time limit, and its process reaped.
#[tokio::test]
async fn hanging_calls_are_killed() {
    let mut spec = syscall("pause", vec![]);
    spec.timeout = Duration::from_millis(300);
    let mut running = start(&spec).await.unwrap();
    let process = format!("/proc/{}", running.tgid());
    assert_eq!(running.release_gate().await.unwrap(), WorkloadState::Ended);
    assert_eq!(running.release().await.unwrap().exit, Exit::TimedOut);
    assert!(!Path::new(&process).exists());
}

/// Check that a dropped workload leaves no process behind.
#[tokio::test]
async fn dropped_workloads_die() {
    let running = start(&socket()).await.unwrap();
    let process = format!("/proc/{}/stat", running.tgid());
    drop(running);
    for _ in 0..100 {
        // A zombie is dead, and reaped by the runtime later.
        match std::fs::read_to_string(&process) {
            Ok(stat) if !stat.contains(") Z ") => {}
            _ => return,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still there: {process}");
}

/// Check that a command waits at the gate, runs behind it with its output kept and cut, and that its
/// process is the one that was announced.
#[tokio::test]
async fn commands_run_behind_the_gate() {
    let mut running = start(&command(&[
        "sh",
        "-c",
        // Without a pipe, of which the shell itself would have an end open for a moment.
        "echo $$; if [ -L /proc/$$/fd/3 ]; then echo 1; else echo 0; fi; exit 5",
    ]))
    .await
    .unwrap();
    let tgid = running.tgid();
    assert!(running.stdout().is_empty());
    assert_eq!(running.release_gate().await.unwrap(), WorkloadState::Ended);
    let outcome = running.release().await.unwrap();
    assert_eq!(
        String::from_utf8(outcome.stdout).unwrap(),
        format!("{tgid}\n0\n")
    );
    assert_eq!(outcome.exit, Exit::Exited(5));

    let outcome = run(&command(&["sh", "-c", "head -c 300000 /dev/zero"])).await;
    assert_eq!(
        (outcome.stdout.len(), outcome.printed, outcome.exit),
        (64 * 1024, Some(300_000), Exit::Exited(0))
    );
    let mut longer = command(&["sh", "-c", "head -c 300000 /dev/zero"]);
    longer.max_output = 1 << 20;
    let outcome = run(&longer).await;
    assert_eq!(
        (outcome.stdout.len(), outcome.printed),
        (300_000, Some(300_000))
    );
    // Somebody else may print more.
    let outcome = run(&command(&["sh", "-c", "echo a; sleep 3 &"])).await;
    assert_eq!(
        (outcome.stdout.as_slice(), outcome.printed),
        (&b"a\n"[..], None)
    );

    let outcome = run(&command(&["/nonexistent/program"])).await;
    assert_eq!(outcome.exit, Exit::Exited(127));
    let message = String::from_utf8(outcome.stderr).unwrap();
    assert!(message.contains("/nonexistent/program"), "{message}");
}

/// Check that what cannot be prepared is an error that names it.
#[tokio::test]
async fn bad_preparation_is_named() {
    let mut bad = socket();
    bad.limits = vec![(99, 1)];
    for spec in [
        bad,
        command(&[]),
        syscall("socket", vec![Arg::Str("a\0".into())]),
    ] {
        let error = start(&spec).await.err().unwrap();
        assert!(matches!(error, WorkloadError::Preparation(_)), "{error}");
    }
}

/// Check that calls can be timed at the gate, that a longer one takes longer, and that the call still happens.
#[tokio::test]
async fn calls_are_timed() {
    let mut running = start(&socket()).await.unwrap();
    let socket_ns = running.measure_time(200).await.unwrap();
    assert!((50..10_000_000).contains(&socket_ns), "{socket_ns}");
    assert_eq!(
        running.release_gate().await.unwrap(),
        WorkloadState::Returned
    );
    running.report().await.unwrap();
    assert_eq!(running.release().await.unwrap().returned, Some(3));

    let mut running = start(&syscall("getppid", vec![])).await.unwrap();
    assert!(running.measure_time(200).await.unwrap() < socket_ns);
}

/// Check that the reported code is x86-64 that ends in `syscall; ret`.
#[tokio::test]
async fn the_call_site_is_reported() {
    let running = start(&socket()).await.unwrap();
    let site = running.call_site().unwrap();
    let at = (site.instruction - site.function) as usize;
    assert_eq!(site.code[at..], [0x0f, 0x05, 0xc3]);
}

fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Wait until a process has ended, which takes a killed one a moment.
async fn ends(pid: i32, what: &str) {
    let since = std::time::Instant::now();
    while alive(pid) {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{what}: {pid} lives on"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Check that what a command started and left behind ends with it, whether it ends by itself or is killed because its
/// time is over.
#[tokio::test]
async fn what_a_command_started_ends_too() {
    for (script, timeout, exit) in [
        ("sleep 987 & echo $!", 10_000, Exit::Exited(0)),
        ("sleep 987 & echo $!; wait", 300, Exit::TimedOut),
    ] {
        let mut spec = command(&["sh", "-c", script]);
        spec.timeout = Duration::from_millis(timeout);
        let outcome = run(&spec).await;
        assert_eq!(outcome.exit, exit, "{script}");
        let message = String::from_utf8(outcome.stdout).unwrap();
        ends(message.trim().parse().unwrap(), script).await;
    }
}

/// Check that a command can wait for all its children: the guard that watches over it is none.
#[tokio::test]
async fn the_guard_is_no_child() {
    let script = "import os\ntry:\n os.wait()\nexcept ChildProcessError:\n print('none')";
    let has_python = std::process::Command::new("python3").arg("-V").output();
    let (words, expected) = match has_python {
        Ok(_) => (vec!["python3", "-c", script], "none\n"),
        // The shell's `wait` waits for those that it knows of, and so shows less.
        Err(_) => (vec!["sh", "-c", "wait; echo none"], "none\n"),
    };
    let outcome = run(&command(&words)).await;
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), expected);
}

/// Check that the other process of a fork neither talks to the collector nor lives on.
#[tokio::test]
async fn a_fork_is_one_workload() {
    let outcome = run(&syscall("fork", vec![])).await;
    let other = outcome.returned.expect("the number of a process");
    assert_eq!(outcome.exit, Exit::Exited(0));
    assert_eq!(String::from_utf8(outcome.stdout).unwrap(), "");
    ends(i32::try_from(other).unwrap(), "the other process").await;
}

/// Check that calls whose other process shares memory and stack with the caller return to the caller alone, again and
/// again, and that the other one ends.
#[tokio::test]
async fn what_shares_the_stack_does_no_harm() {
    let flags = |bits: i32| vec![Arg::Int(i64::from(bits))];
    let thread = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND;
    for (name, args) in [
        ("vfork", vec![]),
        (
            "clone",
            flags(libc::CLONE_VFORK | libc::CLONE_VM | libc::SIGCHLD),
        ),
        ("clone", flags(libc::CLONE_VM | libc::SIGCHLD)),
        ("clone", flags(thread)),
    ] {
        let mut spec = syscall(name, args);
        spec.warm_up = 20;
        let outcome = run(&spec).await;
        let other = outcome.returned.expect("a number");
        assert!(other > 0, "{name}: {other}");
        assert_eq!(outcome.exit, Exit::Exited(0), "{name}");
        ends(i32::try_from(other).unwrap(), name).await;
    }
}

/// Check that a call that closes, replaces or reads from the pipes to the collector is reported, with its buffers, and that
/// the next descriptor is the lowest one.
#[tokio::test]
async fn calls_on_the_collectors_pipes_are_reported() {
    let ints = |values: &[i64]| values.iter().map(|value| Arg::Int(*value)).collect();
    let buffer = Arg::Buffer {
        size: 4096,
        name: "data".into(),
    };
    for (name, args, returned) in [
        ("close_range", ints(&[0, 0xffff_ffff, 0]), 0),
        ("close", ints(&[1]), 0),
        ("close", ints(&[2]), 0),
        ("dup2", ints(&[0, 1]), 1),
        ("dup3", ints(&[1, 2, 0]), 2),
        ("fcntl", ints(&[1, 4, 0o4000]), 0),
        ("read", vec![Arg::Int(0), buffer, Arg::Int(4096)], 0),
    ] {
        for warm_up in [0, 3] {
            let mut spec = syscall(name, args.clone());
            spec.warm_up = warm_up;
            let outcome = run(&spec).await;
            assert_eq!(outcome.returned, Some(returned), "{name}");
            assert_eq!(outcome.exit, Exit::Exited(0), "{name}");
            assert_eq!(String::from_utf8(outcome.stdout).unwrap(), "", "{name}");
            assert!(outcome.buffers.iter().all(|(_, bytes)| bytes.len() == 4096));
        }
    }
}

/// Check that standard output and error are what a call itself prints and nothing else, that none of it is taken for a message, also what
/// looks like one or like the result of a call, and that as much is kept as is wanted.
#[tokio::test]
async fn what_the_call_prints_is_its_own() {
    for (descriptor, text) in [
        (1, "a\n"),
        (1, "getpid() = 7\n"),
        (1, "write(1, …, 4) = 99\n\u{1e}\"Returned\"\n"),
        (2, "b\n{\"Timed\":1}\n"),
        (2, "without an end"),
        (2, "\u{1e}\"Returned\"\n"),
        (
            2,
            "\u{1e}{\"Done\":{\"returned\":7,\"earlier\":[],\"buffers\":[]}}\n",
        ),
    ] {
        let length = text.len() as i64;
        let args = vec![
            Arg::Int(descriptor),
            Arg::Str(text.into()),
            Arg::Int(length),
        ];
        let mut spec = syscall("write", args);
        let outcome = run(&spec).await;
        assert_eq!(outcome.returned, Some(length));
        let (printed, complained) = match descriptor {
            1 => (text, ""),
            _ => ("", text),
        };
        assert_eq!(String::from_utf8(outcome.stdout).unwrap(), printed);
        assert_eq!(String::from_utf8(outcome.stderr).unwrap(), complained);
        spec.max_output = 1;
        let outcome = run(&spec).await;
        let kept = printed.len().min(1);
        assert_eq!(
            (outcome.stdout.len(), outcome.returned),
            (kept, Some(length))
        );
    }
}

/// Check that a call which writes more to standard error than is kept, and more than the pipe holds, still tells its result.
#[tokio::test]
async fn calls_that_fill_standard_error() {
    let text = "x".repeat(200_000);
    let args = vec![Arg::Int(2), Arg::Str(text), Arg::Int(200_000)];
    let outcome = run(&syscall("write", args)).await;
    assert_eq!(outcome.returned, Some(200_000));
    assert_eq!(
        (outcome.stderr.len(), outcome.complained),
        (65_536, Some(200_000))
    );
}

/// Check that watched calls are made in sequence with the results of those before, warmed up and timed as a whole, and that each tells
/// what it returned, also where one fails whose result nothing takes.
#[tokio::test]
async fn watched_calls_in_sequence() {
    let socket = call("socket", vec![Arg::Int(2), Arg::Int(1), Arg::Int(0)]);
    let listen = call("listen", vec![Arg::Result(0), Arg::Int(1)]);
    let wrong = call("close", vec![Arg::Int(99)]);
    let close = call("close", vec![Arg::Result(0)]);
    let mut spec = calls(vec![socket, listen, wrong, close]);
    spec.warm_up = 2;
    let mut running = start(&spec).await.unwrap();
    assert!(running.measure_time(3).await.unwrap() > 0);
    running.release_gate().await.unwrap();
    running.report().await.unwrap();
    let outcome = running.release().await.unwrap();
    let bad = -i64::from(libc::EBADF);
    assert_eq!(outcome.earlier, [3, 0, bad]);
    assert_eq!((outcome.returned, outcome.errno), (Some(0), Some(0)));
    assert_eq!(String::from_utf8(outcome.stdout).unwrap(), "");
}

/// Check that a call which takes the result of one that failed is not made, and that this is told.
#[tokio::test]
async fn result_of_a_failed_call() {
    let wrong = call("dup", vec![Arg::Int(99)]);
    let close = call("close", vec![Arg::Result(0)]);
    let mut running = start(&calls(vec![wrong, close])).await.unwrap();
    running.release_gate().await.unwrap();
    let error = running.report().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "not all calls of the workload could be made: close was not made, because it takes the result of a call that failed: \
         dup(99) = Bad file descriptor (os error 9); correct it in the investigation"
    );
}
