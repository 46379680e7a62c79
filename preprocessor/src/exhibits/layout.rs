//! The layout of a structure: offsets, sizes, holes and cache lines, with the differences on another machine.

use std::fmt::Write as _;

use qed_evidence::diagnostic::nearest;
use qed_evidence::document::Evidence;
use qed_evidence::document::MemberFacts;
use qed_evidence::document::facts::TypeFacts;
use qed_evidence::value::Value;
use serde::Serialize;

use crate::evidence::book_data::BookData;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::{ExhibitRequest, caption, render_gap, render_without_evidence};
use crate::markdown::syntax::SyntaxError;

/// Bytes of a cache line of x86-64
/// (<https://elixir.bootlin.com/linux/v6.12/source/arch/x86/Kconfig.cpu>, `X86_L1_CACHE_SHIFT`).
const LINE: u64 = 64;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct LayoutRow {
    /// Bytes from the beginning of the structure.
    offset: String,
    /// Bytes, or the bits of a bit field.
    size: String,
    /// The name of the member, or a description of the gap.
    name: String,
    /// Its type.
    type_name: String,
    /// An experiment of the machine reads it.
    read: bool,
    /// True if the row is not a member, but a hole or the beginning of a cache line.
    gap: bool,
    /// The differences on the other machine.
    moved: String,
}

#[derive(Serialize)]
struct LayoutView {
    caption: String,
    beside: Option<String>,
    rows: Vec<LayoutRow>,
    notes: Vec<String>,
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let name = planned_type(request)?;
    let book_data = request.book_data;
    let machine = request.machine()?;
    let machine = machine.unwrap_or_else(|| book_data.default_machine("types"));
    let beside = match request.words.option("beside") {
        None => None,
        Some(option) => match book_data.find_machine(&option.value.text) {
            Ok(Some(other)) => Some(other),
            Ok(None) => return Ok(render_without_evidence(book_data, &option.value.text)),
            Err(unknown) => {
                return Err(SyntaxError::new(
                    option.value.span.clone(),
                    unknown.to_string(),
                    None,
                ));
            }
        },
    };
    let facts = match find_layout(book_data, machine, name) {
        Ok(facts) => facts,
        Err(why) => return Ok(render_gap(book_data, machine, &why.to_string())),
    };
    let other = match beside
        .map(|other| find_layout(book_data, other, name))
        .transpose()
    {
        Ok(other) => other,
        Err(why) => {
            return Ok(render_gap(
                book_data,
                beside.unwrap_or(machine),
                &why.to_string(),
            ));
        }
    };
    let view = build_view(book_data, (machine, beside), name, facts, other);
    Ok(RenderedBlock {
        text: render_text(&view),
        html: book_data.evidence_set.templates.render("layout", &view),
        machines: [machine].into_iter().chain(beside).collect(),
        uses: [machine]
            .into_iter()
            .chain(beside)
            .map(|machine| Use::new_dependency(format!("types.{name}.size"), machine))
            .collect(),
        ..RenderedBlock::default()
    })
}

/// The type that the option names, which the investigation has among its facts.
fn planned_type<'r>(request: &'r ExhibitRequest<'_, '_>) -> Result<&'r str, SyntaxError> {
    let Some(option) = request.words.option("type") else {
        let help =
            "write type=\"NAME\", of a type that `[facts]` of the investigation names".to_owned();
        return Err(SyntaxError::new(
            request.info.clone(),
            "the exhibit needs a type",
            help,
        ));
    };
    let name = option.value.text.as_str();
    let known = &request.book_data.evidence_set.investigation.facts.types;
    if known.iter().any(|one| one == name) {
        return Ok(name);
    }
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name it in `types` of `[facts]`, and capture again".to_owned(),
    };
    let message = format!("no type `{name}` in `[facts]` of the investigation");
    Err(SyntaxError::new(option.value.span.clone(), message, help))
}

/// The facts of a type that has members on a machine.
fn find_layout<'b>(
    book_data: &BookData<'b>,
    machine: MachineId,
    name: &str,
) -> Result<&'b TypeFacts, ExhibitGap> {
    let gap = |why: String| Err(ExhibitGap::Unavailable(why));
    let evidence = &book_data.machine(machine).evidence;
    let Some(facts) = evidence
        .facts
        .as_ref()
        .and_then(|facts| facts.types.get(name))
    else {
        return gap(format!(
            "the evidence does not hold the type `{name}`: capture it again"
        ));
    };
    match facts.exists.value() {
        Some(Value::Bool { value: true }) => {}
        Some(_) => return gap(format!("this kernel has no type `{name}`")),
        None => return gap(format!("it is not known whether there is a type `{name}`")),
    }
    if facts.size.as_ref().and_then(|size| size.value()).is_none() || facts.members.is_empty() {
        return gap(format!(
            "`{name}` has no layout on this machine: it is not a structure, or the name is ambiguous"
        ));
    }
    Ok(facts)
}

