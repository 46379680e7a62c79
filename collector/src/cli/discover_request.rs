//! The request of `discover`, completed from a book where an experiment is traced.

use std::path::PathBuf;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::Lock;

use super::failure::Failure;
use super::kernel_files::DebugInfo;
use super::lock;
use super::output::render;
use super::request::{RequestArgs, read_request};
use super::target::{TargetError, TargetMachine};

/// The machine unless the command line or a book says otherwise.
const GUEST: &str = "guest:debian-6.12";

/// The machine of a discovery, and the files that it needs.
pub(super) struct DiscoverRequest {
    /// The machine.
    pub on: TargetMachine,
    /// The investigation of the experiment; `None`: a call is traced that was written on the command line.
    pub investigation: Option<PathBuf>,
    /// The lock file, if it names the machine.
    pub lock: Option<Lock>,
    /// The source of source lines.
    pub debuginfo: DebugInfo,
}

impl DiscoverRequest {
    /// The request of a command line; only an experiment has a book.
    ///
    /// # Errors
    /// When there is neither an investigation nor a book, or a file cannot be read.
    pub fn from_args(args: &RequestArgs, is_experiment: bool) -> Result<Self, Failure> {
        if !is_experiment {
            return Ok(Self {
                on: args.on.first().cloned().map_or_else(default_guest, Ok)?,
                investigation: None,
                lock: args.lock.as_deref().map(lock::read_lock).transpose()?,
                debuginfo: args.debuginfo().clone(),
            });
        }
        let found = read_request(args)?;
        // The host has to be asked for.
        let is_guest = |machine: &TargetMachine| matches!(machine, TargetMachine::Guest(..));
        let mut machines = found.machines.into_iter();
        let on = machines.find(|machine| !args.on.is_empty() || is_guest(machine));
        let on = on.map_or_else(default_guest, Ok)?;
        // The lock of a book pins the machines of that book.
        let names_it = |lock: &Lock| args.lock.is_some() || lock.get(on.name()).is_some();
        Ok(Self {
            debuginfo: found.debuginfo.for_machine(on.name()).clone(),
            investigation: Some(found.investigation),
            lock: found.lock.filter(names_it),
            on,
        })
    }
}

/// The name of the text that is made of words. Nobody has written it, so no message shows a place in it.
pub(super) const OF_WORDS: &str = "discover";

/// The failure for these problems of an investigation; `of_words`: of one that was made of words.
pub(super) fn problems_error(of_words: bool, mut problems: Vec<Diagnostic>) -> Failure {
    if of_words {
        for problem in &mut problems {
            problem.place = None;
        }
    }
    Failure::input(render(&problems))
}

/// The investigation without what is not of this experiment: what others lack must not keep it from being traced.
pub(super) fn isolate_experiment(investigation: &Investigation, experiment: &str) -> Investigation {
    let mut alone = investigation.clone();
    alone.experiments.retain(|one| one.name == experiment);
    alone.commands.clear();
    alone
}

/// The guest that is traced where nothing names another machine.
fn default_guest() -> Result<TargetMachine, Failure> {
    GUEST
        .parse()
        .map_err(|error: TargetError| Failure::input(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::lock::Pin;

    fn request_args(on: &[&str]) -> RequestArgs {
        RequestArgs {
            investigation: None,
            on: on.iter().map(|name| name.parse().unwrap()).collect(),
            book: None,
            lock: None,
            debuginfo: None,
            limit: 1,
            refresh: false,
        }
    }

    /// Check that a book gives the machine, source lines and lock file of an experiment, that a machine on the command line goes
    /// first, and that the lock is not asked about a machine that it does not pin.
    #[test]
    fn of_a_book() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "book.toml",
            "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"host\", { guest = \"a\", name = \"a\" }]\n\
             debuginfo = { \"guest:a\" = \"none\" }\n",
        );
        let mut pins = Lock::default();
        let sha256 = "0".repeat(64);
        pins.set("guest:a", Pin::Image { sha256 });
        write("qed.lock", &pins.text());
        let of = |on: &[&str]| {
            let book = Some(folder.path().to_owned());
            let args = RequestArgs {
                book,
                ..request_args(on)
            };
            DiscoverRequest::from_args(&args, true).unwrap()
        };
        let own = of(&[]);
        assert_eq!(
            (own.on.name(), &own.debuginfo),
            ("guest:a", &DebugInfo::None)
        );
        assert_eq!(own.investigation, Some(folder.path().join("i.toml")));
        assert!(own.lock.is_some());
        let other = of(&["guest:debian-6.1"]);
        assert_eq!(other.on.name(), "guest:debian-6.1");
        assert_eq!(other.debuginfo, DebugInfo::Auto);
        assert!(other.lock.is_none());
        assert_eq!(of(&["host"]).on, TargetMachine::Host);
        let call = DiscoverRequest::from_args(&request_args(&[]), false).unwrap();
        assert_eq!((call.on.name(), call.investigation), (GUEST, None));
    }
}
