//! The source files of a crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, File, Item, ItemMod, Meta};

/// A crate whose sources cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or folder that cannot be read.
    #[error("cannot read {path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// A file that is not Rust.
    #[error("cannot parse {path}: {error}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: syn::Error,
    },
}

/// The path of a module: `a::b` is `["a", "b"]`, the root is empty.
pub type ModulePath = Vec<String>;

/// The modules below `lib.rs` with their syntax trees, test-only modules left out; below `main.rs` of a program without a
/// library.
pub fn read(src: &Path) -> Result<BTreeMap<ModulePath, File>, ReadError> {
    let mut files = BTreeMap::new();
    let (library, program) = (src.join("lib.rs"), src.join("main.rs"));
    let root = match !library.is_file() && program.is_file() {
        true => program,
        false => library,
    };
    add(&root, src, Vec::new(), &mut files)?;
    Ok(files)
}

/// The modules below the file `root`, of a program with another name than `main.rs`.
pub fn read_program(root: &Path) -> Result<BTreeMap<ModulePath, File>, ReadError> {
    let mut files = BTreeMap::new();
    let folder = root.parent().unwrap_or(Path::new("."));
    add(root, folder, Vec::new(), &mut files)?;
    Ok(files)
}

/// Adds the module in `file`, whose submodules lie in `folder`, and all below it.
fn add(
    file: &Path,
    folder: &Path,
    module: ModulePath,
    files: &mut BTreeMap<ModulePath, File>,
) -> Result<(), ReadError> {
    let text = std::fs::read_to_string(file).map_err(|error| ReadError::Io {
        path: file.to_owned(),
        error,
    })?;
    let tree = syn::parse_file(&text).map_err(|error| ReadError::Syntax {
        path: file.to_owned(),
        error,
    })?;
    for child in children(&tree) {
        let name = child.ident.to_string();
        let beside = folder.join(format!("{name}.rs"));
        let inside = folder.join(&name);
        let (file, inside) = match path_attribute(&child.attrs) {
            // Its own modules are beside it.
            Some(path) => {
                let file = file.parent().unwrap_or(folder).join(path);
                let inside = file.parent().unwrap_or(folder).to_owned();
                (file, inside)
            }
            None if beside.is_file() => (beside, inside),
            None => (inside.join("mod.rs"), inside),
        };
        let mut path = module.clone();
        path.push(name);
        add(&file, &inside, path, files)?;
    }
    files.insert(module, tree);
    Ok(())
}

/// The `mod name;` items of a file.
fn children(file: &File) -> impl Iterator<Item = &ItemMod> {
    file.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && !is_for_tests(&module.attrs) => {
            Some(module)
        }
        _ => None,
    })
}

/// The value of `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(value) = &pair.value else {
            return None;
        };
        match &value.lit {
            syn::Lit::Str(text) if pair.path.is_ident("path") => Some(text.value()),
            _ => None,
        }
    })
}

/// True for `#[cfg(test)]` and `#[test]`.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::NameValue(_) => false,
    })
}
