//! Filling chapters with values and blocks.

pub mod book;
pub mod fill;
pub mod page_header;
mod value_markup;
