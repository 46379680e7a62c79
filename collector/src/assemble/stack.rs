//! Kernel stacks with names and source lines: the functions on them, those that may be missing, and the caller.

use std::collections::BTreeSet;

use qed_collector_ebpf::Event;
use qed_evidence::value::{Address, Datum, Frame, Value};

use super::names::{FrameElision, Names};
use crate::symbols::disasm::CallTarget;
use crate::symbols::kallsyms::copies::is_copy;

/// Prefix of the names of eBPF programs in kallsyms.
const PROGRAM: &str = "bpf_prog_";
/// Prefix of the functions that run deferred work in an interrupt of its own.
const DEFERRED: &str = "irq_work_";

/// Prefix of the name of the entry of an interrupt that cannot be masked.
const NMI: &str = "asm_exc_nmi";

/// Frames between a tracepoint and the program that watches it: they are the watcher's own.
const PLUMBING: &[&str] = &[
    PROGRAM,
    "bpf_trace_run",
    "__bpf_trace_",
    "__traceiter_",
    "bpf_trampoline_",
];

/// The stack of an event, up to the frame to which it can be trusted.
pub struct Stack {
    /// The innermost first; none if the kernel could give none.
    pub frames: Vec<Frame>,
    /// True if the last frame's return address was replaced by the trampoline of a return probe that is not ours: the caller is
    /// not known, and the frames that the kernel reports after it are guesswork.
    pub replaced: bool,
}

impl Stack {
    pub fn from_event(event: &Event, names: &dyn Names) -> Self {
        let mut addresses = event.frames().to_vec();
        if let (Some(link), false) = (event.link(), addresses.is_empty()) {
            addresses.insert(1, link);
        }
        let ends = (1..addresses.len())
            .find(|&at| is_return_replaced(addresses[at - 1], addresses[at], names));
        let retained = &addresses[..ends.map_or(addresses.len(), |at| at + 1)];
        let mut frames: Vec<Frame> = retained
            .iter()
            .enumerate()
            .map(|(depth, &address)| {
                let resolved = names.symbol(address);
                Frame {
                    address: Address(address),
                    offset: resolved.as_ref().map(|(_, offset)| *offset),
                    symbol: resolved.map(|(name, _)| name),
                    // The innermost frame of a probe is the probed instruction, which calls nothing.
                    site: (depth > 0 && Some(depth) != ends)
                        .then(|| names.call_site(address).ok())
                        .flatten(),
                    interrupts: names.is_interrupt_entry(address) == Some(true),
                }
            })
            .collect();
        let plumbing = frames
            .iter()
            .take_while(|frame| match &frame.symbol {
                Some(symbol) => PLUMBING.iter().any(|prefix| symbol.starts_with(prefix)),
                // The program's own code, where kallsyms does not name it.
                None => true,
            })
            .count();
        if plumbing < frames.len() {
            frames.drain(..plumbing);
        }
        Self {
            frames,
            replaced: ends.is_some(),
        }
    }
}

/// The frames at the return of a function: the innermost is the place in its caller at which that goes on, and so has the source line of
/// the call, with the functions that are inlined there.
pub fn frames_after_return(frames: &[Frame], names: &dyn Names) -> Vec<Frame> {
    let mut frames = frames.to_vec();
    if let Some(first) = frames.first_mut() {
        first.site = names.call_site(first.address.0).ok();
    }
    frames
}

/// True if `outer` does not follow a call, but is the first byte of a trampoline that replaces the return address of the
/// function at `inner`. For our own return probes, and for others that the kernel's unwinder knows, the kernel restores the
/// true address; otherwise a stack ends there or continues with arbitrary frames.
fn is_return_replaced(inner: u64, outer: u64, names: &dyn Names) -> bool {
    // What an interrupt came upon is any instruction.
    if names.is_interrupt_entry(inner) == Some(true) || !matches!(names.symbol(outer), Some((_, 0)))
    {
        return false;
    }
    // A call that does not return can be a function's last instruction. Its target is then on the stack.
    let begins = names
        .symbol(inner)
        .map_or(inner, |(_, offset)| inner.wrapping_sub(offset));
    not_called_reason(names, outer, begins).is_some()
}

