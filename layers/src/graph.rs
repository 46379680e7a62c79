//! The graph of modules and what can be wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::names::{Names, Segments, collect};
use crate::sources::{ModulePath, ReadError, read, read_program};

/// The modules of a crate, each with the modules that it names items of.
#[derive(Debug)]
pub struct Graph {
    edges: BTreeMap<ModulePath, BTreeSet<ModulePath>>,
}

impl Graph {
    /// Reads the crate whose sources are in `src`.
    ///
    /// # Errors
    /// A file that cannot be read or is not Rust.
    pub fn read(src: &Path) -> Result<Self, ReadError> {
        read(src).map(Graph::from_files)
    }

    /// Reads the program whose root is the file `root`.
    ///
    /// # Errors
    /// A file that cannot be read or is not Rust.
    pub fn read_program(root: &Path) -> Result<Self, ReadError> {
        read_program(root).map(Graph::from_files)
    }

    fn from_files(files: BTreeMap<ModulePath, syn::File>) -> Self {
        let names: BTreeMap<ModulePath, Names> = files
            .into_iter()
            .map(|(module, file)| (module, collect(&file)))
            .collect();
        let resolver = Resolver { names: &names };
        let edges = names
            .iter()
            .map(|(module, own)| {
                let targets = own.paths.iter().filter_map(|path| {
                    let absolute = resolver.resolve_path(module, path, true)?;
                    resolver.find_definer(absolute)
                });
                let others = targets.filter(|target| target != module).collect();
                (module.clone(), others)
            })
            .collect();
        Graph { edges }
    }

    /// Modules at the top of the crate that `layers` leaves out, and layers that are not modules.
    pub(crate) fn unlisted_modules(&self, layers: &[&str]) -> Vec<String> {
        let tops: BTreeSet<&str> = self.edges.keys().filter_map(|module| top(module)).collect();
        let left_out = tops.iter().filter(|top| !layers.contains(top));
        let absent = layers.iter().filter(|layer| !tops.contains(*layer));
        left_out
            .map(|top| format!("the module `{top}` belongs to no layer"))
            .chain(absent.map(|layer| format!("the layer `{layer}` has no module")))
            .collect()
    }

    /// Dependencies that point to a layer which is not below. `layers` has the highest first.
    pub(crate) fn upward_dependencies(&self, layers: &[&str]) -> Vec<String> {
        let place = |module: &ModulePath| {
            let top = top(module)?;
            layers.iter().position(|layer| *layer == top)
        };
        let mut found = Vec::new();
        for (from, targets) in &self.edges {
            for to in targets {
                if let (Some(own), Some(other)) = (place(from), place(to))
                    && other < own
                {
                    let (from, to) = (name(from), name(to));
                    found.push(format!(
                        "`{from}` names `{to}`, which lies in a higher layer"
                    ));
                }
            }
        }
        found
    }

    /// Groups of modules that depend on each other, directly or through others.
    ///
    /// For some hundred modules the reachable ones of each are found at once; a graph library would be one dependency
    /// more.
    pub fn cycles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = self
            .edges
            .keys()
            .map(|module| (module, self.reachable(module)))
            .collect();
        let mut grouped = BTreeSet::new();
        let mut cycles = Vec::new();
        for (module, others) in &reached {
            let mutual = others
                .iter()
                .filter(|other| reached[*other].contains(module));
            let cycle: Vec<&ModulePath> = mutual.copied().collect();
            if !cycle.is_empty() && !grouped.contains(module) {
                cycles.push(cycle.iter().map(|module| name(module)).collect());
                grouped.extend(cycle);
            }
        }
        cycles
    }

    /// The modules that `module` depends on, directly or through others; itself if it is in a cycle.
    fn reachable<'g>(&'g self, module: &ModulePath) -> BTreeSet<&'g ModulePath> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<&ModulePath> = self.edges[module].iter().collect();
        while let Some(next) = queue.pop() {
            if found.insert(next) {
                queue.extend(&self.edges[next]);
            }
        }
        found
    }
}

/// A module for a message.
fn name(module: &ModulePath) -> String {
    match module.is_empty() {
        true => "crate".to_owned(),
        false => module.join("::"),
    }
}

/// The layer of a module: its first segment.
fn top(module: &ModulePath) -> Option<&str> {
    module.first().map(String::as_str)
}

struct Resolver<'n> {
    names: &'n BTreeMap<ModulePath, Names>,
}

impl Resolver<'_> {
    /// The path from the crate's root, if `path` as written in `module` begins with a module of this crate. `by_import`: a
    /// first segment that a `use` item imported is replaced by the imported path.
    fn resolve_path(
        &self,
        module: &ModulePath,
        path: &Segments,
        by_import: bool,
    ) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module.split_last()?.1.to_vec(),
            name => {
                let mut child = module.clone();
                child.push(name.to_owned());
                let import = self.names.get(module)?.imports.get(name);
                match import.filter(|import| by_import && *import != path) {
                    Some(import) => self.resolve_path(module, import, false)?,
                    None if self.names.contains_key(&child) => child,
                    None => return None,
                }
            }
        };
        for name in rest {
            match name.as_str() {
                "super" => drop(base.pop()),
                "self" => {}
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }

    /// The module that defines what an absolute path names: re-exports are followed.
    fn find_definer(&self, mut path: Segments) -> Option<ModulePath> {
        // A chain of re-exports that is longer than this leads in a circle, which does not compile.
        for _ in 0..16 {
            let module = (0..=path.len())
                .rev()
                .map(|length| path[..length].to_vec())
                .find(|prefix| self.names.contains_key(prefix))?;
            let exported = path
                .get(module.len())
                .and_then(|name| self.names[&module].exports.get(name));
            let Some(behind) = exported else {
                return Some(module);
            };
            let Some(mut target) = self.resolve_path(&module, behind, false) else {
                // Of another crate.
                return Some(module);
            };
            target.extend_from_slice(&path[module.len() + 1..]);
            path = target;
        }
        None
    }
}
