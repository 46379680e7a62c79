//! The names that a chapter uses, and those that a capture observed or the glossary defines.
//!
//! A *name* is an identifier in a code span (`sock_alloc`; `struct sock` is one name) or a word of capitals in the
//! text (RAX). A code span that holds a file name or a command line is one name as a whole.
//!
//! A name is *observed* if the evidence of any machine holds it: a function that was probed, stood on a stack or is in
//! the tree of a call, a symbol, a parameter, a member, a type, an enumerator, an error, a configuration option. What only the
//! investigation names was observed if the kernel let it be read. The *glossary* is the chapter `glossary.md`: each
//! term of its definition lists that has a definition. A term that ends in `…` stands for all names that begin so.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use foldhash::fast::FixedState;
use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use qed_evidence::document::{Evidence, Probe, Target};
use qed_evidence::investigation::Investigation;
use qed_evidence::value::{Frame, Location, Value};

use crate::markdown::chapter::Chapter;
use crate::markdown::html_rules::HtmlRules;
use crate::markdown::structure::mask_placeholders;

/// The chapter that introduces terms, in whatever folder.
const GLOSSARY: &str = "glossary.md";

/// Words of the C language: they name nothing of a kernel.
const C_WORDS: &[&str] = &[
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
    "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register", "return",
    "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned",
    "void", "volatile", "while",
];

/// A name that a chapter uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// The name.
    pub name: String,
    /// Its place.
    pub span: Range<usize>,
}

/// The terms that a book defines.
#[derive(Debug, Default)]
pub struct Glossary {
    terms: BTreeSet<String>,
    starts: Vec<String>,
    definitions: Vec<(String, String)>,
}

impl Glossary {
    /// Collect the terms of the book's glossary.
    pub fn read(chapters: &[Chapter]) -> Self {
        let mut glossary = Glossary::default();
        for chapter in chapters {
            let name = chapter.source.name.rsplit(['/', '\\']).next();
            if name == Some(GLOSSARY) {
                glossary.read_chapter(&chapter.source.text);
            }
        }
        glossary
    }

    fn read_chapter(&mut self, text: &str) {
        let mut options = MarkdownOptions::default();
        options.smart_punctuation = false;
        let mut title: Option<String> = None;
        let mut body: Option<String> = None;
        for event in new_cmark_parser(text, &options) {
            match event {
                Event::Start(Tag::DefinitionListTitle) => title = Some(String::new()),
                Event::Start(Tag::DefinitionListDefinition) => body = Some(String::new()),
                Event::End(TagEnd::DefinitionListDefinition) => {
                    let meaning = body.take().unwrap_or_default();
                    if let Some(title) = title.take_if(|_| !meaning.trim().is_empty()) {
                        self.define(&title, meaning.trim());
                    }
                }
                Event::Text(text) | Event::Code(text) => match (&mut body, &mut title) {
                    (Some(body), _) => body.push_str(&text),
                    (None, Some(title)) => title.push_str(&text),
                    (None, None) => {}
                },
                Event::SoftBreak | Event::HardBreak => {
                    if let Some(body) = &mut body {
                        body.push(' ');
                    }
                }
                _ => {}
            }
        }
    }

    /// One entry may define several terms, with commas between them.
    fn define(&mut self, title: &str, definition: &str) {
        for term in title.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            match term.strip_suffix('…') {
                Some(start) if !start.is_empty() => self.starts.push(start.to_owned()),
                _ => {
                    self.terms.insert(term.to_owned());
                }
            }
            self.definitions
                .push((term.to_owned(), definition.to_owned()));
        }
    }

    /// True if it defines `name`, or a plural of a word of capitals (`CPUs` is found as `CPU`).
    pub fn defines(&self, name: &str) -> bool {
        self.terms.contains(name)
            || self
                .starts
                .iter()
                .any(|start| name.starts_with(start.as_str()))
    }

    /// The entry about `name`.
    pub fn definition(&self, name: &str) -> Option<&str> {
        let found = self.definitions.iter().find(|(term, _)| term == name)?;
        Some(&found.1)
    }
}

