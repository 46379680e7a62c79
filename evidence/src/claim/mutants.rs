//! Mutants: values that a leaf could have had instead, for the negative control and the mutation test.

mod cut;
mod texts;

use crate::document::value::{Address, Bytes, Frame, Integer, LineRole, Location, Value};
use crate::path_index::leaf_words;

use self::cut::{truncated_bytes, truncated_stacks, truncated_texts};
use self::texts::{lengths, texts};
use super::c_types::{fits, fits_type, is_wide_enum};
use super::hints::{Hints, OTHER_POINTERS, OTHER_SYMBOLS};
use super::invariants::{
    MOST_FRAMES, begins_at_probe, has_form, have_same_form, innermost_function, is_count, is_given,
    is_possible, is_result,
};

/// Values that the leaf `path` could have had instead of `value`: of the same kind, valid, and different. Those that most
/// likely change the result come first. Each is made on demand.
pub(super) fn mutants<'v>(
    path: &'v str,
    value: &'v Value,
    hints: &'v Hints<'_>,
) -> impl Iterator<Item = Value> + use<'v> {
    let (counts, given, formed) = (is_count(path), is_given(path), has_form(path));
    let own = value.as_integer();
    let mut seen: Vec<Value> = Vec::new();
    let listed = leaf_words(path).into_iter().flatten();
    let listed = listed.map(|word| Value::text(*word));
    // A call that failed could have succeeded.
    let failed = matches!(value, Value::Errno { .. }) && is_result(path);
    let succeeded = failed.then(|| [crate::document::count_value(0), Value::Fd { value: 3 }]);
    let all = listed
        .chain(mutant_candidates(value, hints, counts))
        .chain(succeeded.into_iter().flatten());
    all.filter(move |mutant| {
        let new = !given
            && mutant != value
            && !is_twin(value, mutant)
            && mutant.validate().is_ok()
            && is_possible(path, mutant)
            && (!begins_at_probe(path) || begins_like(value, mutant))
            && (!formed || is_formed_like(value, mutant))
            && own
                .zip(mutant.as_integer())
                .is_none_or(|(own, number)| fits(path, own, number, hints))
            && !seen.contains(mutant);
        if new {
            seen.push(mutant.clone());
        }
        new
    })
}

/// True if a value is not a stack, or one that begins as the measured one does.
fn begins_like(measured: &Value, mutant: &Value) -> bool {
    match (frames(measured), frames(mutant)) {
        (Some(measured), Some(mutant)) => {
            let place = innermost_function(measured);
            place.is_none() || place == innermost_function(mutant)
        }
        _ => true,
    }
}

/// True if a value is not text, or is text of the same form as the measured one.
fn is_formed_like(measured: &Value, mutant: &Value) -> bool {
    match (measured, mutant) {
        (Value::Text { value: measured }, Value::Text { value: mutant }) => {
            have_same_form(measured, mutant)
        }
        (Value::Text { .. }, _) => false,
        // A buffer has the size that the investigation gives it.
        (Value::Bytes { value: measured }, Value::Bytes { value: mutant }) => {
            measured.0.len() == mutant.0.len()
        }
        (Value::Bytes { .. }, _) => false,
        _ => true,
    }
}

fn frames(value: &Value) -> Option<&[Frame]> {
    match value {
        Value::Stack { value } | Value::CutStack { value, .. } => Some(value),
        _ => None,
    }
}

/// True if a value is the same number under its other name.
fn is_twin(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Enum { value: a, .. }, Value::Enum { value: b, .. }) => a == b,
        (Value::Errno { value: a, .. }, Value::Errno { value: b, .. }) => a == b,
        _ => false,
    }
}

