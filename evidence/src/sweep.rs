//! The plan of a sweep, which each of its parts contains: the kernels that all parts together capture, and the collector that
//! captures them. No I/O.

use serde::{Deserialize, Serialize};

use crate::document::Evidence;
use crate::document::machine::check_name;

/// The extension of the file's name. It is not `.json`: everything with that name in the folder of a sweep is evidence.
pub const EXTENSION: &str = "sweep";

/// The version of the format.
const VERSION: u32 = 1;

/// One part of a sweep: one of the machines over which it is split, or all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepPart {
    version: u32,
    /// The number of this part, from 1.
    pub part: usize,
    /// The number of parts.
    pub of: usize,
    /// The plan, which is the same in every part of one sweep.
    pub plan: Plan,
}

/// The facts that all parts of one sweep agree about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// SHA-256 of the investigation, hex.
    pub investigation: String,
    /// Version of the collector.
    pub collector: String,
    /// SHA-256 of the collector's eBPF object, hex.
    pub object: String,
    /// SHA-256 of the lock file that pinned kernels, hex; `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// The kernels of all parts, the oldest first.
    pub kernels: Vec<SweepKernel>,
}

/// One kernel of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepKernel {
    /// The guest that boots it, `guest:debian-7.0`.
    pub machine: String,
    /// Name and version of its package, as evidence has it.
    pub package: String,
}

/// A reason to refuse a part of a sweep.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// The text is not the description of a part.
    #[error("it is not the description of a part that `qed-collector sweep` writes: {0}")]
    Syntax(String),
    /// The format is another one.
    #[error("it has version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A part that the sweep does not have.
    #[error("it is part {part} of {of}")]
    Number {
        /// The number of the part.
        part: usize,
        /// The number of parts.
        of: usize,
    },
    /// A machine has a bad name, or is there twice.
    #[error("`{0}` is not a machine of a sweep, or is there twice")]
    Machine(String),
}

/// A difference between two sweeps, or between a sweep and its result.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another question was asked.
    #[error("it is of another investigation")]
    Investigation,
    /// Another program asked.
    #[error("it was captured by another collector, {found} instead of {wanted}")]
    Collector {
        /// That of the part.
        found: String,
        /// That which was expected.
        wanted: String,
    },
    /// Kernels were pinned otherwise.
    #[error("its kernels were pinned by another lock file")]
    Lock,
    /// A kernel is another one, or is missing.
    #[error("it swept other kernels: {machine} was {found}, not {wanted}")]
    Kernel {
        /// The machine.
        machine: String,
        /// The kernel that it booted.
        found: String,
        /// The expected one.
        wanted: String,
    },
    /// The order of the kernels says who captures which.
    #[error("its kernels are in another order")]
    Order,
    /// A sweep boots.
    #[error("its guest was resumed from the boot of {booted}, and a sweep boots its guests")]
    Resumed {
        /// The time of that boot.
        booted: String,
    },
}

impl SweepPart {
    /// A part of a sweep.
    pub fn new(part: usize, of: usize, plan: Plan) -> Self {
        Self {
            version: VERSION,
            part,
            of,
            plan,
        }
    }

    /// The name of its file, `part-2-of-5.sweep`.
    pub fn file_name(&self) -> String {
        format!("part-{}-of-{}.{EXTENSION}", self.part, self.of)
    }

    /// Read the text of the file.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn parse(bytes: &[u8]) -> Result<Self, PartError> {
        let part: Self =
            serde_json::from_slice(bytes).map_err(|error| PartError::Syntax(error.to_string()))?;
        if part.version != VERSION {
            return Err(PartError::Version(part.version));
        }
        if part.part == 0 || part.part > part.of {
            return Err(PartError::Number {
                part: part.part,
                of: part.of,
            });
        }
        let mut known = std::collections::BTreeSet::new();
        for SweepKernel { machine, .. } in &part.plan.kernels {
            if check_name(machine).is_err() || !known.insert(machine) {
                return Err(PartError::Machine(machine.clone()));
            }
        }
        Ok(part)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The kernels that this part captures: every `of`-th, so that each part gets old and new ones.
    pub fn own_kernels(&self) -> impl Iterator<Item = &SweepKernel> {
        let kernels = self.plan.kernels.iter();
        kernels
            .skip(self.part.saturating_sub(1))
            .step_by(self.of.max(1))
    }
}

impl Plan {
    /// Checks that another plan is of the same sweep.
    ///
    /// # Errors
    /// The first difference of `self` from `wanted`.
    pub fn check_same_sweep(&self, wanted: &Self) -> Result<(), Mismatch> {
        if self.investigation != wanted.investigation {
            return Err(Mismatch::Investigation);
        }
        check_same_collector(
            (&self.collector, &self.object),
            (&wanted.collector, &wanted.object),
        )?;
        if self.lock != wanted.lock {
            return Err(Mismatch::Lock);
        }
        let package = |plan: &Self, machine: &str| {
            let mut kernels = plan.kernels.iter();
            let found = kernels.find(|kernel| kernel.machine == machine);
            found.map_or_else(|| "none".to_owned(), |kernel| kernel.package.clone())
        };
        for SweepKernel { machine, .. } in self.kernels.iter().chain(&wanted.kernels) {
            let (found, wanted) = (package(self, machine), package(wanted, machine));
            if found != wanted {
                let machine = machine.clone();
                return Err(Mismatch::Kernel {
                    machine,
                    found,
                    wanted,
                });
            }
        }
        match self.kernels == wanted.kernels {
            true => Ok(()),
            false => Err(Mismatch::Order),
        }
    }

