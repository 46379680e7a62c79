//! Text from a guest's serial ports: stored up to a limit, with the last lines always available.

use std::collections::VecDeque;

/// Longest line kept, in bytes; what follows is cut.
const LINE: usize = 1024;

/// A bounded record of console output.
#[derive(Debug)]
pub struct Console {
    text: String,
    cap: usize,
    dropped: usize,
    line: Vec<u8>,
    last: VecDeque<String>,
    keep: usize,
}

impl Console {
    /// Keep the first `cap` bytes of text whole, and the last `keep` lines in any case.
    #[must_use]
    pub fn new(cap: usize, keep: usize) -> Self {
        Self {
            text: String::new(),
            cap,
            dropped: 0,
            line: Vec::new(),
            last: VecDeque::new(),
            keep,
        }
    }

    /// Take bytes as they arrive; returns the lines that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut done = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                done.push(self.end_line());
            } else if self.line.len() < LINE {
                self.line.push(byte);
            }
        }
        done
    }

    /// The whole text (up to the cap, and then says how much was left out), an unfinished line included.
    #[must_use]
    pub fn into_text(mut self) -> String {
        if !self.line.is_empty() {
            self.end_line();
        }
        if self.dropped > 0 {
            self.text
                .push_str(&format!("[{} more bytes not kept]\n", self.dropped));
        }
        self.text
    }

    /// The last lines, oldest first, an unfinished one included.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        let unfinished = (!self.line.is_empty()).then(|| strip_control_characters(&self.line));
        self.last.iter().cloned().chain(unfinished).collect()
    }

    fn end_line(&mut self) -> String {
        let line = strip_control_characters(&self.line);
        self.line.clear();
        if self.text.len() + line.len() < self.cap {
            self.text.push_str(&line);
            self.text.push('\n');
        } else {
            self.dropped += line.len() + 1;
        }
        if self.last.len() == self.keep {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        line
    }
}

/// A guest's output is shown on the user's terminal: no control characters.
fn strip_control_characters(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .filter(|c| !c.is_control() || *c == '\t')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that lines are completed across pushes, and that carriage returns and escapes vanish.
    #[test]
    fn lines() {
        let mut c = Console::new(1000, 2);
        assert!(c.push(b"one\r").is_empty());
        assert_eq!(c.push(b"\ntw\x1b[0mo\nthr"), ["one", "tw[0mo"]);
        assert_eq!(c.tail(), ["one", "tw[0mo", "thr"]);
        assert_eq!(c.into_text(), "one\ntw[0mo\nthr\n");
    }

    /// Check that the last lines survive a flood, whose text is cut at the cap and said to be.
    #[test]
    fn flood() {
        let mut c = Console::new(10, 2);
        for n in 0..1000 {
            c.push(format!("line {n}\n").as_bytes());
        }
        c.push(&[b'x'; 5000]);
        assert_eq!(c.tail()[..2], ["line 998", "line 999"]);
        assert_eq!(c.tail()[2].len(), LINE);
        let text = c.into_text();
        assert!(text.starts_with("line 0\n["), "{text}");
        assert!(text.len() < 60, "{text}");
    }

    /// Check that bytes that are not UTF-8 neither fail nor vanish.
    #[test]
    fn not_utf8() {
        let mut c = Console::new(100, 2);
        assert_eq!(c.push(b"a\xffb\n"), ["a\u{fffd}b"]);
    }
}
