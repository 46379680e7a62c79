//! The judgement of the slide from all sources.
//!
//! **Which sources are independent.** Each source belongs to a group, and only groups are counted:
//! - `measured`: live addresses of `/proc/kallsyms` against static ones of the same build, be they from a System.map,
//!   a vmlinux or the kernel image. They share the live side, so any number of them is one group.
//! - `stated`: what the kernel says of its own offset, in VMCOREINFO or on its console. Both print `kaslr_offset()`
//!   (`&_text - __START_KERNEL`), so they are one group, even where they came over different channels.
//!
//! Sources *agree* when at least two groups gave a slide and all slides are equal. With one group the slide is
//! given, and `agree` is false. When any two differ, or one is damaged, there is no slide, only an error.

use super::compare::{self, SymbolComparison};
use super::console::ConsoleOffset;
use super::report::{
    FixedPlace, KaslrInputs, KaslrReport, KaslrSourceError, KaslrStatus, SlideCheck, SourceGroup,
    SourceReport, StaticSource, SymbolSlide,
};
use super::rules;
use crate::reason::Reason;
use crate::symbols::{BuildId, Kallsyms};

/// Judge.
pub fn judge(inputs: &KaslrInputs<'_>) -> KaslrReport {
    let sources = ask_sources(inputs);
    let slides: Vec<(&str, SourceGroup, u64)> = sources
        .iter()
        .filter_map(|s| Some((s.name.as_str(), s.group, *s.slide.as_ref().ok()?)))
        .collect();
    let equal = slides.windows(2).all(|pair| pair[0].2 == pair[1].2);
    let candidate = slides.first().map(|s| s.2).filter(|_| equal);
    let checks = candidate.map_or_else(Vec::new, |slide| {
        rules::check_rules(inputs, &sources, slide)
    });
    let mut errors = contradictions(&sources, &checks);
    if !equal {
        let list: Vec<String> = slides
            .iter()
            .map(|(name, _, slide)| format!("{name} {slide:#x}"))
            .collect();
        errors.push(format!(
            "sources disagree on the slide: {}",
            list.join(", ")
        ));
    }
    let status = determine_status(
        &errors,
        candidate,
        rules::disabling_setting(inputs),
        &sources,
    );
    let valid = !matches!(status, KaslrStatus::Error { .. });
    let groups = [SourceGroup::Measured, SourceGroup::Stated]
        .iter()
        .filter(|group| slides.iter().any(|s| s.1 == **group))
        .count();
    let (symbols, missing_symbols) = if valid {
        symbol_slides(inputs, &sources)
    } else {
        (vec![], vec![])
    };
    KaslrReport {
        slide: candidate.filter(|_| valid),
        agree: valid && groups >= 2,
        status,
        symbols,
        missing_symbols,
        sources,
        checks,
    }
}

/// Every source's answer, in order of preference.
fn ask_sources(inputs: &KaslrInputs<'_>) -> Vec<SourceReport> {
    let without_table = |name: &str, group, slide| SourceReport {
        name: name.into(),
        group,
        slide,
        comparison: None,
    };
    let mut sources: Vec<SourceReport> = inputs
        .statics
        .iter()
        .map(|fixed| measure_source(inputs, fixed))
        .collect();
    if inputs.statics.is_empty() {
        let why = "no System.map or vmlinux is at hand; install the kernel's debug package";
        let none = unavailable_error(why);
        sources.push(without_table(
            "kallsyms-static",
            SourceGroup::Measured,
            none,
        ));
    }
    sources.extend([
        without_table(
            "kallsyms-vmlinuz",
            SourceGroup::Measured,
            slide_from_image(inputs),
        ),
        without_table(
            "vmcoreinfo",
            SourceGroup::Stated,
            slide_from_vmcoreinfo(inputs),
        ),
        without_table("console", SourceGroup::Stated, slide_from_console(inputs)),
    ]);
    sources
}

/// Sources that are damaged, and rules that do not hold.
fn contradictions(sources: &[SourceReport], checks: &[SlideCheck]) -> Vec<String> {
    let broken = sources.iter().filter_map(|s| match &s.slide {
        Err(KaslrSourceError::Broken(why)) => Some(format!("{}: {why}", s.name)),
        _ => None,
    });
    let failed = checks
        .iter()
        .filter(|c| c.holds == Ok(false))
        .map(|c| format!("{} does not hold: {}", c.name, c.detail));
    broken.chain(failed).collect()
}

