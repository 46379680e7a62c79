//! Names of machines, and the forms in which a book or a command line requests one.
//!
//! A machine's name appears on pages, in evidence and in file names. So a guest that boots the builder's own kernel image is
//! never named after the image's path, which would reveal the builder's folders.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use sha2::{Digest, Sha256};

/// The machine that builds.
pub const HOST: &str = "host";

/// The beginning of the name of each other machine.
const GUEST: &str = "guest:";

/// The beginning of names that belong to kernels of a distribution.
const DISTRIBUTION: &str = "debian-";

/// The longest word after `guest:`.
const LONGEST: usize = 64;

/// Hex digits of an image's digest in its name.
const DIGITS: usize = 8;

/// A request for a machine, on a command line or in a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineRequest {
    /// One with a name: `host`, `guest:debian-6.1`.
    Named(String),
    /// A guest that boots a kernel image of this machine.
    Image {
        /// The image, as it was written.
        path: PathBuf,
        /// The guest's name after `guest:`.
        word: Option<String>,
    },
}

/// The errors of a text that does not request a machine, or of an impossible name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// Neither the host nor a guest.
    #[error(
        "unknown machine `{0}`; expected `host`, `guest:debian-6.1`, `guest:PATH-TO-VMLINUZ` or `guest:WORD=PATH-TO-VMLINUZ`"
    )]
    Request(String),
    /// An image without a path.
    #[error("a guest needs the path of a kernel image")]
    Path,
    /// A word for an image that belongs to a distribution's kernel.
    #[error("`{0}` is the name of a distribution's kernel: give the image another one")]
    Distribution(String),
    /// A name that begins as none does. It is not in the message, for it may be a path.
    #[error("a machine is called `host`, or `guest:` and a word")]
    Name,
    /// A word with other characters, or too long.
    #[error(
        "the word behind `guest:` begins with a letter or digit and has at most {LONGEST} letters, digits, `.`, `-` and `_`"
    )]
    Word,
}

impl MachineRequest {
    /// Understand `host`, `guest:debian-6.1`, `guest:PATH` and `guest:WORD=PATH`. What holds a `/` is a path.
    ///
    /// # Errors
    /// [`MachineError`], which says what can be written.
    pub fn parse(text: &str) -> Result<Self, MachineError> {
        if text == HOST {
            return Ok(MachineRequest::Named(text.to_owned()));
        }
        let Some(guest) = text.strip_prefix(GUEST) else {
            return Err(MachineError::Request(text.into()));
        };
        let (before, _) = guest.split_once('/').unwrap_or((guest, ""));
        match guest.split_once('=') {
            // A path can hold the sign, too.
            Some((word, path)) if word.len() < before.len() => {
                MachineRequest::from_image(Path::new(path), Some(word))
            }
            _ if guest.contains('/') => MachineRequest::from_image(Path::new(guest), None),
            _ => {
                check_word(guest)?;
                Ok(MachineRequest::Named(text.to_owned()))
            }
        }
    }

    fn from_image(path: &Path, word: Option<&str>) -> Result<Self, MachineError> {
        if path.as_os_str().is_empty() {
            return Err(MachineError::Path);
        }
        if let Some(word) = word {
            check_word(word)?;
            if word.starts_with(DISTRIBUTION) {
                return Err(MachineError::Distribution(word.into()));
            }
        }
        Ok(MachineRequest::Image {
            path: path.to_owned(),
            word: word.map(str::to_owned),
        })
    }
}

/// The name of the guest that boots the image in the file `path`, if its owner gave it none: the file's name without
/// its folder, and the beginning of the image's digest.
pub fn name_of_image(path: &Path, image: &[u8]) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut word: String = file
        .chars()
        .map(|c| if is_letter(c) { c } else { '-' })
        .take(LONGEST - DIGITS - "image--".len())
        .collect();
    if !word.starts_with(|c: char| c.is_ascii_alphanumeric()) || word.starts_with(DISTRIBUTION) {
        word.insert_str(0, "image-");
    }
    let digest = hex::encode(Sha256::digest(image));
    format!("{GUEST}{word}-{}", &digest[..DIGITS])
}

/// The name of a guest that is called by this word.
pub fn guest_name(word: &str) -> String {
    format!("{GUEST}{word}")
}

/// Checks that a machine can be called like this.
///
/// # Errors
/// [`MachineError`]; the name is not in its message, for it may be a path.
pub fn check_name(name: &str) -> Result<(), MachineError> {
    match name.strip_prefix(GUEST) {
        _ if name == HOST => Ok(()),
        Some(word) => check_word(word),
        None => Err(MachineError::Name),
    }
}

