//! The KASLR slide, from independent sources that must agree.
//!
//! [`judge()`] is pure: it takes what each source said, or why it could not, and gives one [`KaslrReport`].
//! The readers beside it parse what a kernel says about its own offset; [`running`] opens the running kernel's.

pub mod compare;
pub mod config;
pub mod console;
mod judge;
pub mod report;
mod rules;
pub mod running;
pub mod vmcoreinfo;
pub mod vmlinuz;

pub use judge::judge;
pub use report::{
    FixedPlace, KaslrInputs, KaslrReport, KaslrSourceError, KaslrStatus, SourceGroup, SourceReport,
};

#[cfg(test)]
mod real_tests;
