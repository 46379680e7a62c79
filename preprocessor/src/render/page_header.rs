//! The block at the top of a page that says where its values come from.

use qed_evidence::redact::is_redacted;
use serde::Serialize;

use crate::evidence::book_data::BookData;
use crate::evidence::format::format_age;
use crate::evidence::locations::Origin;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::{MARK, Target};
use crate::markdown::chapter::Chapter;
use crate::markdown::splice::Edit;
use crate::templates;

#[derive(Serialize)]
struct HeaderRow {
    path: String,
    machine: String,
    style: Option<String>,
    text: String,
    label: String,
}

#[derive(Serialize)]
struct HeaderView {
    style: &'static str,
    summary: String,
    notices: Vec<String>,
    rows: Vec<HeaderRow>,
    machines: Vec<String>,
    literals: usize,
}

/// The mark of a page that shows placeholders on purpose and is otherwise untouched.
pub fn literals_mark(count: usize) -> String {
    format!("<div hidden data-qed-literals=\"{count}\"></div>")
}

/// Notices that the reader must see before believing a value of these machines.
pub fn notices(book_data: &BookData<'_>, machines: &[MachineId]) -> Vec<String> {
    let mut notices = Vec::new();
    let mut old = Vec::new();
    for loaded in machines.iter().map(|machine| book_data.machine(*machine)) {
        let time = loaded.evidence.run.time.parse::<jiff::Timestamp>();
        let time = time.map_or_else(
            |_| loaded.evidence.run.time.clone(),
            crate::evidence::format::format_minute,
        );
        if loaded.origin == Origin::Recorded {
            notices.push(format!(
                "Recorded evidence: the values of {} were not measured when this page was built, but \
                 recorded on {time}; they were {} then.",
                loaded.machine,
                loaded.age_s.map_or_else(|| "of unknown age".into(), format_age)
            ));
        }
        if is_redacted(&loaded.evidence) {
            notices.push(format!(
                "Addresses of {} are withheld, because they would tell where a live machine's kernel is. Pointers have \
                 stand-ins: equal pointers have the same. Claims were judged on what was measured.",
                loaded.machine
            ));
        }
        if let Some(what) = loaded.uncompared_text() {
            notices.push(format!(
                "Not compared: whether the values of {} are of what would run now is not known everywhere: {what}.",
                loaded.machine
            ));
        }
        if let Some(reasons) = loaded.stale_text() {
            old.push(OutOfDate {
                machine: &loaded.machine,
                time,
                reasons,
            });
        }
    }
    notices.extend(out_of_date_notice(&old));
    notices
}

/// A machine whose values are out of date.
struct OutOfDate<'a> {
    machine: &'a str,
    time: String,
    reasons: String,
}

