//! A cache of data derived from a vmlinux, by build id.
//!
//! A cache can always be discarded: one that is damaged, of another format or of another build is ignored and rebuilt, and a
//! failure to write it only costs time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use qed_programs::atomic::{PRIVATE, write_atomically};
use serde::{Deserialize, Serialize};

use super::types::{Copies, Definition, InlinedCallee, Inlining, SourceFrame};
use crate::symbols::build_id::BuildId;

/// Raised whenever the content or its meaning changes.
const FORMAT: u32 = 4;
/// A cache of a million frames is smaller; a larger file is not ours.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    format: u32,
    build_id: String,
    frames: BTreeMap<u64, Vec<SourceFrame>>,
    definitions: BTreeMap<String, Vec<Definition>>,
    inlining: BTreeMap<String, Inlining>,
    copies: BTreeMap<String, Copies>,
    /// By the static address of the function that holds them. Caches without it are of the same format.
    #[serde(default)]
    inlined: BTreeMap<u64, Option<Vec<InlinedCallee>>>,
}

/// The cache of one build.
#[derive(Debug)]
pub struct Cache {
    path: Option<PathBuf>,
    content: Content,
    changed: bool,
}

/// The folder `lines` in [`qed_programs::cache_folder`], if there is that.
pub fn user_folder() -> Option<PathBuf> {
    Some(qed_programs::cache_folder()?.join("lines"))
}

impl Cache {
    /// Read the cache of a build; an empty one where there is none that can be used.
    pub fn load(folder: Option<&Path>, build_id: &BuildId) -> Self {
        let path = folder.map(|folder| folder.join(format!("{build_id}.json")));
        let content = path.as_deref().and_then(|path| read(path, build_id));
        let empty = || Content {
            format: FORMAT,
            build_id: build_id.to_string(),
            ..Content::default()
        };
        Self {
            path,
            content: content.unwrap_or_else(empty),
            changed: false,
        }
    }

    pub(super) fn frames(&self, address: u64) -> Option<Vec<SourceFrame>> {
        self.content.frames.get(&address).cloned()
    }

    pub(super) fn definitions(&self, function: &str) -> Option<Vec<Definition>> {
        self.content.definitions.get(function).cloned()
    }

    pub(super) fn inlining(&self, function: &str) -> Option<Inlining> {
        self.content.inlining.get(function).cloned()
    }

    pub(super) fn copies(&self, function: &str) -> Option<Copies> {
        self.content.copies.get(function).cloned()
    }

    pub(super) fn inlined(&self, holder: u64) -> Option<Option<Vec<InlinedCallee>>> {
        self.content.inlined.get(&holder).cloned()
    }

    pub(super) fn add_inlined(&mut self, holder: u64, callees: &Option<Vec<InlinedCallee>>) {
        self.content.inlined.insert(holder, callees.clone());
        self.changed = true;
    }

    pub(super) fn add_copies(&mut self, function: &str, copies: &Copies) {
        self.content
            .copies
            .insert(function.to_owned(), copies.clone());
        self.changed = true;
    }

    pub(super) fn add_frames(&mut self, address: u64, frames: &[SourceFrame]) {
        self.content.frames.insert(address, frames.to_vec());
        self.changed = true;
    }

    pub(super) fn add_definitions(&mut self, function: &str, definitions: &[Definition]) {
        self.content
            .definitions
            .insert(function.to_owned(), definitions.to_vec());
        self.changed = true;
    }

    pub(super) fn add_inlining(&mut self, function: &str, inlining: &Inlining) {
        self.content
            .inlining
            .insert(function.to_owned(), inlining.clone());
        self.changed = true;
    }