/// The frames of the code that ran, without those of the code that it interrupted.
pub fn running_frames(frames: &[Frame]) -> &[Frame] {
    frames
        .split_inclusive(|frame| frame.interrupts)
        .next()
        .unwrap_or_default()
}

/// True if an NMI is on the stack.
pub fn has_nmi(frames: &[Frame]) -> bool {
    let entry = |frame: &Frame| {
        let symbol = frame.symbol.as_deref();
        frame.interrupts && symbol.is_some_and(|symbol| symbol.starts_with(NMI))
    };
    frames.iter().any(entry)
}

/// True if a probe's program raised the interrupt in which this ran, to defer work that it may not do itself: a signal is sent
/// by the kernel's `irq_work`, which interrupts the program at once.
/// <https://elixir.bootlin.com/linux/v6.1/source/kernel/trace/bpf_trace.c#L877>
pub fn is_raised_by_program(frames: &[Frame]) -> bool {
    let inner = running_frames(frames);
    let deferred = |frame: &Frame| {
        let symbol = frame.symbol.as_deref();
        symbol.is_some_and(|symbol| symbol.starts_with(DEFERRED))
    };
    let program = |frame: &Frame| {
        let symbol = frame.symbol.as_deref();
        symbol.is_none_or(|symbol| symbol.starts_with(PROGRAM))
    };
    inner.iter().any(deferred) && frames[inner.len()..].iter().any(program)
}

/// True if `function` is on the stack, as a frame of its own or inlined into one.
pub fn holds_function(frames: &[Frame], function: &str) -> bool {
    frames.iter().any(|frame| {
        frame
            .symbol
            .as_deref()
            .is_some_and(|symbol| is_copy(symbol, function))
            || frame.site.as_ref().is_some_and(|site| {
                site.function == function
                    || site.inlined_into.iter().any(|f| f.function == function)
            })
    })
}

/// The testimony of a stack about a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// On the stack.
    Yes,
    /// Not on the stack, and not left by a jump to a function that is.
    No,
    /// Neither is known, for this reason.
    Unknown(String),
}

/// True if `function` was running at an event with these frames. `cut`: there may be more frames than these. `amid`: the event is of
/// an instruction inside of a function, into which others may be inlined there.
pub fn function_presence(
    frames: &[Frame],
    (cut, amid): (bool, bool),
    function: &str,
    names: &dyn Names,
) -> Presence {
    if holds_function(frames, function) {
        return Presence::Yes;
    }
    if frames.is_empty() {
        return Presence::Unknown("the kernel gave no stack".into());
    }
    if cut {
        return Presence::Unknown(format!(
            "it may be further out than the {} frames that were kept",
            frames.len()
        ));
    }
    let frame_elision = names.frame_elision(function);
    if let Some(frame) = frames
        .iter()
        .find(|frame| begins_at(frame, &frame_elision.own))
    {
        return Presence::Unknown(format!(
            "`{}`, which is on the stack, is another name of its address: write that name",
            frame
                .symbol
                .as_deref()
                .unwrap_or("a function without a symbol")
        ));
    }
    let hidden = frames
        .iter()
        // At a function's entry nothing that is inlined there has begun.
        .skip(usize::from(!amid))
        .find(|frame| frame.site.is_none() && may_hold(frame, &frame_elision));
    if let Some(frame) = hidden {
        return Presence::Unknown(format!(
            "it may be inlined into `{}`, of which no source line is known",
            frame
                .symbol
                .clone()
                .unwrap_or_else(|| frame.address.to_string())
        ));
    }
    if frame_elision.leaves_by_jump == Some(false) {
        return Presence::No;
    }
    // It may have jumped to a function that is then on the stack in its place. If every function on the stack was reached by a
    // call of itself, there was no such jump.
    let gap = frames.windows(2).find_map(|pair| {
        let [inner, outer] = pair else { return None };
        let begins = inner.address.0.wrapping_sub(inner.offset?);
        not_called_reason(names, outer.address.0, begins)
            .map(|why| format!("it may have been left by a jump: {why}"))
    });
    match gap {
        None => Presence::No,
        Some(why) => Presence::Unknown(why),
    }
}

