//! Modules that cannot be loaded.

use std::path::PathBuf;

use crate::guest::GuestError;

/// A list of the modules that are built into a kernel, which is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// An image of the user's, whose modules come without it.
    #[error(
        "the list of those that are, `modules.builtin`, is not among its modules; put it there, as `make modules_install` does"
    )]
    Absent,
    /// The package with the list is unavailable.
    #[error("cannot get the list of those that are, `modules.builtin`: {0}")]
    Package(#[from] Box<GuestError>),
}

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
    /// A module without a file, which may be a part of the kernel or not.
    #[error(
        "there is no file of a module `{name}`, and whether it is built into this kernel is not known: {reason}"
    )]
    Unlisted {
        /// The name.
        name: String,
        /// The reason why there is no list of those that are.
        reason: ListError,
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
