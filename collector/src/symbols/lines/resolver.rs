//! The debug info of one vmlinux, read through the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Symbolizer};
use thiserror::Error;

use super::cache::{self, Cache};
use super::path::normalise;
use super::types::{Copies, Definition, InlinedCallee, Inlining, LineKind, SourceFrame};
use super::{callees, copies, dwarf};
use crate::symbols::build_id::BuildId;
use crate::symbols::debuginfo::{self, Mismatch, Vmlinux};

/// Source lines that could not be had.
#[derive(Debug, Error)]
pub enum LinesError {
    /// The vmlinux cannot be used.
    #[error("failed to open debug info: {0}")]
    Open(#[from] Mismatch),
    /// Its DWARF is damaged or missing.
    #[error("failed to read the debug info of {path}: {reason}")]
    Dwarf {
        /// The vmlinux.
        path: PathBuf,
        /// The mistake in it.
        reason: String,
    },
}

/// No program has code in the page at address 0.
const LOWEST_CODE: u64 = 0x1000;

/// Source lines of one kernel build.
pub struct LineResolver {
    vmlinux: Vmlinux,
    symbolizer: Option<Symbolizer>,
    index: Option<dwarf::Index>,
    pub(super) cache: Cache,
}

impl std::fmt::Debug for LineResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineResolver")
            .field("vmlinux", &self.vmlinux.path)
            .finish_non_exhaustive()
    }
}

impl LineResolver {
    /// Open a vmlinux, with the user's cache if there is one. The DWARF is not read yet.
    pub fn open(vmlinux: &Path) -> Result<Self, LinesError> {
        Ok(Self::new(
            debuginfo::open(vmlinux)?,
            cache::user_folder().as_deref(),
        ))
    }

    /// A resolver for an open vmlinux. `cache` is the folder for derived data; `None`: no cache.
    pub fn new(vmlinux: Vmlinux, cache: Option<&Path>) -> Self {
        let cache = Cache::load(cache, &vmlinux.build_id);
        Self {
            vmlinux,
            symbolizer: None,
            index: None,
            cache,
        }
    }

    /// The build that the lines belong to.
    pub fn build_id(&self) -> &BuildId {
        &self.vmlinux.build_id
    }

    /// The frames at a static address, innermost first. Empty where the debug info names none (assembler without
    /// lines, an address outside of code). For a call site give the return address minus 1.
    pub fn frames(&mut self, address: u64) -> Result<Vec<SourceFrame>, LinesError> {
        // Linkers leave code that they dropped at address 0 in the debug info; blazesym counts up from the address.
        if address < LOWEST_CODE || address == u64::MAX {
            return Ok(Vec::new());
        }
        if let Some(frames) = self.cache.frames(address) {
            return Ok(frames);
        }
        let comp_dir = self
            .with_index(|index, data| index.comp_dir(data, address))?
            .unwrap_or_default();
        let symbolizer = self.symbolizer.get_or_insert_with(Symbolizer::new);
        let source = Source::Elf(Elf::new(&self.vmlinux.path));
        let found = symbolizer
            .symbolize_single(&source, Input::VirtOffset(address))
            .map_err(|error| LinesError::Dwarf {
                path: self.vmlinux.path.clone(),
                reason: format!("{error:#}"),
            })?;
        let mut frames = Vec::new();
        if let Some(symbol) = found.as_sym() {
            // blazesym gives the function with code first; the last one inlined is the innermost.
            let all = std::iter::once((&*symbol.name, symbol.code_info.as_deref())).chain(
                symbol
                    .inlined
                    .iter()
                    .map(|inlined| (&*inlined.name, inlined.code_info.as_ref())),
            );
            frames = all
                .enumerate()
                .filter_map(|(depth, (name, code))| frame(name, code?, depth > 0, &comp_dir))
                .collect();
            frames.reverse();
            if let Some(innermost) = frames.first_mut() {
                innermost.kind = LineKind::Code;
            }
        }
        self.cache.add_frames(address, &frames);
        Ok(frames)
    }

    /// Definitions of the functions of that name: several where static functions share the name, none where the
    /// debug info names none. Functions that exist only inlined are found, without an address.
    pub fn definitions(&mut self, function: &str) -> Result<Vec<Definition>, LinesError> {
        if let Some(definitions) = self.cache.definitions(function) {
            return Ok(definitions);
        }
        let definitions = self.with_index(|index, data| {
            let mut definitions = Vec::new();
            for address in index.addresses(data, function)? {
                definitions.extend(index.definition_at(data, address)?);
            }
            if definitions.is_empty() {
                definitions = dwarf::find_inlined(index, data, function)?.0;
            }
            Ok(definitions)
        })?;
        self.cache.add_definitions(function, &definitions);
        Ok(definitions)
    }

