//! The tracepoint programs on the running kernel. They need the rights to load eBPF programs: without
//! them the test says so and looks at nothing.

use crate::support;

use std::{collections::HashMap, fs, path::Path, time::Duration};

use qed_collector::{
    btf::{Btf, NameKind, Type},
    probe::{AttachEnvironment, AttachTarget, AttachmentUse, Probes, Setup},
    workload::{
        Arg, RunningWorkload, SyscallInvocation, WorkloadKind, WorkloadSpec, WorkloadState,
    },
};
use qed_collector_ebpf::{
    Control, Event, FdWalk, Layout, MAX_READ_BYTES, ProbeSpec, ReadSpec, act, form, root,
};

const EXPERIMENT: u32 = 5;

fn offset(btf: &Btf<'_>, structure: &str, member: &str) -> u32 {
    let id = btf.find(NameKind::Struct, structure)[0];
    let Type::Struct(composite) = btf.get(id).unwrap() else {
        panic!("{structure} is not a structure");
    };
    let member = btf.find_member(&composite, member).unwrap().unwrap();
    (member.bit_offset / 8) as u32
}

fn read(root: u32, hops: &[u32], offset: u32, form: u32, size: u32) -> ReadSpec {
    let mut spec = ReadSpec {
        root,
        hop_count: hops.len() as u32,
        offset: offset as i32,
        form,
        size,
        ..ReadSpec::zero()
    };
    for (to, from) in spec.hops.iter_mut().zip(hops) {
        *to = *from as i32;
    }
    spec
}

fn spec(acts: u32, reads: &[ReadSpec]) -> ProbeSpec {
    let mut spec = ProbeSpec {
        acts,
        syscall: libc::SYS_socket as u32,
        object_arg: 1,
        read_counts: [reads.len() as u32, 0],
        ..ProbeSpec::zero()
    };
    spec.reads[0][..reads.len()].copy_from_slice(reads);
    spec
}

fn word(event: &Event, read: usize) -> u64 {
    assert_eq!(event.results[read], 0, "read {read} failed");
    u64::from_ne_bytes(event.values[read][..8].try_into().unwrap())
}

/// Addresses by name, and a function that names an address.
fn symbols() -> Vec<(u64, String)> {
    let text = fs::read_to_string("/proc/kallsyms").unwrap();
    let mut symbols: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((address, words.nth(1)?.to_owned()))
        })
        .collect();
    symbols.sort();
    symbols
}

