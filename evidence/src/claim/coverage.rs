//! Coverage of the tree of a call by a text: functions that it names, explains with what calls them, leaves out for a reason, or
//! does not mention.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::{Graph, is_nameless};

/// The text whose coverage is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The chapter that asks.
    Chapter,
    /// All chapters.
    Book,
}

impl Scope {
    /// Its name, as claims and exhibits write it.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Chapter => "chapter",
            Scope::Book => "book",
        }
    }

    /// The scope of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Scope::Chapter, Scope::Book]
            .into_iter()
            .find(|scope| scope.name() == name)
    }
}

/// The functions of an experiment's tree that a text mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Functions that it names.
    pub named: Arc<BTreeSet<String>>,
    /// Functions that it explains with all that they call. One that is not named covers nothing.
    pub below: BTreeSet<String>,
    /// Functions that it leaves out, with all that they call, and says why.
    pub folded: BTreeSet<String>,
    /// True if it leaves out what ran after `sys_exit`, on the way back to user space, and says why.
    pub after_exit: bool,
}

/// The way in which a text mentions a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mention {
    /// By its name.
    Named,
    /// With a function that called it: its place in [`Graph::functions`].
    Below(usize),
    /// Left out for a reason, with a function that called it or by itself: its place in [`Graph::functions`].
    Folded(usize),
    /// Left out for a reason, because it ran only after `sys_exit`.
    AfterExit,
    /// Nowhere.
    Nowhere,
}

/// The mentions of a tree's functions in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each function of the call's own, by its place in [`Graph::functions`], in the order in which they ran first.
    pub functions: Vec<(usize, Mention)>,
}

impl Coverage {
    /// Number of functions.
    pub fn total_count(&self) -> usize {
        self.functions.len()
    }

    /// Number of functions with such a mention.
    pub fn count(&self, is: impl Fn(Mention) -> bool) -> usize {
        self.functions.iter().filter(|(_, how)| is(*how)).count()
    }

    /// Number of functions without a mention.
    pub fn unmentioned_count(&self) -> usize {
        self.count(|mention| mention == Mention::Nowhere)
    }

    /// Percentage of the functions that are named, explained with what calls them, or left out for a reason. Rounded down: 100 is all of
    /// them. Of no function it is 0.
    pub fn percent(&self) -> u64 {
        let all = self.total_count() as u64;
        let covered = all - self.unmentioned_count() as u64;
        (covered * 100).checked_div(all).unwrap_or(0)
    }
}

/// A symbol without the suffix that the compiler appends for clones and parts (`sock_alloc.part.0`).
fn strip_clone_suffix(symbol: &str) -> &str {
    match symbol.split_once('.') {
        Some((function, _)) if !function.is_empty() => function,
        _ => symbol,
    }
}

/// True if one of these names is that of the function with this symbol.
fn contains_function(names: &BTreeSet<String>, symbol: &str) -> bool {
    !is_nameless(symbol) && (names.contains(symbol) || names.contains(strip_clone_suffix(symbol)))
}

impl Mentions {
    /// True if the text names the function with this symbol.
    pub fn names_function(&self, symbol: &str) -> bool {
        contains_function(&self.named, symbol)
    }

    /// Compare the text with the tree of a call. A function that ran in several places is explained with what called it, or left out, only
    /// if all of them are. What belongs to interrupts is none of the call's. What runs after `sys_exit` depends on whether the task was
    /// interrupted or moved to another processor meanwhile, and a text may leave all of it out.
    pub fn cover(&self, graph: &Graph) -> Coverage {
        let own = graph.functions.iter().enumerate().map(|(at, symbol)| {
            if contains_function(&self.folded, symbol) {
                Some(Mention::Folded(at))
            } else if self.names_function(symbol) && contains_function(&self.below, symbol) {
                Some(Mention::Below(at))
            } else {
                None
            }
        });
        let own: Vec<Option<Mention>> = own.collect();
        let mut mentions: Vec<Option<Mention>> = vec![None; graph.functions.len()];
        // The mention of what each open function calls.
        let mut open: Vec<Option<Mention>> = Vec::new();
        for (index, run) in graph.runs().enumerate() {
            open.truncate(run.depth as usize);
            let above = open.last().copied().flatten();
            let here = own.get(run.function).copied().flatten().or(above);
            open.push(here);
            if run.interrupt {
                continue;
            }
            let Some(known) = mentions.get_mut(run.function) else {
                continue;
            };
            let here = here.unwrap_or(if self.after_exit && index as u64 >= graph.before_exit {
                Mention::AfterExit
            } else {
                Mention::Nowhere
            });
            *known = Some(match (*known, here) {
                (None, here) | (Some(_), here @ Mention::Nowhere) => here,
                (Some(Mention::Below(_)), here @ Mention::Folded(_)) => here,
                (Some(retained), _) => retained,
            });
        }
        let functions = mentions.into_iter().enumerate().filter_map(|(at, how)| {
            let how = how?;
            let named = self.names_function(&graph.functions[at]);
            Some((at, if named { Mention::Named } else { how }))
        });
        Coverage {
            functions: functions.collect(),
        }
    }
}

