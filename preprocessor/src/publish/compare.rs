//! Comparison of the files of a site with those that were made again from its sources and its evidence.

use std::collections::{BTreeMap, BTreeSet};

use super::page_parser::{Fragment, are_same_tokens, find_fragments, main_content, page_tokens};
use super::search_index;
use super::served_pages::{self, ServedForm};
use crate::markdown::escape::escape_invisible;
use crate::markdown::html::Token;
use crate::publish::manifest::{Level, is_no_jekyll};
use crate::util::files::SiteFile;

/// The most characters of a page that a message quotes.
const QUOTED: usize = 120;

/// The result of the comparison.
#[derive(Debug, Default)]
pub struct SiteComparison {
    /// The level at which each file equals the one that was made again.
    pub levels: BTreeMap<String, Level>,
    /// Pages that are the same at a weaker level than the whole: name, level, and where they differ.
    pub weaker: Vec<(String, Level, String)>,
    /// Pages that show what a chapter shows, under other words: translations.
    pub translated: Vec<String>,
    /// Files of which no part was made again.
    pub uncovered: Vec<String>,
    /// Those of them that a server may show as a page.
    pub added_pages: Vec<String>,
    /// The problems, a line each.
    pub wrong: Vec<String>,
}

/// The files that a site is compared with.
pub struct Expected<'e> {
    /// The files that were made again, by names in the folder of pages.
    pub made: &'e [SiteFile],
    /// The pages of chapters, which every site has.
    pub pages: &'e BTreeSet<String>,
    /// The level of each file when it was published; nothing while that is found out.
    pub demanded: Option<&'e BTreeMap<String, Level>>,
}

/// The pages beside those of chapters that mdBook makes of the same template.
const BESIDE_CHAPTERS: &[&str] = &["index.html", "print.html", "404.html"];

impl Expected<'_> {
    /// True for the pages that one template of the theme makes. The sources say which there are, so none may be missing.
    fn is_of_theme(&self, name: &str) -> bool {
        self.pages.contains(name) || BESIDE_CHAPTERS.contains(&name)
    }

    fn demanded_level(&self, name: &str) -> Option<Level> {
        self.demanded?.get(name).copied()
    }
}

