//! Which object points to which: objects with their addresses, and the pointers in them with their places.
//!
//! Each line of the body is one of
//!
//! ```text
//! NAME: PATH            an object, and a path to its address (or to the number that stands for it)
//! NAME -> NAME: PATH    a pointer in the first object, and a path to what it holds; it should lead to the second
//! ```
//!
//! Structure, member and offset of a pointer are those of the read that PATH names, as the evidence has them. An
//! arrow is drawn only where the pointer holds the very address of its target.

use std::ops::Range;

use qed_evidence::{Path, Value};
use serde::Serialize;

use crate::evidence::book_data::What;
use crate::evidence::provenance::Use;
use crate::exhibits::block::Rendered;
use crate::exhibits::request::{Looked, Request, caption};
use crate::markdown::syntax::{Spanned, SyntaxError, only_options, words};

/// Sizes of the picture, in its own units.
const CHARACTER: usize = 7;
const ROW: usize = 18;
const GAP: usize = 16;
const LANE: usize = 14;
const PADDING: usize = 8;

struct Pointer {
    from: usize,
    to: usize,
    /// `private_data +0xc8`.
    label: String,
    shown: Use,
    /// Whether it holds its target's address; `None` if one of the two is not known.
    holds: Option<bool>,
}

struct Object {
    name: String,
    shown: Use,
    pointers: Vec<Pointer>,
}

/// Reads the body.
fn read(request: &Request<'_, '_>) -> Result<(Vec<Object>, usize), SyntaxError> {
    struct Line {
        from: String,
        to: Option<Spanned>,
        path: Spanned,
        span: Range<usize>,
    }
    let mut lines = Vec::new();
    for (line, span) in request.body {
        let Some(colon) = line.find(':') else {
            let help = "write `NAME: PATH` for an object, `NAME -> NAME: PATH` for a pointer";
            return Err(SyntaxError::new(
                span.clone(),
                "the line has no colon",
                help.to_owned(),
            ));
        };
        let parsed = words(request.source, span.start + colon + 1..span.end)?;
        only_options(&parsed, &[])?;
        let [path] = &parsed.words[..] else {
            return Err(SyntaxError::new(span.clone(), "a line has one path", None));
        };
        let head = &line[..colon];
        let (from, to) = match head.find("->") {
            None => (head.trim(), None),
            Some(at) => {
                let name = head[at + 2..].trim();
                let lead = head[at + 2..].len() - head[at + 2..].trim_start().len();
                let start = span.start + at + 2 + lead;
                let to = Spanned {
                    text: name.to_owned(),
                    span: start..start + name.len(),
                };
                (head[..at].trim(), Some(to))
            }
        };
        lines.push(Line {
            from: from.to_owned(),
            to,
            path: path.clone(),
            span: span.start..span.start + from.len(),
        });
    }
    let machine = match request.machine()? {
        Some(machine) => machine,
        None => {
            let firsts: Vec<&str> = lines
                .iter()
                .map(|line| line.path.text.split('.').next().unwrap_or_default())
                .collect();
            request.facts.machine_for(&firsts)
        }
    };
    let look = |path: &Spanned| request.look(path, Some(machine), (None, None));
    let mut objects: Vec<(Object, Looked)> = Vec::new();
    for line in lines.iter().filter(|line| line.to.is_none()) {
        if objects.iter().any(|(object, _)| object.name == line.from) {
            let message = format!("there are two objects `{}`", line.from);
            return Err(SyntaxError::new(line.span.clone(), message, None));
        }
        let looked = look(&line.path)?;
        let object = Object {
            name: line.from.clone(),
            shown: looked.used.clone(),
            pointers: Vec::new(),
        };
        objects.push((object, looked));
    }
    let place = |name: &str, span: &Range<usize>| {
        let known = objects.iter().position(|(object, _)| object.name == name);
        known.ok_or_else(|| {
            let names = objects.iter().map(|(object, _)| object.name.as_str());
            let help = match qed_evidence::diagnostic::nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("say where it is: `{name}: PATH`"),
            };
            SyntaxError::new(span.clone(), format!("there is no object `{name}`"), help)
        })
    };
    let mut pointers = Vec::new();
    for line in &lines {
        let Some(to) = &line.to else { continue };
        let (from, to) = (place(&line.from, &line.span)?, place(&to.text, &to.span)?);
        let looked = look(&line.path)?;
        let holds = looked
            .value
            .as_ref()
            .and_then(number)
            .zip(objects[to].1.value.as_ref().and_then(number))
            .map(|(holds, target)| holds == target);
        pointers.push(Pointer {
            from,
            to,
            label: label(request, machine, &line.path.text),
            shown: looked.used,
            holds,
        });
    }
    let mut objects: Vec<Object> = objects.into_iter().map(|(object, _)| object).collect();
    for pointer in pointers {
        objects[pointer.from].pointers.push(pointer);
    }
    Ok((objects, machine))
}

