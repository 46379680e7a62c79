//! A parsed chapter: its placeholders and blocks, with their places.

use std::ops::Range;
use std::sync::Arc;

use qed_evidence::Path;
use qed_evidence::diagnostic::{Diagnostic, SourceText};
use qed_evidence::path::ParsePathError;

use crate::markdown::dialect::Markdown;
use crate::markdown::footnotes::dropped_definitions;
use crate::markdown::html_rules::HtmlFindings;
use crate::markdown::placeholder_context::PlaceholderContext;
use crate::markdown::structure::{
    Block, BlockKind, find_html_problems, mask_placeholders, parse_structure,
};
use crate::markdown::style::{STYLE_OPTIONS, Style};
use crate::markdown::syntax::{
    Occurrence, SyntaxError, Words, find_placeholders, inner_range, refuse_unknown_options,
    split_words,
};

/// One placeholder.
#[derive(Debug)]
pub struct Placeholder {
    /// Its bytes, braces included.
    pub range: Range<usize>,
    /// The place of the path.
    pub path_span: Range<usize>,
    /// The path that it names.
    pub path: Path,
    /// Its style.
    pub style: Style,
    /// The `as` option as written, for provenance.
    pub style_text: Option<String>,
    /// The machine that it asks for, and where it says so.
    pub machine: Option<(String, Range<usize>)>,
    /// Its place.
    pub context: PlaceholderContext,
}

impl Placeholder {
    /// The place of one segment of the path.
    pub fn segment_span(&self, segment: usize) -> Range<usize> {
        let mut start = self.path_span.start;
        for (index, name) in self.path.segments().enumerate() {
            if index == segment {
                return start..start + name.len();
            }
            start += name.len() + 1;
        }
        self.path_span.clone()
    }
}

/// A chapter with everything in it that this program replaces.
#[derive(Debug)]
pub struct Chapter {
    /// Name and text as mdBook hands it over, for diagnostics.
    pub source: Arc<SourceText>,
    /// Placeholders in order.
    pub placeholders: Vec<Placeholder>,
    /// Places of backslashes that keep a placeholder from being filled.
    pub escapes: Vec<usize>,
    /// Claims and exhibits in order.
    pub blocks: Vec<Block>,
    /// The heading at the very beginning.
    pub first_heading: Option<Range<usize>>,
    /// The first words of blocks that are called as if they were claims or exhibits, and are none.
    pub misnamed_blocks: Vec<Range<usize>>,
    /// HTML that can change how the page looks after it was made: warnings, and no chapter of a published book has any, unless
    /// the book says so.
    pub active: Vec<Diagnostic>,
    /// Parts that could not be read.
    pub problems: Vec<Diagnostic>,
    /// The flags of the book's Markdown.
    pub markdown: Markdown,
}

