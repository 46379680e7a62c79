//! Comparing the files of a site with those that were made again from its sources and its evidence.

use std::collections::{BTreeMap, BTreeSet};

use super::page_parser::{Fragment, fragments, main_of, same, tokens};
use super::search_index;
use crate::markdown::escape::visible;
use crate::markdown::html::Token;
use crate::publish::manifest::{Level, is_no_jekyll};
use crate::util::files::File;

/// The most characters of a page that a message quotes.
const QUOTED: usize = 120;

/// The result of the comparison.
#[derive(Debug, Default)]
pub struct Compared {
    /// The level at which each file is the one that was made again.
    pub levels: BTreeMap<String, Level>,
    /// Pages that show what a chapter shows, under other words: translations.
    pub translated: Vec<String>,
    /// Files of which nothing was made again.
    pub uncovered: Vec<String>,
    /// The problems, a line each.
    pub wrong: Vec<String>,
}

/// The files that a site is compared with.
pub struct Expected<'e> {
    /// The files that were made again, by names in the folder of pages.
    pub made: &'e [File],
    /// The pages of chapters, which every site has.
    pub pages: &'e BTreeSet<String>,
    /// The level of each file when it was published; nothing while that is found out.
    pub demanded: Option<&'e BTreeMap<String, Level>>,
}

impl Expected<'_> {
    fn demanded(&self, name: &str) -> Option<Level> {
        self.demanded?.get(name).copied()
    }
}

/// Compares the files of a folder of pages, by their names in it.
pub fn compare(expected: &Expected<'_>, site: &[(&str, &File)]) -> Compared {
    let mut compared = Compared::default();
    let actual: BTreeMap<&str, &File> = site.iter().copied().collect();
    for made in expected.made {
        match actual.get(made.name.as_str()) {
            Some(found) => compared.one(expected, made, found),
            None if is_no_jekyll(&made.name) => {}
            None => {
                let demanded = expected.demanded(&made.name).is_some();
                if demanded || expected.pages.contains(&made.name) {
                    let name = &made.name;
                    let line = format!("{name}: it is missing, and the book has such a file");
                    compared.wrong.push(line);
                }
            }
        }
    }
    let made: BTreeMap<&str, &File> = expected
        .made
        .iter()
        .map(|file| (file.name.as_str(), file))
        .collect();
    for (name, file) in site {
        if !made.contains_key(name) {
            compared.added(expected, name, file);
        }
    }
    for name in expected.demanded.into_iter().flat_map(BTreeMap::keys) {
        let has_line = |line: &String| line.starts_with(&format!("{name}:"));
        let known = made.contains_key(name.as_str()) || compared.levels.contains_key(name);
        if !known && !compared.wrong.iter().any(has_line) {
            compared.wrong.push(format!(
                "{name}: it was made again when it was published, and cannot be now"
            ));
        }
    }
    compared
}

/// Looks at files outside of the folder of pages, by their names in the site.
pub fn compare_outside(expected: &Expected<'_>, outside: &[&File]) -> Compared {
    let mut compared = Compared::default();
    for file in outside {
        compared.added(expected, &file.name, file);
    }
    compared
}

impl Compared {
    /// Compares one file with what was made again under its name.
    fn one(&mut self, expected: &Expected<'_>, made: &File, actual: &File) {
        let name = &made.name;
        if made.bytes == actual.bytes {
            self.levels.insert(name.clone(), Level::Whole);
            return;
        }
        if is_no_jekyll(name) && actual.bytes.is_empty() {
            return;
        }
        let demanded = expected.demanded(name);
        if name.ends_with(".html") {
            let pages = (lossy(made), lossy(actual));
            match page(&pages.0, &pages.1, demanded) {
                Ok(level) => {
                    self.levels.insert(name.clone(), level);
                }
                Err(why) => self.wrong.push(format!("{name}:{why}")),
            }
        } else if demanded.is_some() || is_no_jekyll(name) {
            let line = first_line(&lossy(made), &lossy(actual));
            self.wrong
                .push(format!("{name}:{line}: it is not what mdBook writes"));
        } else {
            self.uncovered.push(name.clone());
        }
    }

