//! Running an investigation on the machine that this process runs on: plan, attach, start each workload,
//! take what it caused, let go.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use qed_collector_ebpf::Control;
use qed_evidence::investigation::{Action, Experiment, Investigation, Probe};

use super::commands::Commands;
use super::oracle::Oracle;
use super::raw::{Declined, Facts, RawCapture, RawDescendants, RawExperiment, RawOutcome, Record};
use super::workload_spec::workload_spec;
use super::{descendants, machine_facts as facts, privileges};
use crate::btf::Btf;
use crate::kaslr::Reason;
use crate::plan::{Offer, Plan, PlannedExperiment, plan};
use crate::probe::{Attach, EventReader, Life, Losses, Machine, Probes, kprobe_list, parse_event};
use crate::symbols::disasm::{Instruction, LONGEST_INSTRUCTION, disassemble};
use crate::symbols::functions_by_file::Chosen;
use crate::symbols::{Kallsyms, kcore, running};
use crate::workload::{CallSite, Exit, Finished, Outcome, Running, WorkloadSpec, names};

/// How often an experiment whose events were lost is run again before its loss is reported.
const ATTEMPTS: u32 = 3;
/// Calls on each side when the cost of the probes is measured. Their median is told, so up to half of them may be
/// disturbed.
const COST_CALLS: u32 = 51;
/// How the reason of an experiment begins whose workload could not be started, let go or heard of.
pub const NOT_RUN: &str = "the workload could not be run";
/// The breakpoint instruction.
const INT3: u8 = 0xcc;
/// How long the kernel may take to put back the code under a probe that was taken away.
const RESTORE_LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of a function that are taken apart to find the place of a probe in it.
const MAX_CODE: u64 = 4096;

/// What to do differently from the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The machine is switched off afterwards: nothing is detached, because detaching takes longer than all
    /// the rest together.
    pub ephemeral: bool,
    /// Looks at an experiment by other means as well.
    pub oracle: Option<&'a RefCell<Oracle>>,
}

/// This machine's kernel, read once.
pub struct ThisKernel {
    btf: Vec<u8>,
    kallsyms: Result<Kallsyms, Reason>,
    machine: Machine,
}

impl ThisKernel {
    /// Reads BTF and symbols of the running kernel.
    pub fn read(progress: &dyn Fn(&str)) -> anyhow::Result<Self> {
        let btf = std::fs::read(facts::BTF).with_context(|| {
            format!("failed to read the kernel's types from {}: a kernel with CONFIG_DEBUG_INFO_BTF is needed; capture in a guest (--on guest:debian-6.1)", facts::BTF)
        })?;
        progress("read the kernel's types");
        let kallsyms = running::kallsyms_text()
            .and_then(|text| {
                progress("read the kernel's symbols");
                let restrict = std::fs::read_to_string("/proc/sys/kernel/kptr_restrict").ok();
                Ok(Kallsyms::parse(text, restrict.as_deref())?)
            })
            .map_err(|error| Reason::Unavailable(error.to_string()));
        progress("understood the kernel's symbols");
        Ok(Self {
            btf,
            kallsyms,
            machine: Machine::read(),
        })
    }

