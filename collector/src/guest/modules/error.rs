//! Modules that cannot be loaded.

use std::path::PathBuf;

use crate::guest::GuestError;

/// Modules that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Nobody knows where the modules of a kernel are.
    #[error(
        "the modules of this kernel were not found around its image: put them where `make modules_install` does, in \
         lib/modules/RELEASE beside it, or name an image that stands in its build tree"
    )]
    NoTree,
    /// A name that no module has.
    #[error("this kernel has no module `{name}`{}", .near.as_ref().map(|near| format!(": did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// The nearest name of a module.
        near: Option<String>,
    },
    /// A module needs another one that is not there.
    #[error("the module `{name}` depends on `{needs}`, which is not among the kernel's modules")]
    Missing {
        /// The module.
        name: String,
        /// The other one.
        needs: String,
    },
    /// A module is of another kernel.
    #[error(
        "the module `{name}` does not fit: it was built for kernel {of}, and this one is {release}"
    )]
    Misfit {
        /// The module.
        name: String,
        /// The release that it was built for.
        of: String,
        /// The release of the kernel.
        release: String,
    },
    /// A file is not a module.
    #[error("the file of the module `{name}` cannot be used: {reason}")]
    Damaged {
        /// The module.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// The package with the modules is unavailable.
    #[error("cannot get the modules of this kernel: {0}")]
    Package(#[from] Box<GuestError>),
}
