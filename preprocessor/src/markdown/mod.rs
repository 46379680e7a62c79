//! Reading chapters: placeholders, blocks and what surrounds them; and writing values into Markdown.

pub mod chapter;
pub mod dialect;
pub mod emphasis;
pub mod escape;
pub mod footnotes;
pub mod html;
pub mod html_context;
pub mod html_rules;
pub mod math;
pub mod partial;
pub mod placeholder_context;
pub mod source_map;
pub mod splice;
pub mod structure;
pub mod style;
pub mod syntax;