    /// Plans `investigation` for it.
    pub fn plan(
        &self,
        investigation: &Investigation,
        chosen: &Result<Vec<Chosen>, String>,
    ) -> anyhow::Result<Result<Plan, Vec<qed_evidence::diagnostic::Diagnostic>>> {
        let btf = Btf::parse(&self.btf).context("failed to understand the kernel's BTF")?;
        // Each look-up scans the whole table, and every experiment asks for the same names.
        let known = std::cell::RefCell::new(std::collections::HashMap::new());
        let symbols = |name: &str| match &self.kallsyms {
            Ok(table) => known
                .borrow_mut()
                .entry(name.to_owned())
                .or_insert_with(|| table.lookup(name))
                .clone(),
            Err(_) => Vec::new(),
        };
        let copies = |name: &str| match &self.kallsyms {
            Ok(table) => {
                let copies = table.copies_of(name).into_iter();
                copies
                    .map(|copy| (copy.name.to_owned(), copy.address))
                    .collect()
            }
            Err(_) => Vec::new(),
        };
        let chosen = |name: &str, file: &str| self.chosen(chosen, name, file);
        let code = |address| self.code(address);
        let no_symbols = self.kallsyms.as_ref().err().map(ToString::to_string);
        let no_kprobes = (!self.machine.kprobe_pmu).then_some("this kernel offers no kprobes");
        let no_lsm = match &self.machine.lsm {
            Some(active) if active.iter().any(|name| name == "bpf") => None,
            Some(_) => Some(
                "the BPF security module is not active in this kernel (lsm= on its command line)",
            ),
            None => Some("this kernel does not say which security modules are active, or has none"),
        };
        // Asked only where a probe is to be put at a static address.
        let slide = || {
            let stated = crate::kaslr::running::vmcoreinfo().map_err(|error| error.to_string())?;
            stated
                .kernel_offset
                .ok_or_else(|| "VMCOREINFO states no offset".into())
        };
        Ok(plan(
            investigation,
            &Offer {
                btf: &btf,
                symbols: &symbols,
                per_cpu: &|name| self.kallsyms.as_ref().ok()?.per_cpu(name),
                copies: &copies,
                chosen: &chosen,
                no_symbols: no_symbols.as_deref(),
                nowhere: match &self.kallsyms {
                    Ok(_) => nowhere(&symbols),
                    // Somewhere in there, and nobody says where.
                    Err(_) => Some(IMAGE),
                },
                no_kprobes,
                no_lsm,
                code: &code,
                slide: &slide,
                syscall_number: &|name| {
                    names::syscall(name)
                        .ok()
                        .and_then(|number| u32::try_from(number).ok())
                },
            },
        ))
    }

    /// Live addresses of the functions of that name that a file defines.
    fn chosen(
        &self,
        chosen: &Result<Vec<Chosen>, String>,
        name: &str,
        file: &str,
    ) -> Result<Vec<u64>, String> {
        let chosen = chosen.as_ref().map_err(|reason| {
            format!(
                "which of the functions called `{name}` is that of {file} is not known: {reason}"
            )
        })?;
        let table = self.kallsyms.as_ref().map_err(ToString::to_string)?;
        let base = table.image().start;
        let found = chosen
            .iter()
            .find(|one| one.function == name && one.file == file);
        let offsets = found.map_or(&[][..], |one| &one.offsets);
        Ok(offsets
            .iter()
            .map(|offset| base.wrapping_add(*offset))
            .collect())
    }

    /// The instructions of the function at `address`, as they stand in memory now, before anything is probed.
    fn code(&self, address: u64) -> Result<Vec<Instruction>, String> {
        let table = self.kallsyms.as_ref().map_err(ToString::to_string)?;
        let end = table.next_after(address).unwrap_or(u64::MAX);
        let size = (end - address).min(MAX_CODE) as usize;
        let bytes = memory(&open_core(), address, size)?;
        Ok(disassemble(&bytes, address, &|target| {
            let found = table.resolve(target).ok()?;
            Some(match found.offset {
                0 => found.name.to_owned(),
                offset => format!("{}+{offset:#x}", found.name),
            })
        }))
    }

    /// Its types, as the kernel gives them.
    pub fn btf(&self) -> &[u8] {
        &self.btf
    }

    /// What the machine says about itself. Takes the symbols out.
    pub fn into_facts(self) -> Facts {
        facts::read(self.btf, self.kallsyms.map(Kallsyms::into_text))
    }
}

/// Where a pointer leads to nothing, although it can be followed: the part of the image that the kernel gives back once it
/// has booted, and, where per-CPU variables have addresses of the image (x86-64 since 6.15; before, they count from 0,
/// where nothing can be read), that of per-CPU pointers. Those of the first chunk, which every allocator hands out first,
/// lie behind the variables; those of all others, as far away as vmalloc is, where nothing can be read either.
///
/// <https://elixir.bootlin.com/linux/v6.18/source/mm/percpu.c#L88>
fn nowhere(symbols: &dyn Fn(&str) -> Vec<u64>) -> Option<(u64, u64)> {
    let one = |name: &str| match symbols(name).as_slice() {
        [address] => Some(*address),
        _ => None,
    };
    let init = one("__init_begin").zip(one("__init_end"));
    let per_cpu = one("__per_cpu_start")
        .zip(one("__per_cpu_end"))
        .filter(|(start, _)| *start >= KERNEL_HALF)
        .map(|(start, end)| (start, end.saturating_add(FIRST_CHUNK)));
    match (init, per_cpu) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (range, None) | (None, range) => range,
    }
    .filter(|(start, end)| start < end)
}

