//! The tree of a traced call as text for a terminal.

use std::fmt::Write as _;

use crate::assemble::graph::Functions;
use crate::graph::{Call, Frame};

/// The parts of a tree that are shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Levels; `None`: all.
    pub depth: Option<u32>,
    /// Only what this function calls, and itself.
    pub below: Option<String>,
    /// Interrupts, too.
    pub interrupts: bool,
}

/// Width of the column of times.
const TIME: usize = 11;
/// Width up to the column of source lines.
const NAME: usize = 72;

/// The tree, one line for each call that is shown; `None` where `below` names a function that did not run.
pub fn text(call: &Call, functions: &Functions, shown: &Shown) -> Option<String> {
    let frames = &call.frames;
    let roots: Vec<usize> = match &shown.below {
        Some(name) => (0..frames.len())
            .filter(|&at| functions.table[functions.of_frame[at]].name == *name)
            .filter(|&at| shown.interrupts || !frames[at].interrupt)
            .collect(),
        None => (0..frames.len())
            .filter(|&at| frames[at].depth == 0)
            .collect(),
    };
    if roots.is_empty() && shown.below.is_some() {
        return None;
    }
    let (mut out, mut behind) = (String::new(), shown.below.is_some());
    for root in roots {
        if frames[root].interrupt && !shown.interrupts {
            continue;
        }
        if root >= call.before_exit && !behind {
            behind = true;
            let _ = writeln!(out, "{:TIME$}  on the way back to user space:", "");
        }
        subtree(&mut out, frames, functions, shown, root);
    }
    Some(out)
}

/// One past the last frame below `root`.
pub fn end_of(frames: &[Frame], root: usize) -> usize {
    let below = |frame: &&Frame| frame.depth > frames[root].depth;
    root + 1 + frames[root + 1..].iter().take_while(below).count()
}

fn subtree(out: &mut String, frames: &[Frame], functions: &Functions, shown: &Shown, root: usize) {
    let end = end_of(frames, root);
    let mut at = root;
    while at < end {
        let frame = &frames[at];
        let next = end_of(frames, at);
        if frame.interrupt && !shown.interrupts {
            at = next;
            continue;
        }
        let level = frame.depth - frames[root].depth;
        let folded = shown.depth.is_some_and(|depth| level + 1 >= depth);
        line(out, frame, functions, at, level);
        let own = |frame: &&Frame| shown.interrupts || !frame.interrupt;
        let below = frames[at + 1..next].iter().filter(own).count();
        if folded && below > 0 {
            let s = if below == 1 { "" } else { "s" };
            let _ = write!(out, "  [+{below} call{s}]");
        }
        out.push('\n');
        at = if folded { next } else { at + 1 };
    }
}

fn line(out: &mut String, frame: &Frame, functions: &Functions, at: usize, level: u32) {
    let function = &functions.table[functions.of_frame[at]];
    let time = frame
        .duration_ns
        .map_or_else(|| "not ended".to_owned(), micros);
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
    if let Some(returned) = frame.returned {
        let _ = write!(text, " = {returned:#x}");
    }
    if let Some((file, number)) = &function.source {
        let _ = write!(
            text,
            "{:1$} {file}:{number}",
            "",
            NAME.saturating_sub(text.chars().count())
        );
    }
    out.push_str(&text);
}

/// `1234` → `1.2 µs`
pub fn micros(time_ns: u64) -> String {
    format!("{}.{} µs", time_ns / 1000, time_ns % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::graph::Function;

    fn frame(depth: u32, interrupt: bool) -> Frame {
        Frame {
            address: 0,
            depth,
            start_ns: 0,
            duration_ns: Some(1250),
            returned: None,
            interrupt,
        }
    }

    fn sample() -> (Call, Functions) {
        // a { b { c; } irq { d; } } e
        let frames = [
            (0, false),
            (1, false),
            (2, false),
            (1, true),
            (2, true),
            (0, false),
        ];
        let call = Call {
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
        let table = names.map(|name| Function {
            name: name.into(),
            address: Some(1),
            module: None,
            source: (name == "c").then(|| ("net/socket.c".into(), 7)),
        });
        let functions = Functions {
            table: table.to_vec(),
            of_frame: (0..6).collect(),
        };
        (call, functions)
    }

    fn words(shown: &Shown) -> Vec<String> {
        let (call, functions) = sample();
        let text = text(&call, &functions, shown).unwrap();
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
            words(&Shown::default()),
            ["a", "b", "c net/socket.c:7", "e"]
        );
        let shown = Shown {
            interrupts: true,
            ..Shown::default()
        };
        let all = ["a", "b", "c net/socket.c:7", "~ irq", "~ d", "e"];
        assert_eq!(words(&shown), all);
    }

    /// Check that what is folded away is counted, without the interrupts, and that a function can be the root.
    #[test]
    fn folded() {
        let shown = |depth, below: Option<&str>| Shown {
            depth: Some(depth),
            below: below.map(str::to_owned),
            interrupts: false,
        };
        assert_eq!(words(&shown(1, None)), ["a [+2 calls]", "e"]);
        assert_eq!(words(&shown(2, None)), ["a", "b [+1 call]", "e"]);
        assert_eq!(words(&shown(1, Some("b"))), ["b [+1 call]"]);
        let (call, functions) = sample();
        assert_eq!(text(&call, &functions, &shown(1, Some("d"))), None);
    }
}
