use std::path::Path;

use crate::{Graph, check};

/// A crate of these files.
fn sources(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    folder
}

fn cycles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    Graph::read(sources(files).path()).unwrap().cycles()
}

/// Check that a cycle is found however its two modules name each other: by `use`, by a path, in a macro, in an attribute,
/// relative to the module, or through an imported module.
#[test]
fn kinds_of_paths() {
    for back in [
        "use crate::a::f;",
        "use crate::{a::{self, f}};",
        "use super::a;",
        "use super::a as x; fn g() { x::f() }",
        "fn g() { crate::a::f() }",
        "fn g() -> crate::a::T { loop {} }",
        "fn g() { println!(\"{}\", crate::a::f()) }",
        "fn g() { assert!(vec![super::a::f()].is_empty()) }",
        "#[serde(with = \"crate::a\")] struct G;",
        "struct G { #[serde(default = \"crate::a::f\")] x: u8 }",
        "mod inner { fn g() { crate::a::f() } }",
        "mod inner { use super::super::a::f; }",
        "use crate::*; impl G { fn g(&self) { crate::a::f() } }",
    ] {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::g;"),
            ("b.rs", back),
        ];
        assert_eq!(cycles(&files), [["a", "b"]], "{back}");
    }
}

/// Check that tests, and modules that are compiled for them alone, are left out.
#[test]
fn tests_are_left_out() {
    for back in [
        "#[cfg(test)] mod tests { use crate::a::f; }",
        "#[cfg(test)] use crate::a::f;",
        "#[cfg(test)] mod more;",
        "// use crate::a::f;",
        "fn f() {} mod inner { use super::f; }",
    ] {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::g;"),
            ("b.rs", back),
            ("b/more.rs", "use crate::a::f; use crate::b::g;"),
        ];
        assert!(cycles(&files).is_empty(), "{back}");
    }
}

/// Check that of a program without a library `main.rs` is the root.
#[test]
fn program_without_library() {
    let files = [
        ("main.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::g;"),
        ("b.rs", "use super::a::f;"),
    ];
    assert_eq!(cycles(&files), [["a", "b"]]);
}

/// Check that a visibility (`pub(super)`) names nothing.
#[test]
fn visibility_names_nothing() {
    for visibility in ["pub(super)", "pub(crate)", "pub(in crate::a)"] {
        let child = format!("{visibility} fn f() {{}} struct G {{ {visibility} x: u8 }}");
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; fn g() { b::f() }"),
            ("a/b.rs", child.as_str()),
        ];
        assert!(cycles(&files).is_empty(), "{visibility}");
    }
}

/// Check that a path through a re-export leads to the module that defines the item: neither a facade nor the root makes
/// a cycle, and neither hides one.
#[test]
fn reexports() {
    let files = |b: &'static str| {
        [
            ("lib.rs", "mod a; mod b; pub use a::T;"),
            (
                "a/mod.rs",
                "mod low; mod high; pub use high::f; pub use low::T;",
            ),
            ("a/low.rs", "pub struct T;"),
            ("a/high.rs", "use super::T; pub fn f() { crate::b::g() }"),
            ("b.rs", b),
        ]
    };
    assert!(cycles(&files("use crate::T; use crate::a::T as U;")).is_empty());
    assert_eq!(cycles(&files("use crate::a::f;")), [["a::high", "b"]]);
}

/// Check that a folder's own file and a file in it are two modules, and that they can form a cycle.
#[test]
fn parents() {
    let files = |parent: &'static str, child: &'static str| {
        [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", parent),
            ("a/b.rs", child),
        ]
    };
    let found = cycles(&files("mod b; pub fn f() { b::g() }", "use super::f;"));
    assert_eq!(found, [["a", "a::b"]]);
    assert!(cycles(&files("mod b; pub fn f() {}", "use super::f;")).is_empty());
    assert!(cycles(&files("mod b; pub fn f() { b::g() }", "")).is_empty());
}

/// Check that dependencies point down the list of layers, and that the list names all modules and no others.
#[test]
fn layers() {
    let folder = sources(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::g;"),
        ("b/mod.rs", "mod c;"),
        ("b/c.rs", ""),
    ]);
    let found = |layers: &[&str]| check(folder.path(), layers).unwrap();
    assert!(found(&["a", "b"]).is_empty());
    assert_eq!(
        found(&["b", "a"]),
        ["`a` names `b`, which lies in a higher layer"]
    );
    assert_eq!(found(&["a"]), ["the module `b` belongs to no layer"]);
    assert_eq!(found(&["a", "b", "c"]), ["the layer `c` has no module"]);
}

/// Check that a file that is missing or not Rust is an error that names it.
#[test]
fn errors() {
    let missing = Graph::read(Path::new("/nonexistent")).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent/lib.rs"));
    let folder = sources(&[("lib.rs", "mod a;"), ("a.rs", "fn (")]);
    let broken = Graph::read(folder.path()).unwrap_err().to_string();
    assert!(broken.contains("a.rs"), "{broken}");
}

/// Check that a forbidden name is found however it is written, and not in tests, in a module that may name it, or as a part of another
/// name.
#[test]
fn forbidden() {
    let found = |lib: &str| {
        let folder = sources(&[
            ("lib.rs", &format!("mod may; {lib}")),
            ("may.rs", "use std::os::unix::fs::MetadataExt;"),
        ]);
        crate::forbidden_names(folder.path(), &["std::os::unix", "libc"], &["may"]).unwrap()
    };
    for bad in [
        "use std::os::unix::fs::MetadataExt;",
        "use std::{io, os::unix::fs::*};",
        "use std::os; fn f() { os::unix::process::parent_id(); }",
        "fn f() { std::os::unix::process::parent_id(); }",
        "fn f() { println!(\"{}\", std::os::unix::process::parent_id()) }",
        "fn f() -> libc::c_int { 0 }",
        "mod inner { use libc as c; }",
    ] {
        assert_ne!(found(bad), [""; 0], "{bad}");
    }
    for good in [
        "",
        "use std::io; use crate::may; use std::osx; use libcx::f;",
        "#[cfg(test)] mod tests { use std::os::unix::fs::MetadataExt; }",
        "// libc::f",
    ] {
        assert_eq!(found(good), [""; 0], "{good}");
    }
}
