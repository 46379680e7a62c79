//! Numbers that an author quoted before anything was captured: those in blocks after `<!-- qed:literal REASON -->`.
//!
//! A kernel's image is in one of about five hundred places. So a number that a chapter quotes from elsewhere will be the slide
//! of a live machine, or an address in its image, after one boot in several hundred. That is not a leak, because the number was
//! there before. Only numbers that can be such a coincidence are permitted, only as often as the marked blocks contain them,
//! and only in files that get the chapter's text. The messages about this are the same for every slide: a message about one
//! number would reveal that it is the slide.

use std::collections::BTreeMap;
use std::ops::Range;

use qed_evidence::secrets::{Searcher, Secret};

use crate::lint;
use crate::markdown::chapter::Chapter;
use crate::markdown::dialect::Markdown;
use crate::publish::source::{BOOK, BookSource, CHAPTERS};

/// The most places that a note names.
const NAMED: usize = 8;

/// The marked blocks of a book.
#[derive(Clone, Debug, Default)]
pub struct QuotedBlocks {
    /// In the order of the book.
    chapters: Vec<QuotedChapter>,
    /// The source holds the book as other preprocessors left it, too.
    rendered: bool,
}

#[derive(Clone, Debug)]
struct QuotedChapter {
    /// Its path in the book, with `/`.
    path: String,
    /// The author's own file.
    own: String,
    text: String,
    blocks: Vec<Range<usize>>,
}

impl QuotedChapter {
    fn page_name(&self) -> String {
        let stem = self.path.strip_suffix(".md").unwrap_or(&self.path);
        format!("{stem}.html")
    }
}

/// The number of times that the marked blocks of each chapter have a secret. Two secrets of one leaf, such as a command's output, are two.
pub type Counts = BTreeMap<Secret, Vec<usize>>;

impl QuotedBlocks {
    /// The blocks of the chapters of `source`, as far as `is_authors` says that a block stands in the author's own file: by
    /// the file's path in the book's folder of sources, and the block.
    pub fn read(source: &BookSource, is_authors: &dyn Fn(&str, &str) -> bool) -> Self {
        let html = serde_json::Value::Object(source.about.settings.html.clone());
        let markdown = Markdown::read(Some(&html));
        let chapters = source.about.book.chapters().filter_map(|chapter| {
            let path = chapter.path.as_deref()?.to_str()?.to_owned();
            let own = chapter.source_path.as_deref().and_then(|own| own.to_str());
            let own = own.unwrap_or(&path).to_owned();
            let text = source.chapters.get(&path)?.clone();
            let mut blocks = lint::literal_blocks(&Chapter::parse(&own, &text, markdown));
            blocks.retain(|block| is_authors(&own, text[block.clone()].trim_end()));
            Some(QuotedChapter {
                path,
                own,
                text,
                blocks,
            })
        });
        QuotedBlocks {
            chapters: chapters.collect(),
            rendered: source.about.rendered.is_some(),
        }
    }

    /// Count the places in the blocks of each chapter where `searcher` finds something.
    pub fn counts(&self, searcher: &Searcher) -> Counts {
        let mut counts = Counts::new();
        for (index, chapter) in self.chapters.iter().enumerate() {
            for block in &chapter.blocks {
                for found in searcher.find_all(chapter.text[block.clone()].as_bytes()) {
                    let zeros = || vec![0; self.chapters.len()];
                    counts.entry(found.secret).or_insert_with(zeros)[index] += 1;
                }
            }
        }
        counts
    }

