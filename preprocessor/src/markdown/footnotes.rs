//! Footnotes that mdBook leaves out of the page, so that their content is not shown.

use std::collections::BTreeSet;
use std::ops::Range;

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

/// The definitions of footnotes that mdBook's HTML renderer drops: those that nothing refers to, and all but the first of
/// the same name. References count wherever they are read, also inside of a note that is dropped for want of one; the
/// text of an image and a second definition are not read
/// (<https://github.com/rust-lang/mdBook/blob/v0.5.4/crates/mdbook-html/src/html/tree.rs#L472-L488>).
pub fn dropped_definitions(text: &str, options: &MarkdownOptions) -> Vec<Range<usize>> {
    if !text.contains("[^") {
        return Vec::new();
    }
    let mut defined: BTreeSet<String> = BTreeSet::new();
    let mut referred: BTreeSet<String> = BTreeSet::new();
    let mut firsts = Vec::new();
    let mut out = Vec::new();
    let mut images = 0_usize;
    // The nesting depth of the walk inside a second definition.
    let mut unread = 0_usize;
    for (event, range) in new_cmark_parser(text, options).into_offset_iter() {
        match event {
            Event::Start(_) if unread > 0 => unread += 1,
            Event::End(_) if unread > 0 => unread -= 1,
            _ if unread > 0 => {}
            Event::Start(Tag::FootnoteDefinition(name)) => {
                if defined.insert(name.to_string()) {
                    firsts.push((name.to_string(), range));
                } else {
                    unread = 1;
                    out.push(range);
                }
            }
            Event::Start(Tag::Image { .. }) => images += 1,
            Event::End(TagEnd::Image) => images -= 1,
            Event::FootnoteReference(name) if images == 0 => {
                referred.insert(name.to_string());
            }
            _ => {}
        }
    }
    let unused = firsts
        .into_iter()
        .filter(|(name, _)| !referred.contains(name));
    out.extend(unused.map(|(_, range)| range));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check which notes are dropped: those without a reference and second ones, and none that is referred to, be it from
    /// another note or from one that is dropped itself.
    #[test]
    fn finds_dropped_notes() {
        let names = |text: &str| -> Vec<String> {
            dropped_definitions(text, &MarkdownOptions::default())
                .into_iter()
                .map(|range| text[range].trim().to_owned())
                .collect()
        };
        let none: [String; 0] = [];
        assert_eq!(names("a[^x]\n\n[^x]: one\n"), none);
        assert_eq!(names("a\n\n[^x]: one\n"), ["[^x]: one"]);
        assert_eq!(names("a[^x]\n\n[^x]: one\n\n[^x]: two\n"), ["[^x]: two"]);
        assert_eq!(
            names("a\n\n[^x]: see[^y]\n\n[^y]: two\n"),
            ["[^x]: see[^y]"]
        );
        assert_eq!(names("`[^x]`\n\n[^x]: one\n"), ["[^x]: one"]);
        // A reference in a second definition is not read.
        let text = "a[^x]\n\n[^x]: one\n\n[^x]: two[^y]\n\n[^y]: y\n";
        assert_eq!(names(text), ["[^x]: two[^y]", "[^y]: y"]);
    }
}
