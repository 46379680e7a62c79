//! The calls of an experiment, nested: those that probes saw, with the functions between them that the
//! compiler inlined.

use qed_evidence::document::{Context, Experiment, Hit, Probe};
use qed_evidence::value::{Datum, Location, Value};

/// A hit of a probe.
pub(super) struct ProbedCall<'a> {
    /// The probe, with the hit's number if there are more.
    pub name: String,
    /// The probe.
    pub probe: &'a Probe,
    /// The hit.
    pub hit: &'a Hit,
    /// The number of calls that enclose it.
    pub depth: usize,
    /// True if the enclosing function did not call it but jumped to it: both return to the same place.
    pub jumped: bool,
}

/// The calls in the order of their entries, each with its depth.
pub(super) fn collect_calls(experiment: &Experiment) -> Vec<ProbedCall<'_>> {
    let mut hits: Vec<(u64, String, &Probe, &Hit)> = experiment
        .probes
        .iter()
        .flat_map(|(name, probe)| {
            let many = probe.hits.len() > 1;
            probe
                .hits
                .iter()
                .enumerate()
                .filter_map(move |(index, hit)| {
                    let name = if many {
                        format!("{name}.hit{}", index + 1)
                    } else {
                        name.clone()
                    };
                    Some((hit.order.or(hit.return_order)?, name, probe, hit))
                })
        })
        .collect();
    hits.sort_by_key(|(order, ..)| *order);
    // Open calls per task: the order in which they will return, and to where.
    type Open<'a> = Vec<(u64, Option<&'a Value>)>;
    let mut open: std::collections::HashMap<i32, Open<'_>> = std::collections::HashMap::new();
    hits.into_iter()
        .map(|(order, name, probe, hit)| {
            let stack = open.entry(hit.task.tid).or_default();
            while stack.last().is_some_and(|(returned, _)| *returned < order) {
                stack.pop();
            }
            let depth = stack.len();
            let returns_to = hit.returns_to.as_ref().or(hit.caller.as_ref());
            let returns_to = returns_to.and_then(Datum::value);
            let within = stack.last().and_then(|(_, returns_to)| *returns_to);
            let jumped = returns_to.is_some() && returns_to == within;
            // Without an entry or a return there is nothing to nest in.
            if let (Some(_), Some(returned)) = (hit.order, hit.return_order) {
                stack.push((returned, returns_to));
            }
            ProbedCall {
                name,
                probe,
                hit,
                depth,
                jumped,
            }
        })
        .collect()
}

/// What to say of a hit that an interrupt caused on top of the task.
pub(super) fn describe_interrupt(hit: &Hit) -> Option<String> {
    let context = hit.context?;
    matches!(context, Context::Hardirq | Context::Softirq)
        .then(|| format!("in an interrupt ({})", context.name()))
}

/// One node of the tree, in the order of the calls.
pub(super) struct CallNode<'a> {
    /// The number of nodes that enclose it.
    pub depth: usize,
    /// Its kind.
    pub what: CallKind<'a>,
}

/// The kind of a node.
pub(super) enum CallKind<'a> {
    /// A call that a probe saw.
    Call(ProbedCall<'a>),
    /// A function that was inlined on the way to the next call: its name, and the line where its code was called.
    Inlined(String, String),
}

/// The inlined functions between a call and the function that the processor sees making it, the outermost first,
/// each with the line of its call.
fn inlined_functions(site: &Location) -> Vec<(String, String)> {
    let functions =
        std::iter::once(&site.function).chain(site.inlined_into.iter().map(|f| &f.function));
    let mut chain: Vec<(String, String)> = functions
        .zip(&site.inlined_into)
        .map(|(function, caller)| (function.clone(), format!("{}:{}", caller.file, caller.line)))
        .collect();
    chain.reverse();
    chain
}

/// The tree of an experiment.
pub(super) fn build_tree(experiment: &Experiment) -> Vec<CallNode<'_>> {
    let mut out = Vec::new();
    // The inlined functions that are open, by the depth of the call that they lead to, and that call.
    type Open<'a> = (Vec<(String, String)>, Option<(&'a Probe, &'a Hit)>);
    let mut open: Vec<Open<'_>> = Vec::new();
    for call in collect_calls(experiment) {
        open.resize(call.depth + 1, (Vec::new(), None));
        let chain = match call.hit.site.as_ref().and_then(Datum::value) {
            // A jump leaves no call site; the recorded one is that of the function that jumped.
            _ if call.jumped => Vec::new(),
            Some(Value::Location { value }) => inlined_functions(value),
            _ => Vec::new(),
        };
        let lengths = open[..call.depth].iter().map(|(chain, _)| chain.len());
        let above = call.depth + lengths.sum::<usize>();
        let (last, led_to) = &open[call.depth];
        let same = last.iter().zip(&chain).take_while(|(a, b)| a == b);
        // The same call from the same place once more: the functions around it were entered again, for all that is known. Two
        // system calls of a program do that.
        let again = led_to.is_some_and(|(probe, hit)| {
            std::ptr::eq(probe, call.probe) && hit.caller.is_some() && hit.caller == call.hit.caller
        });
        let known = if again { 0 } else { same.count() };
        for (index, (function, line)) in chain.iter().enumerate().skip(known) {
            out.push(CallNode {
                depth: above + index,
                what: CallKind::Inlined(function.clone(), line.clone()),
            });
        }
        let depth = above + chain.len();
        open[call.depth] = (chain, Some((call.probe, call.hit)));
        out.push(CallNode {
            depth,
            what: CallKind::Call(call),
        });
    }
    out
}

