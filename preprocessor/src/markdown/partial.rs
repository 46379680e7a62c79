//! The word or option at one place of a placeholder or an info string that may be half written.

use std::ops::Range;

/// The part of a placeholder or an info string that stands at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceholderPart<'t> {
    /// The first word, which may be empty.
    First(Range<usize>),
    /// The name of an option, or where one could be written.
    Name(Range<usize>),
    /// The value of an option, without quotes.
    Value {
        /// The option.
        name: &'t str,
        /// The value.
        span: Range<usize>,
    },
}

/// The part of `text[range]` at byte `at`. A quote that is not closed ends with the range.
pub fn part_at(text: &str, range: Range<usize>, at: usize) -> PlaceholderPart<'_> {
    let mut start = range.start;
    let mut is_first = true;
    let empty = |is_first| match is_first {
        true => PlaceholderPart::First(at..at),
        false => PlaceholderPart::Name(at..at),
    };
    loop {
        let rest = &text[start..range.end];
        let Some(lead) = rest.find(|c: char| !c.is_whitespace()) else {
            return empty(is_first);
        };
        start += lead;
        if at < start {
            return empty(is_first);
        }
        let stop = |c: char| c.is_whitespace() || matches!(c, '=' | '"');
        let end = find_from(text, start, range.end, stop);
        if at <= end {
            let is_option = text[end..range.end].starts_with('=');
            return match is_first && !is_option {
                true => PlaceholderPart::First(start..end),
                false => PlaceholderPart::Name(start..end),
            };
        }
        let name = &text[start..end];
        is_first = false;
        let Some(quoted) = text[end..range.end].strip_prefix("=\"") else {
            // What does not belong here is stepped over, one character at least.
            let next = text[end..range.end].chars().next();
            start = end + next.map_or(0, char::len_utf8);
            if start >= range.end {
                return empty(is_first);
            }
            continue;
        };
        let value = range.end - quoted.len();
        let closing = find_from(text, value, range.end, |c| c == '"');
        if (value..=closing).contains(&at) {
            let span = value..closing;
            return PlaceholderPart::Value { name, span };
        }
        start = (closing + 1).min(range.end);
    }
}

fn find_from(text: &str, start: usize, end: usize, stop: impl Fn(char) -> bool) -> usize {
    text[start..end].find(stop).map_or(end, |n| start + n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The part at the mark `|`, in words.
    fn part(marked: &str) -> String {
        let at = marked.find('|').unwrap();
        let text = marked.replace('|', "");
        match part_at(&text, 0..text.len(), at) {
            PlaceholderPart::First(span) => format!("first {}", &text[span]),
            PlaceholderPart::Name(span) => format!("name {}", &text[span]),
            PlaceholderPart::Value { name, span } => format!("{name} = {}", &text[span]),
        }
    }

    /// Check that words, options and values are told apart, also where the end is not written yet.
    #[test]
    fn parts() {
        for (marked, expected) in [
            ("|", "first "),
            ("  |", "first "),
            ("cre|ate.x as=\"hex\"", "first create.x"),
            ("create.|", "first create."),
            ("create |", "name "),
            ("create a|", "name a"),
            ("create a|s=\"hex\"", "name as"),
            ("create as=\"|", "as = "),
            ("create as=\"h|ex\" width=\"3\"", "as = hex"),
            ("create as=\"hex\" width=\"|3\"", "width = 3"),
            ("create as=\"hex\" |", "name "),
            ("create as=h|", "name h"),
            ("create as=\"hex|", "as = hex"),
            ("|as=\"x\"", "name as"),
        ] {
            assert_eq!(part(marked), expected, "{marked}");
        }
    }

    proptest! {
        /// Check that any text has a part at any place, whose span lies in the text.
        #[test]
        fn never_panics(text in "[a-zé=\" \n]{0,20}", at in 0usize..40) {
            let at = at.min(text.len());
            prop_assume!(text.is_char_boundary(at));
            let (PlaceholderPart::First(span) | PlaceholderPart::Name(span) | PlaceholderPart::Value { span, .. }) = part_at(&text, 0..text.len(), at);
            prop_assert!(text.get(span).is_some());
        }
    }
}
