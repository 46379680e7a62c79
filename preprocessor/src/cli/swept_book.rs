//! A book judged on the kernels of a sweep, instead of on its own machines.

use std::path::{Path, PathBuf};

use qed_evidence::claim::KernelVersion;
use qed_evidence::diagnostic::{Diagnostic, nearest};
use qed_evidence::{Evidence, reader};

use crate::claims::collect::Claims;
use crate::claims::judged::JudgedClaim;
use crate::claims::timeline::SweepColumn;
use crate::config::{Guests, evidence_file_name};
use crate::evidence::book_data::BookData;
use crate::evidence::cache::DerivedCache;
use crate::evidence::freshness::LocalMachine;
use crate::evidence::loader::{self, Ahead, EvidenceSet};
use crate::evidence::locations::CAPTURED;
use crate::evidence::sweep_record::arch_order;
use crate::mdbook::load;
use crate::util::parallel::Parallelism;

/// The folder of the evidence of a sweep, relative to the book's.
pub const CAPTURED_SWEEP: &str = ".qed/evidence/sweep";

/// The command that makes a sweep.
pub const MAKE_SWEEP: &str = "`qed-collector sweep` captures on a kernel of each series";

/// All claims of a book on the kernels of a sweep: those of each architecture together, the oldest kernel first.
pub struct SweptBook {
    /// The evidence of each kernel.
    pub evidence_set: EvidenceSet,
    /// The claims, each with a judgement for each kernel.
    pub claims: Claims,
    /// The investigation, relative to the book's root.
    pub investigation: PathBuf,
}

impl SweptBook {
    /// Read the sweep in the folder `from`, relative to the book's `root`, and judge the book's claims on it.
    ///
    /// # Errors
    /// All that is wrong with the book, or with the sweep, or that it is out of date.
    pub fn read(root: &Path, from: &Path) -> Result<Self, Vec<Diagnostic>> {
        let kernels = read_sweep(&root.join(from)).map_err(|problem| vec![*problem])?;
        Self::judge(root, kernels)
    }

    /// Judge the claims of the book in `root` on these kernels.
    ///
    /// # Errors
    /// All that is wrong with the book, or that evidence is out of date.
    pub fn judge(root: &Path, kernels: Vec<Evidence>) -> Result<Self, Vec<Diagnostic>> {
        let mut book = load::load(root, Parallelism::default()).map_err(|problem| vec![problem])?;
        // The kernels of the sweep take the place of the book's machines.
        book.config.machines = kernels.iter().map(|e| e.machine.name.clone()).collect();
        // A sweep boots, whatever the book allows its own captures.
        book.config.guests = Guests::Cold;
        let ahead: Ahead = kernels
            .into_iter()
            .map(|evidence| {
                let file = Path::new(CAPTURED).join(evidence_file_name(&evidence.machine.name));
                (file, Ok(Some((evidence, None))))
            })
            .collect();
        let here = LocalMachine::read();
        let evidence_set = loader::load(
            &book.paths,
            &book.config,
            &here,
            ahead,
            DerivedCache::default(),
        )?;
        let stale = evidence_set.loaded.iter().filter_map(|loaded| {
            let reason = loaded.stale_text()?;
            let message = format!(
                "the sweep's evidence of {} is out of date: {reason}",
                loaded.machine
            );
            let problem = Diagnostic::error_without_place(message);
            Some(problem.help(format!("sweep again: {MAKE_SWEEP}")))
        });
        let stale: Vec<Diagnostic> = stale.collect();
        if !stale.is_empty() {
            return Err(stale);
        }
        let book_data = BookData::new(&book.config, &evidence_set);
        // `check` reports complaints about chapters, because it judges on the book's own machines.
        let claims = Claims::collect(&book.chapters, &book_data, &mut Vec::new());
        Ok(Self {
            evidence_set,
            claims,
            investigation: book.config.investigation.clone().unwrap_or_default(),
        })
    }

    /// Each kernel.
    pub fn releases(&self) -> Vec<SweepColumn<'_>> {
        let loaded = self.evidence_set.loaded.iter();
        loaded
            .map(|loaded| SweepColumn {
                release: &loaded.evidence.kernel.release,
                arch: loaded.evidence.kernel.architecture(),
            })
            .collect()
    }

    /// The claim with an id.
    ///
    /// # Errors
    /// When no chapter makes it, with the nearest that one does.
    pub fn claim(&self, id: &str) -> Result<&JudgedClaim, Diagnostic> {
        find_claim(&self.claims, id)
    }
}

/// The claim with an id.
///
/// # Errors
/// When no chapter makes it, with the nearest that one does.
pub fn find_claim<'c>(claims: &'c Claims, id: &str) -> Result<&'c JudgedClaim, Diagnostic> {
    claims.get(id).ok_or_else(|| {
        let problem = Diagnostic::error_without_place(format!("no chapter makes a claim `{id}`"));
        match nearest(id, claims.ids()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`mdbook-qed check` lists all claims"),
        }
    })
}

/// The evidence of each kernel in a folder: those of each architecture together, the oldest kernel first.
fn read_sweep(folder: &Path) -> Result<Vec<Evidence>, Box<Diagnostic>> {
    let refused =
        |message: String| Box::new(Diagnostic::error_without_place(message).help(MAKE_SWEEP));
    let shown = folder.display();
    let entries = std::fs::read_dir(folder)
        .map_err(|error| refused(format!("the sweep in `{shown}` cannot be read: {error}")))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| refused(format!("the sweep in `{shown}` cannot be read: {error}")))?
            .path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let name = path.display();
        let bytes = crate::util::files::read_file(&path)
            .map_err(|error| refused(format!("`{name}` cannot be read: {error}")))?;
        let evidence = reader::read(&bytes)
            .map_err(|error| refused(format!("the evidence `{name}` is refused: {error}")))?;
        let Some(order) = KernelVersion::from(&evidence.kernel).order() else {
            let release = &evidence.kernel.release;
            return Err(refused(format!(
                "the evidence `{name}` is of kernel `{release}`, which is not a version such as 6.12, or not the one that its \
                 version string states"
            )));
        };
        let arch = arch_order(evidence.kernel.architecture());
        found.push(((arch, order), evidence));
    }
    if found.is_empty() {
        return Err(refused(format!("there is no evidence in `{shown}`")));
    }
    found.sort_by(|(a, one), (b, other)| {
        a.cmp(b)
            .then_with(|| one.machine.name.cmp(&other.machine.name))
    });
    Ok(found.into_iter().map(|(_, evidence)| evidence).collect())
}
