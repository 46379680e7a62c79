//! A linkage map: objects with their addresses, and the pointers in them with their places.
//!
//! Each line of the body is one of
//!
//! ```text
//! NAME: PATH            an object, and a path to its address (or to the number that stands for it)
//! NAME -> NAME: PATH    a pointer in the first object, and a path to what it holds; it should lead to the second
//! ```
//!
//! Structure, member and offset of a pointer are those that the evidence has for the read that PATH names. An arrow is drawn
//! only if the pointer holds exactly the address of its target.

mod layout;
mod map;
mod picture;

use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::linkage::map::read_map;
use crate::exhibits::linkage::picture::draw;
use crate::exhibits::request::{ExhibitRequest, caption};
use crate::markdown::syntax::SyntaxError;

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    if request.body.is_empty() {
        let help =
            "write `NAME: PATH` for an object, `NAME -> NAME: PATH` for a pointer".to_owned();
        return Err(SyntaxError::new(
            request.info.clone(),
            "the map has no object",
            help,
        ));
    }
    let (objects, machine) = read_map(request)?;
    let title = match request.words.option("title") {
        Some(title) => title.value.text.clone(),
        None => "Linkage map".to_owned(),
    };
    let caption = caption(request.book_data, machine, &title);
    let data = draw(request, &objects, caption, title);
    let mut uses: Vec<Use> = Vec::new();
    for object in objects {
        uses.push(object.shown);
        uses.extend(object.pointers.into_iter().map(|pointer| pointer.shown));
    }
    Ok(RenderedBlock {
        text: format!("{}\n{}", data.caption, data.text),
        html: request
            .book_data
            .evidence_set
            .templates
            .render("linkage", &data),
        machines: vec![machine],
        uses,
        ..RenderedBlock::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::machine_id::MachineId;
    use crate::exhibits::linkage::layout::render_text;
    use crate::exhibits::linkage::map::{Object, Pointer};

    fn used(text: &str) -> Use {
        Use {
            path: "a.b".into(),
            machine: Some(MachineId::new(0)),
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
        insta::assert_snapshot!(render_text(&map(
            "0xffff888100000000",
            "0xffff888100000040"
        )));
    }

    /// Check that the drawing keeps its shape whatever the values are: as wide, or narrower, or withheld.
    #[test]
    fn stays_aligned() {
        let drawing = |file: &str, socket: &str| -> Vec<String> {
            let text = render_text(&map(file, socket));
            // All heads of arrows are in the column in which the drawing begins.
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
}
