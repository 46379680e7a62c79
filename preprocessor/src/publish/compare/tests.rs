//! Tests of the comparison.

use super::*;

fn file(name: &str, text: &str) -> SiteFile {
    SiteFile {
        name: name.into(),
        bytes: text.as_bytes().to_vec(),
    }
}

const PAGE: &str = "<html><head><title>T</title></head><body><main>\n<p>a <span class=\"qed\" data-qed=\"p.q\">1</span> b</p>\n\
                    <div class=\"qed-claim\" id=\"claim-c\"><pre>x == 1</pre></div></main></body></html>";

fn run(actual: &[(&str, &str)], demanded: Option<Level>) -> SiteComparison {
    let made = [file("one.html", PAGE)];
    let files: Vec<SiteFile> = actual.iter().map(|(name, text)| file(name, text)).collect();
    let site: Vec<(&str, &SiteFile)> = files.iter().map(|f| (f.name.as_str(), f)).collect();
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
    for (from, to, message) in [
        (
            "x == 1",
            "x != 1",
            "3: claim `c`: found `x != 1`, expected `x == 1`",
        ),
        (">1<", ">10<", "2: the value `p.q`: found `10`"),
        (
            "data-qed=\"p.q\"",
            "",
            "2: the block `qed`: found `<span class=\"qed\">`",
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
            "2: claim `c` is missing after this",
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
                line.starts_with(&format!("one.html:{message}")),
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
            Some("2: the value `p.q`: found `2`"),
        ),
    ] {
        let compared = run(&[("one.html", PAGE), (name, text)], None);
        match wrong {
            None => assert_eq!(compared.wrong, [""; 0], "{name}"),
            Some(message) => assert!(
                compared.wrong[0].starts_with(&format!("{name}:{message}")),
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

/// Check that each file that a server may show as a page is listed, whatever its name looks like, that one with something of
/// ours is refused, and that a packed copy has to be that of the page beside it.
#[test]
fn added_pages() {
    let claim = "<div class=\"qed-claim\" id=\"claim-c\">x != 1</div>";
    for (name, text, added, wrong) in [
        ("x.shtml", "<p>more", true, None),
        ("x.HTML", "<p>more", true, None),
        ("x.html.br", "<p>more", true, None),
        ("one.html.gz", "no gzip", true, None),
        ("x.css", "p {}", false, None),
        ("x.shtml", claim, false, Some("stands in a page")),
        ("x.HTM", claim, false, Some("stands in a page")),
    ] {
        let compared = run(&[("one.html", PAGE), (name, text)], None);
        assert_eq!(!compared.added_pages.is_empty(), added, "{name}");
        let message = compared.wrong.first().map_or("", String::as_str);
        assert_eq!(!message.is_empty(), wrong.is_some(), "{name}: {message}");
        assert!(
            message.contains(wrong.unwrap_or_default()),
            "{name}: {message}"
        );
    }
    for (text, wrong) in [(PAGE, false), ("<p>another", true)] {
        use std::io::Write as _;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        let packed = SiteFile {
            name: "one.html.gz".into(),
            bytes: packer.finish().unwrap(),
        };
        let page = file("one.html", PAGE);
        let site = [("one.html", &page), ("one.html.gz", &packed)];
        let made = [file("one.html", PAGE)];
        let expected = Expected {
            made: &made,
            pages: &BTreeSet::new(),
            demanded: None,
        };
        let compared = compare(&expected, &site);
        assert_eq!(!compared.wrong.is_empty(), wrong, "{:?}", compared.wrong);
        assert_eq!(compared.added_pages, [""; 0]);
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
        let site: Vec<(&str, &SiteFile)> = found.iter().map(|f| (".nojekyll", f)).collect();
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