    /// Looks at a file that was not made again.
    fn added(&mut self, expected: &Expected<'_>, name: &str, file: &File) {
        if is_no_jekyll(name) {
            let own = expected.made.iter().find(|made| is_no_jekyll(&made.name));
            if !file.bytes.is_empty() && own.is_none_or(|own| own.bytes != file.bytes) {
                self.wrong
                    .push(format!("{name}:1: it is not what mdBook writes"));
            }
            return;
        }
        if search_index::is_one(name) {
            let index = expected
                .made
                .iter()
                .find(|made| search_index::is_one(&made.name));
            let same = index.map_or(Err(search_index::IndexError::None), |made| {
                search_index::compare(&lossy(made), &lossy(file))
            });
            match (same, expected.demanded) {
                (Ok(()), _) => {
                    self.levels.insert(name.to_owned(), Level::Content);
                }
                // One that could not be made again is not trusted to be right.
                (Err(_), None) => self.uncovered.push(name.to_owned()),
                (Err(_), Some(known)) if !known.keys().any(|known| search_index::is_one(known)) => {
                    self.uncovered.push(name.to_owned());
                }
                (Err(why), Some(_)) => self.wrong.push(format!("{name}: {why}")),
            }
            return;
        }
        let markup = [".html", ".htm", ".xhtml", ".svg", ".xml"];
        let text = lossy(file);
        if !markup.iter().any(|ending| name.ends_with(ending)) || !mentions_us(&text) {
            self.uncovered.push(name.to_owned());
            return;
        }
        let all = tokens(&text);
        let shown = fragments(&all);
        let Some(first) = shown.first() else {
            self.uncovered.push(name.to_owned());
            return;
        };
        let translation = |page: &&File| name.ends_with(&format!("/{}", page.name));
        let of = expected.made.iter().find(translation);
        let original = of.map(|page| tokens(&lossy(page)));
        match original.as_deref().map(fragments) {
            Some(original) => match first_difference(&original, &shown) {
                None => self.translated.push(name.to_owned()),
                Some(why) => self.wrong.push(format!("{name}:{why}")),
            },
            None => self.wrong.push(format!(
                "{name}:{}: {} stands in a page that no chapter of the book makes",
                first.line(),
                first.name()
            )),
        }
    }
}

fn lossy(file: &File) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&file.bytes)
}

/// True if a text could hold anything that this preprocessor writes.
fn mentions_us(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    // As a character reference, too.
    lower.contains("qed") || lower.contains("&#")
}

/// A page that is not the one that was made again.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error("{line}: {name} stands beside the chapter, and no source makes it")]
    Beside { line: u64, name: String },
    /// The first difference in the chapter, with its line.
    #[error("{0}")]
    Chapter(String),
    #[error("{line}: what stands around the chapter is not what mdBook makes")]
    Around { line: usize },
}

/// Compares a page with the one that was made again; the error says where they differ.
fn page(made: &str, actual: &str, demanded: Option<Level>) -> Result<Level, PageError> {
    let (made_tokens, actual_tokens) = (tokens(made), tokens(actual));
    let chapter = main_of(&made_tokens).unwrap_or(&made_tokens);
    let level = match position(chapter, &actual_tokens) {
        Some(at) => {
            let (before, behind) = (&actual_tokens[..at], &actual_tokens[at + chapter.len()..]);
            if let Some(more) = fragments(before).first().or(fragments(behind).first()) {
                return Err(PageError::Beside {
                    line: more.line(),
                    name: more.name(),
                });
            }
            Level::Content
        }
        None => {
            let (made, actual) = (fragments(&made_tokens), fragments(&actual_tokens));
            if let Some(difference) = first_difference(&made, &actual) {
                return Err(PageError::Chapter(difference));
            }
            Level::Fragments
        }
    };
    match demanded {
        Some(demanded) if level < demanded => Err(match level {
            Level::Fragments => {
                let actual = main_of(&actual_tokens).unwrap_or(&actual_tokens);
                PageError::Chapter(difference(chapter, actual))
            }
            _ => PageError::Around {
                line: first_line(made, actual),
            },
        }),
        _ => Ok(level),
    }
}

/// The place of one list of tokens in another, whole.
fn position(wanted: &[Token], all: &[Token]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    all.windows(wanted.len())
        .position(|window| same(wanted, window))
}

