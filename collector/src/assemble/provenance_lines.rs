//! The lines of the files that addresses were read from, for readers who want to check them. Pure.
//!
//! No `grep` is run: the collector reads the files. `grep -n` finds the same lines under the same numbers.

use qed_evidence::document::{Reader, Reading};
use qed_evidence::value::{Datum, Value};

use crate::reason::Reason;
use crate::symbols::name_lookup::RowsByName;

/// The files' contents, as far as they were read.
pub struct SourceTexts<'a> {
    /// The symbols to look for.
    pub symbols: &'a [String],
    /// The machine is gone afterwards; else its addresses are not written down as text.
    pub ephemeral: bool,
    /// `uname -r`.
    pub release: &'a str,
    /// `/proc/kallsyms`.
    pub kallsyms: Result<&'a str, Reason>,
    /// `KERNELOFFSET` of the VMCOREINFO note in `/proc/kcore`.
    pub offset: Result<u64, Reason>,
    /// The line of the kernel's code in `/proc/iomem`, and its number.
    pub physical: Result<(u64, &'a str), Reason>,
    /// Name and text of the System.map.
    pub system_map: Result<(&'a str, &'a str), Reason>,
    /// Name of the vmlinux and, per symbol, its addresses there.
    pub vmlinux: Result<(&'a str, Vec<Vec<u64>>), Reason>,
    /// The reader of the configuration, its file and text.
    pub config: (Reader, &'a str, Result<&'a str, Reason>),
}

/// Options that decide where the kernel may be.
const OPTIONS: &[&str] = &[
    "CONFIG_RANDOMIZE_BASE",
    "CONFIG_PHYSICAL_START",
    "CONFIG_PHYSICAL_ALIGN",
];

/// List the readings in the order in which a reader would make them.
pub fn list_readings(texts: &SourceTexts<'_>) -> Vec<Reading> {
    let mut list = ReadingList {
        texts,
        readings: Vec::new(),
    };
    let release = Ok((Some(1), texts.release.to_owned()));
    list.add(
        Reader::Machine,
        "/proc/sys/kernel/osrelease",
        "release",
        release,
    );
    list.add_table(Reader::Machine, "/proc/kallsyms", &texts.kallsyms);
    let offset = texts.offset.clone();
    let offset = offset.map(|offset| (None, format!("KERNELOFFSET={offset:x}")));
    list.add_live("/proc/kcore", "VMCOREINFO", offset);
    let physical = texts.physical.clone();
    let physical = physical.map(|(number, line)| (Some(number), line.to_owned()));
    list.add_live("/proc/iomem", "Kernel code", physical);
    let (file, text) = match &texts.system_map {
        Ok((file, text)) => (*file, Ok(*text)),
        Err(reason) => ("System.map", Err(reason.clone())),
    };
    list.add_table(Reader::Builder, file, &text);
    for (index, symbol) in texts.symbols.iter().enumerate() {
        match &texts.vmlinux {
            Ok((file, addresses)) => {
                for address in addresses.get(index).into_iter().flatten() {
                    let entry = Ok((None, format!("{address:016x} {symbol}")));
                    list.add(Reader::Builder, file, symbol, entry);
                }
            }
            Err(reason) => list.add(Reader::Builder, "vmlinux", symbol, Err(reason.clone())),
        }
    }
    let (by, file, text) = &texts.config;
    for option in OPTIONS {
        let names = |line: &str| {
            let words = line.strip_prefix("# ").unwrap_or(line);
            words.split(['=', ' ']).next() == Some(option)
        };
        let found = text.clone().and_then(|text| {
            let found = numbered_lines(text, names).next();
            found.ok_or_else(|| format!("it does not name {option}").into())
        });
        list.add(*by, file, option, found);
    }
    list.readings
}

/// Lines that `wanted` picks, each with its number from 1.
fn numbered_lines(
    text: &str,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (Option<u64>, String)> {
    (1..)
        .zip(text.lines())
        .filter(move |(_, line)| wanted(line))
        .map(|(number, line)| (Some(number), line.to_owned()))
}

struct ReadingList<'a> {
    texts: &'a SourceTexts<'a>,
    readings: Vec<Reading>,
}

impl ReadingList<'_> {
    fn add(
        &mut self,
        by: Reader,
        file: &str,
        key: &str,
        found: Result<(Option<u64>, String), Reason>,
    ) {
        let (line, text) = match found {
            Ok((line, text)) => (line, Value::text(text).into()),
            Err(reason) => (None, Datum::unavailable(reason)),
        };
        self.readings.push(Reading {
            by,
            file: file.to_owned(),
            key: key.to_owned(),
            line,
            text,
        });
    }

    /// Add a line that reveals where a running kernel is.
    fn add_live(&mut self, file: &str, key: &str, found: Result<(Option<u64>, String), Reason>) {
        let found = found.and_then(|found| {
            if self.texts.ephemeral {
                Ok(found)
            } else {
                Err("it tells where this live machine's kernel is, and is not written down".into())
            }
        });
        self.add(Reader::Machine, file, key, found);
    }

    /// Add the lines of a table of symbols (`ADDRESS KIND NAME`, then perhaps a module) that name ours.
    fn add_table(&mut self, by: Reader, file: &str, text: &Result<&str, Reason>) {
        let lines = text.as_ref().map_or("", |text| *text).lines();
        let rows = (1..).zip(lines).filter_map(|(number, line)| {
            let name = line.split_ascii_whitespace().nth(2)?;
            Some((name, (number, line)))
        });
        let named = RowsByName::collect(self.texts.symbols.iter().map(String::as_str), rows);
        for symbol in self.texts.symbols {
            let mut found: Vec<Result<_, Reason>> = named
                .rows(symbol)
                .iter()
                .map(|(number, line)| Ok((Some(*number), (*line).to_owned())))
                .collect();
            if found.is_empty() {
                found.push(Err(match text {
                    Ok(_) => format!("it does not name {symbol}").into(),
                    Err(reason) => reason.clone(),
                }));
            }
            for found in found {
                match by {
                    Reader::Machine => self.add_live(file, symbol, found),
                    Reader::Builder => self.add(by, file, symbol, found),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str =
        "ffffffff81000000 T _text\nffffffff81000040 t twin\nffffffff81000080 t twin\n";
    const LIVE: &str =
        "0000000000000000 A fixed\nffffffff92a00000 T _text\nffffffffc0000000 t twin\t[mod]\n";
    const CONFIG: &str =
        "CONFIG_X=y\n# CONFIG_RANDOMIZE_BASE is not set\nCONFIG_PHYSICAL_START=0x1000000\n";

    fn lines(ephemeral: bool) -> Vec<(String, Option<u64>, Result<String, Reason>)> {
        let symbols = ["_text".to_owned(), "twin".to_owned(), "gone".to_owned()];
        let found = list_readings(&SourceTexts {
            symbols: &symbols,
            ephemeral,
            release: "6.1.0",
            kallsyms: Ok(LIVE),
            offset: Ok(0x11a0_0000),
            physical: Ok((7, "  05600000-065fffff : Kernel code")),
            system_map: Ok(("System.map-6.1.0", MAP)),
            vmlinux: Ok((
                "vmlinux-6.1.0",
                vec![vec![0xffff_ffff_8100_0000], vec![1, 2], vec![]],
            )),
            config: (Reader::Builder, "config-6.1.0", Ok(CONFIG)),
        });
        found
            .into_iter()
            .map(|reading| {
                let text = match reading.text {
                    Datum::Value(value) => Ok(value.to_string()),
                    Datum::Missing(why) => Err(why.to_string().into()),
                };
                (
                    format!("{} {}", reading.file, reading.key),
                    reading.line,
                    text,
                )
            })
            .collect()
    }

    /// Check that each line is taken verbatim from the file, with the number that `grep -n` gives it, and that missing lines
    /// are reported.
    #[test]
    fn as_they_stand() {
        let lines = lines(true);
        for (file, text) in [
            ("/proc/kallsyms ", LIVE),
            ("System.map-6.1.0 ", MAP),
            ("config-6.1.0 ", CONFIG),
        ] {
            let mut found = 0;
            for (_, number, line) in lines.iter().filter(|(name, ..)| name.starts_with(file)) {
                let (Some(number), Ok(line)) = (number, line) else {
                    continue;
                };
                assert_eq!(text.lines().nth(*number as usize - 1), Some(line.as_str()));
                found += 1;
            }
            assert!(found >= 2, "{file}: {lines:?}");
        }
        let texts = |wanted: &str| -> Vec<&Result<String, Reason>> {
            let of = lines.iter().filter(|(name, ..)| name == wanted);
            of.map(|(_, _, text)| text).collect()
        };
        assert_eq!(
            texts("/proc/kcore VMCOREINFO"),
            [&Ok("KERNELOFFSET=11a00000".into())]
        );
        assert_eq!(texts("System.map-6.1.0 twin").len(), 2);
        assert_eq!(
            texts("vmlinux-6.1.0 _text"),
            [&Ok("ffffffff81000000 _text".into())]
        );
        assert_eq!(
            texts("System.map-6.1.0 gone"),
            [&Err("it does not name gone".into())]
        );
        assert_eq!(
            texts("config-6.1.0 CONFIG_RANDOMIZE_BASE"),
            [&Ok("# CONFIG_RANDOMIZE_BASE is not set".into())]
        );
        assert!(texts("config-6.1.0 CONFIG_PHYSICAL_ALIGN")[0].is_err());
    }

    /// Check that for a live machine no line with a live address is kept, and that lines with static addresses are.
    #[test]
    fn live_machines_stay_private() {
        // The absence of a symbol from a table is not secret.
        let lines = lines(false).into_iter();
        for (name, _, text) in lines.filter(|(name, ..)| !name.ends_with(" gone")) {
            let secret = ["/proc/kallsyms", "/proc/kcore", "/proc/iomem"];
            let private = secret.iter().any(|file| name.starts_with(file));
            assert_eq!(
                private,
                text.as_ref()
                    .is_err_and(|why| !why.contains("does not name")),
                "{name}: {text:?}"
            );
        }
    }
}
