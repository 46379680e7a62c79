//! The rows of a linkage map, the lanes of its arrows, and the map as text.

use std::ops::Range;

use crate::exhibits::linkage::map::{Object, Pointer};

/// A row of the picture and of the text.
pub struct MapRow<'a> {
    /// Index of its object.
    pub object: usize,
    /// Its pointer; without one it is the head of the object.
    pub pointer: Option<&'a Pointer>,
}

/// A line from a pointer to its target, in a lane at the right.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The row that it leaves.
    pub from: usize,
    /// The row that it leads to.
    pub to: usize,
    /// Its lane, the first nearest to the boxes.
    pub lane: usize,
}

/// Give each arrow (from one row to another) a lane where it meets no other, the shortest nearest to the boxes.
fn assign_lanes(ends: &[(usize, usize)]) -> Vec<Arrow> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|i| (ends[*i].0.abs_diff(ends[*i].1), *i));
    let mut taken: Vec<Vec<Range<usize>>> = Vec::new();
    let mut out: Vec<Arrow> = Vec::new();
    for index in order {
        let (from, to) = ends[index];
        let span = from.min(to)..from.max(to) + 1;
        let free = |lane: &Vec<Range<usize>>| {
            lane.iter()
                .all(|r| r.end <= span.start || span.end <= r.start)
        };
        let lane = taken.iter().position(free).unwrap_or_else(|| {
            taken.push(Vec::new());
            taken.len() - 1
        });
        taken[lane].push(span);
        out.push(Arrow { from, to, lane });
    }
    out.sort_by_key(|arrow| (arrow.from, arrow.to));
    out
}

/// The rows of the map, each object followed by its pointers.
pub fn build_rows(objects: &[Object]) -> Vec<MapRow<'_>> {
    let mut rows = Vec::new();
    for (object, it) in objects.iter().enumerate() {
        rows.push(MapRow {
            object,
            pointer: None,
        });
        rows.extend(it.pointers.iter().map(|pointer| MapRow {
            object,
            pointer: Some(pointer),
        }));
    }
    rows
}

/// The arrows of those pointers that hold the address of their target.
pub fn build_arrows(rows: &[MapRow<'_>]) -> Vec<Arrow> {
    let head = |object: usize| {
        rows.iter()
            .position(|row| row.object == object && row.pointer.is_none())
            .unwrap_or(0)
    };
    let ends: Vec<(usize, usize)> = rows
        .iter()
        .enumerate()
        .filter_map(|(from, row)| {
            let pointer = row.pointer.filter(|p| p.holds == Some(true))?;
            Some((from, head(pointer.to)))
        })
        .collect();
    assign_lanes(&ends)
}

/// The remark on a pointer that has no arrow.
fn describe_pointer(pointer: &Pointer, objects: &[Object]) -> String {
    match pointer.holds {
        Some(true) => String::new(),
        Some(false) => format!("does NOT lead to {}", objects[pointer.to].name),
        None => format!("to {}: not known", objects[pointer.to].name),
    }
}

/// The map as text. Columns are as wide as what stands in them, so nothing moves when a value changes.
pub fn render_text(objects: &[Object]) -> String {
    let rows = build_rows(objects);
    let arrows = build_arrows(&rows);
    let first = |row: &MapRow<'_>| match row.pointer {
        None => objects[row.object].name.clone(),
        Some(pointer) => format!("  {}", pointer.label),
    };
    let second = |row: &MapRow<'_>| match row.pointer {
        None => objects[row.object].shown.text.clone(),
        Some(pointer) => pointer.shown.text.clone(),
    };
    let wide = |cell: &dyn Fn(&MapRow<'_>) -> String| {
        rows.iter()
            .map(|row| cell(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (left, right) = (wide(&first), wide(&second));
    let lanes = arrows.iter().map(|a| a.lane + 1).max().unwrap_or(0);
    let mut out = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let mut grid: Vec<char> = vec![' '; 3 + lanes * 3];
        for arrow in &arrows {
            let column = 3 + arrow.lane * 3;
            let ends = arrow.from == index || arrow.to == index;
            if ends {
                for cell in &mut grid[1..column] {
                    if *cell == ' ' {
                        *cell = '-';
                    }
                }
                grid[column] = '+';
            } else if (arrow.from.min(arrow.to)..arrow.from.max(arrow.to)).contains(&index) {
                grid[column] = '|';
            }
            if arrow.to == index {
                grid[0] = '<';
            }
        }
        let drawn: String = grid.into_iter().collect();
        let remark = row
            .pointer
            .map(|p| describe_pointer(p, objects))
            .unwrap_or_default();
        let line = format!(
            "{:<left$}  {:<right$} {drawn}{remark}",
            first(row),
            second(row)
        );
        out.push(line.trim_end().to_owned());
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that arrows that overlap never share a lane.
    #[test]
    fn lanes_do_not_meet() {
        let ends = [(1, 2), (3, 4), (5, 2), (6, 0), (0, 6)];
        let arrows = assign_lanes(&ends);
        assert_eq!(arrows.len(), ends.len());
        for (index, one) in arrows.iter().enumerate() {
            for other in &arrows[index + 1..] {
                let apart = one.from.max(one.to) < other.from.min(other.to)
                    || other.from.max(other.to) < one.from.min(one.to);
                assert!(one.lane != other.lane || apart, "{one:?} {other:?}");
            }
        }
    }
}
