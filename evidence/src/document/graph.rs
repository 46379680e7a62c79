//! The tree of all functions that a call ran through, by the kernel's function-graph tracer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The tree of one run of a workload's call, of its own task, from the call's entry until the task was back in user space. It is another
/// run than the one that the probes saw: names, order and nesting may be compared, pointers and times may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// The reason why there is none. Then all else is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// True if there is none because the tracer lost something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// The symbols of the functions, each once, in the order in which they ran first. One without a symbol is `[no symbol N]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// The runs of functions, callers before what they call, in the order in which they began. Each is `DEPTH FUNCTION DURATION`: the
    /// number of functions of the tree that were open, the place in `functions` from 0, and nanoseconds, tracing included, or `-` of
    /// one that did not return. One that belongs to an interrupt, or to a preemption by one, ends in ` i`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
    /// Number of `calls`, stored separately, so that the removal of some is noticed.
    pub runs: u64,
    /// Number of `calls` before `sys_exit`; the others ran on the way back to user space.
    pub before_exit: u64,
    /// The value that the call returned in this run. `None`: it did not return, or this is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<i64>,
    /// Symbols of the copies of functions that the investigation names, and of the functions that hold inlined ones, of which the tracer
    /// sees every run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traceable: Vec<String>,
}

/// True for the placeholder name of a function without a symbol.
pub fn is_nameless(function: &str) -> bool {
    function.starts_with('[')
}

/// One run of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphCall {
    /// Functions of the tree that were open.
    pub depth: u32,
    /// Place in [`Graph::functions`].
    pub function: usize,
    /// Nanoseconds; `None`: it did not return.
    pub duration_ns: Option<u64>,
    /// True if it belongs to an interrupt that came while the call ran, or to a preemption by one.
    pub interrupt: bool,
}

impl std::fmt::Display for GraphCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ", self.depth, self.function)?;
        match self.duration_ns {
            Some(time) => write!(f, "{time}")?,
            None => f.write_str("-")?,
        }
        f.write_str(if self.interrupt { " i" } else { "" })
    }
}

impl GraphCall {
    /// Read one run; `None` where it is not of that form. There is one form for one run.
    pub fn parse(text: &str) -> Option<Self> {
        // There are many runs, and `split` and `parse` take three times as long.
        let (rest, interrupt) = match text.as_bytes() {
            [rest @ .., b' ', b'i'] => (rest, true),
            rest => (rest, false),
        };
        let (depth, rest) = number(rest)?;
        let (function, rest) = number(rest.strip_prefix(b" ")?)?;
        let duration_ns = match rest.strip_prefix(b" ")? {
            b"-" => None,
            time => match number(time)? {
                (time, []) => Some(time),
                _ => return None,
            },
        };
        Some(Self {
            depth: depth.try_into().ok()?,
            function: function.try_into().ok()?,
            duration_ns,
            interrupt,
        })
    }
}

/// True if the second word of a run, its function's place, has these digits.
fn is_of_function(call: &str, digits: &str) -> bool {
    let call = call.as_bytes();
    let space = call.iter().position(|byte| *byte == b' ');
    space
        .and_then(|space| call[space + 1..].strip_prefix(digits.as_bytes()))
        .is_some_and(|rest| rest.first() == Some(&b' '))
}

/// The number that a text begins with, in digits alone and without leading zeros, and what follows it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0;
    while let Some(digit) = text.get(digits).filter(|byte| byte.is_ascii_digit()) {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
        digits += 1;
    }
    let is_canonical = digits == 1 || digits > 1 && text[0] != b'0';
    is_canonical.then_some((value, &text[digits..]))
}

impl Graph {
    /// The runs of functions. One that is not of the form is left out; [`contradiction`](Self::contradiction) refuses it.
    pub fn runs(&self) -> impl Iterator<Item = GraphCall> {
        self.calls.iter().filter_map(|call| GraphCall::parse(call))
    }

    /// The runs, among the first `calls` of all, of the function with this symbol.
    fn runs_of(&self, symbol: &str, calls: usize) -> impl Iterator<Item = GraphCall> {
        let place = self.functions.iter().position(|one| one == symbol);
        let digits = place.map(|place| place.to_string());
        // Claims and checks ask so often that only the runs of this function are parsed.
        let listed = digits.into_iter().flat_map(move |digits| {
            let calls = self.calls.iter().take(calls);
            calls.filter(move |call| is_of_function(call, &digits))
        });
        listed.filter_map(|call| GraphCall::parse(call))
    }

    /// True if a run of the function with this symbol belongs to an interrupt, which may still do the work of the call.
    pub fn has_interrupt_run(&self, symbol: &str) -> bool {
        self.runs_of(symbol, self.calls.len())
            .any(|run| run.interrupt)
    }

    /// True if a function ran whose name is not known.
    pub fn has_nameless(&self) -> bool {
        self.functions.iter().any(|one| is_nameless(one))
    }

    /// Number of runs of the function with this symbol that belong to the call.
    pub fn count(&self, symbol: &str) -> usize {
        self.count_of_first(self.calls.len(), symbol)
    }

    /// Number of those of them that began before `sys_exit`.
    pub fn count_before_exit(&self, symbol: &str) -> usize {
        self.count_of_first(
            usize::try_from(self.before_exit).unwrap_or(usize::MAX),
            symbol,
        )
    }

    fn count_of_first(&self, calls: usize, symbol: &str) -> usize {
        self.runs_of(symbol, calls)
            .filter(|run| !run.interrupt)
            .count()
    }

