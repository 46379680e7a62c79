//! Files of tests that no test program has.

use std::path::Path;

use syn::Item;

use crate::ReadError;

/// The files in `tests` that neither `tests/main.rs` names as a module nor `programs` names as a program of its own: they
/// are not compiled, so their tests do not run. Names without `.rs`, in order.
///
/// # Errors
/// A folder or file that cannot be read or is not Rust.
pub fn unlisted_tests(tests: &Path, programs: &[&str]) -> Result<Vec<String>, ReadError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| ReadError::Io { path, error }
    };
    let main = tests.join("main.rs");
    let text = std::fs::read_to_string(&main).map_err(io(&main))?;
    let tree = syn::parse_file(&text).map_err(|error| ReadError::Syntax { path: main, error })?;
    let listed: Vec<String> = tree
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Mod(module) => Some(module.ident.to_string()),
            _ => None,
        })
        .collect();
    let mut unlisted = Vec::new();
    for entry in std::fs::read_dir(tests).map_err(io(tests))? {
        let name = entry.map_err(io(tests))?.file_name();
        let name = name.to_string_lossy();
        let Some(name) = name.strip_suffix(".rs") else {
            continue;
        };
        let known = name == "main" || programs.contains(&name) || listed.iter().any(|l| l == name);
        if !known {
            unlisted.push(name.to_owned());
        }
    }
    unlisted.sort();
    Ok(unlisted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a file is unlisted where neither `main.rs` nor the list of programs has it.
    #[test]
    fn names_files_without_program() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("main.rs", "mod listed;");
        for name in ["listed.rs", "own.rs", "forgotten.rs", "data.json"] {
            write(name, "");
        }
        let unlisted = unlisted_tests(folder.path(), &["own"]).unwrap();
        assert_eq!(unlisted, ["forgotten"]);
    }
}