fn check_word(word: &str) -> Result<(), MachineError> {
    let good = word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.len() <= LONGEST
        && word.chars().all(is_letter);
    match good {
        true => Ok(()),
        false => Err(MachineError::Word),
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-_".contains(c)
}

/// The file name of a machine's evidence, without its folder: `guest-debian-6.1.json`. Machines of different names have
/// different ones, also where a file system takes capital letters for small ones.
pub fn evidence_file_name(name: &str) -> String {
    let (kind, word) = match name.strip_prefix(GUEST) {
        Some(word) => ("guest-", word),
        None => ("", name),
    };
    let mut file = kind.to_owned();
    for byte in word.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => file.push(byte.into()),
            other => file.push_str(&format!("_{other:02x}")),
        }
    }
    file.push_str(".json");
    file
}

impl<'de> Deserialize<'de> for MachineRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = MachineRequest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a machine such as \"guest:debian-6.1\", or { guest = \"PATH-TO-VMLINUZ\", name = \"WORD\" }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MachineRequest, E> {
                MachineRequest::parse(text).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MachineRequest, A::Error> {
                #[derive(serde::Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Table {
                    guest: PathBuf,
                    name: Option<String>,
                }
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                MachineRequest::from_image(&table.guest, table.name.as_deref())
                    .map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(path: &str, word: Option<&str>) -> MachineRequest {
        MachineRequest::Image {
            path: path.into(),
            word: word.map(str::to_owned),
        }
    }

    /// Check each way to ask for a machine, on a command line and in a book.
    #[test]
    fn requests() {
        for (text, expected) in [
            ("host", MachineRequest::Named("host".into())),
            (
                "guest:debian-6.1",
                MachineRequest::Named("guest:debian-6.1".into()),
            ),
            ("guest:./vmlinuz", image("./vmlinuz", None)),
            ("guest:/a=b/vmlinuz", image("/a=b/vmlinuz", None)),
            (
                "guest:mine=/a=b/vmlinuz",
                image("/a=b/vmlinuz", Some("mine")),
            ),
            ("guest:mine=vmlinuz", image("vmlinuz", Some("mine"))),
        ] {
            assert_eq!(MachineRequest::parse(text), Ok(expected.clone()), "{text}");
            assert_eq!(
                serde_json::from_value::<MachineRequest>(text.into()).unwrap(),
                expected
            );
        }
        let table = serde_json::json!({ "guest": "/x/vmlinuz", "name": "mine" });
        assert_eq!(
            serde_json::from_value::<MachineRequest>(table).unwrap(),
            image("/x/vmlinuz", Some("mine"))
        );
        for bad in [
            "",
            "guest",
            "guest:",
            "guest:mine=",
            "guest:a b=/x",
            "guest:debian-6.1=/x",
            "guest:-x",
            "virtual:x",
        ] {
            assert!(MachineRequest::parse(bad).is_err(), "{bad}");
        }
        for bad in [
            serde_json::json!({ "name": "mine" }),
            serde_json::json!({ "guest": "/x", "name": "a/b" }),
            serde_json::json!({ "guest": "/x", "nam": "mine" }),
        ] {
            assert!(
                serde_json::from_value::<MachineRequest>(bad.clone()).is_err(),
                "{bad}"
            );
        }
    }

    /// Check that the name of an image has nothing of its folder, is a name, and differs between images.
    #[test]
    fn images() {
        let name = name_of_image(Path::new("/home/zacharias/x+y/vmlinuz 6.9"), b"one");
        assert_eq!(name, "guest:vmlinuz-6.9-7692c3ad");
        for path in [
            "/",
            "/x/debian-6.1",
            "/x/.hidden",
            &format!("/x/{}", "é".repeat(80)),
        ] {
            let name = name_of_image(Path::new(path), b"");
            assert_eq!(check_name(&name), Ok(()), "{name}");
            assert!(!name.starts_with("guest:debian-"), "{name}");
        }
        assert_ne!(
            name_of_image(Path::new("a/x"), b"1"),
            name_of_image(Path::new("b/x"), b"2")
        );
    }

    /// Check the documented file names, and that no two names share one.
    #[test]
    fn files() {
        assert_eq!(evidence_file_name("host"), "host.json");
        assert_eq!(
            evidence_file_name("guest:debian-6.1"),
            "guest-debian-6.1.json"
        );
        let names = [
            "guest:x+y",
            "guest:x-y",
            "guest:x_y",
            "guest:X-y",
            "guest:x/y",
            "guest:x-y.",
            "guest:../x",
            "guest:x",
        ];
        let files: std::collections::BTreeSet<String> = names
            .iter()
            .map(|name| evidence_file_name(name).to_lowercase())
            .collect();
        assert_eq!(files.len(), names.len());
        assert!(files.iter().all(|file| !file.contains('/')));
    }
}
