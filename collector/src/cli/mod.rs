//! The commands, each a thin layer between the command line and the library.

mod announce;
pub mod args;
mod boots;
mod call_tree;
pub mod capture;
mod capture_warnings;
pub mod discover;
mod discover_request;
mod discover_words;
pub mod doctor;
mod failure;
mod guest_boot;
mod instances;
mod investigation;
pub mod kernel_files;
pub mod kernels;
mod lock;
pub mod members;
mod modules;
mod output;
pub mod plan;
mod plan_notes;
mod plan_report;
mod programs;
pub mod progress;
mod prune;
pub mod request;
mod runtime;
pub mod show;
pub mod store;
pub mod sweep;
pub mod target;
mod time_left;
mod update;

pub use failure::Failure;
