//! Addresses one below the other, such as the content of one memory location at several times; that they are of one location, and in
//! the order of time, is what the author says. Each line of the body is `LABEL: PATH`, the path of an address. Equal values have the same
//! letter, and boxes of the same style.

use qed_evidence::Value;
use serde::Serialize;

use crate::evidence::provenance::{Use, used_machines};
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::exhibit_value::ShownRow;
use crate::exhibits::request::{ExhibitRequest, origins_caption};
use crate::markdown::syntax::SyntaxError;

/// Height of one row of the picture, in its own units; it is 360 of them wide.
const ROW: usize = 56;
/// Characters of a name that fit into a box.
const FITS: usize = 30;

#[derive(Serialize)]
struct SlotRow {
    value: ShownRow,
    /// `A`, `B`, …: equal values have equal letters; `?` where there is none.
    letter: String,
    /// 0, 1 or 2: the look of the box.
    look: usize,
    /// The text of the box.
    name: String,
    y: usize,
    text_y: usize,
    label_y: usize,
    mark_y: usize,
}

#[derive(Serialize)]
struct SlotView {
    caption: Option<String>,
    rows: Vec<SlotRow>,
    height: usize,
    title: String,
    description: String,
}

fn address_number(value: &Value) -> Option<u64> {
    match value {
        Value::Address { value, .. } | Value::Symbol { address: value, .. } => Some(value.0),
        _ => None,
    }
}

/// The symbol that the address leads to, or its text.
fn symbol_name(value: Option<&Value>, text: &str) -> String {
    let full = match value {
        Some(Value::Address {
            symbol: Some(symbol),
            ..
        }) => symbol.clone(),
        Some(Value::Symbol { name, offset, .. }) => format!("{name}+{offset:#x}"),
        _ => text.to_owned(),
    };
    match full.chars().count() > FITS {
        true => full.chars().take(FITS - 1).chain(['…']).collect(),
        false => full,
    }
}

/// The rows as text, each a line.
fn format_rows(rows: &[SlotRow]) -> Vec<String> {
    let width = rows
        .iter()
        .map(|row| row.value.label.chars().count())
        .max()
        .unwrap_or(0);
    rows.iter()
        .map(|row| match row.value.missing {
            true => format!("{:<width$}  ?  {}", row.value.label, row.value.text),
            false => format!(
                "{:<width$}  {}  {}  {}",
                row.value.label, row.letter, row.value.text, row.name
            ),
        })
        .collect()
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let values = request.parse_rows()?;
    let mut seen: Vec<u64> = Vec::new();
    let mut rows = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let address = match value.value().map(|v| (address_number(v), v.kind())) {
            None => None,
            Some((Some(address), _)) => Some(address),
            Some((None, kind)) => {
                let (_, span) = &request.body[index];
                let message = format!(
                    "`{}` holds a value of kind {kind}, not an address",
                    value.label
                );
                return Err(SyntaxError::new(span.clone(), message, None));
            }
        };
        let place = address.map(|address| {
            seen.iter()
                .position(|known| *known == address)
                .unwrap_or_else(|| {
                    seen.push(address);
                    seen.len() - 1
                })
        });
        let letter = match place {
            Some(place) => char::from(b'A' + (place % 26) as u8).to_string(),
            None => "?".into(),
        };
        let y = index * ROW;
        rows.push(SlotRow {
            name: symbol_name(
                value.value(),
                if value.missing {
                    "not known"
                } else {
                    &value.text
                },
            ),
            look: place.map_or(2, |place| place.min(2)),
            letter,
            y: y + 22,
            label_y: y + 16,
            text_y: y + 40,
            mark_y: y + 40,
            value,
        });
    }
    let text = format_rows(&rows);
    let uses: Vec<Use> = rows.iter().filter_map(|row| row.value.to_use()).collect();
    let description: Vec<String> = rows
        .iter()
        .map(|row| format!("{}: {} ({})", row.value.label, row.letter, row.name))
        .collect();
    let machines = used_machines(&uses, &[]);
    let caption = origins_caption(request.book_data, &machines);
    let text: Vec<String> = caption.iter().cloned().chain(text).collect();
    let data = SlotView {
        caption,
        height: rows.len() * ROW,
        title: "Addresses in the order of the page; equal letters are equal addresses".into(),
        description: description.join("; "),
        rows,
    };
    Ok(RenderedBlock {
        text: text.join("\n"),
        machines,
        html: request
            .book_data
            .evidence_set
            .templates
            .render("slot", &data),
        uses,
        ..RenderedBlock::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::value::Address;

    /// Check that a box says the symbol where there is one, and that a long name is cut to fit.
    #[test]
    fn names_fit() {
        let address = |symbol: Option<&str>| Value::Address {
            value: Address(0x10),
            type_name: None,
            symbol: symbol.map(str::to_owned),
        };
        assert_eq!(symbol_name(Some(&address(Some("f+0x3"))), "0x10"), "f+0x3");
        assert_eq!(symbol_name(Some(&address(None)), "pointer#1"), "pointer#1");
        let long = "x".repeat(50);
        assert_eq!(
            symbol_name(Some(&address(Some(&long))), "").chars().count(),
            FITS
        );
    }
}