/// Mentions by the texts that a claim asks about, by what it reads: `EXPERIMENT.graph#SCOPE#coverage`.
pub(super) type BookMentions = BTreeMap<String, Mentions>;

#[cfg(test)]
mod tests {
    use super::*;

    /// `entry { open { alloc.part.0 { zero } check } irq { zero } free { zero } } way_back { [no symbol 0] }`
    fn graph() -> Graph {
        let functions = [
            "entry",
            "open",
            "alloc.part.0",
            "zero",
            "check",
            "irq",
            "free",
            "way_back",
            "[no symbol 0]",
        ];
        let calls = [
            "0 0 90", "1 1 40", "2 2 20", "3 3 5", "2 4 5", "1 5 9 i", "2 3 4 i", "1 6 9", "2 3 4",
            "0 7 5", "1 8 2",
        ];
        Graph {
            functions: functions.map(String::from).to_vec(),
            calls: calls.map(String::from).to_vec(),
            runs: 11,
            before_exit: 9,
            ..Graph::default()
        }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn mentioning(named: &[&str], below: &[&str], folded: &[&str]) -> Mentions {
        Mentions {
            named: Arc::new(set(named)),
            below: set(below),
            folded: set(folded),
            after_exit: false,
        }
    }

    /// The function and how it is mentioned, `named`, `below FUNCTION`, `folded FUNCTION` or `nowhere`.
    fn described(mentions: &Mentions) -> Vec<String> {
        let graph = graph();
        assert_eq!(graph.contradiction(), None);
        let name = |at: usize| graph.functions[at].as_str();
        let all = mentions.cover(&graph).functions;
        let text = |(at, how)| match how {
            Mention::Named => format!("{} named", name(at)),
            Mention::Below(above) => format!("{} below {}", name(at), name(above)),
            Mention::Folded(above) => format!("{} folded {}", name(at), name(above)),
            Mention::AfterExit => format!("{} after exit", name(at)),
            Mention::Nowhere => format!("{} nowhere", name(at)),
        };
        all.into_iter().map(text).collect()
    }

    /// Check that a name covers a function and its clones, but not the functions that it calls.
    #[test]
    fn names_alone() {
        let mentions = mentioning(&["entry", "alloc", "absent", "[no symbol 0]"], &[], &[]);
        assert_eq!(
            described(&mentions),
            [
                "entry named",
                "open nowhere",
                "alloc.part.0 named",
                "zero nowhere",
                "check nowhere",
                "free nowhere",
                "way_back nowhere",
                "[no symbol 0] nowhere"
            ]
        );
        // 2 of 8.
        assert_eq!(mentions.cover(&graph()).percent(), 25);
    }

    /// Check that a function is covered by its callers only if each of its runs is, and that the nearest caller decides.
    #[test]
    fn callers() {
        let some = mentioning(&["open"], &["open"], &["way_back"]);
        assert_eq!(
            described(&some),
            [
                "entry nowhere",
                "open named",
                "alloc.part.0 below open",
                "zero nowhere",
                "check below open",
                "free nowhere",
                "way_back folded way_back",
                "[no symbol 0] folded way_back"
            ]
        );
        let all = mentioning(
            &["open", "entry"],
            &["open"],
            &["free", "way_back", "alloc"],
        );
        assert_eq!(described(&all)[3], "zero folded alloc.part.0");
        assert_eq!(described(&all)[5], "free folded free");
        let cover = all.cover(&graph());
        assert_eq!((cover.unmentioned_count(), cover.percent()), (0, 100));
        let mixed = mentioning(&["open"], &["open"], &["free"]);
        assert_eq!(described(&mixed)[3], "zero folded free");
    }

    /// Check that a function which the text does not name covers none of the functions that it calls.
    #[test]
    fn unnamed_caller() {
        let mentions = mentioning(&[], &["entry"], &[]);
        assert_eq!(mentions.cover(&graph()).unmentioned_count(), 8);
        assert_eq!(mentions.cover(&graph()).percent(), 0);
    }

    /// Check that what ran after `sys_exit` may be left out as a whole, and that a function which ran before it, too, may not.
    #[test]
    fn after_exit() {
        let mut mentions = mentioning(&["entry"], &[], &[]);
        mentions.after_exit = true;
        let described_all = described(&mentions);
        assert_eq!(
            described_all[6..],
            ["way_back after exit", "[no symbol 0] after exit"]
        );
        assert_eq!(mentions.cover(&graph()).unmentioned_count(), 5);
        let mut again = graph();
        again.calls.push("1 4 2".into());
        again.runs += 1;
        assert_eq!(again.contradiction(), None);
        assert_eq!(mentions.cover(&again).unmentioned_count(), 5);
        mentions.named = Arc::new(set(&["way_back"]));
        assert_eq!(described(&mentions)[6], "way_back named");
    }

    /// Check that without functions nothing is covered, and that a remainder of less than a percent is not rounded away.
    #[test]
    fn percentages() {
        assert_eq!(Coverage::default().percent(), 0);
        let mut functions: Vec<(usize, Mention)> =
            (0..999).map(|at| (at, Mention::Named)).collect();
        functions.push((999, Mention::Nowhere));
        assert_eq!(Coverage { functions }.percent(), 99);
    }
}
