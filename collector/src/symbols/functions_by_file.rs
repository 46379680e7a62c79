//! Functions of the same name, told apart by the source file that defines them, from the debug info.

use std::collections::BTreeSet;
use std::path::PathBuf;

use qed_evidence::document::Target;
use qed_evidence::investigation::Investigation;

use super::lines::{LineResolver, cache};
use super::{debuginfo, elf};

use crate::reason::Reason;

/// The copies of a function that one file defines, as the debug info places them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FunctionInFile {
    /// Its name.
    pub function: String,
    /// The file, relative to the root of the kernel's source.
    pub file: String,
    /// Their beginnings, in bytes from the start of the kernel's image.
    pub offsets: Vec<u64>,
}

/// The functions that `investigation` names together with a file, in the first of `vmlinux` that can be opened, or the reason
/// why they cannot be distinguished. If no file is named, nothing is opened.
pub fn find_functions_in_files(
    investigation: &Investigation,
    vmlinux: &[PathBuf],
    without: Option<&str>,
) -> Result<Vec<FunctionInFile>, Reason> {
    let probes = investigation.experiments.iter().flat_map(|e| &e.probes);
    let wanted: BTreeSet<(&str, &str)> = probes
        .filter_map(|probe| match &probe.target {
            Target::Function(name) => Some((name.as_str(), probe.file.as_deref()?)),
            Target::Tracepoint(_) | Target::Lsm(_) | Target::Address(_) => None,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let opened = vmlinux.iter().find_map(|path| debuginfo::open(path).ok());
    let Some(vmlinux) = opened else {
        return Err(without
            .unwrap_or("there is no debug information of this kernel")
            .into());
    };
    let base = elf::image_base(&vmlinux.data)
        .map_err(Reason::from_error)?
        .ok_or("the vmlinux says nothing of where it is loaded")?;
    let mut lines = LineResolver::new(vmlinux, cache::user_folder().as_deref());
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    let copies = lines.find_copies(&names).map_err(Reason::from_error)?;
    // The cache only saves time.
    let _ = lines.save();
    let one = |(function, file): (&str, &str)| {
        let own = copies.get(function).map_or(&[][..], |copies| &copies.own);
        let of_file = own.iter().filter(|copy| copy.file.as_deref() == Some(file));
        FunctionInFile {
            function: function.to_owned(),
            file: file.to_owned(),
            offsets: of_file
                .flat_map(|copy| &copy.starts)
                .filter_map(|start| start.checked_sub(base))
                .collect(),
        }
    };
    Ok(wanted.into_iter().map(one).collect())
}