    /// The definition of the function that begins at a static address.
    pub fn definition_at(&mut self, address: u64) -> Result<Option<Definition>, LinesError> {
        let key = format!("{address:#x}");
        if let Some(definitions) = self.cache.definitions(&key) {
            return Ok(definitions.into_iter().next());
        }
        let definition = self.with_index(|index, data| index.definition_at(data, address))?;
        self.cache.add_definitions(&key, definition.as_slice());
        Ok(definition)
    }

    /// The calls that the compiler inlined into the function that begins at a static address, callers before what they call; `None` where
    /// the debug info does not describe the function. Whether they ran is another question.
    pub fn inlined_at(&mut self, address: u64) -> Result<Option<Vec<InlinedCallee>>, LinesError> {
        if let Some(known) = self.cache.inlined(address) {
            return Ok(known);
        }
        let found = self.with_index(|index, data| callees::inlined_at(index, data, address))?;
        self.cache.add_inlined(address, &found);
        Ok(found)
    }

    /// The inlined copies of a function; nothing in `into` and no code of its own where the debug info does not know
    /// it.
    pub fn find_inlining(&mut self, function: &str) -> Result<Inlining, LinesError> {
        if let Some(inlining) = self.cache.inlining(function) {
            return Ok(inlining);
        }
        let inlining = self
            .with_index(|index, data| dwarf::find_inlined(index, data, function))?
            .1;
        self.cache.add_inlining(function, &inlining);
        Ok(inlining)
    }

    /// The copies of each of these functions; one that the debug info does not know has none and is not described.
    pub fn find_copies(
        &mut self,
        functions: &[&str],
    ) -> Result<BTreeMap<String, Copies>, LinesError> {
        let (mut found, mut unknown) = (BTreeMap::new(), Vec::new());
        for &function in functions {
            match self.cache.copies(function) {
                Some(copies) => drop(found.insert(function.to_owned(), copies)),
                None => unknown.push(function),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let new = self.with_index(|index, data| copies::find_copies(index, data, &unknown))?;
            for (function, copies) in &new {
                self.cache.add_copies(function, copies);
            }
            found.extend(new);
        }
        Ok(found)
    }

    /// The names of all functions that have an inlined copy. Reads all of the debug info, which takes seconds.
    pub fn inlined_names(&self) -> Result<BTreeSet<String>, LinesError> {
        let found = dwarf::Index::parse(&self.vmlinux.data)
            .and_then(|mut index| copies::inlined_names(&mut index, &self.vmlinux.data));
        found.map_err(|reason| LinesError::Dwarf {
            path: self.vmlinux.path.clone(),
            reason: reason.to_string(),
        })
    }

    /// The bytes of the file that are loaded at a static address.
    pub fn code(&self, address: u64, size: usize) -> Option<&[u8]> {
        crate::symbols::elf::loaded_bytes(&self.vmlinux.data, address, size)
    }

    /// Write what was derived since it was opened to the cache, atomically. Nothing to write is fine.
    pub fn save(&mut self) -> std::io::Result<()> {
        self.cache.save()
    }

    fn with_index<T>(
        &mut self,
        run: impl FnOnce(&mut dwarf::Index, &[u8]) -> Result<T, dwarf::DwarfError>,
    ) -> Result<T, LinesError> {
        let error = |reason: dwarf::DwarfError| LinesError::Dwarf {
            path: self.vmlinux.path.clone(),
            reason: reason.to_string(),
        };
        let index = match &mut self.index {
            Some(index) => index,
            None => self
                .index
                .insert(dwarf::Index::parse(&self.vmlinux.data).map_err(error)?),
        };
        run(index, &self.vmlinux.data).map_err(error)
    }
}

fn frame(name: &str, code: &CodeInfo<'_>, inlined: bool, comp_dir: &str) -> Option<SourceFrame> {
    Some(SourceFrame {
        function: name.to_owned(),
        file: normalise(&code.to_path().to_string_lossy(), comp_dir),
        line: code.line.filter(|line| *line > 0)?,
        column: code.column.filter(|column| *column > 0),
        kind: LineKind::InlinedCall,
        inlined,
    })
}