/// Where addresses of the kernel begin.
const KERNEL_HALF: u64 = 1 << 63;

/// Where the kernel's image is: `__START_KERNEL_map`, and as much as it can have with KASLR,
/// <https://elixir.bootlin.com/linux/v6.18/source/arch/x86/include/asm/page_64_types.h#L47>.
const IMAGE: (u64, u64) = (0xffff_ffff_8000_0000, 0xffff_ffff_c000_0000);

/// More than the first chunk has behind the per-CPU variables: 64 KiB for modules and 80 KiB for all else at most.
/// <https://elixir.bootlin.com/linux/v6.18/source/include/linux/percpu.h#L15>
const FIRST_CHUNK: u64 = 256 << 10;

/// Runs `investigation` here. `commands` are its own, and were begun before.
pub async fn perform(
    investigation: &Investigation,
    kernel: ThisKernel,
    plan: Plan,
    commands: Commands,
    options: Options<'_>,
    progress: &dyn Fn(&str),
) -> anyhow::Result<RawCapture> {
    let began = jiff::Timestamp::now().to_string();
    // Before anything is timed, and while all privileges are there.
    let commands = commands.wait();
    if !commands.is_empty() {
        progress(&format!("{} commands have been run", commands.len()));
    }
    let Plan {
        setup,
        experiments: planned,
        markers,
    } = plan;
    let specs = investigation
        .experiments
        .iter()
        .map(workload_spec)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut bare = Vec::new();
    for (experiment, spec) in investigation.experiments.iter().zip(&specs) {
        bare.push(if experiment.cost {
            let bare_ns = time(spec, |_| Ok(())).await;
            progress("timed the call without probes");
            said(bare_ns, &experiment.name, progress)
        } else {
            None
        });
    }
    let started = Instant::now();
    let mut probes = Probes::load(&setup).context("failed to load the eBPF programs")?;
    let mut reader = probes.events().context("failed to open the ring buffer")?;
    progress(&format!("loaded in {} ms", started.elapsed().as_millis()));

    let mut refusals: Vec<Option<Declined>> = vec![None; setup.attaches.len()];
    let mut listed: Vec<Result<String, String>> =
        vec![Err("it was never attached".into()); setup.attaches.len()];
    let mut raw: Vec<Option<RawExperiment>> = vec![None; planned.len()];
    let uses_of = |number: usize| -> Vec<usize> {
        let mut attaches: Vec<usize> = setup
            .uses
            .iter()
            .filter(|usage| usage.experiment as usize == number)
            .map(|usage| usage.attach)
            .collect();
        attaches.sort_unstable();
        attaches.dedup();
        attaches
    };
    // Once refused is refused: what worked for one experiment only cannot be told apart afterwards.
    let attach = |probes: &mut Probes, refusals: &mut [Option<Declined>], which: &[usize]| {
        let attached = probes.attached();
        // Functions, tracepoints, LSM hooks.
        let mut spent = [Duration::ZERO; 3];
        for &index in which.iter().filter(|index| !attached.contains(index)) {
            let started = Instant::now();
            for (index, result) in probes.attach(&[index]) {
                if let Err(refusal) = result {
                    refusals[index] = Some(Declined {
                        errno: refusal.errno,
                        reason: refusal.to_string(),
                    });
                }
            }
            spent[kind_of(&setup.attaches[index])] += started.elapsed();
        }
        spent.map(|time| time.as_millis())
    };
    let marker_attaches = |number: usize| -> Vec<usize> {
        let markers = markers[number].map(|(enter, exit)| [enter, exit]);
        let uses = markers
            .iter()
            .flatten()
            .filter_map(|&at| setup.uses.get(at));
        uses.map(|usage| usage.attach).collect()
    };
    // Opened while that is allowed.
    let core = open_core();
    let commands_run = investigation.experiments.iter().any(is_command);
    let life = probes.watch_life(commands_run);
    // Alone first: they want a kernel in which nothing else is probed.
    let alone: Vec<usize> = (0..planned.len())
        .filter(|&n| planned[n].isolated)
        .collect();
    // The places inside of functions, and what stands there while no probe does.
    let insides = insides(&planned, &setup.attaches);
    let mut left_over = None;
    for (at, &number) in alone.iter().enumerate() {
        let which = uses_of(number);
        attach(&mut probes, &mut refusals, &which);
        look_up(&setup.attaches, &which, &mut listed);
        find_counters(&mut probes, &core, progress);
        let cannot = left_over.clone();
        let cannot = match cannot.or_else(|| cannot_act(&planned[number], &refusals)) {
            None => {
                let experiment = &investigation.experiments[number];
                settle(experiment, &setup.attaches, &which, &listed, &core).await
            }
            reason => reason,
        };
        let mut result = match cannot {
            Some(reason) => RawExperiment::not_run(reason),
            None => {
                let experiment = &investigation.experiments[number];
                let mut session = Session {
                    probes: &mut probes,
                    reader: &mut reader,
                    oracle: options.oracle,
                    core: &core,
                    life: &life,
                    uses: &which,
                };
                session.run(experiment, &specs[number], number).await?
            }
        };
        let experiment = &investigation.experiments[number];
        result.notes = unmarked(experiment, &marker_attaches(number), &refusals, &life);
        raw[number] = Some(result);
        progress(&format!("{}: attached and run", planned[number].name));
        // What the next one wants too stays as it is: what is attached then is its own, and nothing else.
        let next = alone
            .get(at + 1)
            .map_or_else(Vec::new, |&next| uses_of(next));
        let own: Vec<usize> = which
            .into_iter()
            .filter(|&index| !matches!(setup.attaches[index], Attach::Tracepoint { .. }))
            .filter(|&index| !next.iter().any(|&to| probes.hand_over(index, to)))
            .collect();
        probes.detach(&own);
        left_over = restored(&insides, &own, &core).await.or(left_over);
        progress("detached");
    }
    let shared: Vec<usize> = {
        let mut all: Vec<usize> = (0..planned.len())
            .filter(|&n| !planned[n].isolated)
            .flat_map(uses_of)
            .collect();
        all.sort_unstable();
        all.dedup();
        // Hooks first: where functions are probed already, 6.1 sleeps for a tenth of a second over the first hook.
        all.sort_by_key(|&index| !matches!(setup.attaches[index], Attach::Lsm { .. }));
        all
    };
    let [functions, tracepoints, hooks] = attach(&mut probes, &mut refusals, &shared);
    look_up(&setup.attaches, &shared, &mut listed);
    find_counters(&mut probes, &core, progress);
    progress(&format!(
        "attached {} probes: functions {functions} ms, tracepoints {tracepoints} ms, LSM hooks {hooks} ms",
        shared.len()
    ));
    // Everything that needs privileges is done: what follows only runs workloads and reads maps.
    let facts = kernel.into_facts();
    if !options.ephemeral
        && let Err(reason) = privileges::drop_all(&facts.release)
    {
        progress(&format!("privileges are kept: {reason}"));
    }
    for number in (0..planned.len()).filter(|&n| !planned[n].isolated) {
        let experiment = &investigation.experiments[number];
        let cannot = match cannot_act(&planned[number], &refusals) {
            None => {
                let which = uses_of(number);
                settle(experiment, &setup.attaches, &which, &listed, &core).await
            }
            reason => reason,
        };
        if let Some(reason) = cannot {
            raw[number] = Some(RawExperiment::not_run(reason));
            continue;
        }
        let started = Instant::now();
        let which = uses_of(number);
        let mut session = Session {
            probes: &mut probes,
            reader: &mut reader,
            oracle: options.oracle,
            core: &core,
            life: &life,
            uses: &which,
        };
        let mut result = session.run(experiment, &specs[number], number).await?;
        result.notes = unmarked(experiment, &marker_attaches(number), &refusals, &life);
        if let (Some(bare_ns), true) = (bare[number], result.outcome.is_ok()) {
            let probed = session.cost(&specs[number], number).await;
            result.cost = said(probed, &experiment.name, progress)
                .map(|probed_ns| (bare_ns, probed_ns, COST_CALLS));
        }
        progress(&format!(
            "{}: {} events in {} ms",
            experiment.name,
            result.events.len(),
            started.elapsed().as_millis()
        ));
        raw[number] = Some(result);
    }
    let experiments: Vec<RawExperiment> = raw.into_iter().flatten().collect();
    let code = before_returns(&experiments, &core);
    if options.ephemeral {
        probes.leak();
    } else {
        drop(probes);
    }
    Ok(RawCapture {
        id: run_id()?,
        time: began,
        facts,
        plan: planned,
        markers,
        refusals,
        listed,
        tells_compat: setup.layout.task_status != 0,
        experiments,
        code,
        commands,
    })
}

