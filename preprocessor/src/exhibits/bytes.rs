//! The exhibit `bytes`: the same bytes at several times, one below the other, with a mark on each byte that has changed since
//! the first time. Each line of the body is `LABEL: PATH`, the path of bytes.

use qed_evidence::Value;
use serde::Serialize;

use crate::evidence::provenance::{Use, used_machines};
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::exhibit_value::ShownRow;
use crate::exhibits::request::ExhibitRequest;
use crate::markdown::syntax::SyntaxError;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Byte {
    hex: String,
    differs: bool,
}

#[derive(Serialize)]
struct BytesRow {
    value: ShownRow,
    bytes: Vec<Byte>,
    verdict: String,
}

#[derive(Serialize)]
struct BytesView {
    rows: Vec<BytesRow>,
}

/// Each byte, and whether it differs from the byte at the same place of `first`.
fn mark_differences(bytes: &[u8], first: &[u8]) -> Vec<Byte> {
    bytes
        .iter()
        .enumerate()
        .map(|(at, byte)| Byte {
            hex: format!("{byte:02x}"),
            differs: first.get(at) != Some(byte),
        })
        .collect()
}

/// A row without markup: bytes that differ are in square brackets.
fn row_text(bytes: &[Byte]) -> String {
    let marked = |byte: &Byte| match byte.differs {
        true => format!("[{}]", byte.hex),
        false => format!(" {} ", byte.hex),
    };
    bytes.iter().map(marked).collect()
}

/// The remark on a row: how it differs from the first, and where it was cut.
fn describe_difference(index: usize, bytes: &[Byte], cut: Option<String>) -> String {
    let differs = match bytes.iter().filter(|byte| byte.differs).count() {
        _ if index == 0 => None,
        0 if cut.is_some() => Some("as in the first row, as far as it was kept".into()),
        0 => Some("as in the first row".into()),
        1 => Some("1 byte differs".into()),
        count => Some(format!("{count} bytes differ")),
    };
    let parts: Vec<String> = differs.into_iter().chain(cut).collect();
    parts.join(", ")
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let values = request.parse_rows()?;
    let mut first: Option<Vec<u8>> = None;
    let mut rows = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let bytes = match value.value() {
            Some(Value::Bytes { value } | Value::CutBytes { value, .. }) => Some(value.0.clone()),
            Some(other) => {
                let (_, span) = &request.body[index];
                let message = format!(
                    "`{}` holds a value of kind {}, not bytes",
                    value.label,
                    other.kind()
                );
                return Err(SyntaxError::new(span.clone(), message, None));
            }
            None => None,
        };
        let compared = match &bytes {
            Some(bytes) => mark_differences(bytes, first.get_or_insert_with(|| bytes.clone())),
            None => Vec::new(),
        };
        rows.push(BytesRow {
            verdict: describe_difference(
                index,
                &compared,
                value.value().and_then(Value::describe_cut),
            ),
            bytes: compared,
            value,
        });
    }
    let text: Vec<String> = rows
        .iter()
        .map(|row| match row.value.missing {
            true => format!("{}\n  {}", row.value.label, row.value.text),
            false => format!(
                "{}  {}\n {}",
                row.value.label,
                row.verdict,
                row_text(&row.bytes)
            )
            .replace("  \n", "\n"),
        })
        .collect();
    let uses: Vec<Use> = rows.iter().filter_map(|row| row.value.to_use()).collect();
    Ok(RenderedBlock {
        text: text.join("\n"),
        machines: used_machines(&uses, &[]),
        html: request
            .book_data
            .evidence_set
            .templates
            .render("bytes", &BytesView { rows }),
        uses,
        ..RenderedBlock::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that exactly the bytes that differ are marked, and those that the first row does not have.
    #[test]
    fn marks_what_differs() {
        let first = [0x0f, 0x1f, 0x44];
        let hooked = mark_differences(&[0xe8, 0x1f, 0x10], &first);
        assert_eq!(row_text(&hooked), "[e8] 1f [10]");
        assert_eq!(describe_difference(1, &hooked, None), "2 bytes differ");
        let cut = || Some("cut after 3 bytes".to_owned());
        assert_eq!(describe_difference(0, &hooked, cut()), "cut after 3 bytes");
        assert_eq!(
            describe_difference(1, &mark_differences(&first, &first), cut()),
            "as in the first row, as far as it was kept, cut after 3 bytes"
        );
        assert_eq!(
            describe_difference(2, &mark_differences(&first, &first), None),
            "as in the first row"
        );
        assert_eq!(row_text(&mark_differences(&[0x0f], &first)), " 0f ");
        assert_eq!(
            row_text(&mark_differences(&[0x0f, 0x1f, 0x44, 0x01], &first)),
            " 0f  1f  44 [01]"
        );
    }
}