/// The lines that lead to each node: `│  └─ `.
pub(super) fn tree_prefixes(nodes: &[CallNode<'_>]) -> Vec<String> {
    let depths: Vec<usize> = nodes.iter().map(|node| node.depth).collect();
    let lead = |(index, depth): (usize, &usize)| {
        let part = |level: usize| {
            // Whether another node of this level follows before the level ends.
            let mut later = depths[index + 1..]
                .iter()
                .take_while(|later| **later >= level);
            match (level == *depth, later.any(|later| *later == level)) {
                (true, true) => "├─ ",
                (true, false) => "└─ ",
                (false, true) => "│  ",
                (false, false) => "   ",
            }
        };
        (1..=*depth).map(part).collect()
    };
    depths.iter().enumerate().map(lead).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::value::{InlineFrame, LineRole};

    /// Check that inlined functions come out outermost first, each with the line of its own call.
    #[test]
    fn inlined_chain() {
        let caller = |function: &str, line| InlineFrame {
            function: function.into(),
            file: "s.c".into(),
            line,
        };
        let site = Location {
            file: "s.c".into(),
            line: 30,
            function: "inner".into(),
            role: LineRole::Call,
            inlined_into: vec![caller("middle", 20), caller("outer", 10)],
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            inlined_functions(&site),
            [pair("middle", "s.c:10"), pair("inner", "s.c:20")]
        );
        let plain = Location {
            inlined_into: vec![],
            ..site
        };
        assert_eq!(inlined_functions(&plain), []);
    }

    /// Check that a call made twice from the same place does not appear to come out of one call of the function inlined around it.
    #[test]
    fn inlined_twice() {
        let recorded = include_bytes!("../../tests/evidence/debian-6.12.json");
        let evidence = qed_evidence::reader::read(recorded).unwrap();
        let is_inlined = |hit: &Hit| {
            let site = hit.site.as_ref().and_then(Datum::value);
            matches!(site, Some(Value::Location { value }) if !value.inlined_into.is_empty())
        };
        let found = evidence.experiments.values().find_map(|experiment| {
            let probes = experiment.probes.iter();
            let (name, hit) = probes
                .flat_map(|(name, probe)| probe.hits.iter().map(move |hit| (name, hit)))
                .find(|(_, hit)| is_inlined(hit) && hit.caller.is_some() && hit.order.is_some())?;
            Some((experiment.clone(), name.clone(), hit.clone()))
        });
        let (mut experiment, name, hit) = found.unwrap();
        experiment.probes.retain(|probe, _| *probe == name);
        let later = |order: Option<u64>| order.map(|order| order + 1000);
        let again = Hit {
            order: later(hit.order),
            return_order: later(hit.return_order),
            ..hit.clone()
        };
        let count = |experiment: &Experiment| {
            let nodes = build_tree(experiment);
            let inlined = |node: &&CallNode<'_>| matches!(node.what, CallKind::Inlined(..));
            nodes.iter().filter(inlined).count()
        };
        let set = |experiment: &mut Experiment, hits: Vec<Hit>| {
            experiment.probes.get_mut(&name).unwrap().hits = hits;
        };
        set(&mut experiment, vec![hit.clone()]);
        let once = count(&experiment);
        set(&mut experiment, vec![hit.clone(), again.clone()]);
        assert_eq!(count(&experiment), 2 * once);
        let elsewhere = Hit {
            caller: None,
            ..again
        };
        set(&mut experiment, vec![hit, elsewhere]);
        assert_eq!(count(&experiment), once);
    }

    /// Check the lines that lead to nodes, where levels go on and where they end.
    #[test]
    fn leads_to_nodes() {
        let nodes: Vec<CallNode<'_>> = [0, 1, 2, 1, 0]
            .into_iter()
            .map(|depth| CallNode {
                depth,
                what: CallKind::Inlined(String::new(), String::new()),
            })
            .collect();
        assert_eq!(tree_prefixes(&nodes), ["", "├─ ", "│  └─ ", "└─ ", ""]);
    }
}
