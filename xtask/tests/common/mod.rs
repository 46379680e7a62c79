//! Shared by the tests of scripts: the checkout, and a release's name.

use std::path::{Path, PathBuf};
use std::process::Output;

/// The archive of a made-up release.
pub const ARCHIVE: &str = "qed-1.2.3-x86_64-linux.tar.gz";

/// The top of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// The output of a program, as it would stand on a terminal.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}
