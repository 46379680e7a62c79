//! The tree of a traced call as text for a terminal.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::arch::Arch;
use crate::assemble::graph::{CallFunctions, TracedFunction};
use crate::graph::{Frame, TracedCall};
use crate::workload::names;

/// The parts of a tree that are shown, or written as probes.
#[derive(Clone, Debug, Default)]
pub struct ShownTree {
    /// Levels; `None`: all.
    pub depth: Option<u32>,
    /// Only what this function calls, and itself.
    pub below: Option<String>,
    /// Interrupts, too.
    pub interrupts: bool,
    /// Calls that were inlined, too.
    pub inlined: bool,
}

/// Width of the column of times.
const TIME: usize = 11;
/// Width up to the column of source lines.
const NAME: usize = 72;

impl ShownTree {
    fn is_shown(&self, frame: &Frame) -> bool {
        self.interrupts || !frame.interrupt
    }
}

/// A call in the part of a tree that is shown.
pub struct CallRow {
    /// Its place in [`TracedCall::frames`].
    pub at: usize,
    /// Calls between the root that is shown and this one.
    pub level: u32,
    /// The calls below it, interrupts only if these are shown.
    pub below: usize,
    /// The calls below it are left out.
    pub folded: bool,
}

/// The calls that are shown, in the order in which they began; `None` where `below` names a function that did not run.
pub fn rows(
    call: &TracedCall,
    functions: &CallFunctions,
    shown: &ShownTree,
) -> Option<Vec<CallRow>> {
    let frames = &call.frames;
    let is_root = |at: usize| match &shown.below {
        Some(name) => functions.table[functions.of_frame[at]].name == *name,
        None => frames[at].depth == 0,
    };
    let (mut out, mut end) = (Vec::new(), 0);
    for root in (0..frames.len()).filter(|&at| is_root(at) && shown.is_shown(&frames[at])) {
        // A function that calls itself is in the tree of its outer call already.
        if root >= end {
            end = subtree_end(frames, root);
            add_subtree(&mut out, frames, shown, root);
        }
    }
    (!out.is_empty() || shown.below.is_none()).then_some(out)
}

/// The tree, one line for each call that is shown; `None` where `below` names a function that did not run.
pub fn format_tree(
    call: &TracedCall,
    functions: &CallFunctions,
    shown: &ShownTree,
) -> Option<String> {
    let mut out = String::new();
    let mut has_heading = shown.below.is_some();
    let mut told = BTreeSet::new();
    for row in rows(call, functions, shown)? {
        if row.at >= call.before_exit && !has_heading {
            has_heading = true;
            let _ = writeln!(
                out,
                "{:TIME$}  after its return, until the next call (the way back to user space, page faults there):",
                ""
            );
        }
        add_line(&mut out, &call.frames[row.at], functions, row.at, row.level);
        if row.folded && row.below > 0 {
            let _ = write!(out, "  [+{}]", pluralize(row.below, "call"));
        }
        out.push('\n');
        let function = functions.of_frame[row.at];
        // Once for each function: they say how it was compiled, and not what ran.
        if shown.inlined && !row.folded && told.insert(function) {
            inlined(&mut out, &functions.table[function], row.level, shown);
        }
    }
    Some(out)
}

/// The calls that were inlined into a function, one line each, with the place of the call.
fn inlined(out: &mut String, holder: &TracedFunction, level: u32, shown: &ShownTree) {
    for callee in holder.inlined.iter().flatten() {
        let level = level + 1 + callee.depth;
        if shown.depth.is_some_and(|depth| level >= depth) {
            continue;
        }
        let indent = 2 * level as usize;
        let mut text = format!("{:TIME$}  {:indent$}inlined {}", "", "", callee.function);
        if let Some(site) = &callee.site {
            push_source(&mut text, site);
        }
        out.push_str(&text);
        out.push('\n');
    }
}

/// Put a place in the source into its column.
fn push_source(text: &mut String, source: &str) {
    let gap = NAME.saturating_sub(text.chars().count());
    let _ = write!(text, "{:gap$} {source}", "");
}

/// One past the last frame below `root`.
fn subtree_end(frames: &[Frame], root: usize) -> usize {
    let below = |frame: &&Frame| frame.depth > frames[root].depth;
    root + 1 + frames[root + 1..].iter().take_while(below).count()
}

