//! Checks of an expression's text before CEL's parser reads it: misleading spellings are refused, and names after a dot may be
//! words that CEL reserves.

use std::ops::Range;

use crate::diagnostic::Diagnostic;

use crate::claim::source_map::SourceMap;

/// Words that are tokens of their own in CEL's grammar, even after a dot. Parameters of kernel functions have such names: `in`
/// 53 times in the BTF of Debian's 6.12.
const TOKENS: &[&str] = &["in", "true", "false", "null"];

/// Letters before a quote that change the meaning of the text after it in CEL.
const PREFIXES: &[&str] = &["r", "R", "b", "B", "br", "bR", "Br", "BR"];

/// Characters of claims as other preprocessors of a book write them, for HTML or as typographic quotes.
const ESCAPED: &[(&str, &str)] = &[
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&amp;", "&"),
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&#x22;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("\u{201c}", "\""),
    ("\u{201d}", "\""),
    ("\u{2018}", "'"),
    ("\u{2019}", "'"),
];

/// The expression as CEL's parser is to get it: as long as `text`, byte for byte, with stand-ins for names that the parser
/// would refuse behind a dot. Errors are of spellings that claims may not use.
pub(super) fn lex(text: &str, place: &SourceMap) -> Result<String, Vec<Diagnostic>> {
    let mut lexer = Lexer {
        text,
        place,
        at: 0,
        behind_dot: false,
        out: text.as_bytes().to_vec(),
        diagnostics: Vec::new(),
    };
    while lexer.at < text.len() {
        lexer.token();
    }
    match String::from_utf8(lexer.out) {
        Ok(out) if lexer.diagnostics.is_empty() => Ok(out),
        _ => Err(lexer.diagnostics),
    }
}

/// The names of a path whose first one begins at `start`, and the end of the last one; blanks are permitted around the dots.
pub(super) fn path_at(text: &str, start: usize, names: usize) -> Option<(String, usize)> {
    let mut path = String::new();
    let mut at = start;
    for number in 0..names {
        if number > 0 {
            at = skip_blanks(text, at);
            at = text[at..].starts_with('.').then_some(at + 1)?;
            at = skip_blanks(text, at);
            path.push('.');
        }
        let end = end_of_word(text, at);
        if end == at {
            return None;
        }
        path.push_str(&text[at..end]);
        at = end;
    }
    Some((path, at))
}

fn skip_blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}

/// The end of the letters, digits and underscores that begin at `at`.
fn end_of_word(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    at + end.unwrap_or(rest.len())
}

struct Lexer<'a> {
    text: &'a str,
    place: &'a SourceMap,
    at: usize,
    /// True if the last token was a dot.
    behind_dot: bool,
    out: Vec<u8>,
    diagnostics: Vec<Diagnostic>,
}

