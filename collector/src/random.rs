//! Random numbers that nobody can guess.

use std::fs::File;
use std::io::{self, Read as _};

/// 16 random bytes in hexadecimal.
///
/// # Errors
/// Those of opening and reading `/dev/urandom`.
pub fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}