fn add_subtree(out: &mut Vec<CallRow>, frames: &[Frame], shown: &ShownTree, root: usize) {
    let end = subtree_end(frames, root);
    let mut at = root;
    while at < end {
        let next = subtree_end(frames, at);
        if !shown.is_shown(&frames[at]) {
            at = next;
            continue;
        }
        let level = frames[at].depth - frames[root].depth;
        let below = frames[at + 1..next].iter();
        let folded = shown.depth.is_some_and(|depth| level + 1 >= depth);
        out.push(CallRow {
            at,
            level,
            below: below.filter(|frame| shown.is_shown(frame)).count(),
            folded,
        });
        at = if folded { next } else { at + 1 };
    }
}

/// `1 call`, `2 calls`
pub fn pluralize(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn add_line(out: &mut String, frame: &Frame, functions: &CallFunctions, at: usize, level: u32) {
    let function = &functions.table[functions.of_frame[at]];
    let time = frame
        .duration_ns
        .map_or_else(|| "not ended".to_owned(), format_micros);
    let mark = if frame.interrupt { "~ " } else { "" };
    let mut text = format!(
        "{time:>TIME$}  {:1$}{mark}{2}",
        "",
        2 * level as usize,
        function.name
    );
    if let Some(module) = &function.module {
        let _ = write!(text, " [{module}]");
    }
    if let (Some(parameters), Some(values)) = (&function.parameters, function.arguments(frame)) {
        let each = parameters.iter().zip(values).map(|(parameter, value)| {
            let value = value.map_or_else(|| "?".to_owned(), |value| value.to_string());
            format!("{}={value}", parameter.name)
        });
        let _ = write!(text, "({})", each.collect::<Vec<_>>().join(", "));
    }
    if let Some(returned) = frame.returned {
        let _ = write!(text, " = {returned:#x}");
    }
    if let Some((file, number)) = &function.source {
        push_source(&mut text, &format!("{file}:{number}"));
    }
    out.push_str(&text);
}

/// `1234` → `1.2 µs`
fn format_micros(time_ns: u64) -> String {
    format!("{}.{} µs", time_ns / 1000, time_ns % 1000 / 100)
}

/// The line above a tree.
pub fn heading(arch: Arch, call: &TracedCall, functions: &CallFunctions) -> String {
    let name = names::syscall_name(arch, call.number)
        .map_or_else(|| call.number.to_string(), str::to_owned);
    let returned = match call.returned {
        Some(value) => format!("returned {value}"),
        None => "did not return".to_owned(),
    };
    let pairs = call.frames.iter().zip(&functions.of_frame);
    let own: Vec<usize> = pairs
        .filter(|(frame, _)| !frame.interrupt)
        .map(|(_, function)| *function)
        .collect();
    let distinct = own.iter().collect::<BTreeSet<_>>().len();
    let own = own.len();
    let others = call.frames.len() - own;
    let time = match call.returned {
        Some(_) => format!(
            " in {}, most of which is the tracer's",
            format_micros(call.duration_ns)
        ),
        None => String::new(),
    };
    let interrupts = match others {
        0 => String::new(),
        _ => format!("; {others} more were an interrupt's"),
    };
    format!("{name} {returned}{time}: {own} calls of {distinct} functions{interrupts}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::lines::InlinedCallee;

    fn frame(depth: u32, interrupt: bool) -> Frame {
        Frame {
            address: 0,
            depth,
            start_ns: 0,
            duration_ns: Some(1250),
            registers: Vec::new(),
            returned: None,
            interrupt,
        }
    }

    fn sample() -> (TracedCall, CallFunctions) {
        // a { b { c; } irq { d; } } e
        let frames = [
            (0, false),
            (1, false),
            (2, false),
            (1, true),
            (2, true),
            (0, false),
        ];
        let call = TracedCall {
            number: 41,
            args: [0; 6],
            returned: Some(3),
            duration_ns: 9000,
            before_exit: 6,
            until_user_space: true,
            frames: frames
                .map(|(depth, interrupt)| frame(depth, interrupt))
                .to_vec(),
        };
        let names = ["a", "b", "c", "irq", "d", "e"];
        let table = names.map(|name| TracedFunction {
            name: name.into(),
            address: Some(1),
            module: None,
            source: (name == "c").then(|| ("net/socket.c".into(), 7)),
            parameters: None,
            inlined: None,
        });
        let functions = CallFunctions {
            table: table.to_vec(),
            of_frame: (0..6).collect(),
        };
        (call, functions)
    }

    fn words(shown: &ShownTree) -> Vec<String> {
        let (call, functions) = sample();
        let text = format_tree(&call, &functions, shown).unwrap();
        let line = |line: &str| {
            line.split_whitespace()
                .skip(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        text.lines().map(line).collect()
    }

    /// Check that interrupts are left out unless they are asked for, and marked then, and that lines stand behind names.
    #[test]
    fn interrupts() {
        assert_eq!(
            words(&ShownTree::default()),
            ["a", "b", "c net/socket.c:7", "e"]
        );
        let shown = ShownTree {
            interrupts: true,
            ..ShownTree::default()
        };
        let all = ["a", "b", "c net/socket.c:7", "~ irq", "~ d", "e"];
        assert_eq!(words(&shown), all);
    }

    /// Check that a function that calls itself is shown once, inside of its outer call, and again where it runs later.
    #[test]
    fn recursive() {
        // a { b { a; } } e a
        let (mut call, mut functions) = sample();
        call.frames.truncate(5);
        for (at, depth) in [0, 1, 2, 0, 0].into_iter().enumerate() {
            call.frames[at] = frame(depth, false);
        }
        functions.of_frame = vec![0, 1, 0, 5, 0];
        let shown = ShownTree {
            below: Some("a".into()),
            ..ShownTree::default()
        };
        let rows = rows(&call, &functions, &shown).unwrap();
        let places: Vec<(usize, u32)> = rows.iter().map(|row| (row.at, row.level)).collect();
        assert_eq!(places, [(0, 0), (1, 1), (2, 2), (4, 0)]);
    }

    /// Check that what is folded away is counted, without the interrupts, and that a function can be the root.
    #[test]
    fn folded() {
        let shown = |depth, below: Option<&str>| ShownTree {
            depth: Some(depth),
            below: below.map(str::to_owned),
            ..ShownTree::default()
        };
        assert_eq!(words(&shown(1, None)), ["a [+2 calls]", "e"]);
        assert_eq!(words(&shown(2, None)), ["a", "b [+1 call]", "e"]);
        assert_eq!(words(&shown(1, Some("b"))), ["b [+1 call]"]);
        let (call, functions) = sample();
        assert_eq!(format_tree(&call, &functions, &shown(1, Some("d"))), None);
    }

    /// Check that inlined calls stand below their function, once for each function, no deeper than asked for, and are not counted.
    #[test]
    fn inlined_calls() {
        // a { b { a; } }
        let (mut call, mut functions) = sample();
        call.frames.truncate(3);
        call.before_exit = 3;
        functions.of_frame = vec![0, 1, 0];
        let callee = |depth, function: &str, site: Option<&str>| InlinedCallee {
            depth,
            function: function.into(),
            site: site.map(str::to_owned),
        };
        functions.table[0].inlined = Some(vec![
            callee(0, "x", Some("net/socket.c:9")),
            callee(1, "y", None),
        ]);
        let lines = |depth, inlined| {
            let shown = ShownTree {
                depth,
                inlined,
                ..ShownTree::default()
            };
            let text = format_tree(&call, &functions, &shown).unwrap();
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            text.lines().map(words).collect::<Vec<_>>()
        };
        let time = |name: &str| format!("1.2 µs {name}");
        let (a, b) = (time("a"), time("b"));
        let x = "inlined x net/socket.c:9".to_owned();
        let y = "inlined y".to_owned();
        assert_eq!(lines(None, true), [&a, &x, &y, &b, &a].map(String::clone));
        assert_eq!(lines(None, false), [&a, &b, &a].map(String::clone));
        let folded = time("b [+1 call]");
        assert_eq!(lines(Some(2), true), [a, x, folded]);
        assert_eq!(lines(Some(1), true), [time("a [+2 calls]")]);
    }
}
