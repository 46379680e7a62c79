//! Freshness: evidence compared with the machine and the moment at which the book is built.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qed_evidence::Evidence;
use qed_evidence::build_id::BuildId;
use qed_evidence::document::MachineKind;
use qed_evidence::freshness::{
    Comparison, CurrentState, DigestNow, StaleReason, compare_age, compare_pin,
    compare_to_current_state,
};
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::Lock;
use qed_evidence::redact::is_redacted;
use qed_programs::platform::boot_id;

use crate::config::Config;
use crate::evidence::local_files::LocalFiles;
use crate::evidence::locations::Origin;
use crate::evidence::sweep_record::{LoadedSweep, SweepRecord, SweepState};

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
            boot_id: boot_id(),
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

/// Compare evidence with what is here now. Only what was captured here, on the host, is of a kernel and a boot that
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
    let file = config.investigation.as_ref().map(|file| root.join(file));
    let now = CurrentState {
        boot_id: if_own(&here.boot_id),
        release: if_own(&here.release),
        build_id: if_own(&here.build_id),
        investigation_digest: Some(investigation.digest.clone()),
        collector: Some(env!("CARGO_PKG_VERSION").to_owned()),
        object_digest: match from {
            Origin::Captured => here.present.object_digest().into(),
            Origin::Recorded => {
                DigestNow::Unknown("it is that of the machine that it was captured on".into())
            }
        },
        image_digest: (config.image(machine))
            .map(|path| here.present.image_digest(&root.join(path)).into()),
        pin: config.pin(machine).cloned(),
        programs: here.present.current_programs(
            evidence,
            from,
            investigation,
            file.as_deref().and_then(Path::parent),
        ),
        time: here.time,
        max_age: max_evidence_age(config),
        boots: config.boots_guests(),
    };
    compare_to_current_state(evidence, &now)
}

/// The greatest age of evidence that the book allows.
fn max_evidence_age(config: &Config) -> Option<Duration> {
    let max_age = config.max_age.as_ref()?;
    Some(Duration::from_secs(max_age.seconds.unsigned_abs()))
}

/// The state that the record of a sweep is compared with. What is not known is not compared.
#[derive(Clone, Copy, Debug)]
pub struct SweepContext<'a> {
    /// SHA-256 of the investigation, hex.
    pub investigation: &'a str,
    /// Version of the collector.
    pub collector: Option<&'a str>,
    /// The book's lock file.
    pub lock: Option<&'a Lock>,
    /// The time.
    pub time: Timestamp,
    /// The greatest age.
    pub max_age: Option<Duration>,
}

/// One way in which the record of a sweep is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepStaleReason<'r> {
    /// The machine, if it is about one of them.
    pub machine: Option<&'r str>,
    /// The reason.
    pub reason: StaleReason,
}

impl fmt::Display for SweepStaleReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(machine) = self.machine {
            write!(f, "{machine}: ")?;
        }
        write!(f, "{}", self.reason)
    }
}

/// Compare the record of a sweep with the present state, like evidence that was recorded: investigation, collector, pinned
/// kernels and age. The eBPF object is that of the machine that made the sweep, which need not be this one. Return what is stale
/// and what could not be compared.
pub fn compare_sweep<'r>(
    record: &'r SweepRecord,
    now: &SweepContext<'_>,
) -> (Vec<SweepStaleReason<'r>>, Vec<String>) {
    let (mut found, mut not_compared) = (Vec::new(), Vec::new());
    let whole = |reason| SweepStaleReason {
        machine: None,
        reason,
    };
    if record.investigation != now.investigation {
        found.push(whole(StaleReason::Investigation));
    }
    match (&record.collector, now.collector) {
        (None, _) => not_compared
            .push("the collector: the record does not say which one captured".to_owned()),
        (Some(was), Some(now)) if was != now => found.push(whole(StaleReason::Collector {
            was: was.clone(),
            now: now.to_owned(),
        })),
        _ => {}
    }
    // The age of the oldest kernel stands for all.
    let mut oldest: Option<(u64, u64)> = None;
    for kernel in &record.kernels {
        let of_kernel = |reason| SweepStaleReason {
            machine: Some(&kernel.machine),
            reason,
        };
        if let Some(pin) = now.lock.and_then(|lock| lock.get(&kernel.machine)) {
            let (package, image) = (kernel.package.as_deref(), kernel.image_digest.as_deref());
            match compare_pin(package, image, pin) {
                Ok(reason) => found.extend(reason.map(of_kernel)),
                Err(why) => {
                    not_compared.push(format!("the pinned kernel of {}: {why}", kernel.machine));
                }
            }
        }
        match compare_age(&kernel.time, now.time, now.max_age) {
            None => {}
            Some(StaleReason::Age { age_s, max_s }) => {
                let most = oldest.map_or(age_s, |(most, _)| age_s.max(most));
                oldest = Some((most, max_s));
            }
            Some(reason) => found.push(of_kernel(reason)),
        }
    }
    found.extend(oldest.map(|(age_s, max_s)| whole(StaleReason::Age { age_s, max_s })));
    (found, not_compared)
}

/// Compare the record of a sweep with the book and the moment at which it is built.
pub fn compare_recorded_sweep(
    record: SweepRecord,
    investigation: &Investigation,
    config: &Config,
    here: &LocalMachine,
) -> LoadedSweep {
    let now = SweepContext {
        investigation: &investigation.digest,
        collector: Some(env!("CARGO_PKG_VERSION")),
        lock: config.lock.as_ref(),
        time: here.time,
        max_age: max_evidence_age(config),
    };
    let (stale, not_compared) = compare_sweep(&record, &now);
    let state = SweepState {
        stale: stale.iter().map(ToString::to_string).collect(),
        not_compared,
    };
    LoadedSweep { record, state }
}
