//! The slide of the kernel in each of many boots.

use qed_evidence::path::Path;
use qed_evidence::value::Value;
use serde::Serialize;

use crate::evidence::book_data::{BookData, PathValue};
use crate::evidence::format::describe;
use crate::evidence::history::may_share_boot;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::{ExhibitRequest, caption, render_gap};
use crate::markdown::style::ValueFormat;
use crate::markdown::syntax::SyntaxError;

/// The room that the kernel image has, in bytes: the slide is below it. `KERNEL_IMAGE_SIZE`,
/// <https://elixir.bootlin.com/linux/v6.1/source/arch/x86/include/asm/page_64_types.h#L92>.
const MAX_SLIDE: i128 = 1 << 30;

/// Width of the drawing and of the part left of the axis, in its own units, which are pixels on a phone.
const WIDTH: i128 = 360;
const LEFT: i128 = 28;
/// Length of the axis: the room is drawn on it. To its right a number has to fit.
const AXIS: i128 = 268;
/// The columns of each line.
const COLUMNS: &str = "slide, the same in MiB, physical";
/// Height of one boot.
const ROW: usize = 15;
/// Above the first boot.
const TOP: usize = 24;

/// A value that stands in the text.
#[derive(Serialize)]
struct SlidesCell {
    path: String,
    style: &'static str,
    text: String,
    pad: String,
}

/// One boot.
#[derive(Serialize)]
struct SlidesRow {
    label: String,
    lead: String,
    own: bool,
    y: usize,
    text_y: usize,
    x: i128,
    slide: String,
    cells: Vec<SlidesCell>,
}

#[derive(Serialize)]
struct Tick {
    x: i128,
    label: String,
}

#[derive(Serialize)]
struct SlidesView {
    caption: String,
    title: String,
    desc: String,
    machine: String,
    width: i128,
    left: i128,
    columns: &'static str,
    top: usize,
    bottom: usize,
    height: usize,
    ticks: Vec<Tick>,
    rows: Vec<SlidesRow>,
}

/// The place of a slide on the axis.
fn axis_x(slide: i128) -> i128 {
    LEFT + slide.clamp(0, MAX_SLIDE) * AXIS / MAX_SLIDE
}

/// The most slides of earlier captures that are drawn.
const MAX_EARLIER: usize = 16;

/// The slides of captures of this machine that were published before, the latest first: `-1`, `-2`, …. None is of the boot that
/// its evidence is of.
fn earlier_slides(book_data: &BookData<'_>, machine: MachineId) -> Vec<(String, i64)> {
    let now = book_data.machine(machine);
    book_data
        .evidence_set
        .history
        .captures
        .iter()
        .rev()
        .filter(|capture| capture.machine == now.machine && capture.run != now.evidence.run.id)
        .filter(|capture| capture.is_of_guest() && !may_share_boot(capture, &now.evidence))
        .filter_map(|capture| capture.slide)
        .take(MAX_EARLIER)
        .enumerate()
        .map(|(index, slide)| (format!("-{}", index + 1), slide))
        .collect()
}

struct Column<'a, 'f> {
    book_data: &'a BookData<'f>,
    machine: MachineId,
    uses: Vec<Use>,
}

impl Column<'_, '_> {
    /// The value at `path` as a cell, and as a number.
    fn build_cell(
        &mut self,
        path: &str,
        format: ValueFormat,
        style: &'static str,
    ) -> Result<(SlidesCell, i128), ExhibitGap> {
        let parsed: Path = path.parse()?;
        let shown = self.book_data.resolve(&parsed, Some(self.machine));
        let value = match shown.as_ref() {
            Ok(shown) => match &shown.what {
                PathValue::Value(value, _) => value.clone(),
                PathValue::Missing(reason) => {
                    return Err(ExhibitGap::Unavailable(reason.to_string()));
                }
                PathValue::Broken(reason) => return Err(ExhibitGap::Unavailable(reason.clone())),
            },
            Err(error) => return Err(error.clone().into()),
        };
        let machine = Some(self.machine);
        let text = crate::evidence::format::format(&value, Some(format))?;
        let number = match &value {
            Value::Offset { value } => value.get(),
            other => return Err(ExhibitGap::Kind(other.kind())),
        };
        self.uses.push(Use {
            path: path.to_owned(),
            machine,
            style: Some(style.to_owned()),
            text: text.clone(),
            note: describe(&value),
            listed: false,
        });
        let cell = SlidesCell {
            path: path.to_owned(),
            style,
            text,
            pad: String::new(),
        };
        Ok((cell, number))
    }
}

impl SlidesRow {
    /// The line number `index` of the drawing.
    fn new(index: usize, label: String, slide: i128, cells: Vec<SlidesCell>) -> Self {
        let y = TOP + index * ROW + ROW / 2;
        SlidesRow {
            own: label == "own",
            lead: format!("{label:>4}"),
            label,
            y,
            text_y: y + 4,
            x: axis_x(slide),
            slide: cells
                .get(1)
                .map_or_else(String::new, |cell| cell.text.clone()),
            cells,
        }
    }
}