    /// The number of times that a file may have what the blocks of the chapters have `counts` times.
    pub fn allowed_count(&self, file: &str, counts: &[usize]) -> usize {
        let name = file.rsplit('/').next().unwrap_or(file);
        let total = || counts.iter().sum();
        let ends = |path: &str| {
            file.strip_suffix(path)
                .is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        let chapters = self.chapters.iter().enumerate();
        // A translation has the page of a chapter in a folder of its own.
        let of_chapter = chapters
            .filter(|(_, chapter)| ends(&chapter.path) || ends(&chapter.page_name()))
            .max_by_key(|(_, chapter)| chapter.path.len());
        if let Some((index, _)) = of_chapter {
            return counts.get(index).copied().unwrap_or_default();
        }
        let index = name.starts_with("searchindex")
            && [".js", ".json"].iter().any(|end| name.ends_with(end));
        match name {
            "print.html" => total(),
            // The first chapter's page, once more.
            "index.html" => counts.first().copied().unwrap_or_default(),
            _ if index => total(),
            _ if self.rendered && ends(BOOK) => total(),
            _ => 0,
        }
    }

    /// The text of a published chapter with blanks in the place of its marked blocks, if `file` is one.
    pub fn blank_blocks(&self, file: &str) -> Option<Vec<u8>> {
        let path = file.strip_prefix(CHAPTERS)?;
        let chapter = self.chapters.iter().find(|chapter| chapter.path == path)?;
        let mut bytes = chapter.text.clone().into_bytes();
        for block in &chapter.blocks {
            bytes[block.clone()].fill(b' ');
        }
        Some(bytes)
    }

    /// A line that names the places of the blocks; nothing without any.
    pub fn describe_places(&self) -> Option<String> {
        let places: Vec<String> = self
            .chapters
            .iter()
            .flat_map(|chapter| {
                chapter.blocks.iter().map(|block| {
                    let before = &chapter.text.as_bytes()[..block.start];
                    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                    format!("{}:{line}", chapter.own)
                })
            })
            .collect();
        let more = match places.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = places.iter().take(NAMED).cloned().collect::<Vec<_>>();
        (!places.is_empty()).then(|| {
            format!(
                "on the word of the author, marked with qed:literal, and searched neither for slides nor for addresses of a \
                 kernel's image: {}{more}",
                named.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdbook::settings::Settings;
    use crate::publish::source::{BookRecord, take_texts};
    use mdbook_preprocessor::book::{Book, Chapter as BookChapter};
    use std::collections::BTreeSet;

    const BLOCK: &str = "`0x11a00000`, and 282 MiB.";

    fn source() -> BookSource {
        let mark = format!("<!-- qed:literal old -->\n{BLOCK}\n\nNot 0x11a00000.\n");
        let mut book = Book::default();
        book.push_item(BookChapter::new("One", mark, "one.md", vec![]));
        book.push_item(BookChapter::new("Two", "two".into(), "a/one.md", vec![]));
        let chapters = take_texts(&mut book).unwrap();
        let settings = Settings::default();
        BookSource {
            about: BookRecord::new(String::new(), settings, vec![], book),
            chapters,
            templates: BTreeMap::new(),
        }
    }

    fn counts(quoted: &QuotedBlocks) -> Vec<usize> {
        let secrets = BTreeMap::from([(Secret::slide(0x11a0_0000), "slide".to_owned())]);
        let mut counts = quoted.counts(&Searcher::new(&secrets, &BTreeSet::new()));
        counts
            .remove(&Secret::slide(0x11a0_0000))
            .unwrap_or_default()
    }

    /// Check that what a chapter quotes may stand as often where that chapter's text goes, and nowhere else.
    #[test]
    fn where_it_may_stand() {
        let quoted =
            QuotedBlocks::read(&source(), &|file, block| file == "one.md" && block == BLOCK);
        let counts = counts(&quoted);
        assert_eq!(counts, [2, 0]);
        for (file, allowed) in [
            ("one.html", 2),
            ("html/one.html", 2),
            ("zh/one.html", 2),
            ("a/one.html", 0),
            ("html/a/one.html", 0),
            ("index.html", 2),
            ("print.html", 2),
            ("searchindex-1234.js", 2),
            ("qed/source/chapters/one.md", 2),
            ("qed/source/book.json", 0),
            ("qed/claims.json", 0),
            ("qed/evidence/host.json", 0),
            ("anyone.html", 0),
            ("one.txt", 0),
        ] {
            assert_eq!(quoted.allowed_count(file, &counts), allowed, "{file}");
        }
        let rest = quoted.blank_blocks("qed/source/chapters/one.md").unwrap();
        let rest = String::from_utf8(rest).unwrap();
        assert!(
            !rest.contains("282") && rest.contains("Not 0x11a00000."),
            "{rest}"
        );
        assert_eq!(quoted.blank_blocks("one.md"), None);
        assert!(quoted.describe_places().unwrap().ends_with(": one.md:2"));
    }

    /// Check that a block that another program put into the chapter counts for nothing.
    #[test]
    fn of_another_preprocessor() {
        let quoted = QuotedBlocks::read(&source(), &|_, _| false);
        assert!(counts(&quoted).is_empty() && quoted.describe_places().is_none());
    }
}
