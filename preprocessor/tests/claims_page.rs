//! The page of all claims: where its links lead in the built site.

use crate::common;

use common::{Book, stdout};

/// Check that each cell of each claim leads to where the claim stands, from any folder, for a README too, in the page
/// and in the print page.
#[test]
fn links_resolve() {
    let claim =
        |id: &str| format!("# {id}\n\n```qed-claim {id}\ncreate.outcome.returned == 3\n```\n");
    let book = Book::new(
        &[
            ("README.md", &claim("first")),
            ("deep/README.md", &claim("second")),
            ("deep/er/third.md", &claim("third")),
            ("all/claims.md", "# Claims\n\n```qed-exhibit claims\n```\n"),
        ],
        "",
        "[output.html.print]\nenable = true",
    );
    book.build();
    for (page, folder) in [("all/claims.html", "all/"), ("print.html", "")] {
        let html = book.read(&format!("book/{page}"));
        let mut seen = Vec::new();
        for rest in html.split("<a href=\"").skip(1) {
            let href = rest.split('"').next().unwrap_or_default();
            let Some((file, id)) = href.split_once('#').filter(|(_, id)| id.contains("claim-"))
            else {
                continue;
            };
            let target = if file.is_empty() {
                html.clone()
            } else {
                book.read(&format!("book/{folder}{file}"))
            };
            assert_eq!(
                target.matches(&format!("id=\"{id}\"")).count(),
                1,
                "{page}: {href}"
            );
            seen.push(href.to_owned());
        }
        // The name and one cell for each of two machines, of three claims.
        assert_eq!(seen.len(), 9, "{page}: {seen:?}");
        assert!(
            seen.iter()
                .all(|href| seen.iter().filter(|other| *other == href).count() == 3)
        );
    }
    let verified = book.qed(&["verify", "book", "--evidence", ".qed/evidence"]);
    assert!(
        !stdout(&verified).contains("claim-"),
        "{}",
        stdout(&verified)
    );
}