/// Notes what the kernel's list of probes says about those of `which`.
fn look_up(attaches: &[Attach], which: &[usize], listed: &mut [Result<String, String>]) {
    let functions: Vec<(usize, u64, u64)> = which
        .iter()
        .filter_map(|&index| match &attaches[index] {
            Attach::Kprobe {
                address, offset, ..
            } => Some((index, *address, *offset)),
            _ => None,
        })
        .collect();
    if functions.is_empty() {
        return;
    }
    let list = kprobe_list::read();
    for (index, address, offset) in functions {
        listed[index] = match &list {
            Ok(list) => kprobe_list::entries(list, address, offset),
            Err(reason) => Err(reason.clone()),
        };
    }
}

/// Waits, for as long as the experiment allows, until the kernel has replaced the breakpoints of those of `which` that
/// it marks for it: it does so some time after it has said so. Else says why the experiment is another one.
async fn settle(
    experiment: &Experiment,
    attaches: &[Attach],
    which: &[usize],
    listed: &[Result<String, String>],
    core: &Result<File, String>,
) -> Option<String> {
    if experiment.settle_ms == 0 {
        return None;
    }
    let started = Instant::now();
    let limit = Duration::from_millis(experiment.settle_ms);
    let marked = which.iter().filter_map(|&index| {
        let says = listed[index].as_ref().ok()?;
        match &attaches[index] {
            Attach::Kprobe {
                address, offset, ..
            } if says.contains(kprobe_list::WILL_JUMP) => {
                Some((index, address.wrapping_add(*offset)))
            }
            _ => None,
        }
    });
    for (index, address) in marked {
        loop {
            match memory(core, address, 1) {
                Ok(byte) if byte[..] != [INT3] => break,
                Ok(_) if started.elapsed() < limit => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(_) => {
                    return Some(format!(
                        "not run, because the kernel had not replaced the breakpoint of the {} after {limit:?}",
                        attaches[index].describe()
                    ));
                }
                Err(reason) => {
                    return Some(format!(
                        "not run, because it is not known whether the kernel has replaced its breakpoints: {reason}"
                    ));
                }
            }
        }
    }
    None
}

