//! Workloads with names resolved to numbers, and structures in this kernel's layout.

use std::cell::Cell;

use qed_evidence::investigation::{
    Action, Argument, EarlierCall, FilledStructure, Workload, bytes_text,
};

use super::error::suggestion;
use super::structure::{FillError, Filler};
use crate::btf::{self, Btf, BtfError, NameKind, Type, TypeId};
use crate::reason::Reason;
use crate::workload::{self, Arg, Memory, WorkloadKind, names};

/// The largest structure that is filled, in bytes.
const MAX_STRUCTURE: u64 = 64 << 10;

/// A workload that cannot be run on this kernel.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkloadPlanError {
    /// The kernel's types cannot be read.
    #[error("the kernel's BTF is damaged: {0}")]
    Damaged(#[from] BtfError),
    /// A name that means nothing here.
    #[error(transparent)]
    Name(#[from] names::UnknownName),
    /// A constant that nothing has, or whose enumerations differ.
    #[error(
        "constant `{name}` is not known: neither the list of the C library's constants nor one enumeration of this kernel has it{}; write its number, as `5` or `\"0x5\"`",
        suggestion(.near.as_deref())
    )]
    Constant { name: String, near: Option<String> },
    /// The kernel has no structure of this name.
    #[error("this kernel has no structure or union `{name}`{}", suggestion(.near.as_deref()))]
    NoStructure { name: String, near: Option<String> },
    /// Several structures have the name.
    #[error("{count} structures of this kernel are called `{name}`, and they differ")]
    SeveralStructures { name: String, count: usize },
    /// A structure is too large.
    #[error("`{name}` has {size} bytes, and {MAX_STRUCTURE} is the limit")]
    TooLarge { name: String, size: u64 },
    /// A value does not fit into its member.
    #[error("`{structure}`: {error}")]
    Fill { structure: String, error: FillError },
    /// An argument is refused.
    #[error("{words}: {error}")]
    Argument {
        /// Words for the argument.
        words: String,
        error: Box<WorkloadPlanError>,
    },
    /// A result that no earlier call has.
    #[error("no earlier call has a result `{0}`")]
    NoResult(String),
}

/// The workload in the form that is sent to its process, for a machine on which nothing else is planned.
///
/// # Errors
/// When a name is unknown here, or a value does not fit into this kernel's structure.
pub fn plan_workload_alone(btf: &Btf<'_>, requested: &Workload) -> Result<WorkloadKind, Reason> {
    plan_workload(btf, requested).map_err(Reason::from_error)
}

/// The workload in the form that is sent to its process.
pub(super) fn plan_workload(
    btf: &Btf<'_>,
    workload: &Workload,
) -> Result<WorkloadKind, WorkloadPlanError> {
    let (name, args) = match &workload.action {
        Action::Command(words) => return Ok(WorkloadKind::Command(words.clone())),
        Action::Syscall { name, args, .. } => (name, args),
    };
    let all = Arguments { btf, workload };
    let calls = |calls: &[EarlierCall], first: usize| {
        let calls = calls.iter().enumerate();
        calls
            .map(|(nth, call)| all.call(first + nth, &call.name, &call.args))
            .collect::<Result<Vec<_>, _>>()
    };
    let watched = workload.before.len();
    Ok(WorkloadKind::Syscall {
        before: calls(&workload.before, 0)?,
        sequence: calls(&workload.sequence, watched)?,
        call: all.call(watched + workload.sequence.len(), name, args)?,
    })
}

/// The arguments of the calls of one workload.
struct Arguments<'w, 'b, 'a> {
    btf: &'b Btf<'a>,
    workload: &'w Workload,
}