/// Candidates for the place of `value`: not always valid, and not always another one.
fn mutant_candidates<'v>(
    value: &'v Value,
    hints: &'v Hints<'_>,
    counts: bool,
) -> Box<dyn Iterator<Item = Value> + 'v> {
    match value {
        Value::Address {
            value,
            type_name,
            symbol,
        } => {
            let annotated = move |address, symbol| Value::Address {
                value: Address(address),
                type_name: type_name.clone(),
                symbol,
            };
            let more = addresses(value.0, hints).into_iter().map(move |address| {
                let named = symbol.as_ref().and_then(|_| symbol_at(address, hints));
                annotated(address, named.map(|(name, at)| format!("{name}+{at:#x}")))
            });
            let elsewhere = symbol.iter().flat_map(move |_| {
                symbols(hints).map(move |symbol| {
                    annotated(value.0 ^ 0x1000, Some(symbol.to_owned() + "+0x0"))
                })
            });
            Box::new(more.chain(elsewhere))
        }
        Value::Symbol { address, .. } => Box::new(other_symbols(*address, hints)),
        Value::Bool { value } => Box::new(std::iter::once(Value::Bool { value: !value })),
        Value::Text { value } | Value::CutText { value, .. } => {
            let texts = texts(value, hints).into_iter();
            Box::new(
                texts
                    .map(|value| Value::Text { value })
                    .chain(truncated_texts(value)),
            )
        }
        Value::Bytes { value } | Value::CutBytes { value, .. } => {
            let list = bytes(&value.0, hints).into_iter().map(Bytes);
            Box::new(
                list.map(|value| Value::Bytes { value })
                    .chain(truncated_bytes(&value.0)),
            )
        }
        Value::Location { value } => {
            let locations = locations(value, hints).into_iter();
            Box::new(locations.map(|value| Value::Location { value }))
        }
        Value::Stack { value } | Value::CutStack { value, .. } => {
            let stacks = stacks(value, hints).into_iter();
            Box::new(
                stacks
                    .map(|value| Value::Stack { value })
                    .chain(truncated_stacks(value)),
            )
        }
        // A call that returned a descriptor could have failed.
        Value::Fd { value: fd } => {
            let failed = [-24, -1].into_iter().filter_map(|value: i32| {
                let name = crate::constants::errno_name(value.unsigned_abs())?.into_owned();
                Some(Value::Errno { value, name })
            });
            let other = numbers((*fd).into(), hints)
                .into_iter()
                .filter_map(move |n| with_number(value, n, hints));
            Box::new(other.chain(failed))
        }
        number => Box::new(
            other_enumerator_numbers(number, hints)
                .chain(numbers(number.as_integer().unwrap_or_default(), hints))
                .filter(move |n| !counts || *n >= 0)
                .filter_map(|n| with_number(number, n, hints)),
        ),
    }
}

/// Other symbols, at addresses that may be theirs.
fn other_symbols<'v>(
    address: Address,
    hints: &'v Hints<'_>,
) -> impl Iterator<Item = Value> + use<'v> {
    addresses(address.0, hints)
        .into_iter()
        .filter_map(|address| {
            let (name, offset) = symbol_at(address, hints)?;
            Some((name.to_owned(), offset, address))
        })
        .chain(symbols(hints).map(move |name| (name.to_owned(), 0, address.0 ^ 0x1000)))
        .map(|(name, offset, address)| Value::Symbol {
            name,
            offset,
            address: Address(address),
        })
}

/// The name of a symbol that no document contains: it stands for all symbols of the kernel to which nothing in the document
/// leads.
const ANOTHER_SYMBOL: &str = "qed_another_symbol";

/// Names of symbols that the document's tables need not hold: [`ANOTHER_SYMBOL`], and what the claim writes.
fn symbols<'v>(hints: &'v Hints<'_>) -> impl Iterator<Item = &'v str> + use<'v> {
    let written = hints.texts.iter().map(String::as_str);
    std::iter::once(ANOTHER_SYMBOL).chain(written.filter(|text| crate::path::is_identifier(text)))
}

/// The symbol that an address would have in the same document.
fn symbol_at<'m>(address: u64, hints: &Hints<'m>) -> Option<(&'m str, u64)> {
    let (symbol, offset) = hints.names.symbol(address)?;
    Some((&symbol.name, offset))
}