/// One notice for all machines that are out of date; those with the same reasons share them.
fn out_of_date_notice(old: &[OutOfDate<'_>]) -> Option<String> {
    let mut groups: Vec<(&str, Vec<&OutOfDate<'_>>)> = Vec::new();
    for one in old {
        match groups
            .iter_mut()
            .find(|(reasons, _)| *reasons == one.reasons)
        {
            Some((_, group)) => group.push(one),
            None => groups.push((&one.reasons, vec![one])),
        }
    }
    let reported = groups.iter().map(|(reasons, group)| {
        let machines: Vec<&str> = group.iter().map(|one| one.machine).collect();
        let mut times: Vec<&str> = group.iter().map(|one| one.time.as_str()).collect();
        times.dedup();
        format!(
            "the values of {}, marked {MARK}, were measured on {}, and {reasons}",
            machines.join(" and "),
            times.join(" and ")
        )
    });
    let reported: Vec<String> = reported.collect();
    (!reported.is_empty()).then(|| format!("Out of date: {}.", reported.join("; ")))
}

/// The machines whose evidence was recorded earlier. Each page of the book says that it depends on them, even if it shows no
/// value.
pub fn recorded_machines(book_data: &BookData<'_>) -> Vec<MachineId> {
    book_data
        .machine_ids()
        .filter(|machine| book_data.machine(*machine).origin == Origin::Recorded)
        .collect()
}

/// The block at the top of a page that shows no value, in a book that rests on recorded evidence.
pub fn recorded_header_html(book_data: &BookData<'_>, literals: usize) -> String {
    book_data.evidence_set.templates.render(
        "page",
        &HeaderView {
            style: templates::style_sheet(),
            summary: "This page shows no measured value".into(),
            notices: notices(book_data, &recorded_machines(book_data)),
            rows: Vec::new(),
            machines: Vec::new(),
            literals,
        },
    )
}

/// The block at the top of a page, on one line. Its text is in attributes, which a style sheet shows: so it is
/// neither in the search index nor in copied text. Only notices, which must not be missed, are text.
pub fn header_html(
    book_data: &BookData<'_>,
    uses: &[Use],
    machines: &[MachineId],
    literals: usize,
) -> String {
    let mut rows: Vec<HeaderRow> = Vec::new();
    for used in uses.iter().filter(|u| u.listed) {
        let row = HeaderRow {
            path: used.path.clone(),
            machine: used.machine_name(book_data),
            style: used.style.clone(),
            text: used.text.clone(),
            label: format!(
                "{} ← {}",
                used.text,
                used.provenance(book_data).replace('\n', " · ")
            ),
        };
        if !rows
            .iter()
            .any(|r| r.path == row.path && r.text == row.text && r.machine == row.machine)
        {
            rows.push(row);
        }
    }
    let names: Vec<&str> = machines
        .iter()
        .map(|i| book_data.machine(*i).machine.as_str())
        .collect();
    // An exhibit of a sweep shows other kernels than the book's machines.
    let elsewhere = names.is_empty() && uses.is_empty();
    let summary = if elsewhere {
        "This page shows no value of the book's own machines".to_owned()
    } else if names.is_empty() {
        "No machine could show the values of this page".to_owned()
    } else {
        format!("Measured on {}", names.join(", "))
    };
    book_data.evidence_set.templates.render(
        "page",
        &HeaderView {
            style: templates::style_sheet(),
            summary,
            notices: match elsewhere {
                true => notices(book_data, &recorded_machines(book_data)),
                false => notices(book_data, machines),
            },
            rows,
            machines: machines
                .iter()
                .map(|machine| book_data.origin(*machine))
                .collect(),
            literals,
        },
    )
}

/// The same as plain text: one line for each machine, and the notices.
pub fn header_text(book_data: &BookData<'_>, machines: &[MachineId]) -> String {
    let mut out = String::new();
    for notice in notices(book_data, machines) {
        out.push_str(&notice);
        out.push('\n');
    }
    for machine in machines {
        out.push_str("Measured on ");
        out.push_str(&book_data.origin(*machine));
        out.push('\n');
    }
    out
}

/// The mark of a chapter that shows placeholders on purpose and none else, for the check of the site.
pub fn literals_edit(chapter: &Chapter, target: Target) -> Option<Edit> {
    let count = chapter.escapes.len();
    (count > 0 && target == Target::Html).then(|| Edit {
        range: 0..0,
        text: format!("{}\n\n", literals_mark(count)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that one notice tells of all machines that are out of date, and each reason once.
    #[test]
    fn one_notice_for_all_machines() {
        let old = |machine, reasons: &str| OutOfDate {
            machine,
            time: "noon".into(),
            reasons: reasons.into(),
        };
        assert_eq!(out_of_date_notice(&[]), None);
        let reported = out_of_date_notice(&[old("a", "x"), old("b", "y"), old("c", "x")]).unwrap();
        assert_eq!(
            reported,
            "Out of date: the values of a and c, marked †, were measured on noon, and x; the values of b, marked †, were \
             measured on noon, and y."
        );
    }
}