/// The first line in which two texts differ, from 1.
fn first_line(a: &str, b: &str) -> usize {
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b);
    same.count() + 1
}

/// The first difference between what was written and what stands there, with its line; nothing if there is none.
fn first_difference(made: &[Fragment<'_>], actual: &[Fragment<'_>]) -> Option<String> {
    let at = made
        .iter()
        .zip(actual)
        .position(|(made, actual)| !made.same(actual));
    match at {
        Some(at) => Some(difference(made[at].tokens, actual[at].tokens)),
        None if made.len() < actual.len() => {
            let more = &actual[made.len()];
            Some(format!(
                "{}: {} stands there, and no source makes it",
                more.line(),
                more.name()
            ))
        }
        None if made.len() > actual.len() => {
            let missing = &made[actual.len()];
            let line = actual.last().map_or(1, Fragment::line);
            Some(format!("{line}: {} is missing behind this", missing.name()))
        }
        None => None,
    }
}

/// The first difference between two lists of tokens, with its line.
fn difference(made: &[Token], actual: &[Token]) -> String {
    let equal = made
        .iter()
        .zip(actual)
        .take_while(|(made, actual)| made.kind == actual.kind)
        .count();
    let (expected, found) = (made.get(equal), actual.get(equal));
    let line = found.or(actual.last()).map_or(1, |token| token.line);
    let inside = |tokens: &[Token]| {
        let all = fragments(tokens);
        let around = all
            .iter()
            .find(|f| (f.start..f.start + f.tokens.len()).contains(&equal));
        around.map(Fragment::name)
    };
    let place = inside(actual).or(inside(made));
    let shown = |token: Option<&Token>| token.map_or("nothing".to_owned(), |t| t.kind.shown());
    let (expected, found) = quoted(&shown(expected), &shown(found));
    format!(
        "{line}: {}: there stands `{found}`, and the sources and the evidence make `{expected}`",
        place.as_deref().unwrap_or("the text")
    )
}

/// The part of two texts in which they differ, with some of what stands before.
fn quoted(a: &str, b: &str) -> (String, String) {
    let equal = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let from = equal.saturating_sub(QUOTED / 3);
    let part = |text: &str| {
        let part: String = text.chars().skip(from).take(QUOTED).collect();
        let more = |is: bool| if is { "…" } else { "" };
        let cut = text.chars().count() > from + QUOTED;
        visible(&format!("{}{part}{}", more(from > 0), more(cut))).into_owned()
    };
    (part(a), part(b))
}