fn addresses(value: u64, hints: &Hints<'_>) -> Vec<u64> {
    let all = &hints.names.symbols;
    let named_by_claim = all.iter().filter(|symbol| {
        hints
            .texts
            .iter()
            .any(|text| text.starts_with(&symbol.name))
    });
    // If the value itself leads to a symbol, then others lead to the neighbours as likely as anywhere.
    let own = all.partition_point(|symbol| symbol.address.0 <= value);
    let neighbours = all
        .iter()
        .skip(own.saturating_sub(OTHER_SYMBOLS / 2))
        .take(OTHER_SYMBOLS);
    let symbols = neighbours
        .chain(named_by_claim)
        .filter(|_| hints.names.symbol(value).is_some())
        .map(|symbol| symbol.address.0);
    let near = [value.wrapping_add(1), value.wrapping_sub(1), 0, u64::MAX];
    let bits = [1, 12, 21, 30, 47, 63].map(|bit| value ^ (1 << bit));
    // So far from another pointer of the claim as it says, for `delta(a, b) != 64`.
    let distances = hints.numbers.iter().flat_map(|number| {
        let distance = i64::try_from(*number).unwrap_or_default();
        let pointers = hints.addresses.iter().take(OTHER_POINTERS);
        pointers.map(move |pointer| pointer.wrapping_add_signed(distance))
    });
    near.into_iter()
        .chain(hints.addresses.iter().copied())
        .chain(symbols)
        .chain(bits)
        .chain(distances)
        .collect()
}

fn numbers(value: i128, hints: &Hints<'_>) -> Vec<i128> {
    let near = [value + 1, value - 1, 0, -value, 1];
    let bits = [1, 4, 12, 21, 31].map(|bit| value ^ (1 << bit));
    let far = [
        value.saturating_mul(2),
        1 << 40,
        1 << 50,
        i32::MAX.into(),
        i64::MAX.into(),
        i64::MIN.into(),
        u64::MAX.into(),
    ];
    near.into_iter()
        .chain(hints.numbers.iter().copied())
        .chain(bits)
        .chain(far)
        .collect()
}

/// The same kind of value with another number; `None` if the kind cannot hold it.
fn with_number(like: &Value, number: i128, hints: &Hints<'_>) -> Option<Value> {
    let integer = Integer::new(number)?;
    Some(match like {
        Value::Int {
            value: own,
            type_name: Some(name),
        } if !fits_type(name, own.get(), number, hints) => return None,
        Value::Int { type_name, .. } => Value::Int {
            value: integer,
            type_name: type_name.clone(),
        },
        Value::Offset { .. } => Value::Offset { value: integer },
        Value::Size { .. } => Value::Size {
            value: u64::try_from(number).ok()?,
        },
        Value::Fd { .. } => Value::Fd {
            value: i32::try_from(number).ok()?,
        },
        Value::Pid { .. } => Value::Pid {
            value: i32::try_from(number).ok()?,
        },
        Value::Errno { .. } => {
            let value = i32::try_from(number).ok()?;
            Value::Errno {
                value,
                name: crate::constants::errno_name(value.unsigned_abs())?.into_owned(),
            }
        }
        // An enumerator of C has 32 bits, but for types in which one has more.
        Value::Enum { type_name, .. }
            if !(i32::MIN.into()..=u32::MAX.into()).contains(&number)
                && !is_wide_enum(type_name, hints) =>
        {
            return None;
        }
        Value::Enum { type_name, .. } => Value::Enum {
            value: integer,
            type_name: type_name.clone(),
            name: Some(enumerator(type_name, integer, hints)),
        },
        Value::Flags { set, .. } => {
            let names = set
                .as_ref()
                .and_then(|set| hints.names.flag_names(set, integer));
            Value::Flags {
                value: integer,
                set: set.clone().filter(|_| names.is_some()),
                names: names.unwrap_or_default(),
            }
        }
        Value::Time { .. } => Value::Time {
            ns: u64::try_from(number).ok()?,
        },
        _ => return None,
    })
}

