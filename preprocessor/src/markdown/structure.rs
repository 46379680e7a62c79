//! The structure of a chapter and the position of each placeholder in it, as mdBook's own Markdown parser sees it.

use std::ops::Range;

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use crate::markdown::emphasis::mark_bare;
use crate::markdown::html_rules::{HtmlFindings, HtmlRules};
pub use fence::{Block, BlockKind};
pub use walk::ChapterStructure;
use walk::ContextWalk;

mod fence;
mod walk;

/// The structure of `text`, where `placeholders` (sorted) stand for something that is not there yet: they are
/// parsed as if each were a word, because what they hold (quotes, spaces) is not what will stand there. `math`: the
/// book's pages are read by MathJax.
pub fn parse_structure(
    text: &str,
    placeholders: &[Range<usize>],
    options: &MarkdownOptions,
    math: bool,
) -> ChapterStructure {
    let masked = mask_placeholders(text, placeholders);
    let mut walk = ContextWalk::new(&masked, placeholders, math);
    let mut rules = HtmlRules::new(&masked, placeholders);
    let parser = new_cmark_parser(&masked, options);
    let definitions: Vec<Range<usize>> = parser
        .reference_definitions()
        .iter()
        .map(|(_, d)| d.span.clone())
        .collect();
    for (event, range) in parser.into_offset_iter() {
        rules.handle_event(&event, range.clone());
        walk.handle_event(&event, range);
    }
    let mut structure = walk.finish(&definitions);
    structure.html = rules.finish();
    mark_bare(&masked, placeholders, options, &mut structure.contexts);
    structure
}

/// The complaints about the HTML in a chapter without anything that is filled in.
pub fn find_html_problems(text: &str, options: &MarkdownOptions) -> HtmlFindings {
    let mut rules = HtmlRules::new(text, &[]);
    for (event, range) in new_cmark_parser(text, options).into_offset_iter() {
        rules.handle_event(&event, range);
    }
    rules.finish()
}