/// True if an element of this id stands in a page where a reader can see it.
pub fn stands(page: &File, id: &str) -> bool {
    let tokens = tokens(&lossy(page));
    super::page_parser::visible_ids(&tokens).contains(&id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> File {
        File {
            name: name.into(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    const PAGE: &str = "<html><head><title>T</title></head><body><main>\n<p>a <span class=\"qed\" data-qed=\"p.q\">1</span> b</p>\n\
                        <div class=\"qed-claim\" id=\"claim-c\"><pre>x == 1</pre></div></main></body></html>";

    fn run(actual: &[(&str, &str)], demanded: Option<Level>) -> Compared {
        let made = [file("one.html", PAGE)];
        let files: Vec<File> = actual.iter().map(|(name, text)| file(name, text)).collect();
        let site: Vec<(&str, &File)> = files.iter().map(|f| (f.name.as_str(), f)).collect();
        let demanded = demanded.map(|level| BTreeMap::from([("one.html".to_owned(), level)]));
        let expected = Expected {
            made: &made,
            pages: &BTreeSet::from(["one.html".to_owned()]),
            demanded: demanded.as_ref(),
        };
        compare(&expected, &site)
    }

    /// Check how far a page is found to be the same: as a whole, in its chapter under another theme, and only in what was
    /// filled in where other words stand around it.
    #[test]
    fn levels() {
        for (page, level) in [
            (PAGE.to_owned(), Level::Whole),
            (PAGE.replace("<title>T", "<title>U"), Level::Content),
            (PAGE.replace("<p>a", "<p>another"), Level::Fragments),
        ] {
            let compared = run(&[("one.html", &page)], None);
            assert_eq!(compared.wrong, [""; 0], "{page}");
            assert_eq!(compared.levels["one.html"], level, "{page}");
            for demanded in [Level::Fragments, Level::Content, Level::Whole] {
                let compared = run(&[("one.html", &page)], Some(demanded));
                assert_eq!(compared.wrong.is_empty(), level >= demanded, "{page}");
            }
        }
    }

    /// Check that each change of what was filled in is named with its line, also where the theme is another.
    #[test]
    fn names_changes() {
        for (from, to, said) in [
            (
                "x == 1",
                "x != 1",
                "3: claim `c`: there stands `x != 1`, and the sources and the evidence make `x == 1`",
            ),
            (">1<", ">10<", "2: the value `p.q`: there stands `10`"),
            (
                "data-qed=\"p.q\"",
                "",
                "2: the block `qed`: there stands `<span class=\"qed\">`",
            ),
            ("p.q\"", "p.r\"", "2: the value `p.r`"),
            (
                "</main>",
                "<i class=\"qed-badge\">PASS</i></main>",
                "3: the block `qed-badge` stands beside the chapter",
            ),
            (
                "</main>",
                "</main><i data-qed=x>1</i>",
                "3: the value `x` stands beside the chapter",
            ),
            (
                "<div class=\"qed-claim\" id=\"claim-c\"><pre>x == 1</pre></div>",
                "",
                "2: claim `c` is missing behind this",
            ),
            ("<p>a", "<!-- <p>a", "1: "),
        ] {
            for theme in ["<title>T", "<title>U"] {
                let page = PAGE.replace(from, to).replace("<title>T", theme);
                let compared = run(&[("one.html", &page)], None);
                let line = compared
                    .wrong
                    .first()
                    .map(String::as_str)
                    .unwrap_or_default();
                assert!(
                    line.starts_with(&format!("one.html:{said}")),
                    "{to}: {line}"
                );
            }
        }
        let compared = run(&[], None);
        assert_eq!(
            compared.wrong,
            ["one.html: it is missing, and the book has such a file"]
        );
    }

    /// Check that a page that no chapter makes may show nothing that looks filled in, unless it shows what a chapter shows.
    #[test]
    fn other_pages() {
        let translated = PAGE.replace("<p>a", "<p>ein");
        let forged = translated.replace(">1<", ">2<");
        for (name, text, wrong) in [
            ("other.html", "<p>x</p>", None),
            (
                "other.html",
                "<i class=QED>PASS</i>",
                Some("1: the block `QED` stands in a page that no chapter"),
            ),
            (
                "other.html",
                "<i cl&#97;ss=x data-qed-x>P</i>",
                Some("1: the block"),
            ),
            (
                "p.svg",
                "<svg><g data-qed=\"a\"/></svg>",
                Some("1: the value `a` stands in a page"),
            ),
            ("de/one.html", &translated, None),
            (
                "de/one.html",
                &forged,
                Some("2: the value `p.q`: there stands `2`"),
            ),
        ] {
            let compared = run(&[("one.html", PAGE), (name, text)], None);
            match wrong {
                None => assert_eq!(compared.wrong, [""; 0], "{name}"),
                Some(said) => assert!(
                    compared.wrong[0].starts_with(&format!("{name}:{said}")),
                    "{:?}",
                    compared.wrong
                ),
            }
            assert_eq!(
                compared.translated.len(),
                usize::from(name == "de/one.html" && wrong.is_none())
            );
        }
    }

    /// Check that the hidden file of mdBook may be left out or empty, and holds nothing else.
    #[test]
    fn hidden_file() {
        let made = [file(".nojekyll", "mdBook\n")];
        for (content, good) in [
            (None, true),
            (Some(""), true),
            (Some("mdBook\n"), true),
            (Some("PASS"), false),
        ] {
            let found = content.map(|content| file(".nojekyll", content));
            let site: Vec<(&str, &File)> = found.iter().map(|f| (".nojekyll", f)).collect();
            let expected = Expected {
                made: &made,
                pages: &BTreeSet::new(),
                demanded: None,
            };
            assert_eq!(
                compare(&expected, &site).wrong.is_empty(),
                good,
                "{content:?}"
            );
        }
    }
}