/// What is compared: an address or another number.
fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Address { value, .. } | Value::Symbol { address: value, .. } => Some(value.0.into()),
        other => other.as_integer(),
    }
}

/// The member that a read takes, with its offset: `private_data +0xc8`; without evidence of it, the read's name.
fn label(request: &Request<'_, '_>, machine: usize, path: &str) -> String {
    let mut names: Vec<&str> = path.split('.').collect();
    let read = names.last().copied().unwrap_or_default().to_owned();
    names.retain(|name| qed_evidence::path::hit_number(name).is_none());
    let [experiment, probe, side @ ("entry" | "exit"), name] = names[..] else {
        return read;
    };
    let member = |leaf: &str| -> Option<String> {
        let path = format!("{experiment}.{probe}.members.{side}.{name}.{leaf}");
        let path: Path = path.parse().ok()?;
        match &request
            .facts
            .show(&path, Some(machine))
            .as_ref()
            .as_ref()
            .ok()?
            .what
        {
            What::Value(value, _) => Some(value.to_string()),
            _ => None,
        }
    };
    match (member("name"), member("offset")) {
        (Some(name), Some(offset)) => format!("{name} +{offset}"),
        _ => read,
    }
}

/// A row of the picture and of the text.
struct Row<'a> {
    object: usize,
    pointer: Option<&'a Pointer>,
}

/// A line from a pointer to its target, in a lane at the right.
#[derive(Debug, PartialEq, Eq)]
struct Arrow {
    from: usize,
    to: usize,
    lane: usize,
}

/// Gives each arrow (from one row to another) a lane where it meets no other, the shortest nearest to the boxes.
fn lanes(ends: &[(usize, usize)]) -> Vec<Arrow> {
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

fn rows(objects: &[Object]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (object, it) in objects.iter().enumerate() {
        rows.push(Row {
            object,
            pointer: None,
        });
        rows.extend(it.pointers.iter().map(|pointer| Row {
            object,
            pointer: Some(pointer),
        }));
    }
    rows
}

fn arrows(rows: &[Row<'_>]) -> Vec<Arrow> {
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
    lanes(&ends)
}

/// What is said of a pointer that has no arrow.
fn remark(pointer: &Pointer, objects: &[Object]) -> String {
    match pointer.holds {
        Some(true) => String::new(),
        Some(false) => format!("does NOT lead to {}", objects[pointer.to].name),
        None => format!("to {}: not known", objects[pointer.to].name),
    }
}

/// The map as text. Columns are as wide as what stands in them, so nothing moves when a value changes.
fn text(objects: &[Object]) -> String {
    let rows = rows(objects);
    let arrows = arrows(&rows);
    let first = |row: &Row<'_>| match row.pointer {
        None => objects[row.object].name.clone(),
        Some(pointer) => format!("  {}", pointer.label),
    };
    let second = |row: &Row<'_>| match row.pointer {
        None => objects[row.object].shown.text.clone(),
        Some(pointer) => pointer.shown.text.clone(),
    };
    let wide = |cell: &dyn Fn(&Row<'_>) -> String| {
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
        let remark = row.pointer.map(|p| remark(p, objects)).unwrap_or_default();
        let line = format!(
            "{:<left$}  {:<right$} {drawn}{remark}",
            first(row),
            second(row)
        );
        out.push(line.trim_end().to_owned());
    }
    out.join("\n")
}

