//! A part of the address space, with addresses marked in it and distances between them.
//!
//! Each line of its body is `LABEL: PATH`, a mark, or `LABEL: PATH -> PATH`, the distance from one to the other.

use std::ops::Range;

use qed_evidence::path::{ParsePathError, Path};
use qed_evidence::resolve::PathError;
use qed_evidence::value::{Address, Integer, Value};
use serde::Serialize;

use crate::evidence::book_data::{BookData, PathValue};
use crate::evidence::format::{describe, format};
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::{ExhibitRequest, caption, render_gap};
use crate::markdown::style::ValueFormat;
use crate::markdown::syntax::{SyntaxError, split_words};

/// The region of the kernel image on x86-64, which is drawn unless the author says otherwise: 512 MiB before KASLR,
/// one GiB with it (<https://elixir.bootlin.com/linux/v6.1/source/Documentation/x86/x86_64/mm.rst#L66>).
const REGION: Range<u64> = 0xffff_ffff_8000_0000..0xffff_ffff_c000_0000;

/// Width of the drawing in its own units, which are pixels on a phone.
const WIDTH: u64 = 360;
/// The bar that stands for the region.
const LEFT: u64 = 6;
const BAR: u64 = 348;
/// Height of one distance above the bar, of the bar, and of one mark below it.
const ARROW: u64 = 30;
const THICK: u64 = 16;
const MARK: u64 = 34;

#[derive(Serialize)]
struct AddressMark {
    label: String,
    path: String,
    address: String,
    lead: String,
    x: u64,
    from_y: u64,
    to_y: u64,
    label_y: u64,
    text_x: u64,
    anchor: &'static str,
}

#[derive(Serialize)]
struct DistanceArrow {
    label: String,
    from: u64,
    to: u64,
    y: u64,
    head: String,
    text_x: u64,
    text_y: u64,
    anchor: &'static str,
    lead: String,
    sum: String,
}

#[derive(Serialize)]
struct SpaceView {
    caption: String,
    title: String,
    desc: String,
    machine: String,
    width: u64,
    height: u64,
    left: u64,
    bar: u64,
    bar_y: u64,
    thick: u64,
    low: String,
    high: String,
    scale_y: u64,
    marks: Vec<AddressMark>,
    arrows: Vec<DistanceArrow>,
    gaps: Vec<String>,
}

/// One line of the body.
struct SpaceLine {
    label: String,
    from: (Path, Range<usize>),
    to: Option<(Path, Range<usize>)>,
}

fn parse_lines(request: &ExhibitRequest<'_, '_>) -> Result<Vec<SpaceLine>, SyntaxError> {
    let mut lines = Vec::new();
    for (line, span) in request.body {
        let Some((label, rest)) = line.split_once(':') else {
            let help = "write `LABEL: PATH` or `LABEL: PATH -> PATH`".to_owned();
            return Err(SyntaxError::new(
                span.clone(),
                "the line has no label",
                help,
            ));
        };
        let start = span.start + label.len() + 1;
        let path = |text: &str, at: usize| -> Result<(Path, Range<usize>), SyntaxError> {
            let words = split_words(request.source, at..at + text.len())?;
            let [name] = &words.words[..] else {
                let place = at..at + text.len();
                return Err(SyntaxError::new(place, "there is one path here", None));
            };
            let parsed = name.text.parse();
            let parsed = parsed.map_err(|m: ParsePathError| {
                SyntaxError::new(name.span.clone(), m.to_string(), None::<String>)
            })?;
            Ok((parsed, name.span.clone()))
        };
        lines.push(match rest.split_once("->") {
            None => SpaceLine {
                label: label.trim().to_owned(),
                from: path(rest, start)?,
                to: None,
            },
            Some((from, to)) => SpaceLine {
                label: label.trim().to_owned(),
                from: path(from, start)?,
                to: Some(path(to, start + from.len() + 2)?),
            },
        });
    }
    if lines.is_empty() {
        let help = "write `LABEL: PATH` in each line between the fences".to_owned();
        return Err(SyntaxError::new(
            request.info.clone(),
            "there is nothing to mark",
            help,
        ));
    }
    Ok(lines)
}

/// The region to draw: the options `from` and `to`, the last address.
fn parse_region(request: &ExhibitRequest<'_, '_>) -> Result<Range<u64>, SyntaxError> {
    let bound = |name: &str, usual: u64| match request.words.option(name) {
        None => Ok(usual),
        Some(option) => option
            .value
            .text
            .parse::<Address>()
            .map(|address| address.0)
            .map_err(|m| {
                SyntaxError::new(option.value.span.clone(), m.to_string(), None::<String>)
            }),
    };
    let (from, to) = (bound("from", REGION.start)?, bound("to", REGION.end - 1)?);
    if from >= to {
        return Err(SyntaxError::new(
            request.info.clone(),
            "the region ends before it begins",
            None::<String>,
        ));
    }
    Ok(from..to)
}

/// The complaint about a path that does not exist.
fn unknown_path_error(span: &Range<usize>, error: &PathError) -> SyntaxError {
    let near = error.nearest.as_ref();
    let help = near.map(|near| format!("did you mean `{near}`?"));
    let message = format!("unknown path: {}", error.message);
    SyntaxError::new(span.clone(), message, help)
}

