//! A table of values: each line of its body is `PATH as="…"`, optionally with a `LABEL:` before it.

use serde::Serialize;

use crate::evidence::provenance::{Use, used_machines};
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::exhibit_value::{self, ShownRow};
use crate::exhibits::request::{ExhibitRequest, origins_caption};
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct TableView {
    caption: Option<String>,
    rows: Vec<ShownRow>,
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let rows = request.parse_rows()?;
    let uses: Vec<Use> = rows.iter().filter_map(ShownRow::to_use).collect();
    let width = rows
        .iter()
        .map(|row| row.label.chars().count())
        .max()
        .unwrap_or(0);
    let text: Vec<String> = rows
        .iter()
        .map(|row| format!("{:<width$}  {}", row.label, row.text))
        .collect();
    let machines = used_machines(&uses, &[]);
    let caption = origins_caption(request.book_data, &machines);
    Ok(RenderedBlock {
        text: (caption.iter().cloned())
            .chain(text)
            .collect::<Vec<_>>()
            .join("\n"),
        machines,
        html: request
            .book_data
            .evidence_set
            .templates
            .render("table", &TableView { caption, rows }),
        uses,
        ..RenderedBlock::default()
    })
}

impl ExhibitRequest<'_, '_> {
    /// The values that the lines of the body name; at least one.
    pub(super) fn parse_rows(&self) -> Result<Vec<ShownRow>, SyntaxError> {
        let machine = self.machine()?;
        if self.body.is_empty() {
            let help = "write one path in each line between the fences".to_owned();
            return Err(SyntaxError::new(
                self.info.clone(),
                "the exhibit has no row",
                help,
            ));
        }
        self.body
            .iter()
            .map(|(line, span)| exhibit_value::parse_row(self, line, span, machine))
            .collect()
    }
}