/// Where a probe sits inside of a function: its attachment, the address, and the bytes of the instruction there.
type Inside = (usize, u64, Vec<u8>);

fn insides(planned: &[PlannedExperiment], attaches: &[Attach]) -> Vec<Inside> {
    let probes = planned.iter().flat_map(|experiment| &experiment.probes);
    let inside = probes.filter_map(|probe| {
        let index = probe.source.as_ref().ok()?.attach;
        let bytes = &probe.instruction.as_ref()?.bytes;
        match attaches.get(index)? {
            Attach::Kprobe {
                address, offset, ..
            } => Some((index, address.wrapping_add(*offset), bytes.clone())),
            _ => None,
        }
    });
    inside.collect()
}

/// Waits until the kernel has put back what stood where those of `gone` were: where it had replaced a breakpoint by a
/// jump, it does so some time after the probe has been taken away. Else says why the next experiment is another one.
async fn restored(
    insides: &[Inside],
    gone: &[usize],
    core: &Result<File, String>,
) -> Option<String> {
    let started = Instant::now();
    for (_, address, bytes) in insides.iter().filter(|(index, ..)| gone.contains(index)) {
        loop {
            match memory(core, *address, bytes.len()) {
                Ok(found) if found == *bytes => break,
                Ok(_) if started.elapsed() < RESTORE_LIMIT => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Ok(_) => {
                    return Some(format!(
                        "not run, because the kernel had not taken away a probe of the experiment before after {RESTORE_LIMIT:?}"
                    ));
                }
                Err(reason) => {
                    return Some(format!(
                        "not run, because it is not known whether the kernel has taken away the probes of the experiment before: {reason}"
                    ));
                }
            }
        }
    }
    None
}