/// The numbers of other enumerators of the same type, or of other errors: first some, then those that the claim names.
fn other_enumerator_numbers<'v>(
    value: &'v Value,
    hints: &'v Hints<'_>,
) -> Box<dyn Iterator<Item = i128> + 'v> {
    let written = hints.texts.iter();
    match value {
        Value::Enum { type_name, .. } => {
            let list = hints.names.enums.get(type_name);
            let some = list
                .into_iter()
                .flat_map(|list| list.values().take(OTHER_SYMBOLS));
            let named =
                written.filter_map(move |name| match list.and_then(|list| list.get(name)) {
                    Some(number) => Some(number.get()),
                    None => crate::constants::constant_number(type_name, name),
                });
            Box::new(some.map(|number| number.get()).chain(named))
        }
        Value::Errno { value, .. } => {
            let named = written.filter_map(|name| crate::constants::errno_number(name));
            let sign = i128::from(value.signum()).min(1);
            Box::new(named.map(move |number| {
                if sign < 0 {
                    -i128::from(number)
                } else {
                    number.into()
                }
            }))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// The enumerator of a number, or a placeholder if it has none.
fn enumerator(type_name: &str, number: Integer, hints: &Hints<'_>) -> String {
    let known = hints.names.enums.get(type_name).and_then(|list| {
        let (name, _) = list.iter().find(|(_, known)| **known == number)?;
        Some(name.clone())
    });
    let in_set = || crate::constants::constant_name(type_name, number.get()).map(str::to_owned);
    known
        .or_else(in_set)
        .unwrap_or_else(|| format!("QED_ANOTHER_{}", number.get().unsigned_abs()))
}

/// Places of single bytes that are changed, and what each becomes: a claim names a few of both.
const MOST_BYTES: usize = 32;

fn bytes(value: &[u8], hints: &Hints<'_>) -> Vec<Vec<u8>> {
    let mut flipped = value.to_vec();
    if let Some(first) = flipped.first_mut() {
        *first ^= 1;
    }
    let mut longer = value.to_vec();
    longer.push(0);
    let other = value.iter().map(|byte| byte ^ 1).collect();
    // The claim names the places of single bytes, and what they are compared with.
    let places = hints
        .numbers
        .iter()
        .filter_map(|n| usize::try_from(*n).ok());
    let places = places.filter(|at| *at < value.len()).take(MOST_BYTES);
    let single = places.flat_map(|at| {
        let numbers = hints.numbers.iter().filter_map(|n| u8::try_from(*n).ok());
        numbers.take(MOST_BYTES).map(move |byte| {
            let mut changed = value.to_vec();
            changed[at] = byte;
            changed
        })
    });
    [flipped, longer, Vec::new(), other]
        .into_iter()
        .chain(lengths(hints).map(|length| vec![0; length]))
        .chain(hints.bytes.iter().cloned())
        .chain(single)
        .collect()
}

fn locations(value: &Location, hints: &Hints<'_>) -> Vec<Location> {
    let lines = numbers(value.line.into(), hints)
        .into_iter()
        .filter_map(|line| {
            let line = u32::try_from(line).ok()?;
            Some(Location {
                line,
                ..value.clone()
            })
        });
    let others = texts("qed_another", hints).into_iter().flat_map(|text| {
        [
            Location {
                file: text.clone(),
                ..value.clone()
            },
            Location {
                function: text,
                ..value.clone()
            },
        ]
    });
    lines.chain(others).collect()
}

/// Complete stacks, so that absence is certain: an empty one; one of an unrelated function, also of several lengths; ones with
/// all functions of the claim, in both orders; each of these also behind the function in which the measured one begins. Then
/// the measured one reversed, and without its innermost or outermost frame.
fn stacks(value: &[Frame], hints: &Hints<'_>) -> Vec<Vec<Frame>> {
    let frame = |function: &str| Frame {
        address: Address(0xffff_ffff_8100_0000),
        symbol: None,
        offset: None,
        site: Some(Location {
            file: "qed_another.c".into(),
            line: 1,
            function: function.into(),
            role: LineRole::Call,
            inlined_into: Vec::new(),
        }),
        interrupts: false,
    };
    let named: Vec<Frame> = hints.texts.iter().map(|text| frame(text)).collect();
    let reversed = named.iter().rev().cloned().collect();
    let of_length =
        lengths(hints).map(|length| vec![frame("qed_another"); length.min(MOST_FRAMES)]);
    let mut list = vec![vec![frame("qed_another")], named, reversed, Vec::new()];
    list.extend(of_length);
    if let Some(place) = innermost_function(value) {
        let behind = |others: &Vec<Frame>| [&[frame(place)], &others[..]].concat();
        let behind: Vec<Vec<Frame>> = list.iter().map(behind).collect();
        list.extend(behind);
    }
    list.push(value.iter().rev().cloned().collect());
    if let [first, middle @ .., last] = value {
        list.push(middle.iter().chain([last]).cloned().collect());
        list.push([first].into_iter().chain(middle).cloned().collect());
    }
    list
}