/// Compare the files of a folder of pages, by their names in it.
pub fn compare(expected: &Expected<'_>, site: &[(&str, &SiteFile)]) -> SiteComparison {
    let mut compared = SiteComparison::default();
    let actual: BTreeMap<&str, &SiteFile> = site.iter().copied().collect();
    for made in expected.made {
        match actual.get(made.name.as_str()) {
            Some(found) => compared.compare_file(expected, made, found),
            None if is_no_jekyll(&made.name) => {}
            None => {
                let demanded = expected.demanded_level(&made.name).is_some();
                if demanded || expected.is_of_theme(&made.name) {
                    let name = &made.name;
                    let line = format!("{name}: it is missing, and the book has such a file");
                    compared.wrong.push(line);
                }
            }
        }
    }
    let made: BTreeMap<&str, &SiteFile> = expected
        .made
        .iter()
        .map(|file| (file.name.as_str(), file))
        .collect();
    for (name, file) in site {
        if !made.contains_key(name) {
            compared.check_added_file(expected, name, file, &actual);
        }
    }
    compared.report_uneven_levels(expected, &actual);
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

/// Compare files outside the folder of pages, by their names in the site.
pub fn compare_outside(expected: &Expected<'_>, outside: &[&SiteFile]) -> SiteComparison {
    let mut compared = SiteComparison::default();
    let all: BTreeMap<&str, &SiteFile> = (outside.iter().copied())
        .map(|file| (file.name.as_str(), file))
        .collect();
    for file in outside {
        compared.check_added_file(expected, &file.name, file, &all);
    }
    compared
}

/// True for a name that mdBook makes of what the file holds: `book-a0b12cfe.js`.
fn has_digest(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let digest = stem.rsplit_once('-').map(|(_, digest)| digest);
    digest.is_some_and(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl SiteComparison {
    /// Complain about pages that are the same at a weaker level than other pages of the same template: neither a theme nor
    /// another version of mdBook explains that, whatever the manifest says of them.
    fn report_uneven_levels(
        &mut self,
        expected: &Expected<'_>,
        actual: &BTreeMap<&str, &SiteFile>,
    ) {
        let pages: Vec<(&SiteFile, Level)> = expected
            .made
            .iter()
            .filter(|made| expected.is_of_theme(&made.name))
            .filter_map(|made| Some((made, *self.levels.get(&made.name)?)))
            .collect();
        let Some(best) = pages.iter().map(|(_, level)| *level).max() else {
            return;
        };
        for (made, level) in pages {
            let name = &made.name;
            let Some(found) = actual.get(name.as_str()).filter(|_| level < best) else {
                continue;
            };
            if let Err(why) = compare_pages(&lossy_text(made), &lossy_text(found), Some(best)) {
                self.levels.remove(name);
                self.weaker.retain(|(weaker, _, _)| weaker != name);
                self.wrong.push(format!(
                    "{name}:{why}; other pages of the site are the same there, so neither a theme nor another mdBook explains it"
                ));
            }
        }
    }

    /// Compare one file with what was made again under its name.
    fn compare_file(&mut self, expected: &Expected<'_>, made: &SiteFile, actual: &SiteFile) {
        let name = &made.name;
        if made.bytes == actual.bytes {
            self.levels.insert(name.clone(), Level::Whole);
            return;
        }
        if is_no_jekyll(name) && actual.bytes.is_empty() {
            return;
        }
        let demanded = expected.demanded_level(name);
        if name.ends_with(".html") {
            let pages = (lossy_text(made), lossy_text(actual));
            match compare_pages(&pages.0, &pages.1, demanded) {
                Ok(level) => {
                    self.levels.insert(name.clone(), level);
                    if let Err(why) = compare_pages(&pages.0, &pages.1, Some(Level::Whole)) {
                        self.weaker.push((name.clone(), level, why.to_string()));
                    }
                }
                Err(why) => self.wrong.push(format!("{name}:{why}")),
            }
        } else if demanded.is_some() || is_no_jekyll(name) || has_digest(name) {
            let line = first_differing_line(&lossy_text(made), &lossy_text(actual));
            self.wrong
                .push(format!("{name}:{line}: it is not what mdBook writes"));
        } else {
            self.uncovered.push(name.clone());
        }
    }

    fn report_page_without_source(&mut self, name: &str) {
        self.uncovered.push(name.to_owned());
        self.added_pages.push(name.to_owned());
    }

    /// Look at a file that was not made again. `site` has those beside it.
    fn check_added_file(
        &mut self,
        expected: &Expected<'_>,
        name: &str,
        file: &SiteFile,
        site: &BTreeMap<&str, &SiteFile>,
    ) {
        if is_no_jekyll(name) {
            let own = expected.made.iter().find(|made| is_no_jekyll(&made.name));
            if !file.bytes.is_empty() && own.is_none_or(|own| own.bytes != file.bytes) {
                self.wrong
                    .push(format!("{name}:1: it is not what mdBook writes"));
            }
            return;
        }
        if search_index::is_search_index(name) {
            let index = expected
                .made
                .iter()
                .find(|made| search_index::is_search_index(&made.name));
            let same = index.map_or(Err(search_index::IndexError::None), |made| {
                search_index::compare(&lossy_text(made), &lossy_text(file))
            });
            match (same, expected.demanded) {
                (Ok(()), _) => {
                    self.levels.insert(name.to_owned(), Level::Content);
                }
                // One that could not be made again is not trusted to be right.
                (Err(_), None) => self.uncovered.push(name.to_owned()),
                (Err(_), Some(known))
                    if !known
                        .keys()
                        .any(|known| search_index::is_search_index(known)) =>
                {
                    self.uncovered.push(name.to_owned());
                }
                (Err(why), Some(_)) => self.wrong.push(format!("{name}: {why}")),
            }
            return;
        }
        let text = match served_pages::served_form(name, &file.bytes) {
            ServedForm::No => return self.uncovered.push(name.to_owned()),
            // Another form of a file beside it.
            ServedForm::Packed(of, text)
                if site.get(of).is_some_and(|of| lossy_text(of) == text) =>
            {
                return;
            }
            ServedForm::Packed(of, _) if site.contains_key(of) => {
                let line = format!("{name}: its uncompressed content differs from {of}");
                return self.wrong.push(line);
            }
            ServedForm::Packed(_, text) | ServedForm::Page(text) => text,
            ServedForm::Unreadable => return self.report_page_without_source(name),
        };
        if !may_be_own_output(&text) {
            return self.report_page_without_source(name);
        }
        let all = page_tokens(&text);
        let shown = find_fragments(&all);
        let Some(first) = shown.first() else {
            return self.report_page_without_source(name);
        };
        let translation = |page: &&SiteFile| name.ends_with(&format!("/{}", page.name));
        let of = expected.made.iter().find(translation);
        let original = of.map(|page| page_tokens(&lossy_text(page)));
        match original.as_deref().map(find_fragments) {
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

fn lossy_text(file: &SiteFile) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&file.bytes)
}

/// True if a text could hold anything that this preprocessor writes.
fn may_be_own_output(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    // As a character reference, too.
    lower.contains("qed") || lower.contains("&#")
}

/// The reasons why a page differs from the one that was made again.
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

/// Compare a page with the one that was made again; the error says where they differ.
fn compare_pages(made: &str, actual: &str, demanded: Option<Level>) -> Result<Level, PageError> {
    let (made_tokens, actual_tokens) = (page_tokens(made), page_tokens(actual));
    let chapter = main_content(&made_tokens).unwrap_or(&made_tokens);
    let level = match find_tokens(chapter, &actual_tokens) {
        Some(at) => {
            let (before, behind) = (&actual_tokens[..at], &actual_tokens[at + chapter.len()..]);
            if let Some(more) = find_fragments(before)
                .first()
                .or(find_fragments(behind).first())
            {
                return Err(PageError::Beside {
                    line: more.line(),
                    name: more.name(),
                });
            }
            Level::Content
        }
        None => {
            let (made, actual) = (find_fragments(&made_tokens), find_fragments(&actual_tokens));
            if let Some(difference) = first_difference(&made, &actual) {
                return Err(PageError::Chapter(difference));
            }
            Level::Fragments
        }
    };
    match demanded {
        Some(demanded) if level < demanded => Err(match level {
            Level::Fragments => {
                let actual = main_content(&actual_tokens).unwrap_or(&actual_tokens);
                PageError::Chapter(token_difference(chapter, actual))
            }
            _ => PageError::Around {
                line: first_differing_line(made, actual),
            },
        }),
        _ => Ok(level),
    }
}

/// The place of one list of tokens in another, whole.
fn find_tokens(wanted: &[Token], all: &[Token]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    all.windows(wanted.len())
        .position(|window| are_same_tokens(wanted, window))
}

/// The first line in which two texts differ, from 1.
fn first_differing_line(a: &str, b: &str) -> usize {
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b);
    same.count() + 1
}

/// The first difference between the fragments that were written and those in the page, with its line; `None` if there is none.
fn first_difference(made: &[Fragment<'_>], actual: &[Fragment<'_>]) -> Option<String> {
    let at = made
        .iter()
        .zip(actual)
        .position(|(made, actual)| !made.has_same_tokens(actual));
    match at {
        Some(at) => Some(token_difference(made[at].tokens, actual[at].tokens)),
        None if made.len() < actual.len() => {
            let more = &actual[made.len()];
            Some(format!(
                "{}: found {}, which no source produces",
                more.line(),
                more.name()
            ))
        }
        None if made.len() > actual.len() => {
            let missing = &made[actual.len()];
            let line = actual.last().map_or(1, Fragment::line);
            Some(format!("{line}: {} is missing after this", missing.name()))
        }
        None => None,
    }
}

/// The first difference between two lists of tokens, with its line.
fn token_difference(made: &[Token], actual: &[Token]) -> String {
    let equal = made
        .iter()
        .zip(actual)
        .take_while(|(made, actual)| made.kind == actual.kind)
        .count();
    let (expected, found) = (made.get(equal), actual.get(equal));
    let line = found.or(actual.last()).map_or(1, |token| token.line);
    let inside = |tokens: &[Token]| {
        let all = find_fragments(tokens);
        let around = all
            .iter()
            .find(|f| (f.start..f.start + f.tokens.len()).contains(&equal));
        around.map(Fragment::name)
    };
    let place = inside(actual).or(inside(made));
    let shown = |token: Option<&Token>| token.map_or("nothing".to_owned(), |t| t.kind.to_html());
    let (expected, found) = differing_excerpts(&shown(expected), &shown(found));
    format!(
        "{line}: {}: found `{found}`, expected `{expected}`",
        place.as_deref().unwrap_or("the text")
    )
}

/// The part of two texts in which they differ, with some text before it.
fn differing_excerpts(a: &str, b: &str) -> (String, String) {
    let equal = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let from = equal.saturating_sub(QUOTED / 3);
    let part = |text: &str| {
        let part: String = text.chars().skip(from).take(QUOTED).collect();
        let more = |is: bool| if is { "…" } else { "" };
        let cut = text.chars().count() > from + QUOTED;
        escape_invisible(&format!("{}{part}{}", more(from > 0), more(cut))).into_owned()
    };
    (part(a), part(b))
}

/// True if the claim whose element has this id is in the page where a reader can see it.
pub fn shows_claim(page: &SiteFile, id: &str) -> bool {
    let tokens = page_tokens(&lossy_text(page));
    super::page_parser::visible_claims(&tokens).contains(&id)
}

#[cfg(test)]
mod tests;