#[derive(Serialize)]
struct Words {
    x: usize,
    y: usize,
    length: usize,
    text: String,
    class: &'static str,
    path: Option<String>,
    machine: String,
}

#[derive(Serialize)]
struct Rect {
    y: usize,
    height: usize,
}

#[derive(Serialize)]
struct Line {
    /// The line, then its head.
    path: String,
    head: String,
}

#[derive(Serialize)]
struct Data {
    caption: String,
    title: String,
    description: String,
    width: usize,
    height: usize,
    boxes: usize,
    rects: Vec<Rect>,
    words: Vec<Words>,
    lines: Vec<Line>,
    text: String,
}

/// What a reader who does not see the picture is told.
fn description(objects: &[Object]) -> String {
    let mut said = Vec::new();
    for object in objects {
        for pointer in &object.pointers {
            let member = pointer.label.split(' ').next().unwrap_or_default();
            let to = &objects[pointer.to].name;
            said.push(match pointer.holds {
                Some(true) => format!("{member} of {} leads to {to}.", object.name),
                Some(false) => format!("{member} of {} does not lead to {to}.", object.name),
                None => format!("Where {member} of {} leads is not known.", object.name),
            });
        }
    }
    said.join(" ")
}

fn picture(request: &Request<'_, '_>, objects: &[Object], caption: String, title: String) -> Data {
    let facts = request.facts;
    let rows = rows(objects);
    let arrows = arrows(&rows);
    let short = |used: &Use| match used.note.as_str() {
        // The reason is in the text below; a picture has no room for it.
        "UNVERIFIED" | "ERROR" | "WITHHELD" => used.note.clone(),
        _ => used.text.clone(),
    };
    let mut words = Vec::new();
    let mut rects = Vec::new();
    // The height at which arrows leave and arrive.
    let mut at = Vec::new();
    let mut y = 1;
    let mut widest = 0;
    let mut add = |x: usize, y: usize, text: String, class: &'static str, used: Option<&Use>| {
        let length = text.chars().count() * CHARACTER;
        widest = widest.max(x + length);
        words.push(Words {
            x,
            y,
            length,
            class,
            path: used
                .filter(|used| !crate::exhibits::block::GAPS.contains(&used.note.as_str()))
                .map(|used| used.path.clone()),
            machine: used
                .map(|used| used.machine_name(facts))
                .unwrap_or_default(),
            text,
        });
    };
    for object in objects {
        let top = y;
        add(
            PADDING,
            y + ROW - 5,
            object.name.clone(),
            "qed-svg-name",
            None,
        );
        add(
            PADDING,
            y + 2 * ROW - 7,
            short(&object.shown),
            "qed-svg-value",
            Some(&object.shown),
        );
        at.push(y + ROW);
        y += 2 * ROW;
        for pointer in &object.pointers {
            let mut label = pointer.label.clone();
            if pointer.holds != Some(true) {
                label.push_str(if pointer.holds.is_some() {
                    " ✘"
                } else {
                    " ?"
                });
            }
            add(
                PADDING + CHARACTER,
                y + ROW - 5,
                label,
                "qed-svg-member",
                None,
            );
            add(
                PADDING + CHARACTER,
                y + 2 * ROW - 7,
                short(&pointer.shown),
                "qed-svg-value",
                Some(&pointer.shown),
            );
            at.push(y + ROW);
            y += 2 * ROW;
        }
        rects.push(Rect {
            y: top,
            height: y - top,
        });
        y += GAP;
    }
    let boxes = widest + PADDING;
    let lanes = arrows.iter().map(|a| a.lane + 1).max().unwrap_or(0);
    let lines = arrows
        .iter()
        .map(|arrow| {
            let (from, to) = (at[arrow.from], at[arrow.to]);
            let x = boxes + LANE + arrow.lane * LANE;
            let end = boxes + 2;
            Line {
                path: format!("M{boxes} {from}H{x}V{to}H{end}"),
                head: format!("M{end} {to}l7 -4v8z"),
            }
        })
        .collect();
    Data {
        caption,
        title,
        description: description(objects),
        width: boxes + (lanes + 1) * LANE + 2,
        height: y.saturating_sub(GAP) + 1,
        boxes: boxes - 1,
        rects,
        words,
        lines,
        text: text(objects),
    }
}

