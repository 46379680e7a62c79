//! Values as text.

use qed_evidence::Value;
use qed_evidence::document::Machine;
use qed_evidence::value::{Datum, LineRole};

use crate::markdown::style::{FORMATS, ValueFormat};

/// A value that cannot be written as asked. The message is a phrase that can follow "because".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is of kind {kind}, which as=\"{format}\" cannot write")]
pub struct FormatError {
    kind: &'static str,
    format: &'static str,
}

/// Write `value` as asked.
pub fn format(value: &Value, format: Option<ValueFormat>) -> Result<String, FormatError> {
    let Some(format) = format else {
        return Ok(value.to_string());
    };
    try_format(value, format).ok_or_else(|| {
        let named = FORMATS.iter().find(|(_, f)| *f == format);
        FormatError {
            kind: value.kind(),
            format: named.map_or("", |(name, _)| name),
        }
    })
}

/// The longest text that stays on one line on a narrow screen, in bytes: an address with a sign, and some room.
const WHOLE: usize = 20;

/// True of a number or an address that is not to be broken in the middle.
pub fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text.len() <= WHOLE
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn try_format(value: &Value, format: ValueFormat) -> Option<String> {
    let number = value.as_integer();
    Some(match (format, value) {
        (ValueFormat::Hex, Value::Address { value, .. } | Value::Symbol { address: value, .. }) => {
            value.to_string()
        }
        (ValueFormat::Hex, Value::Bytes { value }) => hex::encode(&value.0),
        (ValueFormat::Hex | ValueFormat::Bytes, Value::CutBytes { value: bytes, .. }) => {
            format!("{}{}", hex::encode(&bytes.0), value.cut_mark())
        }
        (ValueFormat::Hex, _) => {
            let number = number?;
            let sign = if number < 0 { "-" } else { "" };
            format!("{sign}{:#x}", number.unsigned_abs())
        }
        (ValueFormat::Dec, Value::Address { value, .. } | Value::Symbol { address: value, .. }) => {
            if value.is_pseudonym() {
                value.to_string()
            } else {
                value.0.to_string()
            }
        }
        (ValueFormat::Dec, _) => number?.to_string(),
        (ValueFormat::Mib, Value::Size { .. } | Value::Offset { .. } | Value::Int { .. }) => {
            format_mib(number?)
        }
        (ValueFormat::Bytes, Value::Bytes { value }) => hex::encode(&value.0),
        (ValueFormat::Bytes, Value::Size { .. } | Value::Offset { .. } | Value::Int { .. }) => {
            let number = number?;
            let unit = if number == 1 { "byte" } else { "bytes" };
            format!("{} {unit}", group_digits(number))
        }
        (ValueFormat::Symbol, Value::Symbol { .. }) => value.to_string(),
        (
            ValueFormat::Symbol,
            Value::Address {
                symbol: Some(symbol),
                ..
            },
        ) => symbol.clone(),
        (
            ValueFormat::Name,
            Value::Enum {
                name: Some(name), ..
            }
            | Value::Errno { name, .. },
        ) => name.clone(),
        (ValueFormat::Name, Value::Symbol { name, .. }) => name.clone(),
        (
            ValueFormat::Name,
            Value::Address {
                symbol: Some(symbol),
                ..
            },
        ) => symbol.split('+').next().unwrap_or_default().to_owned(),
        (ValueFormat::Name, Value::Location { value }) => value.function.clone(),
        (ValueFormat::Name, Value::Flags { names, .. }) if !names.is_empty() => names.join("|"),
        (ValueFormat::Errno, Value::Errno { value, name }) => format!("{value} ({name})"),
        (ValueFormat::Time, Value::Time { ns }) => format_duration(*ns),
        (ValueFormat::Time, Value::Text { value }) => {
            let time: jiff::Timestamp = value.parse().ok()?;
            format_minute(time)
        }
        (ValueFormat::File, Value::Location { value }) => value.file.clone(),
        (ValueFormat::Line, Value::Location { value }) => value.line.to_string(),
        _ => return None,
    })
}

