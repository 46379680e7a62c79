//! Sums over many boots of one guest.

use std::collections::BTreeSet;

use super::drift::Drift;
use super::list::computed;
use crate::document::value::{Datum, Integer, Value};
use crate::document::{Boot, Evidence, count_value};

/// The sums over all boots, by the last segment of their paths:
///
/// | leaf | what |
/// | --- | --- |
/// | `count` | boots |
/// | `distinct`, `distinct_physical` | different slides; different physical places |
/// | `lowest`, `highest` | the extreme slides, in bytes |
/// | `divisor` | the greatest number of bytes that divides all slides: the grain in which they are drawn |
/// | `differing` | boots whose live `_text` minus the slide that the kernel states is not the static `_text` |
///
/// A boot that could not say what a sum needs makes the whole sum unavailable: a sum over the others would be one of
/// fewer boots than `count` says.
pub fn compute_boot_sums(evidence: &Evidence) -> Vec<(&'static str, Datum, Drift)> {
    let boots = &evidence.boots;
    let total = count_value(boots.len() as u64);
    let mut sums = vec![("count", Datum::Value(total), computed!(Boot, "count"))];
    let slides = values_of_boots(boots, "slide", |boot| &boot.slide);
    let of = |sum: Result<Value, SumError>| match sum {
        Ok(value) => Datum::Value(value),
        Err(why) => Datum::unavailable(why.to_string()),
    };
    let offset = |value: i128| {
        let value = Integer::new(value).ok_or(SumError::Range)?;
        Ok(Value::Offset { value })
    };
    let distinct = |values: &Result<Vec<i128>, SumError>| {
        let set: BTreeSet<i128> = values.clone()?.into_iter().collect();
        Ok(count_value(set.len() as u64))
    };
    sums.push((
        "distinct",
        of(distinct(&slides)),
        computed!(Boot, "distinct"),
    ));
    let places = values_of_boots(boots, "physical place", |boot| &boot.physical);
    let several = distinct(&places);
    sums.push((
        "distinct_physical",
        of(several),
        computed!(Boot, "distinct_physical"),
    ));
    for (leaf, drift, extreme) in [
        (
            "lowest",
            computed!(Boot, "lowest"),
            Iterator::min as fn(_) -> Option<i128>,
        ),
        ("highest", computed!(Boot, "highest"), Iterator::max),
    ] {
        let value = slides.clone().and_then(|slides| {
            let found = extreme(slides.into_iter()).ok_or(SumError::NoBoot)?;
            offset(found)
        });
        sums.push((leaf, of(value), drift));
    }
    let divisor = slides.clone().and_then(|slides| {
        let found = slides
            .into_iter()
            .fold(0, |a, b| greatest_common_divisor(a, b.abs()));
        offset(found)
    });
    sums.push(("divisor", of(divisor), computed!(Boot, "divisor")));
    let differing = count_differing(evidence, &slides);
    sums.push(("differing", of(differing), computed!(Boot, "differing")));
    sums
}

/// The absence of a sum over all boots.
#[derive(Clone, Debug, thiserror::Error)]
enum SumError {
    #[error("the {what} of boot {boot} is not a number")]
    Number { what: &'static str, boot: usize },
    #[error("boot {boot} did not say its {what}: {reason}")]
    Boot {
        what: &'static str,
        boot: usize,
        reason: String,
    },
    #[error("it is beyond 64 bits")]
    Range,
    #[error("there is no boot")]
    NoBoot,
    #[error("the static address of _text is not a number")]
    StaticNumber,
    /// The static address is not there, and this is why.
    #[error("{0}")]
    Static(String),
    #[error("the investigation does not list `_text` among its symbols")]
    NotListed,
}

/// The same value of all boots, or why one of them has none.
fn values_of_boots(
    boots: &[Boot],
    what: &'static str,
    datum: fn(&Boot) -> &Datum,
) -> Result<Vec<i128>, SumError> {
    let one = |(index, boot): (usize, &Boot)| match datum(boot) {
        Datum::Value(value) => number(value).ok_or(SumError::Number {
            what,
            boot: index + 1,
        }),
        Datum::Missing(why) => Err(SumError::Boot {
            what,
            boot: index + 1,
            reason: why.to_string(),
        }),
    };
    boots.iter().enumerate().map(one).collect()
}

/// A place or a distance as a number.
fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Address { value, .. } => Some(value.0.into()),
        other => other.as_integer(),
    }
}

