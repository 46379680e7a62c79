//! The rows of the tree of a call: their selection, their order, and the width of their bars.

use qed_evidence::document::{Graph, GraphCall};

/// The largest number of rows of one tree on a page. Deeper levels of a larger tree are counted, not shown.
pub const MAX_ROWS: usize = 4000;

/// One row: a run of a function, or several in a row that called nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Number of rows that enclose it.
    pub level: usize,
    /// Place of its function in [`Graph::functions`].
    pub function: usize,
    /// Number of runs.
    pub times: usize,
    /// Nanoseconds of all of them; `None`: it did not return.
    pub duration_ns: Option<u64>,
    /// True if it belongs to an interrupt.
    pub interrupt: bool,
    /// True if it ran after `sys_exit`.
    pub after_exit: bool,
    /// Number of runs below it that belong to the call.
    pub calls: usize,
    /// True if the next rows are what it calls.
    pub has_rows: bool,
    /// The beginning of its bar and the width of it, in hundredths of a percent of the time of the whole tree.
    pub bar: (u32, u32),
}

/// The rows of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The rows, callers before what they call.
    pub rows: Vec<RunRow>,
    /// The number of runs in the call that are deeper than the shown levels.
    pub left_out: usize,
    /// Nanoseconds of all roots.
    pub total_ns: u64,
}

/// A run with its data from the tree.
struct Node {
    run: GraphCall,
    /// One past the last run below it.
    end: usize,
    /// Nanoseconds that it takes on the page: its own, or those of what it called if it did not return.
    span: u64,
    /// Nanoseconds of the tree before it.
    start: u64,
}

/// The rows of the whole tree, or of what `below` names and all that it calls; empty if that is not in it. At most `limit` rows:
/// the deepest levels are left out until the others fit.
pub fn build_rows(graph: &Graph, below: Option<&str>, limit: usize) -> Rows {
    let mut nodes = build_nodes(graph);
    let roots = roots(graph, &nodes, below);
    let mut total = 0;
    for &root in &roots {
        place_runs(&mut nodes, root, total);
        total += nodes[root].span;
    }
    let built = |deepest: Option<u32>| {
        let mut out = Rows {
            total_ns: total,
            ..Rows::default()
        };
        for &root in &roots {
            let first = nodes[root].run.depth;
            let cut = deepest.map(|levels| first.saturating_add(levels));
            add_rows(&mut out, &nodes, graph, (root, first), cut);
        }
        mark_rows(&mut out.rows);
        out
    };
    let whole = built(None);
    if whole.rows.len() <= limit {
        return whole;
    }
    let levels = whole.rows.iter().map(|row| row.level).max().unwrap_or(0);
    let mut deepest = u32::try_from(levels).unwrap_or(u32::MAX);
    loop {
        let less = built(Some(deepest));
        if less.rows.len() <= limit || deepest == 1 {
            return less;
        }
        deepest -= 1;
    }
}

fn build_nodes(graph: &Graph) -> Vec<Node> {
    let runs: Vec<GraphCall> = graph.runs().collect();
    let mut ends = vec![runs.len(); runs.len()];
    let mut open: Vec<usize> = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        while open
            .last()
            .is_some_and(|&last| runs[last].depth >= run.depth)
        {
            ends[open.pop().unwrap_or_default()] = at;
        }
        open.push(at);
    }
    let mut nodes: Vec<Node> = runs
        .into_iter()
        .zip(ends)
        .map(|(run, end)| Node {
            run,
            end,
            span: run.duration_ns.unwrap_or(0),
            start: 0,
        })
        .collect();
    // From the last to the first: what a run called is known before itself.
    for at in (0..nodes.len()).rev() {
        if nodes[at].run.duration_ns.is_none() {
            nodes[at].span = children(&nodes, at).map(|child| nodes[child].span).sum();
        }
    }
    nodes
}

/// The runs that a run called itself.
fn children(nodes: &[Node], at: usize) -> impl Iterator<Item = usize> {
    let end = nodes[at].end;
    let mut next = at + 1;
    std::iter::from_fn(move || {
        let child = (next < end).then_some(next)?;
        next = nodes[child].end;
        Some(child)
    })
}

/// The runs at the left margin.
fn roots(graph: &Graph, nodes: &[Node], below: Option<&str>) -> Vec<usize> {
    let Some(name) = below else {
        let all = (0..nodes.len()).filter(|&at| nodes[at].run.depth == 0);
        return all.collect();
    };
    let named = graph.functions.iter().position(|one| one == name);
    let (mut out, mut at) = (Vec::new(), 0);
    while at < nodes.len() {
        let run = nodes[at].run;
        if Some(run.function) == named && !run.interrupt {
            out.push(at);
            at = nodes[at].end;
        } else {
            at += 1;
        }
    }
    out
}

/// Set the beginnings of a run and of all runs below it: the runs that it called are placed in its bar one after the other.
fn place_runs(nodes: &mut [Node], root: usize, start: u64) {
    nodes[root].start = start;
    for at in root..nodes[root].end {
        let mut next = nodes[at].start;
        let called: Vec<usize> = children(nodes, at).collect();
        for child in called {
            nodes[child].start = next;
            next += nodes[child].span;
        }
    }
}

