//! The kernel's offset in the text that it prints when it panics.

use serde::Serialize;
use thiserror::Error;

/// The kernel's statement on its console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleOffset {
    /// The image was moved.
    Offset {
        /// The distance in bytes.
        slide: u64,
        /// From which static address, `_text`.
        from: u64,
    },
    /// The kernel says that it does not randomize.
    Disabled,
}

/// A console log without an offset.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ConsoleError {
    /// The line is missing: the kernel prints it only when it panics.
    #[error("the console holds no `Kernel Offset:` line (the kernel prints it when it panics)")]
    Missing,
    /// The line does not have the form that the kernel prints.
    #[error(
        "failed to parse the console line {0:?}: expected `Kernel Offset: 0x… from 0x…` or `Kernel Offset: disabled`"
    )]
    Malformed(String),
    /// Two lines state different offsets: the log holds more than one boot.
    #[error("the console states two different offsets: {0:?} and {1:?}; give the log of one boot")]
    Contradiction(String, String),
}

const MARK: &str = "Kernel Offset: ";

/// Find the offset in a console log. The kernel prints
/// (<https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/setup.c>, `dump_kernel_offset`)
/// ```text
/// [    1.234567] Kernel Offset: 0x27600000 from 0xffffffff81000000 (relocation range:
/// 0xffffffff80000000-0xffffffffbfffffff)
/// ```
/// or `Kernel Offset: disabled`.
pub fn parse(log: &str) -> Result<ConsoleOffset, ConsoleError> {
    let mut found: Option<(ConsoleOffset, &str)> = None;
    for line in log.lines() {
        let Some((_, statement)) = line.split_once(MARK) else {
            continue;
        };
        let statement = statement.trim();
        let quote = |text: &str| text.chars().take(160).collect::<String>();
        let offset =
            parse_statement(statement).ok_or_else(|| ConsoleError::Malformed(quote(line)))?;
        match &found {
            Some((first, text)) if *first != offset => {
                return Err(ConsoleError::Contradiction(quote(text), quote(statement)));
            }
            _ => found = Some((offset, statement)),
        }
    }
    found.map(|(offset, _)| offset).ok_or(ConsoleError::Missing)
}

fn parse_statement(statement: &str) -> Option<ConsoleOffset> {
    if statement == "disabled" {
        return Some(ConsoleOffset::Disabled);
    }
    let (slide, rest) = statement.split_once(" from ")?;
    let from = rest.split_once(' ').map_or(rest, |(from, _)| from);
    Some(ConsoleOffset::Offset {
        slide: parse_hex(slide)?,
        from: parse_hex(from)?,
    })
}

fn parse_hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "[    1.70] Kernel Offset: 0x27600000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)";
    const OFFSET: ConsoleOffset = ConsoleOffset::Offset {
        slide: 0x2760_0000,
        from: 0xffff_ffff_8100_0000,
    };

    /// Check that the offset is found among other lines, with the serial console's carriage returns.
    #[test]
    fn found() {
        assert_eq!(
            parse(&format!(
                "Linux version 6.1\r\n{LINE}\r\n---[ end Kernel panic ]---\r\n"
            )),
            Ok(OFFSET)
        );
        assert_eq!(
            parse("Kernel Offset: disabled\n"),
            Ok(ConsoleOffset::Disabled)
        );
        assert_eq!(parse(&format!("{LINE}\n{LINE}\n")), Ok(OFFSET));
    }

    /// Check that no line, a cut line and two boots in one log are each an error.
    #[test]
    fn refused() {
        assert_eq!(parse("all fine\n"), Err(ConsoleError::Missing));
        for cut in [40, 30, 26] {
            assert!(
                matches!(parse(&LINE[..cut]), Err(ConsoleError::Malformed(_))),
                "{}",
                &LINE[..cut]
            );
        }
        assert!(matches!(
            parse(&format!("{LINE}\nKernel Offset: disabled\n")),
            Err(ConsoleError::Contradiction(..))
        ));
    }

    proptest! {
        /// Check that no log makes the parser panic.
        #[test]
        fn never_panics(before in any::<String>(), after in any::<String>()) {
            let _ = parse(&format!("{before}{MARK}{after}"));
        }
    }
}