impl Chapter {
    /// Take a chapter apart.
    pub fn parse(name: &str, text: &str, markdown: Markdown) -> Self {
        let source = Arc::new(SourceText {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        let mut chapter = Chapter {
            source,
            placeholders: Vec::new(),
            escapes: Vec::new(),
            blocks: Vec::new(),
            first_heading: None,
            misnamed_blocks: Vec::new(),
            active: Vec::new(),
            problems: Vec::new(),
            markdown,
        };
        let mut ranges = Vec::new();
        for found in find_placeholders(text) {
            match found {
                Occurrence::Placeholder(range) => ranges.push(range),
                Occurrence::Escaped(backslash) => chapter.escapes.push(backslash),
                Occurrence::Unclosed(span) => {
                    let problem = Diagnostic::error(
                        &chapter.source,
                        span,
                        "the placeholder has no end in its line",
                    )
                    .help("close it with `}}`, or write `\\{{qed …` to show it as it is");
                    chapter.problems.push(problem);
                }
                Occurrence::Spaced(span) => {
                    let problem = Diagnostic::error(
                        &chapter.source,
                        span,
                        "this is not a placeholder, and would be published as it is",
                    )
                    .label("one space must follow, and the path in the same line")
                    .help("write `{{qed PATH}}`, or `\\{{qed` to show it as it is");
                    chapter.problems.push(problem);
                }
            }
        }
        if ranges.is_empty() && !may_hold_blocks(text) {
            if text.contains(['<', '{']) {
                chapter.add_html_findings(find_html_problems(text, &markdown.options()));
            }
            return chapter;
        }
        let structure = parse_structure(text, &ranges, &markdown.options(), markdown.math());
        chapter.blocks = structure.blocks;
        chapter.first_heading = structure.first_heading;
        chapter.misnamed_blocks = structure.misnamed_blocks;
        chapter.add_html_findings(structure.html);
        chapter.refuse_unshown(&ranges);
        for (range, context) in ranges.into_iter().zip(structure.contexts) {
            match read_placeholder(text, range, context) {
                Ok(placeholder) => chapter.placeholders.push(placeholder),
                Err(error) => chapter.push_problem(error),
            }
        }
        chapter
    }

    /// Add the complaints about raw HTML.
    fn add_html_findings(&mut self, found: HtmlFindings) {
        for error in found.refused {
            self.push_problem(error);
        }
        for error in found.active {
            let complaint = to_diagnostic(&self.source, error).warning();
            self.active.push(complaint);
        }
    }

    /// Refuse claims in footnotes that mdBook leaves out of the page.
    fn refuse_unshown(&mut self, placeholders: &[Range<usize>]) {
        let claim = |block: &&Block| block.kind == BlockKind::Claim;
        if !self.blocks.iter().any(|block| claim(&block)) {
            return;
        }
        let dropped = self.dropped_among(placeholders);
        let inside = |block: &&Block| dropped.iter().any(|note| note.contains(&block.range.start));
        for block in self.blocks.iter().filter(claim).filter(inside) {
            let message =
                "no page shows this claim: it stands in a footnote that mdBook leaves out";
            let problem = Diagnostic::error(&self.source, block.info.clone(), message).help(
                "refer to the note in the text, give it a name that no other note of the chapter has, or take the \
                 claim out of it",
            );
            self.problems.push(problem);
        }
    }

    /// The notes that mdBook leaves out of the page.
    pub fn dropped_notes(&self) -> Vec<Range<usize>> {
        self.dropped_among(&self.placeholder_ranges())
    }

    /// The same, with placeholders at these places.
    fn dropped_among(&self, placeholders: &[Range<usize>]) -> Vec<Range<usize>> {
        let masked = mask_placeholders(&self.source.text, placeholders);
        dropped_definitions(&masked, &self.markdown.options())
    }

    /// True if anything in it needs evidence.
    pub fn is_live(&self) -> bool {
        !self.placeholders.is_empty() || !self.blocks.is_empty()
    }

    /// The places of its placeholders, those included that could not be read.
    pub fn placeholder_ranges(&self) -> Vec<Range<usize>> {
        find_placeholders(&self.source.text)
            .into_iter()
            .filter_map(|found| match found {
                Occurrence::Placeholder(range) => Some(range),
                _ => None,
            })
            .collect()
    }

    /// Add the problem of what could not be read.
    pub fn push_problem(&mut self, error: SyntaxError) {
        let diagnostic = to_diagnostic(&self.source, error);
        self.problems.push(diagnostic);
    }
}

/// A syntax error as a diagnostic.
pub fn to_diagnostic(source: &Arc<SourceText>, error: SyntaxError) -> Diagnostic {
    let diagnostic = Diagnostic::error(source, error.span, error.message);
    match error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// True if the text could hold a claim or an exhibit.
pub fn may_hold_blocks(text: &str) -> bool {
    // Also if its author has misspelled it.
    let starts = [
        "qed-",
        "Qed-",
        "QED-",
        "qed_",
        "Qed_",
        "QED_",
        "```qed",
        "``` qed",
        "~~~qed",
        "```claim",
        "``` claim",
        "~~~claim",
        "```exhibit",
        "``` exhibit",
        "~~~exhibit",
    ];
    starts.iter().any(|start| text.contains(start))
}

/// The options of a placeholder.
pub fn placeholder_options() -> impl Iterator<Item = &'static str> {
    STYLE_OPTIONS.iter().copied().chain(["machine"])
}

fn read_placeholder(
    text: &str,
    range: Range<usize>,
    context: PlaceholderContext,
) -> Result<Placeholder, SyntaxError> {
    let words: Words = split_words(text, inner_range(&range))?;
    let known: Vec<&str> = placeholder_options().collect();
    refuse_unknown_options(&words, &known)?;
    let name = match &words.words[..] {
        [name] => name,
        [] => {
            let help = "write the path of a value: {{qed kaslr.slide}}".to_owned();
            return Err(SyntaxError::new(
                range,
                "the placeholder names no value",
                help,
            ));
        }
        [_, second, ..] => {
            let help = "use one placeholder for each value".to_owned();
            let message = "a placeholder names exactly one value";
            return Err(SyntaxError::new(second.span.clone(), message, help));
        }
    };
    let path = name.text.parse().map_err(|error: ParsePathError| {
        SyntaxError::new(name.span.clone(), error.to_string(), None)
    })?;
    if let PlaceholderContext::Refused(why) = context {
        return Err(SyntaxError::new(
            range,
            format!("no value may stand here: {why}"),
            None,
        ));
    }
    let style = Style::read(&words)?;
    let in_code = matches!(
        context,
        PlaceholderContext::CodeBlock | PlaceholderContext::CodeSpan { .. }
    );
    if let (false, false, Some(option)) = (style.is_unpadded(), in_code, words.option("width")) {
        return Err(SyntaxError::new(
            option.name.span.clone(),
            "`width` pads with spaces, which only code shows",
            None,
        ));
    }
    Ok(Placeholder {
        path_span: name.span.clone(),
        path,
        style,
        style_text: words.option("as").map(|o| o.value.text.clone()),
        machine: words
            .option("machine")
            .map(|o| (o.value.text.clone(), o.value.span.clone())),
        context,
        range,
    })
}
