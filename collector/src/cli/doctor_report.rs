//! The answer of `doctor`, as text and as data.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::arch::Arch;

/// The name of the check of the cache.
pub(super) const CACHE: &str = "kernel cache";

/// The checks of both kinds of machines.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) host: MachineChecks,
    /// Guests of this machine's own architecture.
    pub(super) guest: MachineChecks,
    /// Guests of each architecture, by its name as `uname -m` prints it.
    pub(super) guests: BTreeMap<&'static str, MachineChecks>,
}

/// The checks of one kind of machine.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MachineChecks {
    /// True if a capture works.
    pub(super) captures: bool,
    /// The machines of this kind that the book here names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) named: Vec<String>,
    pub(super) checks: Vec<Check>,
    pub(super) conclusion: String,
}

/// One facility that a capture needs, or would use.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) works: bool,
    /// The finding, or the reason why it does not work and what would have to change.
    pub(super) detail: String,
    /// True if no capture works without it.
    #[serde(skip)]
    pub(super) needed: bool,
}

impl Check {
    /// One without which no capture works.
    pub(super) fn needed<E: std::fmt::Display>(name: &str, result: Result<String, E>) -> Self {
        Self {
            needed: true,
            ..Self::new(name, result)
        }
    }

    pub(super) fn new<E: std::fmt::Display>(name: &str, result: Result<String, E>) -> Self {
        let (works, detail) = match result {
            Ok(text) => (true, text),
            Err(reason) => (false, reason.to_string()),
        };
        Self {
            name: name.to_owned(),
            works,
            detail,
            needed: false,
        }
    }
}

impl Report {
    /// Guests of other architectures than this machine's.
    pub(super) fn others(&self) -> impl Iterator<Item = (Arch, &MachineChecks)> {
        let others = Arch::ALL.into_iter().filter(|arch| *arch != Arch::HOST);
        others.filter_map(|arch| Some((arch, self.guests.get(arch.machine())?)))
    }

    /// Guests of another architecture that nobody here asks for are a line.
    pub(super) fn text(&self) -> String {
        let (mut lines, mut sections) = (String::new(), String::new());
        for (arch, guests) in self.others() {
            match guests.named.is_empty() {
                true => lines += &guests.line(arch),
                false => sections += &guests.text(&format!("guest for {arch}"), ""),
            }
        }
        self.host.text("host", "") + &self.guest.text("guest", &lines) + &sections
    }
}

impl MachineChecks {
    /// Whether guests of another architecture can be captured, in a line.
    fn line(&self, arch: Arch) -> String {
        let word = if self.captures { "ok" } else { "--" };
        let details = self.checks.iter().filter(|check| match self.captures {
            true => check.name != CACHE,
            false => check.needed && !check.works,
        });
        let details: Vec<&str> = details.map(|check| &*check.detail).collect();
        format!("  {word}  guests for {arch}: {}\n", details.join("; "))
    }

    /// The checks, `more` lines, and the conclusion.
    fn text(&self, title: &str, more: &str) -> String {
        let lines = self.checks.iter().map(|check| {
            let word = if check.works { "ok" } else { "no" };
            format!("  {word}  {}: {}\n", check.name, check.detail)
        });
        format!(
            "{title}\n{}{more}  => {}\n",
            lines.collect::<String>(),
            self.conclusion
        )
    }
}

/// What is said of guests of another architecture than this machine's, if the book here names some and they cannot be captured.
pub(super) fn lack_warning(arch: Arch, guests: &MachineChecks) -> Option<String> {
    if guests.captures || guests.named.is_empty() {
        return None;
    }
    let lacking: Vec<&str> = guests
        .checks
        .iter()
        .filter(|check| !check.works && check.needed)
        .map(|check| &*check.detail)
        .collect();
    Some(format!(
        "the book here names {}, and guests for {arch} cannot be captured on this machine: {}",
        guests.named.join(", "),
        lacking.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Arch = match Arch::HOST {
        Arch::X86_64 => Arch::Aarch64,
        Arch::Aarch64 => Arch::X86_64,
    };

    fn guests(named: &[&str], captures: bool) -> MachineChecks {
        let twin = match captures {
            true => Ok("/x/twin".to_owned()),
            false => Err("there is none: build it"),
        };
        MachineChecks {
            captures,
            named: named.iter().map(|name| (*name).to_owned()).collect(),
            checks: vec![
                Check::needed("QEMU", Ok::<_, String>("/x/qemu".to_owned())),
                Check::needed("twin", twin),
                Check::new("KVM", Err("emulated")),
                Check::new(CACHE, Ok::<_, String>("/x/cache".to_owned())),
            ],
            conclusion: "so it is".to_owned(),
        }
    }

    /// The text about guests, and the warning, where this machine captures in guests of its own architecture.
    fn said(named: &[&str], captures: bool) -> (String, Option<String>) {
        let (own, other) = (guests(&[], true), guests(named, captures));
        let warning = lack_warning(OTHER, &other);
        let all = [
            (Arch::HOST.machine(), own.clone()),
            (OTHER.machine(), other),
        ];
        let report = Report {
            host: own.clone(),
            guest: own,
            guests: BTreeMap::from(all),
        };
        let text = report.text();
        let (_, guest) = text.split_once("\nguest\n").unwrap();
        (guest.to_owned(), warning)
    }

    /// Check that what guests of another architecture lack is a line as long as no book asks for them, and else a section and a warning;
    /// and that there is no warning where nothing is missing.
    #[test]
    fn another_architecture() {
        let own = "  ok  QEMU: /x/qemu\n  ok  twin: /x/twin\n  no  KVM: emulated\n  ok  kernel cache: /x/cache\n";
        let end = "  => so it is\n";
        let lacking = format!("{own}  --  guests for {OTHER}: there is none: build it\n{end}");
        assert_eq!(said(&[], false), (lacking, None));
        let fine = format!("{own}  ok  guests for {OTHER}: /x/qemu; /x/twin; emulated\n{end}");
        assert_eq!(said(&[], true), (fine, None));
        let (text, warning) = said(&["guest:a", "guest:b"], false);
        let other = own.replace("  ok  twin: /x/twin", "  no  twin: there is none: build it");
        assert_eq!(text, format!("{own}{end}guest for {OTHER}\n{other}{end}"));
        assert_eq!(
            warning.unwrap(),
            format!(
                "the book here names guest:a, guest:b, and guests for {OTHER} cannot be captured on this machine: there is none: build it"
            )
        );
        assert_eq!(said(&["guest:a"], true).1, None);
    }
}