/// The names that a chapter uses where a reader sees them, in order, each only the first time: not in notes that mdBook leaves out, in
/// elements that could hide them, or in the text that stands for an image.
pub fn find_identifiers(chapter: &Chapter) -> Vec<Identifier> {
    let text = chapter.source.text.as_str();
    let placeholders = chapter.placeholder_ranges();
    let masked = mask_placeholders(text, &placeholders);
    let dropped = chapter.dropped_notes();
    let mut rules = HtmlRules::new(&masked, &placeholders);
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    let (mut in_block, mut in_image) = (0_usize, 0_usize);
    let mut add = |name: &str, at: usize| {
        let span = at..at + name.len();
        let filled = placeholders
            .iter()
            .any(|range| range.start < span.end && span.start < range.end);
        if !filled && seen.insert(name.to_owned()) {
            out.push(Identifier {
                name: name.to_owned(),
                span,
            });
        }
    };
    let options = chapter.markdown.options();
    for (event, range) in new_cmark_parser(&masked, &options).into_offset_iter() {
        rules.handle_event(&event, range.clone());
        let unseen = in_image > 0
            || rules.hides_values()
            || dropped.iter().any(|note| note.contains(&range.start));
        match event {
            Event::Start(Tag::Image { .. }) => in_image += 1,
            Event::End(TagEnd::Image) => in_image -= 1,
            Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock) => in_block += 1,
            Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock) => in_block -= 1,
            Event::Code(_) | Event::Text(_) if unseen => {}
            Event::Code(_) => {
                let raw = &text[range.clone()];
                let inner = raw.trim_matches('`');
                let at = range.start + (raw.len() - raw.trim_start_matches('`').len());
                find_code_names(inner, at, &mut add);
            }
            Event::Text(_) if in_block == 0 => {
                find_capitals(&text[range.clone()], range.start, &mut add)
            }
            _ => {}
        }
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Words of a text with their places.
pub(crate) fn split_words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|byte| is_word(*byte))?;
        let length = bytes[start..].iter().position(|byte| !is_word(*byte));
        at = length.map_or(bytes.len(), |length| start + length);
        Some((start, &text[start..at]))
    })
}

/// The names in a code span.
fn find_code_names<'t>(inner: &'t str, at: usize, add: &mut impl FnMut(&'t str, usize)) {
    let whole = inner.trim();
    let lead = inner.len() - inner.trim_start().len();
    let command = whole
        .split(' ')
        .any(|word| word.starts_with('-') && word.len() > 1 && !word.starts_with("->"));
    let file = whole.contains('/') || whole.ends_with(".map") || whole.ends_with(".toml");
    if command || file {
        add(whole, at + lead);
        return;
    }
    let mut tag: Option<(usize, &str)> = None;
    for (start, word) in split_words(inner) {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            tag = None;
            continue;
        }
        if ["struct", "union", "enum"].contains(&word) {
            tag = Some((start, word));
            continue;
        }
        match tag.take() {
            Some((from, tag)) if inner[from + tag.len()..start].trim().is_empty() => {
                add(&inner[from..start + word.len()], at + from);
            }
            _ if C_WORDS.contains(&word) => {}
            _ => add(word, at + start),
        }
    }
}

/// Words of two or more capitals in running text: RAX, SIGKILL, CONFIG_PHYSICAL_START.
fn find_capitals(text: &str, at: usize, add: &mut impl FnMut(&str, usize)) {
    for (start, word) in split_words(text) {
        let word = word.strip_suffix('s').unwrap_or(word);
        let bytes = word.as_bytes();
        let is_capital =
            |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let letters = || {
            bytes
                .iter()
                .filter(|byte| byte.is_ascii_uppercase())
                .count()
        };
        if bytes.first().is_some_and(u8::is_ascii_uppercase)
            && bytes.iter().all(is_capital)
            && letters() > 1
        {
            add(word, at + start);
        }
    }
}

/// Names that captures observed.
pub type ObservedNames<'a> = HashSet<Cow<'a, str>, FixedState>;

