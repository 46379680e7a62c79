//! The allocations of an experiment, and their frees.

use qed_evidence::document::{Allocation, Experiment};
use qed_evidence::value::Frame;
use serde::Serialize;

use crate::evidence::format::format_duration;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::{ExhibitRequest, caption};
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct LedgerRow {
    object: String,
    cache: String,
    size: String,
    by: String,
    fate: String,
}

#[derive(Serialize)]
struct LedgerView {
    caption: String,
    rows: Vec<LedgerRow>,
    sum: String,
}

/// The functions on a stack, the innermost three of those that have a name.
fn caller_names(stack: &[Frame]) -> String {
    let names: Vec<&str> = stack
        .iter()
        .filter_map(|f| f.symbol.as_deref())
        .take(3)
        .collect();
    if names.is_empty() {
        "unknown".into()
    } else {
        names.join(" < ")
    }
}

fn describe_fate(allocation: &Allocation) -> String {
    match (&allocation.freed, &allocation.excused) {
        (Some(free), _) => {
            let after = free.time_ns.saturating_sub(allocation.time_ns);
            let task = if free.same_task {
                "itself".to_owned()
            } else {
                free.task.clone()
            };
            format!(
                "freed after {} by {task}: {}",
                format_duration(after),
                caller_names(&free.stack)
            )
        }
        (None, Some(reason)) => format!("kept: {reason}"),
        (None, None) => "NOT FREED".into(),
    }
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
    let Some(ledger) = &experiment.objects else {
        return Err(ExhibitGap::NoLedger);
    };
    let rows: Vec<LedgerRow> = ledger
        .allocations
        .iter()
        .map(|a| LedgerRow {
            object: a.address.to_string(),
            cache: a.cache.clone().unwrap_or_else(|| a.probe.clone()),
            size: a.size.map_or_else(String::new, |size| size.to_string()),
            by: caller_names(&a.stack),
            fate: describe_fate(a),
        })
        .collect();
    let freed = ledger
        .allocations
        .iter()
        .filter(|a| a.freed.is_some())
        .count();
    let sum = format!("{} allocated, {freed} freed", ledger.allocations.len());
    let caption = caption(book_data, machine, &experiment.workload);
    let mut text = caption.clone();
    for row in &rows {
        text.push_str(&format!(
            "\n{}  {:<20} {:>6}  {}\n    {}",
            row.object, row.cache, row.size, row.by, row.fate
        ));
    }
    text.push_str(&format!("\n{sum}"));
    Ok(RenderedBlock {
        html: book_data
            .evidence_set
            .templates
            .render("ledger", &LedgerView { caption, rows, sum }),
        text,
        machines: vec![machine],
        uses: vec![Use::new_dependency(format!("{name}.objects"), machine)],
        ..RenderedBlock::default()
    })
}