/// True if a frame is of a function that begins at one of these addresses.
fn begins_at(frame: &Frame, addresses: &BTreeSet<u64>) -> bool {
    let begins = frame
        .offset
        .map(|offset| frame.address.0.wrapping_sub(offset));
    begins.is_some_and(|begins| addresses.contains(&begins))
}

/// True if a frame without a source line may be one into which the function is inlined.
fn may_hold(frame: &Frame, frame_elision: &FrameElision) -> bool {
    let Some(holders) = &frame_elision.holders else {
        return true;
    };
    match frame.offset {
        Some(offset) => holders.contains(&frame.address.0.wrapping_sub(offset)),
        None => true,
    }
}

/// Bytes that may lie between a function's address and the point at which a direct call enters it: the `endbr64` for indirect
/// calls, which the kernel makes direct calls skip.
const ENTRY_MARK: u64 = 4;

/// The reason why the function that begins at `begins` was not, or may not have been, called by the instruction before
/// `return_address`; `None` where that instruction calls it.
pub fn not_called_reason(names: &dyn Names, return_address: u64, begins: u64) -> Option<String> {
    let name = |address: u64| match names.symbol(address) {
        Some((name, 0)) => name,
        Some((name, offset)) => format!("{name}+{offset:#x}"),
        None => Address(address).to_string(),
    };
    match names.call_target(return_address) {
        Ok(CallTarget::Address(target)) if (begins..=begins + ENTRY_MARK).contains(&target) => None,
        Ok(CallTarget::Address(target)) => Some(format!(
            "the call there is of `{}`, which was left by a jump",
            name(target)
        )),
        Ok(CallTarget::Pointer) => Some(
            "the call there goes through a pointer, and may have been of another function, which was left by a jump"
                .into(),
        ),
        Err(reason) => Some(reason.into()),
    }
}

/// The return address of a call, its caller, and the source line of the call.
pub struct CallerFacts {
    pub returns_to: Datum,
    pub caller: Datum,
    pub site: Datum,
}