/// A time stamp by the minute, in UTC.
pub fn format_minute(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The time of the boot that a guest was resumed from, by the minute; `None`: the machine was booted for its capture.
pub fn format_boot_time(machine: &Machine) -> Option<String> {
    let booted = machine.resumed.as_ref()?;
    let time = booted.parse();
    Some(time.map_or_else(|_| booted.clone(), format_minute))
}

/// Bytes in MiB, with as many decimals as it takes to be exact (at most twenty, since 2^20 bytes are one MiB).
fn format_mib(bytes: i128) -> String {
    const MIB: u128 = 1 << 20;
    let sign = if bytes < 0 { "-" } else { "" };
    let bytes = bytes.unsigned_abs();
    let (whole, mut rest) = (bytes / MIB, bytes % MIB);
    let mut decimals = String::new();
    while rest > 0 {
        rest *= 10;
        decimals.push_str(&(rest / MIB).to_string());
        rest %= MIB;
    }
    if decimals.is_empty() {
        format!("{sign}{whole} MiB")
    } else {
        format!("{sign}{whole}.{decimals} MiB")
    }
}

/// A number with a comma every three digits.
fn group_digits(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration in the largest unit of which it has at least one, rounded to three decimals.
pub fn format_duration(ns: u64) -> String {
    // What would be rounded to a thousand of one unit is one of the next.
    let (unit, name) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..999_999_500 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let thousandths = (u128::from(ns) * 1_000 + unit / 2) / unit;
    format!("{}.{:03} {name}", thousandths / 1_000, thousandths % 1_000)
}

/// The description of a value for lists and tooltips: `struct socket *`, `fd`, `line of the call`.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Address {
            type_name: Some(t), ..
        }
        | Value::Int {
            type_name: Some(t), ..
        } => t.clone(),
        // A cast names the type as C does, and a type without a name is called `enum`.
        Value::Enum { type_name, .. } if type_name.split(' ').next() == Some("enum") => {
            type_name.clone()
        }
        Value::Enum { type_name, .. } => format!("enum {type_name}"),
        Value::Location { value } => match value.role {
            LineRole::Definition => "line of the definition".into(),
            LineRole::Call => "line of the call".into(),
        },
        other => match other.describe_cut() {
            Some(cut) => format!("{}, {cut}", other.kind()),
            None => other.kind().to_owned(),
        },
    }
}

/// A datum on one line, for lists: the value, or `unavailable` and why.
pub fn format_datum(datum: &Datum) -> String {
    match datum {
        Datum::Value(value) => value.to_string(),
        Datum::Missing(u) => format!("unavailable, because {}", u),
    }
}