/// Check on a real `socket()` in a process of its own that entry and exit of the call are seen with their
/// numbers, that the returned descriptor leads to the file whose socket points back to it, that the
/// allocation has `sock_alloc` on its stack, that each free is reported once though two programs look,
/// that nothing of another process is seen, and that a failing read says so.
#[tokio::test]
async fn a_socket_is_seen_through_tracepoints() {
    let machine = AttachEnvironment::read();
    if !machine.missing_capabilities().is_empty() {
        let missing = machine.missing_capabilities().join(", ");
        return support::note_skipped(&format!(
            "a_socket_is_seen_through_tracepoints lacks {missing}"
        ));
    }
    let data = fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let btf = Btf::parse(&data).unwrap();
    let at = |structure: &str, member: &str| offset(&btf, structure, member);
    let (private, sk) = (at("file", "private_data"), at("socket", "sk"));
    let exit_reads = [
        read(root::RETURNED_FD, &[private], 0, form::ADDRESS, 8),
        read(
            root::RETURNED_FD,
            &[private, sk],
            at("sock", "sk_socket"),
            form::BYTES,
            8,
        ),
        read(root::TASK, &[], at("task_struct", "comm"), form::STRING, 16),
        read(root::ADDRESS, &[], 0x10, form::BYTES, 8),
        ReadSpec {
            constant: 999,
            ..read(root::FD, &[], 0, form::ADDRESS, 8)
        },
    ];
    let tracepoint = |name: &str, copies| AttachTarget::Tracepoint {
        name: name.into(),
        arguments: btf.tracepoint(name).unwrap().unwrap().parameters.len() as u32,
        copies,
        nth: 0,
    };
    let specs = [
        spec(act::SYSCALL, &[]),
        spec(act::SYSCALL, &exit_reads),
        spec(act::ALLOCATE, &[]),
        spec(act::FREE, &[]),
    ];
    let setup = Setup {
        attaches: vec![
            tracepoint("sys_enter", 1),
            tracepoint("sys_exit", 1),
            tracepoint("kmem_cache_alloc", 1),
            tracepoint("kmem_cache_free", 2),
            AttachTarget::Tracepoint {
                name: "no_such_tracepoint".into(),
                arguments: 0,
                copies: 1,
                nth: 0,
            },
        ],
        uses: specs
            .into_iter()
            .enumerate()
            .map(|(attach, spec)| AttachmentUse {
                experiment: EXPERIMENT,
                attach,
                spec,
            })
            .collect(),
        fd_walk: Some(FdWalk {
            task_files: at("task_struct", "files"),
            files_fdt: at("files_struct", "fdt"),
            fdt_fd: at("fdtable", "fd"),
            fdt_max_fds: at("fdtable", "max_fds"),
        }),
        layout: Layout {
            syscall_number: at("pt_regs", "orig_ax"),
            syscall_result: at("pt_regs", "ax"),
            user_address: at("pt_regs", "ip"),
            ..Layout::default()
        },
        ..Setup::default()
    };
    let mut probes = Probes::load(&setup).unwrap();
    let mut events = probes.events().unwrap();
    let results: HashMap<_, _> = probes.attach(&[0, 1, 2, 3, 4]).into_iter().collect();
    for index in 0..4 {
        results[&index].as_ref().unwrap();
    }
    let refusal = results[&4].as_ref().unwrap_err().to_string();
    assert!(refusal.contains("no such tracepoint"), "{refusal}");

    let workload = WorkloadSpec {
        kind: WorkloadKind::Syscall {
            sequence: Vec::new(),
            before: Vec::new(),
            call: SyscallInvocation {
                number: libc::SYS_socket,
                name: "socket".into(),
                args: vec![Arg::Int(2), Arg::Int(1), Arg::Int(0)],
            },
        },
        limits: Vec::new(),
        drop_capabilities: false,
        warm_up: 1,
        threads: 1,
        max_output: 64 << 10,
        timeout: Duration::from_secs(10),
        around: qed_collector::workload::WorkloadEnvironment::default(),
    };
    let program = Path::new(env!("CARGO_BIN_EXE_qed-collector"));
    let mut running = RunningWorkload::start_as(program, &workload).await.unwrap();
    let tgid = running.tgid();
    let control = Control {
        target_tgid: tgid,
        experiment: EXPERIMENT,
        ..Control::default()
    };
    probes.set_control(control).unwrap();
    assert_eq!(
        running.release_gate().await.unwrap(),
        WorkloadState::Returned
    );
    let mut seen = Vec::new();
    events.readable().await.unwrap();
    seen.extend(events.drain().unwrap());
    running.report().await.unwrap();
    let outcome = running.release().await.unwrap();
    assert_eq!(outcome.returned, Some(3));
    // The last frees come from RCU, in another context.
    for _ in 0..100 {
        seen.extend(events.drain().unwrap());
        if probes.live_objects().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    probes.stop().unwrap();
    seen.extend(events.drain().unwrap());
    let losses = probes
        .losses(&|_, _| Err("no kprobe is attached".into()))
        .unwrap();
    assert_eq!(losses.lost_events(), 0);
    // Frees have two copies, of which one is free, unless tasks are preempted in the middle of both, as they are on a busy machine: some
    // kernels then run no program for another task, and count that. It can be one that freed an object.
    let skipped = losses.skipped[3].expect("a count");
    assert_eq!(losses.skipped[4], None);

    let of = |probe: u32| -> Vec<&Event> {
        let of_probe = seen.iter().filter(|event| event.probe == probe);
        of_probe.map(|event| &**event).collect()
    };
    let (enter, exit) = (of(0), of(1));
    assert_eq!((enter.len(), exit.len()), (1, 1));
    assert_eq!(enter[0].args[1], libc::SYS_socket as u64);
    assert_eq!((exit[0].args[1], exit[0].return_value), (3, 3));
    assert!(seen.is_sorted_by_key(|event| event.time_ns));
    for event in of(0).into_iter().chain(of(1)).chain(of(2)) {
        assert_eq!((event.tgid, event.experiment), (tgid, EXPERIMENT));
    }

    let socket = word(exit[0], 0);
    assert_eq!(word(exit[0], 1), socket, "the back-pointer is another");
    let comm = &exit[0].values[2][..exit[0].results[2] as usize];
    assert!(comm.starts_with(b"qed-collector") && comm.ends_with(b"\0"));
    assert_eq!(exit[0].results[3], -libc::ERANGE);
    assert_eq!(exit[0].values[3], [0; MAX_READ_BYTES]);
    assert_eq!(exit[0].results[4], -libc::EBADF);

    let symbols = symbols();
    let name = |address: u64| {
        let next = symbols.partition_point(|(start, _)| *start <= address);
        symbols[next.saturating_sub(1)].1.as_str()
    };
    // The socket lies in the object that was allocated under sock_alloc.
    let allocation = of(2)
        .into_iter()
        .filter(|event| {
            let frames = event.frames().iter();
            frames.copied().any(|frame| name(frame) == "sock_alloc")
        })
        .find(|event| (event.object..event.object + 4096).contains(&socket));
    let inode = allocation
        .expect("no allocation under sock_alloc holds the socket")
        .object;
    let frees = of(3);
    let of_inode = frees.iter().filter(|event| event.object == inode).count();
    match skipped {
        0 => assert_eq!(of_inode, 1),
        _ => support::note_skipped(&format!("the kernel ran no program for {skipped} frees")),
    }
    for event in &frees {
        let before = of(2)
            .into_iter()
            .filter(|a| a.object == event.object)
            .count();
        let freed = frees.iter().filter(|f| f.object == event.object).count();
        assert!(
            before >= freed,
            "{:#x} was freed more often than allocated",
            event.object
        );
    }

    let text = probes.read_kernel(symbols.iter().find(|s| s.1 == "_stext").unwrap().0, 100);
    assert!(text.unwrap().iter().any(|byte| *byte != 0));
    probes.read_kernel(0x10, 8).unwrap_err();
}