    /// The functions that called the one with this symbol directly, as far as the tracer sees them, each once; the call itself has no
    /// caller.
    pub fn parents(&self, symbol: &str) -> Vec<Option<&str>> {
        let mut open: Vec<usize> = Vec::new();
        let mut found: Vec<Option<&str>> = Vec::new();
        for run in self.runs() {
            open.truncate(run.depth as usize);
            let caller = open.last().and_then(|at| self.functions.get(*at));
            let named = self
                .functions
                .get(run.function)
                .is_some_and(|one| one == symbol);
            if named && !run.interrupt && !found.contains(&caller.map(String::as_str)) {
                found.push(caller.map(String::as_str));
            }
            open.push(run.function);
        }
        found
    }

    /// The contradiction within it.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let is_empty = self.functions.is_empty() && self.calls.is_empty() && self.runs == 0;
        match (&self.unavailable, is_empty, self.lost) {
            (Some(_), true, _) => return None,
            (Some(_), false, _) => return Some("there is none, and it has functions".into()),
            (None, _, true) => return Some("something was lost, and no reason is given".into()),
            (None, true, false) => return Some("it has no function".into()),
            (None, false, false) => {}
        }
        if self.runs != self.calls.len() as u64 {
            return Some(format!(
                "it has {} runs, and says that there were {}",
                self.calls.len(),
                self.runs
            ));
        }
        if self.before_exit > self.runs {
            return Some("more runs came before sys_exit than there are".into());
        }
        let mut names = self.functions.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() != self.functions.len() {
            return Some("a function is in the table twice".into());
        }
        let (mut depth, mut named, mut interrupts) = (0, 0, Vec::new());
        for (at, text) in self.calls.iter().enumerate() {
            let Some(run) = GraphCall::parse(text) else {
                return Some(format!("run {at} is `{text}`, not DEPTH FUNCTION DURATION"));
            };
            if run.depth > depth {
                return Some(format!("run {at} is deeper than what its caller calls"));
            }
            if at as u64 == self.before_exit && run.depth > 0 {
                return Some("a function began before sys_exit and called others after it".into());
            }
            // Functions are in the order in which they ran first.
            if run.function > named || run.function >= self.functions.len() {
                return Some(format!(
                    "run {at} is of a function that is not next in the table"
                ));
            }
            interrupts.truncate(run.depth as usize);
            if interrupts.last() == Some(&true) && !run.interrupt {
                return Some(format!(
                    "run {at} was called by an interrupt, and belongs to none"
                ));
            }
            interrupts.push(run.interrupt);
            named = named.max(run.function + 1);
            depth = run.depth + 1;
        }
        (named != self.functions.len()).then(|| "a function of the table did not run".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        // a { b { c } irq { c } b } d
        let calls = [
            "0 0 90", "1 1 30", "2 2 -", "1 3 9 i", "2 2 4 i", "1 1 5", "0 4 7",
        ];
        Graph {
            functions: ["a", "b", "c", "irq", "d"].map(String::from).to_vec(),
            calls: calls.map(String::from).to_vec(),
            runs: 7,
            before_exit: 6,
            ..Graph::default()
        }
    }

    proptest::proptest! {
        /// Check that a run is read exactly where it is written as it is displayed.
        #[test]
        fn one_form_for_one_run(
            text in "[0-9]{1,2} [0-9]{1,2} ([0-9]{1,3}|-|\\+1)( i|i| )?",
            noise in "[0-9 i+-]{0,12}",
            run in (0..u32::MAX, 0..usize::MAX, proptest::option::of(0..u64::MAX), proptest::bool::ANY),
        ) {
            for text in [text, noise] {
                if let Some(read) = GraphCall::parse(&text) {
                    proptest::prop_assert_eq!(read.to_string(), text);
                }
            }
            let (depth, function, duration_ns, interrupt) = run;
            let run = GraphCall { depth, function, duration_ns, interrupt };
            proptest::prop_assert_eq!(GraphCall::parse(&run.to_string()), Some(run));
        }
    }

    /// Check that only runs of the call itself are counted, and that callers are the nearest ones.
    #[test]
    fn counts_and_parents() {
        let graph = graph();
        assert_eq!(graph.contradiction(), None);
        for (symbol, count) in [("a", 1), ("b", 2), ("c", 1), ("irq", 0), ("d", 1), ("e", 0)] {
            assert_eq!(graph.count(symbol), count, "{symbol}");
        }
        assert_eq!(graph.parents("b"), [Some("a")]);
        assert_eq!(graph.parents("c"), [Some("b")]);
        assert_eq!(graph.parents("d"), [None]);
        assert!(graph.parents("irq").is_empty());
    }

    /// Check that a tree that contradicts itself is refused.
    #[test]
    fn contradictions() {
        let broken: [fn(&mut Graph); 11] = [
            |graph| graph.calls.truncate(6),
            |graph| graph.runs = 8,
            |graph| graph.calls[2] = "3 2 4".into(),
            |graph| graph.calls[2] = "2 9 4".into(),
            |graph| graph.calls[2] = "2 02 4".into(),
            |graph| graph.calls[4] = "2 2 4".into(),
            |graph| graph.functions[4] = "a".into(),
            |graph| graph.functions.push("e".into()),
            |graph| graph.before_exit = 8,
            |graph| graph.before_exit = 5,
            |graph| graph.unavailable = Some("no tracer".into()),
        ];
        for (at, breaks) in broken.iter().enumerate() {
            let mut graph = graph();
            breaks(&mut graph);
            assert!(graph.contradiction().is_some(), "{at}");
        }
    }
}