/// The address of a path on `machine`; inside, why it cannot be drawn. An address that is shown is added to `uses`.
fn find_address(
    book_data: &BookData<'_>,
    machine: MachineId,
    region: &Range<u64>,
    (path, span): &(Path, Range<usize>),
    uses: &mut Vec<Use>,
) -> Result<Result<u64, ExhibitGap>, SyntaxError> {
    let shown = book_data.resolve(path, Some(machine));
    let shown = shown.as_ref().as_ref();
    let value = match &shown.map_err(|error| unknown_path_error(span, error))?.what {
        PathValue::Value(value, _) => value.clone(),
        PathValue::Missing(reason) => return Ok(Err(ExhibitGap::Unavailable(reason.to_string()))),
        PathValue::Broken(reason) => return Ok(Err(ExhibitGap::Unavailable(reason.clone()))),
    };
    let Value::Address { value: address, .. } = &value else {
        let message = format!(
            "`{path}` holds a value of kind {}, not an address",
            value.kind()
        );
        return Err(SyntaxError::new(span.clone(), message, None::<String>));
    };
    if book_data.hides_addresses(machine) {
        return Ok(Err(ExhibitGap::Withheld));
    }
    if !(region.start..=region.end).contains(&address.0) {
        return Ok(Err(ExhibitGap::Outside(*address)));
    }
    uses.push(Use {
        path: path.to_string(),
        machine: Some(machine),
        style: Some("hex".into()),
        text: address.to_string(),
        note: describe(&value),
        listed: false,
    });
    Ok(Ok(address.0))
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let (lines, region) = (parse_lines(request)?, parse_region(request)?);
    let (first, span) = &lines[0].from;
    let machine = match request.machine()? {
        Some(machine) => machine,
        None => match book_data.resolve(first, None).as_ref() {
            Ok(shown) => shown.machine.unwrap_or(MachineId::new(0)),
            Err(error) => return Err(unknown_path_error(span, error)),
        },
    };
    let mut uses = Vec::new();
    let mut find = |place| find_address(book_data, machine, &region, place, &mut uses);
    let mut gaps = Vec::new();
    let (mut marked, mut spans) = (Vec::new(), Vec::new());
    for line in &lines {
        let from = find(&line.from)?;
        let to = line.to.as_ref().map(&mut find).transpose()?;
        match (from, to) {
            (Ok(at), None) => marked.push((at, line)),
            (Ok(from), Some(Ok(to))) => spans.push((from, to, line)),
            (Err(gap), _) | (_, Some(Err(gap))) => {
                gaps.push(format!("{}: UNVERIFIED ({gap})", line.label));
            }
        }
    }
    if marked.is_empty() && spans.is_empty() {
        return Ok(render_gap(book_data, machine, &gaps.join("; ")));
    }
    let data = draw(request, machine, &region, marked, &spans, gaps);
    Ok(RenderedBlock {
        text: render_text(&data),
        html: book_data.evidence_set.templates.render("space", &data),
        machines: vec![machine],
        uses,
        problems: Vec::new(),
    })
}

/// The same as plain text.
fn render_text(data: &SpaceView) -> String {
    let mut text = vec![
        data.caption.clone(),
        format!("from {}\nto   {}", data.low, data.high),
    ];
    text.extend(
        data.marks
            .iter()
            .map(|m| format!("{}  {}", m.lead, m.address)),
    );
    text.extend(data.arrows.iter().map(|a| format!("{}  {}", a.lead, a.sum)));
    text.extend(data.gaps.iter().cloned());
    text.join("\n")
}

/// The place of an address on the bar.
fn place_on_bar(region: &Range<u64>, at: u64) -> u64 {
    let length = u128::from(region.end - region.start);
    // Below BAR, so it fits.
    LEFT + (u128::from(at - region.start) * u128::from(BAR) / length) as u64
}

/// The side at which a text begins that stands at this place, so that it stays inside of the drawing.
fn text_anchor(at: u64) -> &'static str {
    if is_in_right_half(at) { "end" } else { "start" }
}

/// Put marks into the order from the bar downwards in which the line down to one passes beside the words of those above it: of
/// marks whose words go to the right of their lines the highest is first, of those whose words go to the left the lowest.
fn sort_marks<T>(marks: &mut [(u64, T)], region: &Range<u64>) {
    marks.sort_by_key(|(address, _)| {
        let is_right = is_in_right_half(place_on_bar(region, *address));
        (is_right, if is_right { *address } else { !*address })
    });
}

/// True if a text that stands at this place goes to the left of it.
fn is_in_right_half(at: u64) -> bool {
    at > WIDTH / 2
}

