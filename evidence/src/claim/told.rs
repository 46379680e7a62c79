//! What a text tells of the functions in the tree of a call: named, told with what calls them, left out for a reason, or nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::{Graph, is_nameless};

/// The text that is asked what it tells.
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

/// What a text says of the functions that an experiment ran through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// Functions that it names.
    pub named: Arc<BTreeSet<String>>,
    /// Functions that it tells with all that they call. One that is not named tells nothing.
    pub below: BTreeSet<String>,
    /// Functions that it leaves out, with all that they call, and says why.
    pub folded: BTreeSet<String>,
}

/// How a text tells a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By its name.
    Named,
    /// With a function that called it: its place in [`Graph::functions`].
    Below(usize),
    /// Left out for a reason, with a function that called it or by itself: its place in [`Graph::functions`].
    Folded(usize),
    /// Nowhere.
    Nowhere,
}

/// How a text tells the functions of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each function of the call's own, by its place in [`Graph::functions`], in the order in which they ran first.
    pub functions: Vec<(usize, Told)>,
}

impl Coverage {
    /// Number of functions.
    pub fn all(&self) -> usize {
        self.functions.len()
    }

    /// Number of functions that are told so.
    pub fn count(&self, told: impl Fn(Told) -> bool) -> usize {
        self.functions.iter().filter(|(_, how)| told(*how)).count()
    }

    /// Number of functions that are told nowhere.
    pub fn untold(&self) -> usize {
        self.count(|told| told == Told::Nowhere)
    }

    /// Percentage of the functions that are named, told with what calls them, or left out for a reason. Rounded down: 100 is all of
    /// them. Of no function it is 0.
    pub fn percent(&self) -> u64 {
        let all = self.all() as u64;
        let told = all - self.untold() as u64;
        (told * 100).checked_div(all).unwrap_or(0)
    }
}

/// A symbol without what the compiler appends to those of clones and parts (`sock_alloc.part.0`).
fn function_of(symbol: &str) -> &str {
    match symbol.split_once('.') {
        Some((function, _)) if !function.is_empty() => function,
        _ => symbol,
    }
}

/// True if one of these names is that of the function with this symbol.
fn holds(names: &BTreeSet<String>, symbol: &str) -> bool {
    !is_nameless(symbol) && (names.contains(symbol) || names.contains(function_of(symbol)))
}

impl Telling {
    /// True if the text names the function with this symbol.
    pub fn names(&self, symbol: &str) -> bool {
        holds(&self.named, symbol)
    }

    /// Compares the text with the tree of a call. A function that ran in several places is told with what called it, or left out, only
    /// if all of them are. What belongs to interrupts is none of the call's.
    pub fn cover(&self, graph: &Graph) -> Coverage {
        let own = graph.functions.iter().enumerate().map(|(at, symbol)| {
            if holds(&self.folded, symbol) {
                Some(Told::Folded(at))
            } else if self.names(symbol) && holds(&self.below, symbol) {
                Some(Told::Below(at))
            } else {
                None
            }
        });
        let own: Vec<Option<Told>> = own.collect();
        let mut told: Vec<Option<Told>> = vec![None; graph.functions.len()];
        // How what each open function calls is told.
        let mut open: Vec<Option<Told>> = Vec::new();
        for run in graph.runs() {
            open.truncate(run.depth as usize);
            let above = open.last().copied().flatten();
            let here = own.get(run.function).copied().flatten().or(above);
            open.push(here);
            if run.interrupt {
                continue;
            }
            let Some(known) = told.get_mut(run.function) else {
                continue;
            };
            let here = here.unwrap_or(Told::Nowhere);
            *known = Some(match (*known, here) {
                (None, here) | (Some(_), here @ Told::Nowhere) => here,
                (Some(Told::Below(_)), here @ Told::Folded(_)) => here,
                (Some(kept), _) => kept,
            });
        }
        let functions = told.into_iter().enumerate().filter_map(|(at, how)| {
            let how = how?;
            let named = self.names(&graph.functions[at]);
            Some((at, if named { Told::Named } else { how }))
        });
        Coverage {
            functions: functions.collect(),
        }
    }
}

/// What the texts that a claim asks tell, by what it reads: `EXPERIMENT.graph#SCOPE#coverage`.
pub(super) type Tellings = BTreeMap<String, Telling>;

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

    fn telling(named: &[&str], below: &[&str], folded: &[&str]) -> Telling {
        Telling {
            named: Arc::new(set(named)),
            below: set(below),
            folded: set(folded),
        }
    }

    /// The function and how it is told, `named`, `below FUNCTION`, `folded FUNCTION` or `nowhere`.
    fn told(telling: &Telling) -> Vec<String> {
        let graph = graph();
        assert_eq!(graph.wrong(), None);
        let name = |at: usize| graph.functions[at].as_str();
        let all = telling.cover(&graph).functions;
        let text = |(at, how)| match how {
            Told::Named => format!("{} named", name(at)),
            Told::Below(above) => format!("{} below {}", name(at), name(above)),
            Told::Folded(above) => format!("{} folded {}", name(at), name(above)),
            Told::Nowhere => format!("{} nowhere", name(at)),
        };
        all.into_iter().map(text).collect()
    }

    /// Check that a name tells a function and its clones, and nothing of what it calls.
    #[test]
    fn names_alone() {
        let telling = telling(&["entry", "alloc", "absent", "[no symbol 0]"], &[], &[]);
        assert_eq!(
            told(&telling),
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
        assert_eq!(telling.cover(&graph()).percent(), 25);
    }

    /// Check that a function is told with its callers only if each of its runs is, and that the nearest of them decides.
    #[test]
    fn callers() {
        let some = telling(&["open"], &["open"], &["way_back"]);
        assert_eq!(
            told(&some),
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
        let all = telling(
            &["open", "entry"],
            &["open"],
            &["free", "way_back", "alloc"],
        );
        assert_eq!(told(&all)[3], "zero folded alloc.part.0");
        assert_eq!(told(&all)[5], "free folded free");
        let cover = all.cover(&graph());
        assert_eq!((cover.untold(), cover.percent()), (0, 100));
        let mixed = telling(&["open"], &["open"], &["free"]);
        assert_eq!(told(&mixed)[3], "zero folded free");
    }

    /// Check that a function which the text does not name tells nothing of what it calls.
    #[test]
    fn unnamed_caller() {
        let telling = telling(&[], &["entry"], &[]);
        assert_eq!(telling.cover(&graph()).untold(), 8);
        assert_eq!(telling.cover(&graph()).percent(), 0);
    }

    /// Check that of no function nothing is told, and that a rest of less than a percent is not rounded away.
    #[test]
    fn percentages() {
        assert_eq!(Coverage::default().percent(), 0);
        let mut functions: Vec<(usize, Told)> = (0..999).map(|at| (at, Told::Named)).collect();
        functions.push((999, Told::Nowhere));
        assert_eq!(Coverage { functions }.percent(), 99);
    }
}