/// An age in words, coarse enough not to change with every build.
pub fn format_age(seconds: i64) -> String {
    let plural = |n: i64, unit: &str| format!("{n} {unit}{} old", if n == 1 { "" } else { "s" });
    match seconds {
        i64::MIN..0 => "from the future".into(),
        0..3_600 => "less than an hour old".into(),
        3_600..86_400 => plural(seconds / 3_600, "hour"),
        _ => plural(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that numbers and addresses stay on one line, and longer or other texts do not have to.
    #[test]
    fn numbers_stay_whole() {
        for whole in ["0xffff888003a4c000", "3", "-111"] {
            assert!(is_whole(whole), "{whole}");
        }
        for other in [
            "",
            "-",
            "sock_alloc+0x3",
            "1 MiB",
            "00000000000000000000000000",
        ] {
            assert!(!is_whole(other), "{other}");
        }
    }
    use crate::markdown::style::Style;
    use qed_evidence::value::{Address, Bytes, Integer};

    fn show(value: &Value, name: &str) -> Result<String, FormatError> {
        let format = FORMATS.iter().find(|(n, _)| *n == name).unwrap().1;
        super::format(value, Some(format))
    }

    /// Check each format on the kinds that it takes, to the last digit, and that it refuses the others.
    #[test]
    fn formats() {
        let slide = Value::Offset {
            value: Integer::from(0x1fa0_0000_i64),
        };
        assert_eq!(show(&slide, "mib").unwrap(), "506 MiB");
        assert_eq!(show(&slide, "hex").unwrap(), "0x1fa00000");
        assert_eq!(show(&slide, "dec").unwrap(), "530579456");
        assert_eq!(show(&slide, "bytes").unwrap(), "530,579,456 bytes");
        let odd = Value::Size {
            value: (1 << 20) + 1,
        };
        assert_eq!(show(&odd, "mib").unwrap(), "1.00000095367431640625 MiB");
        assert_eq!(show(&Value::int(-3), "hex").unwrap(), "-0x3");
        let pointer = Value::Address {
            value: Address(0xffff_ffff_9100_0123),
            type_name: None,
            symbol: Some("inet_stream_ops+0x0".into()),
        };
        assert_eq!(show(&pointer, "dec").unwrap(), "18446744071847280931");
        assert_eq!(show(&pointer, "symbol").unwrap(), "inet_stream_ops+0x0");
        assert_eq!(show(&pointer, "name").unwrap(), "inet_stream_ops");
        assert!(show(&Value::address(1), "symbol").is_err());
        let errno = Value::Errno {
            value: -24,
            name: "EMFILE".into(),
        };
        assert_eq!(show(&errno, "errno").unwrap(), "-24 (EMFILE)");
        assert_eq!(show(&errno, "name").unwrap(), "EMFILE");
        assert_eq!(show(&errno, "dec").unwrap(), "-24");
        assert_eq!(
            show(&Value::Time { ns: 12_345 }, "time").unwrap(),
            "12.345 µs"
        );
        for (ns, shown) in [
            (999, "999 ns"),
            (1_234_567, "1.235 ms"),
            (1_234_499, "1.234 ms"),
            (999_999, "999.999 µs"),
            (999_999_499, "999.999 ms"),
            (999_999_500, "1.000 s"),
            (1_999_999_999, "2.000 s"),
        ] {
            assert_eq!(format_duration(ns), shown);
        }
        assert_eq!(
            show(&Value::text("2026-01-02T03:04:05Z"), "time").unwrap(),
            "2026-01-02 03:04 UTC"
        );
        assert_eq!(
            show(
                &Value::Bytes {
                    value: Bytes(vec![0xf, 0x1f])
                },
                "bytes"
            )
            .unwrap(),
            "0f1f"
        );
        assert_eq!(
            show(&Value::text("x"), "mib").unwrap_err().to_string(),
            "the value is of kind text, which as=\"mib\" cannot write"
        );
    }

    /// Check that the type of an enumerator is named as C does, once.
    #[test]
    fn enumerations() {
        let of = |type_name: &str| {
            describe(&Value::Enum {
                value: Integer::from(1_u64),
                name: None,
                type_name: type_name.into(),
            })
        };
        for (type_name, expected) in [
            ("socket_state", "enum socket_state"),
            ("enum pid_type", "enum pid_type"),
            ("enum", "enum"),
            ("enumerated", "enum enumerated"),
        ] {
            assert_eq!(of(type_name), expected);
        }
    }

    /// Check that widths pad by characters and that nonsense is refused with its place.
    #[test]
    fn styles() {
        let read = |text: &str| {
            crate::markdown::syntax::split_words(text, 0..text.len()).and_then(|w| Style::read(&w))
        };
        let style = read(r#"width="6" align="right""#).unwrap();
        assert_eq!(style.pad("µs"), "    µs");
        assert_eq!(style.pad("1234567"), "1234567");
        for bad in [
            r#"width="0""#,
            r#"width="x""#,
            r#"align="left""#,
            r#"as="octal""#,
            r#"width="2" align="up""#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
