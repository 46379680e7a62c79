//! The picture of a linkage map.

use serde::Serialize;

use crate::evidence::book_data::BookData;
use crate::evidence::provenance::Use;
use crate::exhibits::block::GAPS;
use crate::exhibits::linkage::layout::{build_arrows, build_rows, render_text};
use crate::exhibits::linkage::map::{Object, Pointer};
use crate::exhibits::request::ExhibitRequest;

/// Sizes of the picture, in its own units.
const CHARACTER: usize = 7;
const ROW: usize = 18;
const GAP: usize = 16;
const LANE: usize = 14;
const PADDING: usize = 8;

#[derive(Serialize)]
struct DrawnText {
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
struct DrawnArrow {
    /// The line, then its head.
    path: String,
    head: String,
}

/// The data of the template.
#[derive(Serialize)]
pub struct LinkageView {
    /// The caption of the exhibit.
    pub caption: String,
    title: String,
    description: String,
    width: usize,
    height: usize,
    boxes: usize,
    rects: Vec<Rect>,
    words: Vec<DrawnText>,
    lines: Vec<DrawnArrow>,
    /// The same as plain text.
    pub text: String,
}

/// The picture in words, for a reader who does not see it.
fn description(objects: &[Object]) -> String {
    let mut sentences = Vec::new();
    for object in objects {
        for pointer in &object.pointers {
            let member = pointer.label.split(' ').next().unwrap_or_default();
            let to = &objects[pointer.to].name;
            sentences.push(match pointer.holds {
                Some(true) => format!("{member} of {} leads to {to}.", object.name),
                Some(false) => format!("{member} of {} does not lead to {to}.", object.name),
                None => format!("Where {member} of {} leads is not known.", object.name),
            });
        }
    }
    sentences.join(" ")
}

/// A picture as it grows downwards.
struct Canvas<'a, 'f> {
    book_data: &'a BookData<'f>,
    words: Vec<DrawnText>,
    /// The height at which arrows leave and arrive, by row.
    at: Vec<usize>,
    /// The top of the next row.
    y: usize,
    /// The right end of the widest text.
    widest: usize,
}

impl Canvas<'_, '_> {
    /// Add a row: what it is and below that its value.
    fn add_row(&mut self, x: usize, name: (String, &'static str), used: &Use) {
        let y = self.y;
        self.add_text(x, y + ROW - 5, name.0, name.1, None);
        let value = short_value(used);
        self.add_text(x, y + 2 * ROW - 7, value, "qed-svg-value", Some(used));
        self.at.push(y + ROW);
        self.y += 2 * ROW;
    }

    fn add_text(
        &mut self,
        x: usize,
        y: usize,
        text: String,
        class: &'static str,
        used: Option<&Use>,
    ) {
        let length = text.chars().count() * CHARACTER;
        self.widest = self.widest.max(x + length);
        self.words.push(DrawnText {
            x,
            y,
            length,
            class,
            path: used
                .filter(|used| !GAPS.contains(&used.note.as_str()))
                .map(|used| used.path.clone()),
            machine: used
                .map(|used| used.machine_name(self.book_data))
                .unwrap_or_default(),
            text,
        });
    }
}

/// A value without the reason of a gap, which is in the text below: a picture has no room for it.
fn short_value(used: &Use) -> String {
    match used.note.as_str() {
        "UNVERIFIED" | "ERROR" | "WITHHELD" => used.note.clone(),
        _ => used.text.clone(),
    }
}

/// The label of a pointer with a mark if no arrow leaves it.
fn marked_label(pointer: &Pointer) -> String {
    let mark = match pointer.holds {
        Some(true) => "",
        Some(false) => " ✘",
        None => " ?",
    };
    format!("{}{mark}", pointer.label)
}

/// Draw the map.
pub fn draw(
    request: &ExhibitRequest<'_, '_>,
    objects: &[Object],
    caption: String,
    title: String,
) -> LinkageView {
    let mut canvas = Canvas {
        book_data: request.book_data,
        words: Vec::new(),
        at: Vec::new(),
        y: 1,
        widest: 0,
    };
    let mut rects = Vec::new();
    for object in objects {
        let top = canvas.y;
        let name = (object.name.clone(), "qed-svg-name");
        canvas.add_row(PADDING, name, &object.shown);
        for pointer in &object.pointers {
            let name = (marked_label(pointer), "qed-svg-member");
            canvas.add_row(PADDING + CHARACTER, name, &pointer.shown);
        }
        rects.push(Rect {
            y: top,
            height: canvas.y - top,
        });
        canvas.y += GAP;
    }
    let arrows = build_arrows(&build_rows(objects));
    let boxes = canvas.widest + PADDING;
    let lanes = arrows.iter().map(|a| a.lane + 1).max().unwrap_or(0);
    let lines = arrows
        .iter()
        .map(|arrow| {
            let (from, to) = (canvas.at[arrow.from], canvas.at[arrow.to]);
            let x = boxes + LANE + arrow.lane * LANE;
            let end = boxes + 2;
            DrawnArrow {
                path: format!("M{boxes} {from}H{x}V{to}H{end}"),
                head: format!("M{end} {to}l7 -4v8z"),
            }
        })
        .collect();
    LinkageView {
        caption,
        title,
        description: description(objects),
        width: boxes + (lanes + 1) * LANE + 2,
        height: canvas.y.saturating_sub(GAP) + 1,
        boxes: boxes - 1,
        rects,
        words: canvas.words,
        lines,
        text: render_text(objects),
    }
}