/// The boots of the machine's evidence, and the reasons for those that cannot be drawn.
fn measured_rows(column: &mut Column<'_, '_>) -> (Vec<SlidesRow>, Vec<String>) {
    let own = (
        "own".to_owned(),
        "kaslr.slide".to_owned(),
        "kaslr.live_physical_start".to_owned(),
    );
    let count = column
        .book_data
        .machine(column.machine)
        .evidence
        .boots
        .len();
    let others = (1..=count).map(|boot| {
        let at = |leaf: &str| format!("boots.boot{boot}.{leaf}");
        (boot.to_string(), at("slide"), at("physical"))
    });
    let mut rows = Vec::new();
    let mut gaps = Vec::new();
    for (label, slide, physical) in std::iter::once(own).chain(others) {
        let (hex, number) = match column.build_cell(&slide, ValueFormat::Hex, "hex") {
            Ok(cell) => cell,
            Err(reason) => {
                gaps.push(format!("{slide}: {reason}"));
                continue;
            }
        };
        let mut cells = vec![hex];
        for path in [&slide, &physical] {
            cells.extend(
                column
                    .build_cell(path, ValueFormat::Mib, "mib")
                    .ok()
                    .map(|cell| cell.0),
            );
        }
        rows.push(SlidesRow::new(rows.len(), label, number, cells));
    }
    (rows, gaps)
}

/// The slide of an earlier capture as cells, which stand for no path of the evidence.
fn earlier_cells(slide: i64) -> Vec<SlidesCell> {
    let value = Value::Offset {
        value: slide.into(),
    };
    [(ValueFormat::Hex, "hex"), (ValueFormat::Mib, "mib")]
        .into_iter()
        .filter_map(|(format, style)| {
            Some(SlidesCell {
                path: String::new(),
                style,
                text: crate::evidence::format::format(&value, Some(format)).ok()?,
                pad: String::new(),
            })
        })
        .collect()
}

/// Pad the cells of each column to the same width.
fn align(rows: &mut [SlidesRow]) {
    for index in 0..3 {
        let texts = rows.iter().filter_map(|row| row.cells.get(index));
        let width = texts.map(|cell| cell.text.len()).max().unwrap_or(0);
        for cell in rows.iter_mut().filter_map(|row| row.cells.get_mut(index)) {
            cell.pad = " ".repeat(width - cell.text.len());
        }
    }
}

/// The drawing in words.
fn description(machine: &str, count: usize, has_earlier: bool, gaps: &[String]) -> String {
    let mut desc = format!(
        "One line for each of {count} boots of {machine}. Its length is the slide of that boot, from 0 to 1024 MiB."
    );
    if has_earlier {
        desc.push_str(" Those with a minus sign are of captures that were published before, the latest first.");
    }
    for silence in gaps {
        desc.push_str(&format!(" Not drawn: {silence}."));
    }
    desc
}

/// The same as plain text.
fn render_text(caption: &str, rows: &[SlidesRow], gaps: &[String]) -> String {
    let mut text = vec![caption.to_owned(), format!("boot  {COLUMNS}")];
    for row in rows {
        let cells: Vec<String> = row
            .cells
            .iter()
            .map(|c| format!("{}{}", c.pad, c.text))
            .collect();
        text.push(format!("{}  {}", row.lead, cells.join("  ")));
    }
    text.extend(gaps.iter().map(|silence| format!("UNVERIFIED: {silence}")));
    text.join("\n")
}

/// The marks of the axis.
fn ticks() -> Vec<Tick> {
    [0, 256, 512, 768, 1024]
        .map(|mib| Tick {
            x: axis_x(mib << 20),
            label: if mib == 1024 {
                "1024 MiB".into()
            } else {
                mib.to_string()
            },
        })
        .into()
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let has_boots = |machine: &MachineId| !book_data.machine(*machine).evidence.boots.is_empty();
    let machine = match request.machine()? {
        Some(machine) => machine,
        None => book_data
            .machine_ids()
            .find(has_boots)
            .unwrap_or_else(|| book_data.default_machine("boots")),
    };
    if book_data.hides_addresses(machine) {
        return Ok(render_gap(
            book_data,
            machine,
            "the slides of this machine are withheld",
        ));
    }
    if !has_boots(&machine) {
        let why =
            "it was not booted again: write `boots = 16` in the investigation and capture a guest";
        return Ok(render_gap(book_data, machine, why));
    }
    let mut column = Column {
        book_data,
        machine,
        uses: Vec::new(),
    };
    let (mut rows, gaps) = measured_rows(&mut column);
    let earlier = earlier_slides(book_data, machine);
    for (label, slide) in &earlier {
        let cells = earlier_cells(*slide);
        rows.push(SlidesRow::new(
            rows.len(),
            label.clone(),
            (*slide).into(),
            cells,
        ));
    }
    align(&mut rows);
    let title = format!("the slide in {} boots", rows.len());
    let caption = caption(book_data, machine, &title);
    let name = book_data.machine(machine).machine.clone();
    let bottom = TOP + rows.len() * ROW;
    let text = render_text(&caption, &rows, &gaps);
    let data = SlidesView {
        title: "The slide of each boot".into(),
        desc: description(&name, rows.len(), !earlier.is_empty(), &gaps),
        machine: name,
        width: WIDTH,
        left: LEFT,
        columns: COLUMNS,
        top: TOP,
        bottom,
        height: bottom + 8,
        ticks: ticks(),
        rows,
        caption,
    };
    Ok(RenderedBlock {
        html: book_data.evidence_set.templates.render("slides", &data),
        text,
        machines: vec![machine],
        uses: column.uses,
        problems: Vec::new(),
    })
}