/// The bytes in front of all return addresses on the stacks of events: what was called there. Those that cannot be read
/// are left out.
fn before_returns(
    experiments: &[RawExperiment],
    core: &Result<File, String>,
) -> Vec<(u64, Vec<u8>)> {
    let records = experiments.iter().flat_map(|experiment| &experiment.events);
    let events = records.filter_map(|record| parse_event(&record.0).ok());
    let addresses: BTreeSet<u64> = events
        .flat_map(|event| event.frames().iter().skip(1).copied().collect::<Vec<_>>())
        .collect();
    let read = |address: u64| {
        let start = address.checked_sub(LONGEST_INSTRUCTION as u64)?;
        Some((address, memory(core, start, LONGEST_INSTRUCTION).ok()?))
    };
    addresses.into_iter().filter_map(read).collect()
}

/// Kernel memory as `/proc/kcore` shows it.
fn memory(core: &Result<File, String>, address: u64, size: usize) -> Result<Vec<u8>, String> {
    let mut core = core.as_ref().map_err(Clone::clone)?;
    kcore::read(&mut core, address, size).map_err(|error| error.to_string())
}

fn open_core() -> Result<File, String> {
    File::open("/proc/kcore").map_err(|error| kcore::KcoreError::from(error).to_string())
}

/// What was measured; of a failure, the reason goes to the progress: the rest of the capture is none the worse.
fn said(measured: anyhow::Result<u64>, name: &str, progress: &dyn Fn(&str)) -> Option<u64> {
    measured
        .map_err(|error| {
            progress(&format!(
                "{name}: what the probes cost was not measured: {error:#}"
            ));
        })
        .ok()
}

fn kind_of(attach: &Attach) -> usize {
    match attach {
        Attach::Kprobe { .. } => 0,
        Attach::Tracepoint { .. } => 1,
        Attach::Lsm { .. } => 2,
    }
}

/// Why an experiment cannot be what it says it is: a probe that raises a signal or refuses a call is not there.
fn cannot_act(experiment: &PlannedExperiment, refusals: &[Option<Declined>]) -> Option<String> {
    experiment
        .probes
        .iter()
        .filter(|probe| probe.acts)
        .find_map(|probe| {
            let reason = match &probe.source {
                Err(reason) => reason.clone(),
                Ok(source) => refusals.get(source.attach)?.as_ref()?.reason.clone(),
            };
            Some(format!(
                "not run, because probe `{}` has to act in it and cannot: {reason}",
                probe.name
            ))
        })
}

fn is_command(experiment: &Experiment) -> bool {
    matches!(experiment.workload.action, Action::Command(_))
}

/// Looks for the kernel's counters of what it skips. Where there are none, the evidence says so.
fn find_counters(probes: &mut Probes, core: &Result<File, String>, progress: &dyn Fn(&str)) {
    let memory = |address, size| memory(core, address, size);
    if let Err(reason) = probes.find_counters(&memory) {
        progress(&format!(
            "it will not be known which hits the kernel skips: {reason}"
        ));
    }
}

/// Says what does not mark where the workload begins and ends.
fn unmarked(
    experiment: &Experiment,
    markers: &[usize],
    refusals: &[Option<Declined>],
    life: &Life,
) -> Vec<String> {
    let refused = markers.iter().filter_map(|&at| refusals.get(at)?.as_ref());
    let mut notes: Vec<String> = refused
        .map(|declined| {
            format!(
                "events outside of the call may be counted, because its marker is missing: {}",
                declined.reason
            )
        })
        .collect();
    if is_command(experiment)
        && let Some(reason) = &life.executed
    {
        notes.push(format!(
            "events of the collector's own process may be counted, because it was not seen when it became the command: {reason}"
        ));
    }
    notes
}

