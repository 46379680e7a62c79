//! The order in which modules are loaded: each after those that it depends on. No I/O.

use std::collections::BTreeSet;

use super::error::{ListError, ModuleError};

/// A module to load into a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name, as `lsmod` has it.
    pub name: String,
    /// Its file, unpacked.
    pub bytes: Vec<u8>,
}

/// The answer to the question for a module.
pub enum ModuleLookup {
    /// A module that was found.
    Module {
        /// Its file, unpacked.
        bytes: Vec<u8>,
        /// The modules that it depends on.
        depends: Vec<String>,
    },
    /// A part of the kernel.
    BuiltIn,
    /// No such module.
    Nothing {
        /// The nearest name.
        near: Option<String>,
        /// The reason why it may be a part of the kernel nevertheless: no list of those that are is at hand.
        unlisted: Option<ListError>,
    },
}

/// A question for a module.
type Find<'f> = dyn FnMut(&str) -> Result<ModuleLookup, ModuleError> + 'f;

/// The modules `wanted` and all their dependencies, each once and after those that it depends on.
///
/// # Errors
/// When one is not there.
pub fn load_order(wanted: &[&str], find: &mut Find<'_>) -> Result<Vec<Module>, ModuleError> {
    let mut out = Vec::new();
    let mut known = BTreeSet::new();
    for name in wanted {
        visit(name, None, find, &mut known, &mut out)?;
    }
    Ok(out)
}

fn visit(
    name: &str,
    needed_by: Option<&str>,
    find: &mut Find<'_>,
    known: &mut BTreeSet<String>,
    out: &mut Vec<Module>,
) -> Result<(), ModuleError> {
    // The build refuses modules that depend on each other in a circle; here one would end, too.
    if !known.insert(name.to_owned()) {
        return Ok(());
    }
    match (find(name)?, needed_by) {
        (ModuleLookup::BuiltIn, _) => Ok(()),
        (
            ModuleLookup::Nothing {
                unlisted: Some(reason),
                ..
            },
            _,
        ) => Err(ModuleError::Unlisted {
            name: name.to_owned(),
            reason,
        }),
        (ModuleLookup::Nothing { near, .. }, None) => Err(ModuleError::Unknown {
            name: name.to_owned(),
            near,
        }),
        (ModuleLookup::Nothing { .. }, Some(by)) => Err(ModuleError::Missing {
            name: by.to_owned(),
            needs: name.to_owned(),
        }),
        (ModuleLookup::Module { bytes, depends }, _) => {
            for other in &depends {
                visit(other, Some(name), find, known, out)?;
            }
            out.push(Module {
                name: name.to_owned(),
                bytes,
            });
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(depends: &[&str]) -> Result<ModuleLookup, ModuleError> {
        Ok(ModuleLookup::Module {
            bytes: Vec::new(),
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    fn names(wanted: &[&str]) -> Result<Vec<String>, ModuleError> {
        let modules = load_order(wanted, &mut |name| match name {
            "tcp_diag" => found(&["inet_diag", "af_diag"]),
            "udp_diag" => found(&["inet_diag"]),
            "inet_diag" => found(&["built_in"]),
            "af_diag" => found(&[]),
            "left" => found(&["right"]),
            "right" => found(&["left"]),
            "broken" => found(&["nothing"]),
            "built_in" => Ok(ModuleLookup::BuiltIn),
            other => Ok(ModuleLookup::Nothing {
                near: Some("tcp_diag".into()),
                unlisted: (other == "unlisted").then_some(ListError::Absent),
            }),
        })?;
        Ok(modules.into_iter().map(|module| module.name).collect())
    }

    /// Check that each module comes once, behind those that it depends on, and that a circle ends.
    #[test]
    fn dependencies() {
        assert_eq!(
            names(&["tcp_diag", "udp_diag"]).unwrap(),
            ["inet_diag", "af_diag", "tcp_diag", "udp_diag"]
        );
        assert_eq!(names(&["built_in"]).unwrap(), [""; 0]);
        assert_eq!(names(&["left"]).unwrap(), ["right", "left"]);
    }

    /// Check that a missing module is told with the nearest name, and a missing dependency with who needs it.
    #[test]
    fn missing() {
        let error = names(&["tcp_dia"]).unwrap_err().to_string();
        assert!(
            error.contains("no module `tcp_dia`: did you mean `tcp_diag`?"),
            "{error}"
        );
        let error = names(&["broken"]).unwrap_err().to_string();
        assert!(error.contains("`broken` depends on `nothing`"), "{error}");
        let error = names(&["unlisted"]).unwrap_err().to_string();
        assert!(
            error.contains("no file of a module `unlisted`") && error.contains("modules.builtin"),
            "{error}"
        );
    }

    proptest! {
        /// Check that of any graph every module comes behind those that it depends on, unless they are in a circle.
        #[test]
        fn any_graph(edges in proptest::collection::vec((0_usize..12, 0_usize..12), 0..40)) {
            // Only to smaller numbers, so that there is no circle.
            let depends = |of: usize| -> Vec<String> {
                edges.iter().filter(|(from, to)| *from == of && to < from).map(|(_, to)| to.to_string()).collect()
            };
            let all: Vec<String> = (0..12).map(|n| n.to_string()).collect();
            let wanted: Vec<&str> = all.iter().map(String::as_str).collect();
            let modules = load_order(&wanted, &mut |name| {
                Ok(ModuleLookup::Module { bytes: Vec::new(), depends: depends(name.parse().unwrap()) })
            }).unwrap();
            let at = |name: &str| modules.iter().position(|m| m.name == name).unwrap();
            prop_assert_eq!(modules.len(), 12);
            for (number, name) in all.iter().enumerate() {
                for other in depends(number) {
                    prop_assert!(at(&other) < at(name));
                }
            }
        }
    }
}