/// All names that captures observed.
pub fn collect_observed<'a>(
    investigation: &'a Investigation,
    machines: impl Iterator<Item = &'a Evidence>,
) -> ObservedNames<'a> {
    let mut names = NameCollector::default();
    for evidence in machines {
        for option in evidence.kernel.config.keys() {
            let option = format!("CONFIG_{}", option.to_uppercase());
            names.names.insert(option.into());
        }
        for symbol in evidence.kaslr.symbols.keys() {
            names.add(symbol);
        }
        for (name, experiment) in &evidence.experiments {
            if experiment.unavailable.is_some() {
                continue;
            }
            names.add_c(&experiment.workload);
            let traced = experiment.graph.iter().flat_map(|graph| &graph.functions);
            traced.for_each(|function| names.add(function));
            for (probe_name, probe) in &experiment.probes {
                if probe.backend.is_some() {
                    names.add_probe(probe);
                    let planned = investigation
                        .experiment(name)
                        .and_then(|e| e.probe(probe_name));
                    if let Some(planned) = planned {
                        let entry = planned
                            .entry
                            .iter()
                            .map(|r| (r, &probe.refused_reads.entry));
                        let exit = planned.exit.iter().map(|r| (r, &probe.refused_reads.exit));
                        for (read, refused) in entry.chain(exit) {
                            if !refused.contains_key(&read.name) {
                                for (path, _) in read.paths() {
                                    names.add_c(path);
                                }
                            }
                        }
                    }
                }
            }
            for allocation in experiment
                .objects
                .iter()
                .flat_map(|ledger| &ledger.allocations)
            {
                names.add_stack(&allocation.stack);
                if let Some(free) = &allocation.freed {
                    names.add_stack(&free.stack);
                }
            }
        }
    }
    names.names
}

#[derive(Default)]
struct NameCollector<'a> {
    names: ObservedNames<'a>,
    /// Pieces of C that were looked at: there are few types, and they come again and again.
    pieces: HashSet<&'a str, FixedState>,
}

impl<'a> NameCollector<'a> {
    fn add(&mut self, name: &'a str) {
        if !name.is_empty() {
            self.names.insert(name.into());
        }
    }

    /// Add the names in a piece of C.
    fn add_c(&mut self, text: &'a str) {
        if self.pieces.insert(text) {
            find_code_names(text, 0, &mut |name, _| self.add(name));
        }
    }

    fn add_location(&mut self, location: &'a Location) {
        self.add(&location.function);
        self.add(&location.file);
        for frame in &location.inlined_into {
            self.add(&frame.function);
        }
    }

    fn add_stack(&mut self, frames: &'a [Frame]) {
        for frame in frames {
            if let Some(symbol) = &frame.symbol {
                self.add_symbol(symbol);
            }
            if let Some(site) = &frame.site {
                self.add_location(site);
            }
        }
    }

    /// Add a symbol without the distance from it.
    fn add_symbol(&mut self, symbol: &'a str) {
        self.add(symbol.split('+').next().unwrap_or(symbol));
    }

    fn add_probe(&mut self, probe: &'a Probe) {
        match &probe.target {
            Target::Function(name) | Target::Tracepoint(name) | Target::Lsm(name) => self.add(name),
            // `static:SYMBOL` and `live:SYMBOL` name a symbol; a number names nothing.
            Target::Address(place) => {
                if let Some((_, symbol)) = place.split_once(':') {
                    self.add_symbol(symbol);
                }
            }
        }
        for parameter in &probe.parameters {
            self.add(&parameter.name);
            self.add_c(&parameter.type_name);
        }
        if let Some(returns) = &probe.returns {
            self.add_c(returns);
        }
        for member in probe
            .members
            .entry
            .values()
            .chain(probe.members.exit.values())
        {
            self.add_c(&member.structure);
            self.add_c(&member.name);
        }
        let mut data: Vec<&'a qed_evidence::value::Datum> = probe.definition.iter().collect();
        for hit in &probe.hits {
            data.extend(
                hit.args
                    .values()
                    .chain(hit.entry.values())
                    .chain(hit.exit.values()),
            );
            data.extend(
                [
                    &hit.return_value,
                    &hit.instance,
                    &hit.returns_to,
                    &hit.caller,
                    &hit.site,
                    &hit.stack,
                ]
                .into_iter()
                .flatten(),
            );
        }
        for value in data.into_iter().filter_map(|datum| datum.value()) {
            self.add_value(value);
        }
    }