fn run_id() -> anyhow::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("failed to read /dev/urandom for the run's id")?;
    Ok(hex::encode(bytes))
}

/// The attached programs and the buffer that they write to.
struct Session<'a> {
    probes: &'a mut Probes,
    reader: &'a mut EventReader,
    oracle: Option<&'a RefCell<Oracle>>,
    /// The kernel's memory.
    core: &'a Result<File, String>,
    life: &'a Life,
    /// What the experiment has attached.
    uses: &'a [usize],
}

impl Session<'_> {
    /// Runs one experiment; again, if events were lost on the way or may have been skipped by chance.
    async fn run(
        &mut self,
        experiment: &Experiment,
        spec: &WorkloadSpec,
        number: usize,
    ) -> anyhow::Result<RawExperiment> {
        let mut attempt = 1;
        loop {
            let result = self.once(experiment, spec, number).await?;
            // Where a probe acts, the kernel works inside of its program, and skips what it comes by there every time.
            let acts = |probe: &Probe| probe.signal.is_some() || probe.deny.is_some();
            let by_chance = !experiment.probes.iter().any(acts);
            let skipped = (self.uses.iter()).any(|&index| {
                result
                    .losses
                    .skipped
                    .get(index)
                    .is_some_and(|s| *s > Some(0))
            });
            let lost = result.losses.lost() > 0 || by_chance && skipped;
            if !lost || attempt == ATTEMPTS {
                return Ok(result);
            }
            attempt += 1;
        }
    }

    async fn once(
        &mut self,
        experiment: &Experiment,
        spec: &WorkloadSpec,
        number: usize,
    ) -> anyhow::Result<RawExperiment> {
        self.probes
            .forget()
            .context("failed to clear the eBPF maps")?;
        self.reader.drain_raw();
        let before = self.losses()?;
        let mut waited_ns = 0;
        let mut running_on = 0;
        let mut events = Vec::new();
        let mut call = None;
        let outcome = match self
            .workload(
                experiment,
                spec,
                number,
                &mut waited_ns,
                &mut events,
                &mut call,
                &mut running_on,
            )
            .await
        {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(format!("{NOT_RUN}: {error:#}")),
        };
        self.probes
            .stop()
            .context("failed to stop the eBPF programs")?;
        events.extend(self.reader.drain_raw().into_iter().map(Record));
        let losses = self.losses()?.since(&before);
        let descendants = RawDescendants {
            started: losses.descendants,
            followed: losses.descendants.saturating_sub(losses.unfollowed),
            running: running_on,
        };
        let watched = self.life.born.is_none() && outcome.is_ok();
        Ok(RawExperiment {
            outcome,
            events,
            losses,
            waited_ns,
            cost: None,
            call,
            descendants: watched.then_some(descendants),
            notes: Vec::new(),
        })
    }

    fn losses(&self) -> anyhow::Result<Losses> {
        let memory = |address, size| memory(self.core, address, size);
        let losses = self.probes.losses(&memory);
        losses.context("failed to read the eBPF counters")
    }

    // Each is another part of the run, and lives for another time.
    #[expect(clippy::too_many_arguments)]
    async fn workload(
        &mut self,
        experiment: &Experiment,
        spec: &WorkloadSpec,
        number: usize,
        waited_ns: &mut u64,
        events: &mut Vec<Record>,
        call: &mut Option<CallSite>,
        running_on: &mut u64,
    ) -> anyhow::Result<RawOutcome> {
        let started = Instant::now();
        let mut running = Running::start(spec).await?;
        *call = running.call_site().cloned();
        let pid = running.tgid();
        // A command's process is the collector's own program until it has been executed.
        let awaited = is_command(experiment) && self.life.executed.is_none();
        self.probes.control(Control {
            target_tgid: if awaited { 0 } else { pid },
            awaited_tgid: if awaited { pid } else { 0 },
            follow: experiment.follow.into(),
            experiment: number as u32,
            ..Control::default()
        })?;
        if let Some(oracle) = self.oracle {
            oracle.borrow().begin(&experiment.name, pid)?;
        }
        let finished = running.go().await?;
        if let Some(oracle) = self.oracle {
            oracle.borrow_mut().end(&experiment.name)?;
        }
        let limit = Duration::from_millis(experiment.timeout_ms);
        if finished == Finished::Ended || experiment.until_exit {
            running.report().await?;
            // Before its process group is let go of, which ends them.
            if is_command(experiment) {
                self.wait_for_descendants(experiment, started + limit, events)
                    .await?;
                *running_on = self.descendants_running()?;
            }
            let outcome = running.release().await?;
            if !is_command(experiment) {
                self.wait_for_descendants(experiment, started + limit, events)
                    .await?;
                *running_on = self.descendants_running()?;
            }
            self.wait_for_frees(experiment, waited_ns, events).await?;
            self.probes.stop()?;
            return Ok(raw_outcome(pid, outcome));
        }
        // Its objects are still open here; what a failure had to free is freed by now, or soon.
        self.wait_for_frees(experiment, waited_ns, events).await?;
        self.probes.stop()?;
        *running_on = self.descendants_running()?;
        running.report().await?;
        Ok(raw_outcome(pid, running.release().await?))
    }

    /// Waits until all processes that belong to the workload have ended, or its time is over.
    async fn wait_for_descendants(
        &mut self,
        experiment: &Experiment,
        deadline: Instant,
        events: &mut Vec<Record>,
    ) -> anyhow::Result<()> {
        while experiment.follow && Instant::now() < deadline && self.descendants_running()? > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            events.extend(self.reader.drain_raw().into_iter().map(Record));
        }
        Ok(())
    }

    /// How many processes that belong to the workload, besides its own, still run.
    fn descendants_running(&self) -> anyhow::Result<u64> {
        Ok(descendants::running(&self.probes.followed()?) as u64)
    }

    /// Waits until everything that was allocated is freed, or the investigation's time for it is over.
    async fn wait_for_frees(
        &mut self,
        experiment: &Experiment,
        waited_ns: &mut u64,
        events: &mut Vec<Record>,
    ) -> anyhow::Result<()> {
        if !experiment.probes.iter().any(|probe| probe.frees.is_some()) {
            return Ok(());
        }
        let started = Instant::now();
        let grace = Duration::from_millis(experiment.grace_ms);
        while started.elapsed() < grace && !self.probes.live_objects()?.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            events.extend(self.reader.drain_raw().into_iter().map(Record));
        }
        *waited_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The median time of the call with all probes at work and their events thrown away.
    async fn cost(&mut self, spec: &WorkloadSpec, number: usize) -> anyhow::Result<u64> {
        let probes = &mut *self.probes;
        let result = time(spec, |pid| {
            probes.control(Control {
                target_tgid: pid,
                experiment: number as u32,
                discard: 1,
                ..Control::default()
            })
        })
        .await;
        self.probes.stop()?;
        self.probes.forget()?;
        self.reader.drain_raw();
        result
    }
}

/// The median time of the workload's call, made over and over by a process of its own.
async fn time(
    spec: &WorkloadSpec,
    watch: impl FnOnce(u32) -> Result<(), crate::probe::LoadError>,
) -> anyhow::Result<u64> {
    let mut running = Running::start(spec).await?;
    watch(running.tgid())?;
    let median_ns = running.time(COST_CALLS).await?;
    running.release().await?;
    Ok(median_ns)
}

fn raw_outcome(pid: u32, outcome: Outcome) -> RawOutcome {
    let (exit, signal) = match outcome.exit {
        Exit::Exited(status) => (Some(status), None),
        Exit::Signaled(signal) => (None, Some(signal)),
        Exit::TimedOut => (None, None),
    };
    RawOutcome {
        pid,
        returned: outcome.returned,
        exit,
        signal,
        timed_out: outcome.exit == Exit::TimedOut,
        stdout: outcome.stdout,
        printed: outcome.printed,
        buffers: outcome.buffers,
    }
}