fn build_view(
    book_data: &BookData<'_>,
    (machine, beside): (MachineId, Option<MachineId>),
    name: &str,
    facts: &TypeFacts,
    other: Option<&TypeFacts>,
) -> LayoutView {
    let kind = facts
        .kind
        .as_ref()
        .and_then(|kind| kind.value())
        .map(ToString::to_string);
    let beside = beside.map(|other| book_data.machine(other).machine.clone());
    let reads = read_members(&book_data.machine(machine).evidence, name);
    let mut notes = vec![format!(
        "{} bytes, {} members",
        size(facts),
        facts.members.len()
    )];
    if let (Some(other), Some(beside)) = (other, &beside) {
        notes.push(format!(
            "{} bytes, {} members on {beside}",
            size(other),
            other.members.len()
        ));
        let only: Vec<&str> = other
            .members
            .keys()
            .filter(|member| !facts.members.contains_key(*member))
            .map(String::as_str)
            .collect();
        if !only.is_empty() {
            notes.push(format!("Only on {beside}: {}", only.join(", ")));
        }
    }
    let rows = rows(facts, other, &reads);
    let read = rows.iter().filter(|row| row.read);
    let read: Vec<&str> = read.map(|row| row.name.as_str()).collect();
    if !read.is_empty() {
        notes.push(format!("Read by experiments: {}", read.join(", ")));
    }
    LayoutView {
        caption: caption(
            book_data,
            machine,
            &format!("{} {name}", kind.unwrap_or_default()),
        ),
        beside,
        rows,
        notes,
    }
}

fn size(facts: &TypeFacts) -> u64 {
    let size = facts
        .size
        .as_ref()
        .and_then(|size| size.value()?.as_integer());
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0)
}

/// The members of the type that experiments of a machine have read.
fn read_members<'e>(evidence: &'e Evidence, name: &str) -> Vec<&'e str> {
    let probes = evidence
        .experiments
        .values()
        .flat_map(|experiment| experiment.probes.values());
    probes
        .flat_map(|probe| {
            probe
                .members
                .entry
                .values()
                .chain(probe.members.exit.values())
        })
        .filter(|member| member.structure.rsplit(' ').next() == Some(name))
        .map(|member| member.name.as_str())
        .collect()
}