/// Replace each placeholder by letters of the same length.
pub fn mask_placeholders(text: &str, placeholders: &[Range<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for range in placeholders {
        masked.push_str(&text[at..range.start]);
        masked.extend(std::iter::repeat_n('q', range.len()));
        at = range.end;
    }
    masked.push_str(&text[at..]);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::html_context;
    use crate::markdown::placeholder_context::PlaceholderContext;
    use crate::markdown::syntax::{Occurrence, find_placeholders};

    fn contexts(text: &str) -> Vec<PlaceholderContext> {
        let placeholders: Vec<_> = find_placeholders(text)
            .into_iter()
            .filter_map(|f| match f {
                Occurrence::Placeholder(range) => Some(range),
                _ => None,
            })
            .collect();
        parse_structure(text, &placeholders, &MarkdownOptions::default(), true).contexts
    }

    /// Check that each kind of place is recognised, although placeholders hold spaces and quotes.
    #[test]
    fn places() {
        let prose = PlaceholderContext::Prose {
            in_link: false,
            bare: false,
        };
        let bare = PlaceholderContext::Prose {
            in_link: false,
            bare: true,
        };
        let linked = PlaceholderContext::Prose {
            in_link: true,
            bare: false,
        };
        let plain = PlaceholderContext::Html(html_context::HtmlPosition::Text { plain: true });
        for (text, expected) in [
            ("a {{qed x as=\"hex\"}} b", prose.clone()),
            ("- {{qed x}}", prose.clone()),
            ("> *{{qed x}}*", prose.clone()),
            ("|a|\n|-|\n|{{qed x}}|\n", prose.clone()),
            ("**{{qed x}}** b", prose.clone()),
            ("**{{qed x}}**th", bare.clone()),
            ("a*{{qed x}}*", bare.clone()),
            ("a <!b {{qed x}} c", bare.clone()),
            ("a <!b> {{qed x}} c", prose.clone()),
            ("a <!b\n\n{{qed x}} c", prose.clone()),
            ("[{{qed x}}](y)", linked.clone()),
            ("<a href=y>{{qed x}}</a>", linked.clone()),
            ("a <svg><text>{{qed x}}</text></svg> b", plain.clone()),
            ("<svg>\n\n<text>{{qed x}}</text>\n\n</svg>", plain.clone()),
            ("a <svg></svg> {{qed x}}", prose.clone()),
            ("a <svg> b\n\n{{qed x}}", prose.clone()),
            ("a \\\\( x = {{qed x}} \\\\) b", PlaceholderContext::Math),
            ("a $$ x = {{qed x}} $$ b", PlaceholderContext::Math),
            ("a \\\\( x \\\\) {{qed x}} $$", prose.clone()),
            ("a $$ b\n\n{{qed x}}", prose.clone()),
            ("a\n: {{qed x}}", prose.clone()),
            ("[y](http://a/{{qed x}})", PlaceholderContext::Destination),
            ("<http://a/{{qed x}}>", PlaceholderContext::Destination),
            (
                "[y]\n\n[y]: http://a/{{qed x}}\n",
                PlaceholderContext::Destination,
            ),
            ("[y](a \"t {{qed x}}\")", PlaceholderContext::PlainText),
            ("![{{qed x}}](y)", PlaceholderContext::PlainText),
            ("```c\n{{qed x}}\n```\n", PlaceholderContext::CodeBlock),
            ("    {{qed x}}\n", PlaceholderContext::CodeBlock),
            (
                "<b title=\"{{qed x}}\">",
                PlaceholderContext::Html(html_context::HtmlPosition::Attribute { quoted: true }),
            ),
            (
                "<div>\n{{qed x}}\n</div>\n",
                PlaceholderContext::Html(html_context::HtmlPosition::Text { plain: false }),
            ),
            (
                "<a href=\"{{qed x}}\">",
                PlaceholderContext::Html(html_context::HtmlPosition::Url),
            ),
            (
                "<!-- {{qed x}} -->",
                PlaceholderContext::Html(html_context::HtmlPosition::Comment),
            ),
        ] {
            assert_eq!(contexts(text), [expected], "{text}");
        }
        for refused in [
            "# a {{qed x}}",
            "a {{qed x}}\n===\n",
            "```{{qed x}}\n```\n",
            "<script>\n{{qed x}}\n</script>",
            "<b onclick=\"{{qed x}}\">",
            "```qed-claim a\n{{qed x}}\n```",
            "<{{qed x}}>",
            "a <script>{{qed x}}</script> b",
            "a <script><b title=\"</script>{{qed x}}\"> b",
            "{{qed x}}\n: a definition",
            "[a {{qed x}}]: http://a",
            "[a][b {{qed x}}]\n\n[b qqqqqqqqq]: http://a",
        ] {
            assert!(
                matches!(contexts(refused)[..], [PlaceholderContext::Refused(_)]),
                "{refused}: {:?}",
                contexts(refused)
            );
        }
        let PlaceholderContext::CodeSpan { span, in_table, .. } =
            &contexts("|a|\n|-|\n| `a {{qed x}}` |\n")[0]
        else {
            panic!("not a code span");
        };
        assert_eq!((span.clone(), *in_table), (10..23, true));
        // A tag around the span would end what only looks like a declaration.
        for (text, expected) in [
            ("a <!b `{{qed x}}`", true),
            ("a <!b> `{{qed x}}`", false),
            ("a <!b\n\n`{{qed x}}`", false),
        ] {
            let PlaceholderContext::CodeSpan { bare, .. } = &contexts(text)[0] else {
                panic!("{text}: not a code span");
            };
            assert_eq!(*bare, expected, "{text}");
        }
    }

    /// Check that claims and exhibits are found with their info string and body, also in lists and quotes.
    #[test]
    fn blocks() {
        let text =
            "> ```qed-claim an_id when=\"a\"\n> x ==\n>   y\n> ```\n\n~~~ qed-exhibit b\n~~~\n";
        let found = parse_structure(text, &[], &MarkdownOptions::default(), false).blocks;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].kind, BlockKind::Claim);
        assert_eq!(&text[found[0].info.clone()], " an_id when=\"a\"");
        let body: Vec<&str> = found[0].body.iter().map(|r| &text[r.clone()]).collect();
        assert_eq!(body.concat(), "x ==\n  y\n");
        assert_eq!(
            &text[found[0].range.clone()],
            "```qed-claim an_id when=\"a\"\n> x ==\n>   y\n> ```"
        );
        assert_eq!(&text[found[1].info.clone()], " b");
        assert!(
            parse_structure(
                "```c\n```qed-claim\n",
                &[],
                &MarkdownOptions::default(),
                false
            )
            .blocks
            .is_empty()
        );
    }
}
