//! The files of a site that a server may show as a page: recognised by name, in any case, and also if compressed.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::GzDecoder;

/// Endings of names under which servers send markup that browsers show; `.shtml` is HTML with directives of the server.
const PAGES: &[&str] = &[
    ".html", ".htm", ".xhtml", ".xht", ".shtml", ".shtm", ".stm", ".phtml", ".php", ".mhtml",
    ".mht", ".svg", ".svgz", ".xml", ".xsl", ".xslt",
];
/// Endings of packed copies, which servers send in the place of the files whose names they have before the ending.
const PACKED: &[&str] = &[".gz", ".br", ".zst", ".zz", ".z", ".bz2", ".xz"];
/// The most of a page that is unpacked, in bytes.
const LONGEST: u64 = 64 << 20;

/// The way in which a server may show a file.
#[derive(Debug, PartialEq, Eq)]
pub enum ServedForm<'f> {
    /// As something else than a page.
    No,
    /// As a page of this text.
    Page(Cow<'f, str>),
    /// In the place of the file of this name, with this text.
    Packed(&'f str, Cow<'f, str>),
    /// As a page in a form that is not read here.
    Unreadable,
}

/// Find out how a server may show the file of this name.
pub fn served_form<'f>(name: &'f str, bytes: &'f [u8]) -> ServedForm<'f> {
    let lower = name.to_ascii_lowercase();
    let ending = PACKED.iter().find(|ending| lower.ends_with(**ending));
    let plain = ending.map_or(name, |ending| &name[..name.len() - ending.len()]);
    let is_page = |ending: &&str| lower[..plain.len()].ends_with(*ending);
    let Some(page) = PAGES.iter().find(|ending| is_page(ending)) else {
        return ServedForm::No;
    };
    match ending {
        None if *page != ".svgz" => ServedForm::Page(String::from_utf8_lossy(bytes)),
        Some(&".gz") | None => match unpack(bytes) {
            Some(text) if ending.is_some() => ServedForm::Packed(plain, text.into()),
            Some(text) => ServedForm::Page(text.into()),
            None => ServedForm::Unreadable,
        },
        Some(_) => ServedForm::Unreadable,
    }
}

/// The text of a packed file; `None` of one that cannot be unpacked whole.
fn unpack(bytes: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    let read = GzDecoder::new(bytes).take(LONGEST).read_to_end(&mut text);
    let whole = read.is_ok_and(|length| (length as u64) < LONGEST);
    whole.then(|| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Check that pages are recognised in whichever case, with directives of a server and packed, and other files not.
    #[test]
    fn pages() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"<p>").unwrap();
        let packed = packer.finish().unwrap();
        for name in ["a.html", "a.HTML", "b/a.shtml", "a.Svg", "a.htm"] {
            assert_eq!(
                served_form(name, b"<p>"),
                ServedForm::Page("<p>".into()),
                "{name}"
            );
        }
        assert_eq!(
            served_form("a.svgz", &packed),
            ServedForm::Page("<p>".into())
        );
        let expected = ServedForm::Packed("a.HTML", "<p>".into());
        assert_eq!(served_form("a.HTML.gz", &packed), expected);
        for (name, bytes) in [
            ("a.html.br", &packed[..]),
            ("a.html.zst", &packed),
            ("a.html.gz", b"<p>"),
            ("a.html.gz", &packed[..packed.len() - 9]),
        ] {
            assert_eq!(served_form(name, bytes), ServedForm::Unreadable, "{name}");
        }
        for name in ["a.css", "html", "a.html.txt", "a.tar.gz", "a.json.gz", ""] {
            assert_eq!(served_form(name, &packed), ServedForm::No, "{name}");
        }
    }
}
