//! Formulas of MathJax in text.

/// The state of a walk through text: inside of a formula or not, by MathJax's delimiters `\(…\)`, `\[…\]` and `$$…$$`
/// (<https://docs.mathjax.org/en/v2.7/tex.html#tex-and-latex-math-delimiters>).
#[derive(Default)]
pub struct MathState {
    /// The delimiter that ends it.
    until: Option<&'static str>,
    /// A backslash or dollar at the end of the text before.
    last: String,
}

impl MathState {
    /// True inside of a formula.
    pub fn is_open(&self) -> bool {
        self.until.is_some()
    }

    /// Take in text as the reader sees it, or as the author wrote it.
    pub fn feed(&mut self, text: &str) {
        const DELIMITERS: [(&str, &str); 3] = [("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$")];
        for c in text.chars() {
            self.last.push(c);
            match self.until {
                Some(end) if self.last.ends_with(end) => self.until = None,
                None => {
                    let opened = DELIMITERS
                        .iter()
                        .find(|(open, _)| self.last.ends_with(open));
                    self.until = opened.map(|(_, end)| *end);
                    if self.until.is_none() {
                        self.keep_one();
                        continue;
                    }
                }
                Some(_) => {
                    self.keep_one();
                    continue;
                }
            }
            self.last.clear();
        }
    }

    /// Delimiters are two characters long.
    fn keep_one(&mut self) {
        let keep = self.last.char_indices().next_back().map_or(0, |(at, _)| at);
        self.last.drain(..keep);
    }
}