impl Arguments<'_, '_, '_> {
    /// A call, which is the one of this number among all of the workload.
    fn call(
        &self,
        nth: usize,
        name: &str,
        args: &[Argument],
    ) -> Result<workload::SyscallInvocation, WorkloadPlanError> {
        Ok(workload::SyscallInvocation {
            number: names::syscall_number(name)?,
            name: name.to_owned(),
            args: args
                .iter()
                .enumerate()
                .map(|(place, argument)| {
                    self.argument(argument)
                        .map_err(|error| WorkloadPlanError::Argument {
                            words: self.workload.argument_words(nth, place),
                            error: Box::new(error),
                        })
                })
                .collect::<Result<_, _>>()?,
        })
    }

    fn argument(&self, argument: &Argument) -> Result<Arg, WorkloadPlanError> {
        Ok(match argument {
            Argument::Int(value) => Arg::Int(*value),
            Argument::Constant { text, .. } => Arg::Int(self.constant(text)?),
            Argument::Text(text) => Arg::Str(text.clone()),
            Argument::Bytes(bytes) => Arg::Memory(Memory {
                bytes: bytes.clone(),
                patches: Vec::new(),
                name: None,
                text: bytes_text(bytes),
            }),
            Argument::Buffer { name, size, .. } => Arg::Buffer {
                size: *size,
                name: name.clone(),
            },
            Argument::Structure(structure) => Arg::Memory(self.structure(structure)?),
            Argument::SizeOf { name, .. } => Arg::Int(self.size_of(self.find_type(name)?, name)?),
            Argument::Result { name, .. } => {
                let nth = self.workload.earlier_calls();
                let nth = nth.map(|call| call.result.as_ref());
                let nth = nth.enumerate().find(|(_, result)| *result == Some(name));
                let (nth, _) = nth.ok_or_else(|| WorkloadPlanError::NoResult(name.clone()))?;
                Arg::Result(nth)
            }
            Argument::Element { buffer, index, .. } => {
                let has_buffer = |argument: &Argument| matches!(argument, Argument::Buffer { name, .. } if name == buffer);
                let mut calls = self.workload.earlier_calls();
                let call = calls.position(|call| call.args.iter().any(has_buffer));
                Arg::Element {
                    call: call.ok_or_else(|| WorkloadPlanError::NoResult(buffer.clone()))?,
                    buffer: buffer.clone(),
                    index: *index,
                }
            }
        })
    }

    /// The number of constants of the C library, or of an enumeration of this kernel.
    fn constant(&self, text: &str) -> Result<i64, WorkloadPlanError> {
        let damage = Cell::new(None);
        let of_kernel = |name: &str| match self.btf.enumerator_values(name).as_deref() {
            // The kernel takes the same 64 bits for a number with and without a sign.
            Ok([one]) => Some(*one as i64),
            // None, or several that the name alone does not tell apart.
            Ok(_) => None,
            Err(error) => {
                damage.set(Some(error.clone()));
                None
            }
        };
        let value = names::constant_value_or(text, self.btf.arch(), &of_kernel);
        if let Some(error) = damage.take() {
            return Err(error.into());
        }
        value.map_err(|error| {
            let of_kernel = self.btf.nearest_enumerators(&error.name);
            let mut all: Vec<&str> = names::constant_names().collect();
            all.extend(of_kernel.iter().map(String::as_str));
            let nearest = btf::nearest(&error.name, all).into_iter().next();
            WorkloadPlanError::Constant {
                near: nearest.or(error.nearest),
                name: error.name,
            }
        })
    }

    fn structure(&self, structure: &FilledStructure) -> Result<Memory, WorkloadPlanError> {
        let id = self.find_type(&structure.name)?;
        let size = self.size_of(id, &structure.name)?;
        let (Type::Struct(composite) | Type::Union(composite)) = self.btf.strip(id)?.ty else {
            unreachable!("only structures and unions are looked up");
        };
        let mut memory = Memory {
            bytes: vec![0; usize::try_from(size).unwrap_or(0)],
            patches: Vec::new(),
            name: structure.buffer.clone(),
            text: structure.members_text(),
        };
        let mut filler = Filler {
            btf: self.btf,
            argument: &|argument| self.argument(argument).map_err(Reason::from_error),
            memory: &mut memory,
            filled: Vec::new(),
        };
        filler
            .fill_members(&composite, 0, "", &structure.members)
            .map_err(|error| WorkloadPlanError::Fill {
                structure: structure.name.clone(),
                error,
            })?;
        Ok(memory)
    }

    fn find_type(&self, name: &str) -> Result<TypeId, WorkloadPlanError> {
        let mut found = self.btf.find(NameKind::Struct, name);
        found.extend(self.btf.find(NameKind::Union, name));
        match found.as_slice() {
            [one] => Ok(*one),
            [] => {
                let mut near = self.btf.nearest(NameKind::Struct, name);
                near.extend(self.btf.nearest(NameKind::Union, name));
                Err(WorkloadPlanError::NoStructure {
                    name: name.to_owned(),
                    near: near.into_iter().next(),
                })
            }
            several => Err(WorkloadPlanError::SeveralStructures {
                name: name.to_owned(),
                count: several.len(),
            }),
        }
    }

    fn size_of(&self, id: TypeId, name: &str) -> Result<i64, WorkloadPlanError> {
        let size = self.btf.size_of(id)?.unwrap_or(0);
        match i64::try_from(size) {
            Ok(known) if size <= MAX_STRUCTURE => Ok(known),
            _ => Err(WorkloadPlanError::TooLarge {
                name: name.to_owned(),
                size,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::tests::sample_arguments;
    use qed_evidence::investigation::parse;

    /// The plan of these arguments, with one call `x` before.
    fn planned(args: &str) -> Result<Vec<Arg>, String> {
        let text = format!(
            "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"connect\", args = [{args}], \
             before = [{{ syscall = \"pipe2\", args = [{{ buffer = \"both\", ints = 2 }}] }}, {{ syscall = \"socket\", result = \"x\" }}] }}\n\
             [[experiment.probe]]\nfunction = \"f\"\n"
        );
        let investigation = parse("e.toml", &text).unwrap();
        let bytes = sample_arguments();
        let btf = Btf::parse(&bytes).unwrap();
        match plan_workload(&btf, &investigation.experiments[0].workload) {
            Ok(WorkloadKind::Syscall { call, .. }) => Ok(call.args),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn memory(args: &str) -> Memory {
        match planned(args).unwrap().remove(0) {
            Arg::Memory(memory) => memory,
            other => panic!("{other:?}"),
        }
    }

    /// Check that numbers stand where and how the kernel's types have them: bit fields, signs, the order of the network,
    /// arrays, unions, texts, constants of the C library and of the kernel.
    #[test]
    fn structures_are_filled() {
        for (members, expected) in [
            (
                "port = 999",
                "03e7 0000 00000000 0000000000000000 0000000000000000",
            ),
            (
                "small = -2",
                "0000 feff 00000000 0000000000000000 0000000000000000",
            ),
            (
                "address = \"127.0.0.1\"",
                "0000 0000 7f000001 0000000000000000 0000000000000000",
            ),
            (
                "address = 1",
                "0000 0000 00000001 0000000000000000 0000000000000000",
            ),
            (
                "first = 1, second = 5",
                "0000 0000 00000000 5100000000000000 0000000000000000",
            ),
            (
                "state = \"SS_UNCONNECTED\"",
                "0000 0000 00000000 0001000000000000 0000000000000000",
            ),
            (
                "small = \"SS_UNCONNECTED|O_WRONLY|2\"",
                "0000 0300 00000000 0000000000000000 0000000000000000",
            ),
            (
                "pair = [1, 2]",
                "0000 0000 00000000 0000010002000000 0000000000000000",
            ),
            (
                "name = { text = \"ab\" }",
                "0000 0000 00000000 0000000000000000 6162000000000000",
            ),
            (
                "inner.low = 7",
                "0000 0000 00000000 0000000000000000 0700000000000000",
            ),
            (
                "inner = { bytes = \"01 02\" }",
                "0000 0000 00000000 0000000000000000 0102000000000000",
            ),
        ] {
            let filled = memory(&format!("{{ struct = \"given\", {members} }}"));
            assert_eq!(
                hex::encode(&filled.bytes),
                expected.replace(' ', ""),
                "{members}"
            );
            assert_eq!(filled.patches, []);
        }
        assert_eq!(planned("{ sizeof = \"given\" }").unwrap(), [Arg::Int(24)]);
        assert_eq!(planned("\"$x\"").unwrap(), [Arg::Result(1)]);
        assert_eq!(
            planned("\"$both[1]\"").unwrap(),
            [Arg::Element {
                call: 0,
                buffer: "both".into(),
                index: 1
            }]
        );
    }

    /// Check that addresses and results are left to the process, with their place and size.
    #[test]
    fn addresses_are_patched() {
        let filled = memory(
            "{ struct = \"given\", pointer = { text = \"a\" }, small = \"$x\", buffer = \"out\" }",
        );
        let patches: Vec<_> = filled
            .patches
            .iter()
            .map(|p| (p.offset, p.size, &p.value))
            .collect();
        assert_eq!(
            patches,
            [(16, 8, &Arg::Str("a".into())), (2, 2, &Arg::Result(1))]
        );
        assert_eq!(filled.name.as_deref(), Some("out"));
    }

    /// Check that what does not fit is refused with the member and its type, never cut or put elsewhere.
    #[test]
    fn what_does_not_fit() {
        for (args, reason) in [
            (
                "{ struct = \"givn\" }",
                "no structure or union `givn`; the nearest name is `given`",
            ),
            (
                "{ sizeof = \"nothing\" }",
                "no structure or union `nothing`",
            ),
            (
                "{ struct = \"given\", prt = 1 }",
                "no member `prt`; the nearest name is `port`",
            ),
            (
                "{ struct = \"given\", inner.lw = 1 }",
                "no member `inner.lw`; the nearest name is `low`",
            ),
            (
                "{ struct = \"given\", port = 65536 }",
                "65536 does not fit into its member `port`",
            ),
            (
                "{ struct = \"given\", small = -32769 }",
                "-32769 does not fit",
            ),
            (
                "{ struct = \"given\", first = 16 }",
                "16 does not fit into its member `first`",
            ),
            (
                "{ struct = \"given\", port = -1 }",
                "-1 does not fit into its member `port`",
            ),
            (
                "{ struct = \"given\", small = 32768 }",
                "32768 does not fit into its member `small`",
            ),
            (
                "{ struct = \"given\", first = -1 }",
                "-1 does not fit into its member `first`",
            ),
            (
                "{ struct = \"given\", name = { text = \"ab\" }, inner.low = 7 }",
                "its members `name` and `inner.low` lie in one place",
            ),
            (
                "{ struct = \"given\", inner.low = 7, pointer = { text = \"a\" } }",
                "its members `inner.low` and `pointer` lie in one place",
            ),
            (
                "{ struct = \"given\", pair = [1, 2, 3] }",
                "`pair` holds 2 elements, not 3",
            ),
            (
                "{ struct = \"given\", pair = 1 }",
                "a number does not fill it",
            ),
            (
                "{ struct = \"given\", name = { text = \"123456789\" } }",
                "`name` holds 8 bytes, not 9",
            ),
            (
                "{ struct = \"given\", small = { text = \"a\" } }",
                "an address does not fill it",
            ),
            ("{ struct = \"given\", small.x = 1 }", "it has no members"),
            ("{ struct = \"given\", small = [1] }", "it is not an array"),
            (
                "{ struct = \"given\", port = \"$x\" }",
                "the result of a call does not fill it",
            ),
            (
                "{ struct = \"given\", first = \"$x\" }",
                "the result of a call does not fill it",
            ),
            (
                "{ struct = \"given\", small = \"SS_UNCONECTED\" }",
                "one enumeration of this kernel has it; the nearest name is `SS_UNCONNECTED`",
            ),
        ] {
            let error = planned(args).unwrap_err();
            assert!(error.contains(reason), "{args}: {error}");
        }
    }
}
