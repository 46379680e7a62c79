//! Making the pages of a site again from what it publishes, and comparing.
//!
//! [`source`] is what a site publishes of the book that it was made from; [`regenerate`] fills the chapters from it and
//! from the published evidence, and lets mdBook's own renderer make the pages; [`compare`] says how far each file of the
//! site is what came out; [`again`] does all of this.

pub mod again;
pub mod age;
pub mod compare;
pub mod page_parser;
pub mod reading;
pub mod regenerate;
pub mod renderer;
pub mod search_index;
pub mod source;
pub mod values;