    /// Write it atomically. Entries that another process has added in the meantime are kept.
    pub(super) fn save(&mut self) -> io::Result<()> {
        let Some((path, folder)) = self
            .path
            .as_deref()
            .and_then(|path| Some((path, path.parent()?)))
        else {
            return Ok(());
        };
        if !self.changed {
            return Ok(());
        }
        if let Some(build_id) = self.content.build_id.parse().ok().as_ref()
            && let Some(other) = read(path, build_id)
        {
            for (key, value) in other.frames {
                self.content.frames.entry(key).or_insert(value);
            }
            for (key, value) in other.definitions {
                self.content.definitions.entry(key).or_insert(value);
            }
            for (key, value) in other.inlining {
                self.content.inlining.entry(key).or_insert(value);
            }
            for (key, value) in other.copies {
                self.content.copies.entry(key).or_insert(value);
            }
            for (key, value) in other.inlined {
                self.content.inlined.entry(key).or_insert(value);
            }
        }
        fs::create_dir_all(folder)?;
        write_atomically(path, PRIVATE, |file| {
            let mut file = io::BufWriter::new(file);
            serde_json::to_writer(&mut file, &self.content)?;
            file.flush()
        })?;
        self.changed = false;
        Ok(())
    }
}

fn read(path: &Path, build_id: &BuildId) -> Option<Content> {
    let meta = fs::metadata(path)
        .ok()
        .filter(|meta| meta.is_file() && meta.len() <= MAX_BYTES)?;
    let bytes = fs::read(path)
        .ok()
        .filter(|bytes| bytes.len() as u64 <= meta.len())?;
    let content: Content = serde_json::from_slice(&bytes).ok()?;
    (content.format == FORMAT && content.build_id == build_id.to_string()).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::lines::LineKind;

    fn filled(folder: &Path, id: &BuildId, address: u64) -> Cache {
        let mut cache = Cache::load(Some(folder), id);
        let frame = SourceFrame {
            function: "f".into(),
            file: "net/socket.c".into(),
            line: 7,
            column: None,
            kind: LineKind::Code,
            inlined: false,
        };
        cache.add_frames(address, &[frame]);
        cache.save().unwrap();
        cache
    }

    /// Check that what was added is read back, and only for the same build.
    #[test]
    fn round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let (id, other): (BuildId, BuildId) = ("aabb".parse().unwrap(), "ccdd".parse().unwrap());
        let address = 0xffff_ffff_8100_0001;
        let written = filled(dir.path(), &id, address).frames(address);
        assert!(written.is_some());
        assert_eq!(Cache::load(Some(dir.path()), &id).frames(address), written);
        assert_eq!(Cache::load(Some(dir.path()), &other).frames(address), None);
        fs::copy(dir.path().join("aabb.json"), dir.path().join("ccdd.json")).unwrap();
        assert_eq!(Cache::load(Some(dir.path()), &other).frames(address), None);
    }

    /// Check that a damaged cache, and one of another format, are ignored and rebuilt.
    #[test]
    fn damaged() {
        let dir = tempfile::tempdir().unwrap();
        let id: BuildId = "aabb".parse().unwrap();
        filled(dir.path(), &id, 1);
        let path = dir.path().join("aabb.json");
        let good = fs::read_to_string(&path).unwrap();
        for bad in [
            &good[..good.len() / 2],
            "",
            "[]",
            &good.replace(&format!("\"format\":{FORMAT}"), "\"format\":999"),
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(Cache::load(Some(dir.path()), &id).frames(1), None, "{bad}");
        }
        filled(dir.path(), &id, 1);
        assert!(Cache::load(Some(dir.path()), &id).frames(1).is_some());
    }

    /// Check that two processes which save one after the other lose nothing.
    #[test]
    fn merged() {
        let dir = tempfile::tempdir().unwrap();
        let id: BuildId = "aabb".parse().unwrap();
        let mut first = Cache::load(Some(dir.path()), &id);
        filled(dir.path(), &id, 2);
        first.add_frames(3, &[]);
        first.save().unwrap();
        let both = Cache::load(Some(dir.path()), &id);
        assert!(both.frames(2).is_some() && both.frames(3).is_some());
    }
}