    fn add_value(&mut self, value: &'a Value) {
        match value {
            Value::Address {
                type_name, symbol, ..
            } => {
                if let Some(type_name) = type_name {
                    self.add_c(type_name);
                }
                if let Some(symbol) = symbol {
                    self.add_symbol(symbol);
                }
            }
            Value::Int {
                type_name: Some(name),
                ..
            } => self.add_c(name),
            Value::Enum {
                type_name, name, ..
            } => {
                self.add_c(type_name);
                self.add(name.as_deref().unwrap_or_default());
            }
            Value::Errno { name, .. } | Value::Symbol { name, .. } => self.add(name),
            Value::Flags { names, .. } => names.iter().for_each(|name| self.add(name)),
            Value::Location { value } => self.add_location(value),
            Value::Stack { value } | Value::CutStack { value, .. } => self.add_stack(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::dialect::Markdown;

    fn chapter(name: &str, text: &str) -> Chapter {
        Chapter::parse(name, text, Markdown::read(None))
    }

    fn named(text: &str) -> Vec<String> {
        find_identifiers(&chapter("c.md", text))
            .into_iter()
            .map(|n| n.name)
            .collect()
    }

    /// Check which words of a chapter are names: identifiers in code spans and capitals in the text, and nothing of a
    /// code block, a link's destination, C itself or a filled value.
    #[test]
    fn finds_names() {
        let text = "`sock_alloc()` and `struct sock *`, `sock->sk`: RAX and CPUs. See [A](XX_YY.md) `/proc/kallsyms`.\n\n\
                    ```c\nint not_this;\n```\n\n`f({{qed a.b}}, 0x1f, int)` `cmd --opt x` IO_2\n";
        assert_eq!(
            named(text),
            [
                "sock_alloc",
                "struct sock",
                "sock",
                "sk",
                "RAX",
                "CPU",
                "/proc/kallsyms",
                "f",
                "cmd --opt x",
                "IO_2"
            ]
        );
        let text = "a `b` c";
        let found = &find_identifiers(&chapter("c.md", text))[0];
        assert_eq!(&text[found.span.clone()], "b");
    }

    /// Check that only names that a reader sees count: none in notes that mdBook leaves out, elements that can hide them, comments and the
    /// texts of images, all in notes that are referred to, and elements that show their content.
    #[test]
    fn finds_only_what_is_seen() {
        for text in [
            "a\n\n[^unused]: `f`, RAX\n",
            "a[^x]\n\n[^x]: one\n\n[^x]: `f`\n",
            "<div hidden>\n\n`f`, RAX\n\n</div>\n",
            "a <span hidden>`f` RAX</span> b",
            "<p style=\"display:none\">\n\n- `f`\n",
            "<template>\n\n`f`\n\n</template>",
            "<!-- `f` RAX -->\n\na <!-- `f` --> b",
            "![`f` RAX](a.png)",
            "# `f` RAX {.hidden}\n",
            "# `f` RAX {style=\"display:none\"}\n",
        ] {
            assert_eq!(named(text), [""; 0], "{text}");
        }
        for text in [
            "a[^used]\n\n[^used]: `f`\n",
            "<div>\n\n`f`\n\n</div>",
            "<div hidden></div>\n\n`f`\n",
            "> <div hidden>\n\n`f`\n",
            "<details><summary>a</summary>\n\n`f`\n\n</details>",
            "# `f` {#id .class}\n",
            "![a](a.png) `f`",
        ] {
            assert_eq!(named(text), ["f"], "{text}");
        }
    }

    /// Check that a term counts only with a definition, that one entry may hold several, and what `…` means.
    #[test]
    fn reads_the_glossary() {
        let text = "# G\n\n**`a_b`, RAX**\n: What *it* is,\n  and more.\n\n`CONFIG_…`\n: Options.\n\n`empty`\n:\n";
        let glossary = Glossary::read(&[
            chapter("x/glossary.md", text),
            chapter("other.md", "t\n: d\n"),
        ]);
        for known in ["a_b", "RAX", "CONFIG_SMP"] {
            assert!(glossary.defines(known), "{known}");
        }
        for unknown in ["empty", "t", "a", "CONFIG"] {
            assert!(!glossary.defines(unknown), "{unknown}");
        }
        assert_eq!(glossary.definition("a_b"), Some("What it is, and more."));
    }
}
