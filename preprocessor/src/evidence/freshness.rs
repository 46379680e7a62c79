//! Freshness: evidence compared with the machine and the moment at which the book is built.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qed_evidence::Evidence;
use qed_evidence::build_id::BuildId;
use qed_evidence::document::MachineKind;
use qed_evidence::freshness::{Comparison, DigestNow, Now, stale};
use qed_evidence::investigation::Investigation;
use qed_evidence::redact::is_redacted;

use crate::config::Config;
use crate::evidence::local_files::LocalFiles;
use crate::evidence::locations::Origin;

/// The machine and the moment at which the book is built.
#[derive(Clone, Debug)]
pub struct LocalMachine {
    /// Now.
    pub time: Timestamp,
    /// This boot's id.
    pub boot_id: Option<String>,
    /// This kernel's release.
    pub release: Option<String>,
    /// This kernel's GNU build id.
    pub build_id: Option<String>,
    /// Programs and the collector, looked up where they are asked for.
    pub present: Arc<LocalFiles>,
}

impl LocalMachine {
    /// This machine, now.
    pub fn read() -> Self {
        let line = |path| {
            let text = std::fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned())
        };
        LocalMachine {
            time: Timestamp::now(),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            release: line("/proc/sys/kernel/osrelease"),
            build_id: std::fs::read("/sys/kernel/notes")
                .ok()
                .and_then(|notes| BuildId::from_notes(&notes).ok())
                .map(|id| id.to_string()),
            present: Arc::new(LocalFiles::with_user_cache()),
        }
    }

    /// The same, with programs and the collector to be looked up again; digests stay.
    pub fn without_lookups(&self) -> Self {
        LocalMachine {
            present: Arc::new(self.present.without_lookups()),
            ..self.clone()
        }
    }
}

/// The surroundings that evidence is compared with.
#[derive(Clone, Copy, Debug)]
pub struct FreshnessInput<'a> {
    /// The book's root.
    pub root: &'a Path,
    /// The machine, as `book.toml` names it.
    pub machine: &'a str,
    /// The book's settings.
    pub config: &'a Config,
    /// This machine.
    pub here: &'a LocalMachine,
}

/// Compares evidence with what is here now. Only what was captured here, on the host, is of a kernel and a boot that
/// could be another one now: those of a guest are over, and those of a recorded host are not this machine's. Likewise of what it
/// ran: the programs of this machine's own system are those of what was captured here.
pub fn compare_freshness(
    evidence: &Evidence,
    origin: Origin,
    investigation: &Investigation,
    about: &FreshnessInput<'_>,
) -> Comparison {
    let FreshnessInput {
        root,
        machine,
        config,
        here,
    } = *about;
    // Redacted evidence came from a machine that is not this one.
    let from = match is_redacted(evidence) {
        true => Origin::Recorded,
        false => origin,
    };
    let own = evidence.machine.kind == MachineKind::Host && from == Origin::Captured;
    let if_own = |known: &Option<String>| known.clone().filter(|_| own);
    let max_age = config.max_age.as_ref();
    let file = config.investigation.as_ref().map(|file| root.join(file));
    let now = Now {
        boot_id: if_own(&here.boot_id),
        release: if_own(&here.release),
        build_id: if_own(&here.build_id),
        investigation_digest: Some(investigation.digest.clone()),
        collector: Some(env!("CARGO_PKG_VERSION").to_owned()),
        object_digest: match from {
            Origin::Captured => here.present.object().into(),
            Origin::Recorded => {
                DigestNow::Unknown("it is that of the machine that it was captured on".into())
            }
        },
        image_digest: (config.image(machine))
            .map(|path| here.present.image(&root.join(path)).into()),
        pin: config.pin(machine).cloned(),
        programs: here.present.programs(
            evidence,
            from,
            investigation,
            file.as_deref().and_then(Path::parent),
        ),
        time: here.time,
        max_age: max_age.map(|max| Duration::from_secs(max.seconds.unsigned_abs())),
    };
    stale(evidence, &now)
}