impl Lexer<'_> {
    fn refuse(&mut self, range: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics
            .push(self.place.error(&range, message).help(help));
    }

    fn token(&mut self) {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            return;
        };
        let behind_dot = self.behind_dot;
        match first {
            c if c.is_whitespace() => self.at += c.len_utf8(),
            '\'' | '"' => self.text_token(""),
            '/' if rest.starts_with("//") => self.comment(),
            '0'..='9' => self.number(),
            'a'..='z' | 'A'..='Z' | '_' => self.word(behind_dot),
            '`' => {
                self.refuse(
                    self.at..self.at + 1,
                    "a backtick is not part of the claim language",
                    "names are written as they are: `create.probe.args.in`",
                );
                self.at = self.text.len();
            }
            c => {
                if let Some((escaped, plain)) = ESCAPED.iter().find(|(e, _)| rest.starts_with(e)) {
                    return self.refuse_escaped(escaped, plain);
                }
                self.at += c.len_utf8();
                self.behind_dot = c == '.';
                return;
            }
        }
        self.behind_dot = behind_dot && first.is_whitespace();
    }

    /// Refuse a character that is written otherwise than the author wrote it; the first one speaks for all that follow.
    fn refuse_escaped(&mut self, escaped: &str, plain: &str) {
        self.refuse(
            self.at..self.at + escaped.len(),
            format!("write `{plain}` instead of `{escaped}`"),
            "if that is not how you wrote it, a preprocessor that ran before this one did: let this one run first, with \
             `before = [\"ITS-NAME\"]` under [preprocessor.qed] in book.toml",
        );
        self.at = self.text.len();
    }

    fn comment(&mut self) {
        let rest = &self.text[self.at..];
        let end = self.at + rest.find(['\n', '\r']).unwrap_or(rest.len());
        self.refuse(
            self.at..end,
            "a comment is not part of the claim language: what stands in it is shown as part of the claim and is never judged",
            "write it into the chapter, or take the slashes out; a division has one `/`",
        );
        self.at = end;
    }

    /// CEL has no octal numbers: it reads `0700` as seven hundred.
    fn number(&mut self) {
        let end = end_of_word(self.text, self.at);
        let word = &self.text[self.at..end];
        let digits = word.trim_end_matches(['u', 'U']);
        let range = self.at..end;
        self.at = end;
        let rest = digits.trim_start_matches('0');
        if !digits.starts_with('0')
            || digits.len() == 1
            || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return;
        }
        let suffix = &word[digits.len()..];
        let help = match u64::from_str_radix(digits, 8) {
            Ok(octal) if !rest.is_empty() => format!(
                "if it is meant to be octal, write {octal}{suffix} or {octal:#x}{suffix}; if it is meant to be decimal, \
                 write {rest}{suffix}"
            ),
            _ if rest.is_empty() => format!("write 0{suffix}"),
            _ => format!("write {rest}{suffix}"),
        };
        self.refuse(
            range,
            format!("`{word}` looks like an octal number, and CEL would read it as a decimal one"),
            help,
        );
    }

    fn word(&mut self, behind_dot: bool) {
        let end = end_of_word(self.text, self.at);
        let word = &self.text[self.at..end];
        let next = self.text[end..].chars().next();
        if matches!(next, Some('\'' | '"')) && PREFIXES.contains(&word) {
            return self.text_token(word);
        }
        let called = self.text[skip_blanks(self.text, end)..].starts_with('(');
        if behind_dot && !called && TOKENS.contains(&word) {
            self.out[self.at..end].fill(b'_');
        }
        self.at = end;
    }

    /// A text or bytes with the letters before it.
    fn text_token(&mut self, prefix: &str) {
        let start = self.at;
        let open = start + prefix.len();
        let rest = &self.text[open..];
        let Some(quote) = rest.chars().next() else {
            return;
        };
        if prefix.contains(['r', 'R']) {
            self.refuse(
                start..open + 1,
                "a raw text is not part of the claim language: a backslash in it is not an escape",
                "write the text without the `r`, and each backslash as `\\\\`",
            );
        }
        let triple: String = [quote; 3].iter().collect();
        if rest.starts_with(&triple) {
            let end = rest[3..]
                .find(&triple)
                .map_or(self.text.len(), |at| open + at + 6);
            self.refuse(
                start..end,
                "a text in three quotes is not part of the claim language: it can swallow other parts of the claim",
                "write it between single quotes, in one line; a quote in it is `\\'`, a line end `\\n`",
            );
            self.at = end;
            return;
        }
        let bytes = prefix.contains(['b', 'B']);
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' | '\r' => {
                    self.refuse(
                        start..open + at,
                        "the text is not closed in its line",
                        "write it in one line; a line end in it is `\\n`",
                    );
                    self.at = open + at;
                    return;
                }
                '\\' => {
                    let Some((_, escaped)) = chars.next() else {
                        break;
                    };
                    self.escape(open + at, escaped, bytes);
                }
                c if c == quote => {
                    self.at = open + at + 1;
                    return;
                }
                _ => {}
            }
        }
        // Not closed: the parser says so.
        self.at = self.text.len();
    }

    /// Refuse an escape that hides which character it stands for.
    fn escape(&mut self, at: usize, escaped: char, bytes: bool) {
        let plain = matches!(escaped, '\\' | '\'' | '"' | 'n' | 'r' | 't');
        if plain || (bytes && escaped == 'x') {
            return;
        }
        let help = match bytes {
            true => "bytes are written as they are or as `\\x7f`",
            false => {
                "write the character itself; there are `\\n`, `\\r`, `\\t`, `\\\\`, `\\'` and `\\\"`"
            }
        };
        self.refuse(
            at..at + 1 + escaped.len_utf8(),
            format!("the escape `\\{escaped}` is not part of the claim language: it hides what it stands for"),
            help,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::place;

    /// Check that names behind a dot may be any word, and that the parser gets as many bytes as were written.
    #[test]
    fn words_behind_dots() {
        for (text, wanted) in [
            ("a.p.args.in != a.p.args.out", "a.p.args.__ != a.p.args.out"),
            ("a . true\n. null == 1u", "a . ____\n. ____ == 1u"),
            ("a.b in c", "a.b in c"),
            ("a.in(1)", "a.in(1)"),
            ("a.b == true", "a.b == true"),
            ("a.b == '.in' && a.int == 1", "a.b == '.in' && a.int == 1"),
            ("a.b == 'é' && a.false", "a.b == 'é' && a._____"),
        ] {
            assert_eq!(lex(text, &place(text)).unwrap(), wanted);
        }
        assert_eq!(path_at("x == a . in.b", 5, 3), Some(("a.in.b".into(), 13)));
        assert_eq!(path_at("(a).in", 1, 2), None);
    }

    /// Check that what reads otherwise than it is judged is refused where it stands, and that its plain form is not.
    #[test]
    fn spellings() {
        let complaint = |text: &str| match lex(text, &place(text)) {
            Ok(_) => String::new(),
            Err(errors) => {
                let (_, range) = errors[0].place.clone().unwrap();
                format!("{}: {}", &text[range], errors[0].message)
            }
        };
        for (text, wanted) in [
            ("a.b == 0700", "0700: `0700` looks like an octal number"),
            ("a.b == -00u", "00u: "),
            ("a.b == 09", "09: "),
            ("a.b == 1 // && a.c == 2\n", "// && a.c == 2: a comment"),
            ("a.b != ''' && x && '''", "''' && x && ''': a text in three"),
            ("a.b != \"\"\"x\"\"\"", "\"\"\"x\"\"\": a text in three"),
            ("a.b != b'''x'''", "b'''x''': a text in three"),
            ("a.b != r'x'", "r': a raw text"),
            ("a.b != bR\"x\"", "bR\": a raw text"),
            ("a.b != 'x\n'", "'x: the text is not closed in its line"),
            ("a.b != b'x\n'", "b'x: the text is not closed in its line"),
            ("a.b != '\\x41'", "\\x: the escape"),
            ("a.b != '\\u0041'", "\\u: the escape"),
            ("a.b != '\\101'", "\\1: the escape"),
            ("a.b != b'\\101'", "\\1: the escape"),
            ("a.`in` == 1", "`: a backtick"),
            (
                "a.b &lt; 1 &amp;&amp; a.c",
                "&lt;: write `<` instead of `&lt;`",
            ),
            (
                "a.b == 1 &amp;&amp; a.c",
                "&amp;: write `&` instead of `&amp;`",
            ),
            (
                "a.b == &quot;x&quot;",
                "&quot;: write `\"` instead of `&quot;`",
            ),
            (
                "a.b == \u{2018}x\u{2019}",
                "\u{2018}: write `'` instead of `\u{2018}`",
            ),
        ] {
            let found = complaint(text);
            assert!(found.starts_with(wanted), "{text}: {found}");
        }
        for text in [
            "a.b == 0 || a.b == 0u || a.b == 0x0700",
            "a.b / 2 == 1 && a.c != '//' && a.d != ''",
            "a.b == 'it\\'s' && a.c == \"a\\n\\t\\\\\"",
            "a.b == b'\\x7fELF' && a.c == \"'''\"",
            "a.hit01 == 1 && a._0 == 10",
            "a.b == '&lt;b&gt; \u{201c}' && a.c == \"&amp;\"",
        ] {
            assert_eq!(complaint(text), "", "{text}");
        }
    }
}