/// Add a run and what it called down to the depth `cut`.
fn add_rows(
    out: &mut Rows,
    nodes: &[Node],
    graph: &Graph,
    (root, first): (usize, u32),
    cut: Option<u32>,
) {
    let own = |from: usize, to: usize| {
        nodes[from..to]
            .iter()
            .filter(|one| !one.run.interrupt)
            .count()
    };
    let mut at = root;
    while at < nodes[root].end {
        let node = &nodes[at];
        let run = node.run;
        let is_leaf = node.end == at + 1;
        let level = (run.depth - first) as usize;
        let folded = cut == Some(run.depth + 1);
        let before = at;
        at = if folded { node.end } else { at + 1 };
        let after_exit = before as u64 >= graph.before_exit;
        if folded {
            out.left_out += own(before + 1, node.end);
        }
        // What is called in a loop and calls nothing itself is one row.
        if is_leaf
            && let Some(last) = out.rows.last_mut()
            && last.function == run.function
            && last.level == level
            && last.calls == 0
            && last.interrupt == run.interrupt
            && last.after_exit == after_exit
            && before > root
            && nodes[before - 1].end == before
            && nodes[before - 1].run.depth == run.depth
            && let (Some(sum), Some(more)) = (last.duration_ns, run.duration_ns)
        {
            last.times += 1;
            last.duration_ns = Some(sum.saturating_add(more));
            last.bar.1 = last.bar.1.saturating_add(share(more, out.total_ns));
            continue;
        }
        out.rows.push(RunRow {
            level,
            function: run.function,
            times: 1,
            duration_ns: run.duration_ns,
            interrupt: run.interrupt,
            after_exit,
            calls: own(before + 1, node.end),
            has_rows: false,
            bar: (
                share(node.start, out.total_ns),
                run.duration_ns.map_or(0, |time| share(time, out.total_ns)),
            ),
        });
    }
}

/// Hundredths of a percent.
fn share(part: u64, total: u64) -> u32 {
    if total == 0 {
        return 0;
    }
    let share = u128::from(part) * 10_000 / u128::from(total);
    u32::try_from(share.min(10_000)).unwrap_or(10_000)
}

/// Notes which rows are followed by what they call, and keeps each bar within the picture.
fn mark_rows(rows: &mut [RunRow]) {
    for at in 0..rows.len() {
        rows[at].has_rows = rows
            .get(at + 1)
            .is_some_and(|next| next.level > rows[at].level);
        rows[at].bar.1 = rows[at].bar.1.min(10_000 - rows[at].bar.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a { b { c } irq { d } e e e } f
    fn graph() -> Graph {
        let functions = ["a", "b", "c", "irq", "d", "e", "f"];
        let calls = [
            "0 0 80", "1 1 30", "2 2 -", "1 3 10 i", "2 4 5 i", "1 5 4", "1 5 6", "1 5 10",
            "0 6 20",
        ];
        Graph {
            functions: functions.map(String::from).to_vec(),
            calls: calls.map(String::from).to_vec(),
            runs: 9,
            before_exit: 8,
            ..Graph::default()
        }
    }

    fn names(graph: &Graph, rows: &Rows) -> Vec<(usize, String, usize)> {
        let name = |row: &RunRow| (row.level, graph.functions[row.function].clone(), row.times);
        rows.rows.iter().map(name).collect()
    }

    /// Check that levels, counts and bars are those of the tree, and that equal leaves behind each other are one row.
    #[test]
    fn whole() {
        let graph = graph();
        let rows = build_rows(&graph, None, 100);
        let row = |level, name: &str, times| (level, name.to_owned(), times);
        assert_eq!(
            names(&graph, &rows),
            [
                row(0, "a", 1),
                row(1, "b", 1),
                row(2, "c", 1),
                row(1, "irq", 1),
                row(2, "d", 1),
                row(1, "e", 3),
                row(0, "f", 1)
            ]
        );
        assert_eq!((rows.total_ns, rows.left_out), (100, 0));
        let bars: Vec<(u32, u32)> = rows.rows.iter().map(|row| row.bar).collect();
        assert_eq!(
            bars,
            [
                (0, 8000),
                (0, 3000),
                (0, 0),
                (3000, 1000),
                (3000, 500),
                (4000, 2000),
                (8000, 2000)
            ]
        );
        // Interrupts are not the call's.
        let calls: Vec<usize> = rows.rows.iter().map(|row| row.calls).collect();
        assert_eq!(calls, [5, 1, 0, 0, 0, 0, 0]);
        let open: Vec<bool> = rows.rows.iter().map(|row| row.has_rows).collect();
        assert_eq!(open, [true, true, false, true, false, false, false]);
        assert!(rows.rows[6].after_exit && !rows.rows[5].after_exit);
    }

    /// Check that a part of the tree has times of its own, and that a function that did not run has no rows.
    #[test]
    fn part() {
        let graph = graph();
        let part = build_rows(&graph, Some("e"), 100);
        assert_eq!(part.rows.iter().map(|row| row.times).sum::<usize>(), 3);
        assert_eq!(part.total_ns, 20);
        assert!(
            build_rows(&graph, Some("d"), 100).rows.is_empty(),
            "of an interrupt"
        );
        assert!(build_rows(&graph, Some("g"), 100).rows.is_empty());
    }

    /// Check that a tree that is too large loses its deepest levels, and says how many runs those are.
    #[test]
    fn too_large() {
        let graph = graph();
        let less = build_rows(&graph, None, 5);
        assert!(less.rows.len() <= 5, "{less:?}");
        assert_eq!(less.left_out, 1, "{less:?}");
        let least = build_rows(&graph, None, 2);
        assert_eq!(names(&graph, &least).len(), 2);
        assert_eq!(least.left_out, 5);
    }
}