/// Conclude the status of KASLR. `off` is what turns it off, if anything does.
fn determine_status(
    errors: &[String],
    slide: Option<u64>,
    off: Option<String>,
    sources: &[SourceReport],
) -> KaslrStatus {
    match (slide, off) {
        _ if !errors.is_empty() => KaslrStatus::Error {
            why: errors.join("; "),
        },
        (Some(slide @ 1..), Some(off)) => KaslrStatus::Error {
            why: format!("the slide is {slide:#x} although {off}"),
        },
        (Some(slide @ 1..), None) => KaslrStatus::Randomized { slide },
        (_, Some(why)) => KaslrStatus::Disabled { why },
        (Some(0), None) => KaslrStatus::Disabled {
            why: "the slide is 0: the kernel runs at its static address, although nothing seen here turns KASLR off".into(),
        },
        (None, None) => {
            let why: Vec<String> = sources
                .iter()
                .filter_map(|s| Some(format!("{}: {}", s.name, s.slide.as_ref().err()?)))
                .collect();
            KaslrStatus::Unknown {
                why: why.join("; "),
            }
        }
    }
}

fn unavailable_error<T>(why: impl Into<String>) -> Result<T, KaslrSourceError> {
    Err(KaslrSourceError::Unavailable(why.into()))
}

/// Refuse a static side of another build. An unknown build id on either side proves nothing and contradicts nothing.
fn check_same_build(inputs: &KaslrInputs<'_>, found: &BuildId) -> Result<(), KaslrSourceError> {
    match &inputs.build_id {
        Ok(running) if running == found => Ok(()),
        Ok(running) => unavailable_error(format!(
            "its build id is {found}, the running kernel's {running}: install the debug package of this very build"
        )),
        Err(why) => unavailable_error(format!("the running kernel's build id is not known: {why}")),
    }
}

fn measure_source(inputs: &KaslrInputs<'_>, fixed: &StaticSource<'_>) -> SourceReport {
    let compared = compare_with_table(inputs, fixed);
    let slide = compared
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|c| match c {
            SymbolComparison { differing: 0, .. } => Ok(c.slide),
            _ if fixed.build_id.is_none() => unavailable_error(format!(
                "its build is not known, and {} of {} symbols differ: it is of another build",
                c.differing, c.checked
            )),
            _ => Err(KaslrSourceError::Broken(format!(
                "{} of {} symbols of the core image have another slide than _text: {}",
                c.differing,
                c.checked,
                c.examples.join(", ")
            ))),
        });
    let slide = slide.and_then(|slide| match &compared {
        Ok(c) if fixed.build_id.is_none() && c.absent > 0 => unavailable_error(format!(
            "its build is not known, and it does not name {} of the running kernel's symbols",
            c.absent
        )),
        _ => Ok(slide),
    });
    SourceReport {
        name: fixed.name.into(),
        group: SourceGroup::Measured,
        slide,
        comparison: compared.ok(),
    }
}

fn compare_with_table(
    inputs: &KaslrInputs<'_>,
    fixed: &StaticSource<'_>,
) -> Result<SymbolComparison, KaslrSourceError> {
    let table = fixed.table.as_ref().map_err(Clone::clone)?;
    if let Some(id) = &fixed.build_id {
        check_same_build(inputs, id)?;
    }
    let live = inputs.live.as_ref().map_err(Clone::clone)?;
    compare::compare_symbols(live, table).map_err(|error| match error {
        compare::CompareError::NoImage(_) => KaslrSourceError::Unavailable(error.to_string()),
        _ if fixed.build_id.is_none() => {
            KaslrSourceError::Unavailable(format!("its build is not known, and {error}"))
        }
        _ => KaslrSourceError::Broken(error.to_string()),
    })
}

fn slide_from_image(inputs: &KaslrInputs<'_>) -> Result<u64, KaslrSourceError> {
    let image = inputs.image.as_ref().map_err(Clone::clone)?;
    check_same_build(inputs, &image.build_id)?;
    let live = inputs.live.as_ref().map_err(Clone::clone)?;
    match live.lookup("_text").as_slice() {
        [text] => text.checked_sub(image.base).ok_or_else(|| {
            KaslrSourceError::Broken(format!(
                "_text is at {text:#x}, below the image's base {:#x}",
                image.base
            ))
        }),
        _ => unavailable_error("the kernel's symbol table does not name _text once"),
    }
}