/// True if a member that was read is this one, or inside of it: `__sk_common.skc_family` of `__sk_common`.
fn is_within(read: &str, member: &str) -> bool {
    let inside = read.strip_prefix(member);
    inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The rows of a layout: members by their places, with the holes between them and the beginnings of cache lines.
fn rows(facts: &TypeFacts, other: Option<&TypeFacts>, reads: &[&str]) -> Vec<LayoutRow> {
    let mut members: Vec<(&String, &MemberFacts)> = facts.members.iter().collect();
    members.sort_by_key(|(_, member)| (member.offset, member.bit, member.order));
    let mut rows = Vec::new();
    // In bits: up to where something is, and the cache line at hand.
    let (mut end, mut line) = (0, 0);
    for (name, member) in members {
        let start = member.offset * 8 + member.bit.unwrap_or(0);
        push_hole(&mut rows, end, start);
        if member.offset / LINE > line {
            line = member.offset / LINE;
            rows.push(note_row(
                line * LINE,
                String::new(),
                format!("cache line {line}"),
            ));
        }
        let bits = member.bits.unwrap_or(member.size.unwrap_or(0) * 8);
        let shared = start < end && bits > 0;
        end = end.max(start + bits);
        rows.push(LayoutRow {
            offset: match member.bit {
                Some(bit) => format!("{}:{bit}", member.offset),
                None => member.offset.to_string(),
            },
            size: match member.bits {
                Some(1) => "1 bit".to_owned(),
                Some(bits) => format!("{bits} bits"),
                None => member.size.unwrap_or(0).to_string(),
            },
            name: format!("{name}{}", if shared { " (shares its place)" } else { "" }),
            type_name: member.type_name.clone(),
            read: reads.iter().any(|read| is_within(read, name)),
            gap: false,
            moved: other.map_or_else(String::new, |other| {
                describe_differences(member, other.members.get(name))
            }),
        });
    }
    push_hole(&mut rows, end, size(facts) * 8);
    rows
}

/// Add a row for the place between `end` and `start`, in bits, if nothing is there.
fn push_hole(rows: &mut Vec<LayoutRow>, end: u64, start: u64) {
    let bits = start.saturating_sub(end);
    if bits == 0 {
        return;
    }
    let size = match bits % 8 {
        0 => (bits / 8).to_string(),
        _ => format!("{bits} bits"),
    };
    rows.push(note_row(end / 8, size, "hole".to_owned()));
}

fn note_row(offset: u64, size: String, name: String) -> LayoutRow {
    LayoutRow {
        offset: offset.to_string(),
        size,
        name,
        type_name: String::new(),
        read: false,
        gap: true,
        moved: String::new(),
    }
}

/// The differences of a member on the other machine, in words.
fn describe_differences(member: &MemberFacts, other: Option<&MemberFacts>) -> String {
    let Some(other) = other else {
        return "is not there".to_owned();
    };
    let mut out = Vec::new();
    if (member.offset, member.bit) != (other.offset, other.bit) {
        out.push(format!("at {}", other.offset));
    }
    if (member.size, member.bits) != (other.size, other.bits) {
        out.push(match (other.size, other.bits) {
            (_, Some(bits)) => format!("{bits} bits"),
            (size, None) => format!("{} bytes", size.unwrap_or(0)),
        });
    }
    if member.type_name != other.type_name {
        out.push(other.type_name.clone());
    }
    out.join(", ")
}

fn render_text(view: &LayoutView) -> String {
    let mut text = view.caption.clone();
    for row in &view.rows {
        let _ = write!(text, "\n{:>6} {:>8}  {}", row.offset, row.size, row.name);
        if !row.type_name.is_empty() {
            let _ = write!(text, ": {}", row.type_name);
        }
        if let (Some(beside), false) = (&view.beside, row.moved.is_empty()) {
            let _ = write!(text, "  [{beside}: {}]", row.moved);
        }
    }
    for note in &view.notes {
        let _ = write!(text, "\n{note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(json: serde_json::Value) -> TypeFacts {
        serde_json::from_value(json).unwrap()
    }

    /// Check holes, bit fields, members that share a place, cache lines, what is read, and what moved on the other machine.
    #[test]
    fn rows_of_a_structure() {
        let yes = serde_json::json!({"kind": "bool", "value": true});
        let one = facts(serde_json::json!({
            "exists": yes, "size": {"kind": "int", "value": 80}, "count": 5,
            "members": {
                "state": {"order": 0, "offset": 0, "size": 4, "type": "int"},
                "low": {"order": 1, "offset": 4, "bit": 0, "bits": 3, "type": "unsigned int"},
                "sk": {"order": 2, "offset": 8, "size": 8, "type": "struct sock *"},
                "same": {"order": 3, "offset": 8, "size": 4, "type": "int"},
                "wq": {"order": 4, "offset": 64, "size": 8, "type": "long"},
            }
        }));
        let mut other = one.clone();
        other.members.get_mut("sk").unwrap().offset = 24;
        other.members.remove("wq");
        let rows = rows(&one, Some(&other), &["sk"]);
        let short: Vec<String> = rows
            .iter()
            .map(|row| {
                format!("{} {} {} {}", row.offset, row.size, row.name, row.moved)
                    .trim()
                    .to_owned()
            })
            .collect();
        assert_eq!(
            short,
            [
                "0 4 state",
                "4:0 3 bits low",
                "4 29 bits hole",
                "8 8 sk at 24",
                "8 4 same (shares its place)",
                "16 48 hole",
                "64  cache line 1",
                "64 8 wq is not there",
                "72 8 hole",
            ]
        );
        assert!(rows[3].read && !rows[0].read && rows[2].gap);
    }

    /// Check that a read of what is inside of a member marks it, and that of a member with a longer name does not.
    #[test]
    fn members_that_are_read() {
        for (read, wanted) in [
            ("sk", true),
            ("sk.family", true),
            ("skb", false),
            ("s", false),
        ] {
            assert_eq!(is_within(read, "sk"), wanted, "{read}");
        }
    }
}
