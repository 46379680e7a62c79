//! The investigations that ship with the project.

/// Check that every investigation of the project is well formed, so that a typing error shows up without a capture.
#[test]
fn all_parse() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../investigations");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Err(problems) = qed_evidence::investigation::parse(&name, &text) {
            panic!(
                "{}",
                problems
                    .iter()
                    .map(|p| p.render(false))
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
        seen += 1;
    }
    assert!(seen >= 2);
}
