//! The workload's own machine code around its system call.

use qed_evidence::document::Experiment;
use serde::Serialize;

use crate::evidence::machine_id::MachineId;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::exhibit_value::{self, ShownRow};
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::{ExhibitRequest, caption};
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct DisassemblyRow {
    address: ShownRow,
    bytes: ShownRow,
    instruction: ShownRow,
    calls: bool,
}

#[derive(Serialize)]
struct DisassemblyView {
    caption: String,
    rows: Vec<DisassemblyRow>,
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    request.show_experiment(|machine, name, experiment| {
        render_experiment(request, machine, name, experiment)
    })
}

fn render_experiment(
    request: &ExhibitRequest<'_, '_>,
    machine: MachineId,
    name: &str,
    experiment: &Experiment,
) -> Result<RenderedBlock, ExhibitGap> {
    let book_data = request.book_data;
    let Some(call) = &experiment.call else {
        return Err(ExhibitGap::NoCode);
    };
    let calling = call.call_instruction().map(|one| one.offset);
    let rows = (0..call.code.len())
        .map(|index| {
            let row = |leaf: &str| {
                let path = format!("{name}.call.insn{}.{leaf}", index + 1);
                exhibit_value::row_at(book_data, &path, machine)
            };
            Ok(DisassemblyRow {
                address: row("address")?,
                bytes: row("bytes")?,
                instruction: row("text")?,
                calls: calling == Some(call.code[index].offset),
            })
        })
        .collect::<Result<Vec<_>, ExhibitGap>>()?;
    let caption = caption(book_data, machine, &experiment.workload);
    let width = rows
        .iter()
        .map(|row| row.bytes.text.len())
        .max()
        .unwrap_or(0);
    let lines = rows.iter().map(|row| {
        let mark = if row.calls { "  <- makes the call" } else { "" };
        let (address, bytes, text) = (&row.address.text, &row.bytes.text, &row.instruction.text);
        format!("\n{address}  {bytes:<width$}  {text}{mark}")
    });
    let text = caption.clone() + &lines.collect::<String>();
    let uses = rows
        .iter()
        .flat_map(|row| [&row.address, &row.bytes, &row.instruction])
        .filter_map(ShownRow::to_use)
        .collect();
    Ok(RenderedBlock {
        html: book_data
            .evidence_set
            .templates
            .render("disassembly", &DisassemblyView { caption, rows }),
        text,
        machines: vec![machine],
        uses,
        ..RenderedBlock::default()
    })
}
