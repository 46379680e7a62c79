//! Modules of a guest's own kernel: found in its package or around its image, with all that they depend on.
//!
//! | module | content | I/O |
//! | --- | --- | --- |
//! | `find` | the modules that are wanted of one kernel | by the others |
//! | `package` | the modules of a kernel that Debian serves, in the cache | fetches |
//! | `tree` | the files of a kernel's modules, packed or not | reads |
//! | `info` | what a module says of itself | no |
//! | `order` | what has to be loaded, and in which order | no |

mod error;
mod find;
mod info;
mod order;
mod package;
mod tree;

pub use error::ModuleError;
pub use find::{fetch_modules, find_modules};
pub use order::Module;