/// The greatest common divisor (Euclid); 0 only of zeros.
fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

fn count_differing(
    evidence: &Evidence,
    slides: &Result<Vec<i128>, SumError>,
) -> Result<Value, SumError> {
    let places = evidence.kaslr.symbols.get("_text");
    let fixed = match places.map(|places| &places.static_address) {
        Some(Datum::Value(value)) => number(value).ok_or(SumError::StaticNumber)?,
        Some(Datum::Missing(why)) => return Err(SumError::Static(why.to_string())),
        None => return Err(SumError::NotListed),
    };
    let texts = values_of_boots(&evidence.boots, "_text", |boot| &boot.text)?;
    let slides = slides.clone()?;
    let others = texts
        .iter()
        .zip(&slides)
        .filter(|(text, slide)| *text - *slide != fixed);
    Ok(count_value(others.count() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::evidence;

    const STATIC: u64 = 0xffff_ffff_8100_0000;

    fn booted(slides: &[u64]) -> Evidence {
        let mut evidence = evidence();
        let offset = |value: u64| {
            Datum::Value(Value::Offset {
                value: value.into(),
            })
        };
        let places = crate::document::SymbolPlaces {
            live: Value::address(STATIC).into(),
            static_address: Value::address(STATIC).into(),
            slide: offset(0),
        };
        evidence.kaslr.symbols.insert("_text".into(), places);
        evidence.boots = slides
            .iter()
            .map(|slide| Boot {
                boot_id: "b".into(),
                time: "2026-11-23T12:00:00Z".into(),
                slide: offset(*slide),
                text: Value::address(STATIC + slide).into(),
                physical: offset(0x100_0000),
            })
            .collect();
        evidence
    }

    fn sum(evidence: &Evidence, leaf: &str) -> Result<i128, String> {
        let sums = compute_boot_sums(evidence);
        match &sums.iter().find(|sum| sum.0 == leaf).expect(leaf).1 {
            Datum::Value(value) => Ok(value.as_integer().expect(leaf)),
            Datum::Missing(why) => Err(why.to_string()),
        }
    }

    /// Check each sum on three boots of which two are alike.
    #[test]
    fn of_three_boots() {
        let evidence = booted(&[0x600_0000, 0x40_0000, 0x600_0000]);
        for (leaf, wanted) in [
            ("count", 3),
            ("distinct", 2),
            ("distinct_physical", 1),
            ("lowest", 0x40_0000),
            ("highest", 0x600_0000),
            ("divisor", 0x40_0000),
            ("differing", 0),
        ] {
            assert_eq!(sum(&evidence, leaf), Ok(wanted), "{leaf}");
        }
        assert_eq!(sum(&booted(&[0, 0]), "divisor"), Ok(0));
    }

    /// Check that one boot that is off is counted, and that the divisor tells a slide that is not aligned.
    #[test]
    fn one_that_is_off() {
        let mut evidence = booted(&[0x40_0000, 0x60_0000]);
        evidence.boots[1].text = Value::address(STATIC).into();
        assert_eq!(sum(&evidence, "differing"), Ok(1));
        assert_eq!(sum(&booted(&[0x40_0000, 0x60_1000]), "divisor"), Ok(0x1000));
    }

    /// Check that a boot that did not say its slide leaves no sum over the others, and that a boot without a physical
    /// place spoils only what needs that.
    #[test]
    fn one_that_is_silent() {
        let mut evidence = booted(&[0x40_0000, 0x60_0000]);
        evidence.boots[1].physical = Datum::unavailable("no iomem");
        assert_eq!(
            sum(&evidence, "distinct_physical"),
            Err("boot 2 did not say its physical place: no iomem".into())
        );
        assert_eq!(sum(&evidence, "distinct"), Ok(2));
        evidence.boots[0].slide = Datum::unavailable("no kcore");
        for leaf in ["distinct", "lowest", "highest", "divisor", "differing"] {
            let why = sum(&evidence, leaf).unwrap_err();
            assert!(why.contains("boot 1") && why.contains("no kcore"), "{why}");
        }
        assert_eq!(sum(&evidence, "count"), Ok(2));
    }
}