    /// Checks that evidence is what this sweep brings from one of its kernels.
    ///
    /// # Errors
    /// The first difference of the evidence from the plan.
    pub fn check_evidence(
        &self,
        kernel: &SweepKernel,
        evidence: &Evidence,
    ) -> Result<(), Mismatch> {
        let run = &evidence.run;
        if run.investigation_digest != self.investigation {
            return Err(Mismatch::Investigation);
        }
        check_same_collector(
            (&run.collector, &run.object_digest),
            (&self.collector, &self.object),
        )?;
        if let Some(booted) = evidence.machine.resumed.clone() {
            return Err(Mismatch::Resumed { booted });
        }
        match &evidence.kernel.package {
            Some(package) if *package == kernel.package => Ok(()),
            other => Err(Mismatch::Kernel {
                machine: kernel.machine.clone(),
                found: other.clone().unwrap_or_else(|| "no package".into()),
                wanted: kernel.package.clone(),
            }),
        }
    }
}

/// Checks that version and digest of two collectors are the same.
fn check_same_collector(found: (&str, &str), wanted: (&str, &str)) -> Result<(), Mismatch> {
    let name = |(version, object): (&str, &str)| {
        let object: String = object.chars().take(12).collect();
        format!("{version} ({object})")
    };
    match found == wanted {
        true => Ok(()),
        false => Err(Mismatch::Collector {
            found: name(found),
            wanted: name(wanted),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::evidence;

    fn plan() -> Plan {
        let kernel = |series: &str| SweepKernel {
            machine: format!("guest:debian-{series}"),
            package: format!("linux-image-{series} {series}.1-1"),
        };
        Plan {
            investigation: "aa".into(),
            collector: "0.1.0".into(),
            object: "bb".into(),
            lock: None,
            kernels: ["6.1", "6.12", "7.0", "7.1", "7.3"].map(kernel).into(),
        }
    }

    /// Check that a part comes back as it was written, and that one which contradicts itself is refused.
    #[test]
    fn round_trip() {
        let part = SweepPart::new(2, 5, plan());
        let text = part.text().unwrap();
        assert_eq!(SweepPart::parse(text.as_bytes()), Ok(part.clone()));
        assert_eq!(part.file_name(), "part-2-of-5.sweep");
        for (from, to, word) in [
            ("\"version\": 1", "\"version\": 2", "version 2"),
            ("\"part\": 2", "\"part\": 6", "part 6 of 5"),
            ("\"part\": 2", "\"part\": 0", "part 0 of 5"),
            ("debian-6.12\"", "debian-6.1\"", "twice"),
            ("guest:debian-6.12\"", "../x\"", "not a machine"),
            ("\"object\"", "\"objects\"", "unknown field"),
        ] {
            let error = SweepPart::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    /// Check that each difference between two plans is found, and none between equal ones.
    #[test]
    fn differences() {
        type Change = fn(&mut Plan);
        let changes: [(Change, &str); 7] = [
            (|p| p.investigation = "cc".into(), "another investigation"),
            (|p| p.collector = "0.2.0".into(), "another collector, 0.2.0"),
            (|p| p.object = "cc".into(), "another collector"),
            (|p| p.lock = Some("cc".into()), "another lock file"),
            (
                |p| p.kernels[1].package = "linux-image-6.12 6.12.2-1".into(),
                "guest:debian-6.12 was linux-image-6.12 6.12.2-1, not",
            ),
            (|p| drop(p.kernels.pop()), "guest:debian-7.3 was none"),
            (|p| p.kernels.reverse(), "another order"),
        ];
        assert_eq!(plan().check_same_sweep(&plan()), Ok(()));
        for (change, word) in changes {
            let mut changed = plan();
            change(&mut changed);
            let error = changed.check_same_sweep(&plan()).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    /// Check that evidence of another question, program or kernel, or of a resumed guest, is not taken for what a sweep made.
    #[test]
    fn evidence_of_a_kernel() {
        let plan = plan();
        let kernel = &plan.kernels[0];
        let mut good = evidence();
        good.run.investigation_digest = "aa".into();
        good.run.collector = "0.1.0".into();
        good.run.object_digest = "bb".into();
        good.kernel.package = Some(kernel.package.clone());
        assert_eq!(plan.check_evidence(kernel, &good), Ok(()));
        type Change = fn(&mut Evidence);
        let changes: [Change; 6] = [
            |e| e.run.investigation_digest = "ab".into(),
            |e| e.run.collector = "9".into(),
            |e| e.run.object_digest = "9".into(),
            |e| e.kernel.package = None,
            |e| e.kernel.package = Some("x 1".into()),
            |e| e.machine.resumed = Some("2026-11-23T11:00:00Z".into()),
        ];
        for change in changes {
            let mut other = good.clone();
            change(&mut other);
            assert!(plan.check_evidence(kernel, &other).is_err());
        }
    }

    proptest::proptest! {
        /// Check that the parts of a sweep make up the whole, each kernel once, for any number of parts.
        #[test]
        fn parts_make_the_whole(of in 1_usize..9) {
            let mut all: Vec<SweepKernel> = (1..=of)
                .flat_map(|part| SweepPart::new(part, of, plan()).own_kernels().cloned().collect::<Vec<_>>())
                .collect();
            all.sort_by(|a, b| a.machine.cmp(&b.machine));
            let mut wanted = plan().kernels;
            wanted.sort_by(|a, b| a.machine.cmp(&b.machine));
            proptest::prop_assert_eq!(all, wanted);
        }
    }
}