/// The mark number `index` below the bar.
fn address_mark(
    index: usize,
    x: u64,
    address: u64,
    line: &SpaceLine,
    wide: usize,
    bar_y: u64,
) -> AddressMark {
    let label_y = bar_y + THICK + 20 + index as u64 * MARK;
    AddressMark {
        lead: format!("{:<wide$}", line.label),
        label: line.label.clone(),
        path: line.from.0.to_string(),
        address: Address(address).to_string(),
        x,
        from_y: bar_y,
        to_y: label_y + 16,
        label_y,
        text_x: if is_in_right_half(x) { x - 5 } else { x + 5 },
        anchor: text_anchor(x),
    }
}

/// The unit in which a distance is read at a glance: MiB where three decimals say it exactly, else bytes.
fn distance_unit(bytes: i128) -> ValueFormat {
    const MIB: u128 = 1 << 20;
    match (bytes.unsigned_abs() * 1000).is_multiple_of(MIB) {
        true => ValueFormat::Mib,
        false => ValueFormat::Bytes,
    }
}

/// The distance number `index` above the bar, from one address to another.
fn distance_arrow(
    index: usize,
    region: &Range<u64>,
    (from, to, line): &(u64, u64, &SpaceLine),
    wide: usize,
) -> DistanceArrow {
    let bytes = i128::from(*to) - i128::from(*from);
    let offset = Integer::new(bytes).map(|value| Value::Offset { value });
    let write = |how| offset.as_ref().and_then(|o| format(o, Some(how)).ok());
    let sum = [
        write(ValueFormat::Hex),
        write(ValueFormat::Bytes),
        write(ValueFormat::Mib),
    ];
    let sum: Vec<String> = sum.into_iter().flatten().collect();
    let (from, to) = (place_on_bar(region, *from), place_on_bar(region, *to));
    let y = index as u64 * ARROW + ARROW - 6;
    let back = if to >= from {
        to.saturating_sub(6)
    } else {
        to + 6
    };
    let middle = u64::midpoint(from, to);
    DistanceArrow {
        lead: format!("{:<wide$}", line.label),
        label: format!(
            "{} = {}",
            line.label,
            write(distance_unit(bytes)).unwrap_or_default()
        ),
        from,
        to,
        y,
        head: format!("{to},{y} {back},{} {back},{}", y - 4, y + 4),
        text_x: if middle > WIDTH / 2 {
            from.max(to)
        } else {
            from.min(to)
        },
        text_y: y - 8,
        anchor: text_anchor(middle),
        sum: sum.join(" = "),
    }
}

/// The drawing.
fn draw(
    request: &ExhibitRequest<'_, '_>,
    machine: MachineId,
    region: &Range<u64>,
    mut marked: Vec<(u64, &SpaceLine)>,
    spans: &[(u64, u64, &SpaceLine)],
    gaps: Vec<String>,
) -> SpaceView {
    let labels = marked.iter().map(|m| m.1).chain(spans.iter().map(|s| s.2));
    let wide = labels
        .map(|line| line.label.chars().count())
        .max()
        .unwrap_or(0);
    // The ends of the region stand above the bar, where no mark goes.
    let scale_y = spans.len() as u64 * ARROW + 14;
    let bar_y = scale_y + 5;
    sort_marks(&mut marked, region);
    let marks: Vec<AddressMark> = marked
        .iter()
        .enumerate()
        .map(|(index, (at, line))| {
            address_mark(index, place_on_bar(region, *at), *at, line, wide, bar_y)
        })
        .collect();
    let arrows: Vec<DistanceArrow> = spans
        .iter()
        .enumerate()
        .map(|(index, span)| distance_arrow(index, region, span, wide))
        .collect();
    let title = format!("{} to {}", Address(region.start), Address(region.end));
    let mut desc: Vec<String> = marks
        .iter()
        .map(|m| format!("{} at {}", m.label, m.address))
        .collect();
    desc.extend(arrows.iter().map(|a| a.label.clone()));
    let book_data = request.book_data;
    SpaceView {
        caption: caption(book_data, machine, "addresses in their region"),
        title,
        desc: desc.join(", "),
        machine: book_data.machine(machine).machine.clone(),
        width: WIDTH,
        height: bar_y + THICK + 12 + marks.len() as u64 * MARK + 4,
        left: LEFT,
        bar: BAR,
        bar_y,
        thick: THICK,
        low: Address(region.start).to_string(),
        high: Address(region.end).to_string(),
        scale_y,
        marks,
        arrows,
        gaps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that no line down to a mark crosses the words of a mark above it: words to the right of a line stand above those of lines
    /// further left, words to the left of a line above those of lines further right.
    #[test]
    fn lines_pass_beside_words() {
        let region = 0..1000;
        let mut marks = [(900, ()), (100, ()), (800, ()), (300, ()), (200, ())];
        sort_marks(&mut marks, &region);
        assert_eq!(
            marks.map(|(address, ())| address),
            [300, 200, 100, 800, 900]
        );
    }

    /// Check that a distance is labelled in MiB where that is a short number, and in bytes where it is not.
    #[test]
    fn units_of_distances() {
        for (bytes, mib) in [
            (506 << 20, true),
            (-(3 << 19), true),
            (0, true),
            (-101_664, false),
            (1, false),
        ] {
            assert_eq!(
                matches!(distance_unit(bytes), ValueFormat::Mib),
                mib,
                "{bytes}"
            );
        }
    }
}