/// Renders the exhibit.
pub fn render(request: &Request<'_, '_>) -> Result<Rendered, SyntaxError> {
    if request.body.is_empty() {
        let help =
            "write `NAME: PATH` for an object, `NAME -> NAME: PATH` for a pointer".to_owned();
        return Err(SyntaxError::new(
            request.info.clone(),
            "the map has no object",
            help,
        ));
    }
    let (objects, machine) = read(request)?;
    let title = match request.words.option("title") {
        Some(title) => title.value.text.clone(),
        None => "Linkage map".to_owned(),
    };
    let caption = caption(request.facts, machine, &title);
    let data = picture(request, &objects, caption, title);
    let mut uses: Vec<Use> = Vec::new();
    for object in objects {
        uses.push(object.shown);
        uses.extend(object.pointers.into_iter().map(|pointer| pointer.shown));
    }
    Ok(Rendered {
        text: format!("{}\n{}", data.caption, data.text),
        html: request.facts.templates.render("linkage", &data),
        machines: vec![machine],
        uses,
        ..Rendered::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Use {
        Use {
            path: "a.b".into(),
            machine: Some(0),
            style: None,
            text: text.into(),
            note: String::new(),
            listed: false,
        }
    }

    fn pointer(from: usize, to: usize, label: &str, value: &str, holds: Option<bool>) -> Pointer {
        Pointer {
            from,
            to,
            label: label.into(),
            shown: used(value),
            holds,
        }
    }

    fn map(file: &str, socket: &str) -> Vec<Object> {
        let object = |name: &str, at: &str, pointers| Object {
            name: name.into(),
            shown: used(at),
            pointers,
        };
        vec![
            object("fd", "3", vec![pointer(0, 1, "entry", file, Some(true))]),
            object(
                "struct file",
                file,
                vec![pointer(1, 2, "private_data +0xc8", socket, Some(true))],
            ),
            object(
                "struct socket",
                socket,
                vec![
                    pointer(2, 1, "file +0x10", file, Some(true)),
                    pointer(2, 0, "sk +0x18", "0x5", Some(false)),
                ],
            ),
        ]
    }

    /// Check the text of a map, with arrows down and back up, and a pointer that leads elsewhere.
    #[test]
    fn golden() {
        insta::assert_snapshot!(text(&map("0xffff888100000000", "0xffff888100000040")));
    }

    /// Check that the drawing keeps its shape whatever the values are: as wide, or narrower, or withheld.
    #[test]
    fn stays_aligned() {
        let drawing = |file: &str, socket: &str| -> Vec<String> {
            let text = text(&map(file, socket));
            // All heads of arrows stand in the column in which the drawing begins.
            let heads = text
                .lines()
                .filter_map(|line| line.chars().position(|c| c == '<'));
            let start = heads.clone().min().unwrap();
            assert!(heads.into_iter().all(|head| head == start), "{text}");
            let lines = text.lines();
            lines
                .map(|line| line.chars().skip(start).collect())
                .collect()
        };
        let wanted = drawing("0xffff888100000000", "0xffff888100000040");
        for (file, socket) in [("1", "pointer#22"), ("UNVERIFIED (none)", "2"), ("µµ", "")] {
            assert_eq!(drawing(file, socket), wanted);
        }
    }

    /// Check that arrows that overlap never share a lane.
    #[test]
    fn lanes_do_not_meet() {
        let ends = [(1, 2), (3, 4), (5, 2), (6, 0), (0, 6)];
        let arrows = lanes(&ends);
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
