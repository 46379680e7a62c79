//! The published site: sealing, reading, remaking its pages, and comparing them.
//!
//! [`source`] holds the parts of the book that a site publishes; [`regenerate`] fills the chapters from them and from the
//! published evidence, and lets mdBook's own renderer make the pages; [`compare`] compares each file of the site with the
//! result; [`reproduce`] does all of this.

#[cfg(feature = "commands")]
pub mod age;
#[cfg(feature = "commands")]
pub mod builder_folders;
#[cfg(feature = "commands")]
pub mod compare;
#[cfg(feature = "commands")]
pub mod freshness;
#[cfg(feature = "commands")]
pub mod leak_check;
pub mod manifest;
#[cfg(feature = "commands")]
pub mod page_parser;
#[cfg(feature = "commands")]
pub mod quotations;
#[cfg(feature = "commands")]
pub mod regenerate;
#[cfg(feature = "commands")]
pub mod renderer;
#[cfg(feature = "commands")]
pub mod reproduce;
#[cfg(feature = "commands")]
pub mod search_index;
#[cfg(feature = "commands")]
pub mod served_pages;
#[cfg(feature = "commands")]
pub mod site_reader;
pub mod site_text;
#[cfg(feature = "commands")]
pub mod source;
#[cfg(feature = "commands")]
pub mod sweep;
#[cfg(feature = "commands")]
pub mod values;