/// Find in the frames the call of the function that begins at `function`.
pub fn find_caller(
    frames: &[Frame],
    replaced: bool,
    function: u64,
    names: &dyn Names,
) -> CallerFacts {
    let nothing = |why: &str| CallerFacts {
        returns_to: Datum::unavailable(why),
        caller: Datum::unavailable(why),
        site: Datum::unavailable(why),
    };
    let Some(frame) = frames.get(1) else {
        return nothing("the kernel gave no stack at this hit");
    };
    if replaced && frames.len() == 2 {
        return nothing(
            "it is not known who called: a return probe, of this experiment or of another tool, has put its own address in the place of the return address",
        );
    }
    let returns_to: Datum = match (&frame.symbol, frame.offset) {
        (Some(name), Some(offset)) => Value::Symbol {
            name: name.clone(),
            offset,
            address: frame.address,
        }
        .into(),
        _ => Datum::unavailable("the return address has no symbol"),
    };
    if let Some(why) = not_called_reason(names, frame.address.0, function) {
        let unknown = || Datum::unavailable(format!("it is not known who called: {why}"));
        return CallerFacts {
            caller: unknown(),
            site: unknown(),
            returns_to,
        };
    }
    let site = match names.call_site(frame.address.0) {
        Ok(value) => Value::Location { value }.into(),
        Err(reason) => Datum::unavailable(reason),
    };
    CallerFacts {
        caller: returns_to.clone(),
        returns_to,
        site,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::probe::parse_event;
    use crate::reason::Reason;
    use qed_evidence::instances::Instances;
    use qed_evidence::names::Symbol;
    use qed_evidence::value::{LineRole, Location};

    /// Functions of 0x100 bytes each, from 0x1000 on.
    const FUNCTIONS: [&str; 5] = ["entry", "jumper", "target", "holder", "other"];

    /// The place where an interrupt enters.
    const INTERRUPT: u64 = 0x14f0;

    /// A kernel in which the instruction before each return address calls the given function.
    struct Kernel {
        calls: BTreeMap<u64, CallTarget>,
        frame_elision: FrameElision,
    }

    impl Names for Kernel {
        fn symbol(&self, address: u64) -> Option<(String, u64)> {
            let at = usize::try_from(address.checked_sub(0x1000)? / 0x100).ok()?;
            Some(((*FUNCTIONS.get(at)?).to_owned(), address % 0x100))
        }
        fn extent(&self, _: u64) -> Option<Symbol> {
            None
        }
        fn call_site(&self, _: u64) -> Result<Location, Reason> {
            Ok(line("entry"))
        }
        fn is_interrupt_entry(&self, address: u64) -> Option<bool> {
            Some(address == INTERRUPT)
        }
        fn definition(&self, _: u64) -> Result<Location, Reason> {
            Err("none".into())
        }
        fn call_target(&self, return_address: u64) -> Result<CallTarget, Reason> {
            self.calls
                .get(&return_address)
                .copied()
                .ok_or("no code".into())
        }
        fn instances(&self, _: &[&str]) -> BTreeMap<String, Instances> {
            BTreeMap::new()
        }
        fn frame_elision(&self, _: &str) -> FrameElision {
            self.frame_elision.clone()
        }
        fn check_exists(&self, _: &str) -> Result<(), Reason> {
            Ok(())
        }
        fn existence_doubt(&self, _: &str) -> Option<Reason> {
            None
        }
    }

    fn line(function: &str) -> Location {
        Location {
            file: "a.c".into(),
            line: 1,
            function: function.into(),
            role: LineRole::Call,
            inlined_into: Vec::new(),
        }
    }

    fn frame(address: u64, site: Option<&str>) -> Frame {
        let at = ((address - 0x1000) / 0x100) as usize;
        Frame {
            address: Address(address),
            symbol: Some(FUNCTIONS[at].into()),
            offset: Some(address % 0x100),
            site: site.map(line),
            interrupts: false,
        }
    }

    fn kernel(called: CallTarget) -> Kernel {
        Kernel {
            calls: [(0x1010, called)].into(),
            frame_elision: FrameElision::default(),
        }
    }

    /// Check that the function to whose code a call returns is the caller only if that code calls the function that was hit,
    /// and that the return address is reported in any case.
    #[test]
    fn callers() {
        let frames = [frame(0x1204, None), frame(0x1010, Some("entry"))];
        let says = |called: CallTarget| {
            let calling = find_caller(&frames, false, 0x1200, &kernel(called));
            assert!(calling.returns_to.value().is_some());
            assert_eq!(
                calling.caller.value().is_some(),
                calling.site.value().is_some()
            );
            match calling.caller {
                Datum::Value(value) => value.to_string(),
                Datum::Missing(why) => why.to_string(),
            }
        };
        assert!(says(CallTarget::Address(0x1200)).starts_with("entry"));
        // Over the mark of a place for indirect calls.
        assert!(says(CallTarget::Address(0x1204)).starts_with("entry"));
        assert!(
            says(CallTarget::Address(0x1100)).contains("of `jumper`, which was left by a jump")
        );
        assert!(says(CallTarget::Pointer).contains("through a pointer"));
    }

    /// Check that a stack ends at the first byte of a function, to which no call returns, and that there is no caller then;
    /// except after a function that ends with a call of one that does not return.
    #[test]
    fn foreign_trampolines() {
        let event = |addresses: &[u64]| {
            let mut event = parse_event(&vec![0; size_of::<Event>()]).unwrap();
            event.stack[..addresses.len()].copy_from_slice(addresses);
            event.stack_bytes = (addresses.len() * 8) as i32;
            event
        };
        let at = |addresses: &[u64], called| {
            let names = Kernel {
                calls: [(0x1300, called), (0x1010, CallTarget::Address(0x1200))].into(),
                frame_elision: FrameElision::default(),
            };
            let stack = Stack::from_event(&event(addresses), &names);
            let calling = find_caller(&stack.frames, stack.replaced, 0x1200, &names);
            (
                stack.frames.len(),
                stack.replaced,
                calling.returns_to.value().is_some(),
            )
        };
        let other = CallTarget::Address(0x1400);
        assert_eq!(at(&[0x1204, 0x1300, 0x1010], other), (2, true, false));
        assert_eq!(at(&[0x1204, 0x1300], CallTarget::Pointer), (2, true, false));
        assert_eq!(at(&[0x1204, 0x1010, 0x1300], other), (3, true, true));
        let inner = CallTarget::Address(0x1200);
        assert_eq!(at(&[0x1204, 0x1300, 0x1010], inner), (3, false, true));
        assert_eq!(at(&[0x1204, 0x1010], inner), (2, false, true));
        // An interrupt came upon the first byte of a function.
        let interrupted = [0x1204, 0x1010, INTERRUPT, 0x1300, 0x1010];
        assert_eq!(at(&interrupted, other), (5, false, true));
    }

    /// Check that a function is within only where it is on the stack, and not within only where nothing can hide it: no
    /// frame without a line into which it may be inlined, no end of what was kept, no jump.
    #[test]
    fn within_or_not() {
        const WHOLE: (bool, bool) = (false, false);
        const CUT: (bool, bool) = (true, false);
        const AMID: (bool, bool) = (false, true);
        let full = [frame(0x1204, None), frame(0x1010, Some("entry"))];
        let bare = [frame(0x1204, None), frame(0x1010, None)];
        let known = |leaves: Option<bool>, holders: &[u64]| Kernel {
            calls: [(0x1010, CallTarget::Address(0x1100))].into(),
            frame_elision: FrameElision {
                holders: Some(holders.iter().copied().collect::<BTreeSet<u64>>()),
                leaves_by_jump: leaves,
                ..FrameElision::default()
            },
        };
        let direct = kernel(CallTarget::Address(0x1200));
        let unknown = |says: Presence| matches!(says, Presence::Unknown(_));
        assert_eq!(
            function_presence(&full, WHOLE, "entry", &direct),
            Presence::Yes
        );
        assert_eq!(
            function_presence(&full, CUT, "target", &direct),
            Presence::Yes
        );
        assert_eq!(
            function_presence(&full, WHOLE, "other", &direct),
            Presence::No
        );
        assert!(unknown(function_presence(&full, CUT, "other", &direct)));
        assert!(unknown(function_presence(&[], WHOLE, "other", &direct)));
        assert!(unknown(function_presence(&bare, WHOLE, "other", &direct)));
        // Between the frames a function was left by a jump: it may be this one, unless its code has none.
        assert!(unknown(function_presence(
            &full,
            WHOLE,
            "other",
            &known(None, &[])
        )));
        assert!(unknown(function_presence(
            &full,
            WHOLE,
            "other",
            &known(Some(true), &[])
        )));
        assert_eq!(
            function_presence(&full, WHOLE, "other", &known(Some(false), &[])),
            Presence::No
        );
        // Where it is inlined is known, and whether that frame is such a place.
        assert_eq!(
            function_presence(&bare, WHOLE, "other", &known(Some(false), &[0x1300])),
            Presence::No
        );
        assert!(unknown(function_presence(
            &bare,
            WHOLE,
            "other",
            &known(Some(false), &[0x1000])
        )));
        // In the middle of a function, what is inlined there may be running.
        let holder = known(Some(false), &[0x1200]);
        assert_eq!(
            function_presence(&full, WHOLE, "other", &holder),
            Presence::No
        );
        assert!(unknown(function_presence(&full, AMID, "other", &holder)));
        assert_eq!(
            function_presence(&full, AMID, "other", &known(Some(false), &[0x1300])),
            Presence::No
        );
    }
}