fn slide_from_vmcoreinfo(inputs: &KaslrInputs<'_>) -> Result<u64, KaslrSourceError> {
    let info = inputs.vmcoreinfo.as_ref().map_err(Clone::clone)?;
    if let (Some(id), Ok(running)) = (&info.build_id, &inputs.build_id)
        && id != running
    {
        return Err(KaslrSourceError::Broken(format!(
            "VMCOREINFO states build id {id}, /sys/kernel/notes {running}"
        )));
    }
    if let (Some((_, stated)), Ok(live)) = (
        info.symbols.iter().find(|(name, _)| name == "_stext"),
        &inputs.live,
    ) && !live.lookup("_stext").contains(stated)
    {
        return Err(KaslrSourceError::Broken(format!(
            "VMCOREINFO states _stext at {stated:#x}, /proc/kallsyms elsewhere"
        )));
    }
    match info.kernel_offset {
        Some(offset) => Ok(offset),
        None => unavailable_error("VMCOREINFO holds no KERNELOFFSET"),
    }
}

fn slide_from_console(inputs: &KaslrInputs<'_>) -> Result<u64, KaslrSourceError> {
    match inputs.console.as_ref().map_err(Clone::clone)? {
        ConsoleOffset::Offset { slide, .. } => Ok(*slide),
        ConsoleOffset::Disabled => Ok(0),
    }
}

fn symbol_slides(
    inputs: &KaslrInputs<'_>,
    sources: &[SourceReport],
) -> (Vec<SymbolSlide>, Vec<(String, Reason)>) {
    // Only a table whose source gave a slide: it is of this build.
    let table = inputs
        .statics
        .iter()
        .zip(sources)
        .find(|(_, source)| source.slide.is_ok())
        .and_then(|(s, _)| s.table.as_ref().ok());
    let fixed = table.map(|table| table.addresses(inputs.names.iter().copied()));
    let find = |name: &str| -> Result<SymbolSlide, Reason> {
        let live = inputs.live.as_ref().map_err(Reason::from_error)?;
        let found = live.lookup(name);
        let rows = fixed.as_ref().map(|fixed| fixed.rows(name));
        let address = match found.as_slice() {
            [address] => *address,
            [] => return Err(no_address_reason(live, name)),
            several => {
                let fixed = rows.map(|rows| format!(", {} static", rows.len()));
                let (count, fixed) = (several.len(), fixed.unwrap_or_default());
                return Err(format!("several symbols share the name ({count} live{fixed})").into());
            }
        };
        let fixed = match rows {
            None => Err("no static symbol table of this build is at hand".into()),
            Some([]) => Err("the static table has no such symbol".into()),
            Some([fixed]) => Ok(FixedPlace {
                address: *fixed,
                slide: address
                    .checked_sub(*fixed)
                    .ok_or("its live address is below its static one")?,
            }),
            Some(rows) => Err(format!(
                "several symbols share the name (1 live, {} static)",
                rows.len()
            )
            .into()),
        };
        Ok(SymbolSlide {
            name: name.to_owned(),
            live: address,
            fixed,
        })
    };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in inputs.names {
        match find(name) {
            Ok(symbol) => found.push(symbol),
            Err(why) => missing.push(((*name).to_owned(), why)),
        }
    }
    (found, missing)
}

/// The reason why a name has no address in the running kernel. Per-CPU variables are absolute symbols up to 6.14: they count
/// from the start of each processor's area
/// (<https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/vmlinux.lds.S>).
fn no_address_reason(live: &Kallsyms, name: &str) -> Reason {
    let mut own = live.symbols_named(name).filter(|s| s.module.is_none());
    match (own.next(), live.symbols_named(name).next()) {
        (Some(_), _) => "the running kernel has it as an absolute symbol: a number such as the place of a per-CPU variable in each \
                         processor's area, which is not an address"
            .into(),
        (None, Some(_)) => "it is a symbol of a module, and only those of the kernel itself are looked up".into(),
        (None, None) => "the running kernel has no such symbol".into(),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
