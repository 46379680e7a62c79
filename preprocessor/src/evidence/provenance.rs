//! The values that a page shows, with the origin of each.

use crate::evidence::book_data::BookData;
use crate::evidence::machine_id::MachineId;

/// One value that the page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its path; of an exhibit also that of a node, for all that is below it.
    pub path: String,
    /// The machine, if it has evidence.
    pub machine: Option<MachineId>,
    /// Its `as`.
    pub style: Option<String>,
    /// The text on the page.
    pub text: String,
    /// A description, with the reason if the value is missing.
    pub note: String,
    /// True if it is in a place without markup, so that its origin has to be in the page's list.
    pub listed: bool,
}

impl Use {
    /// A path that a claim or an exhibit depends on, but does not show as a value of its own.
    pub fn new_dependency(path: impl Into<String>, machine: impl Into<Option<MachineId>>) -> Self {
        Use {
            path: path.into(),
            machine: machine.into(),
            style: None,
            text: String::new(),
            note: String::new(),
            listed: false,
        }
    }

    /// True if it is of evidence that is out of date.
    pub fn is_stale(&self, book_data: &BookData<'_>) -> bool {
        self.machine
            .is_some_and(|index| !book_data.machine(index).stale.is_empty())
    }

    /// Name of its machine.
    pub fn machine_name(&self, book_data: &BookData<'_>) -> String {
        self.machine.map_or_else(String::new, |index| {
            book_data.machine(index).machine.clone()
        })
    }

    /// Its origin, as the reader sees it on hover.
    pub fn provenance(&self, book_data: &BookData<'_>) -> String {
        let origin = self
            .machine
            .map(|index| format!("\n{}", book_data.origin(index)));
        let read = self.expression(book_data);
        format!(
            "{} — {}{}{}",
            self.path,
            self.note,
            read.map_or_else(String::new, |read| format!("\nread as {read}")),
            origin.unwrap_or_default()
        )
    }

    /// The C expression of the investigation that was read, or those of which one was, if the value is that of a read.
    fn expression(&self, book_data: &BookData<'_>) -> Option<String> {
        let segments: Vec<&str> = self.path.split('.').collect();
        let (experiment, probe, side, name) = match segments.as_slice() {
            [experiment, probe, side, name] => (experiment, probe, side, name),
            [experiment, probe, _, side, name] => (experiment, probe, side, name),
            _ => return None,
        };
        let probe = book_data
            .evidence_set
            .investigation
            .experiment(experiment)?
            .probe(probe)?;
        let reads = match *side {
            "entry" => &probe.entry,
            "exit" => &probe.exit,
            _ => return None,
        };
        let read = reads.iter().find(|read| read.name == *name)?;
        Some(read.text())
    }
}

/// The machines that a page shows, in the book's order.
pub fn used_machines(uses: &[Use], more: &[MachineId]) -> Vec<MachineId> {
    let mut machines: Vec<MachineId> = uses
        .iter()
        .filter_map(|u| u.machine)
        .chain(more.iter().copied())
        .collect();
    machines.sort_unstable();
    machines.dedup();
    machines
}
