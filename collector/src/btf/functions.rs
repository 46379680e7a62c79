//! Functions, tracepoints and LSM hooks: their parameters, the locations in which those are passed, and their results.

use super::abi::{ArgumentLocation, ArgumentRegisters, BY_VALUE, FLOATING, REGISTERS};
use super::error::BtfError;
use super::index::NameKind;
use super::kinds::TypeId;
use super::raw::Btf;
use super::types::{Prototype, Type};

/// The visibility of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Its source file. Others of the same name may exist.
    Static,
    /// The whole kernel.
    Global,
    /// Defined elsewhere.
    Extern,
}

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFunction<'a> {
    /// Its type id, which distinguishes it from others of the same name.
    pub id: TypeId,
    /// Its name.
    pub name: &'a str,
    /// Its visibility. Kernels seen (6.1 to 6.18) call every function static.
    pub linkage: Linkage,
    /// Its parameters and result.
    pub signature: Signature<'a>,
}

/// Parameters and result of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Its parameters in order.
    pub parameters: Vec<Parameter<'a>>,
    /// True if it takes more (`...`) after them.
    pub variadic: bool,
    /// Its result, [`TypeId::VOID`] for nothing.
    pub result: TypeId,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name, if the BTF has one.
    pub name: Option<&'a str>,
    /// Its type.
    pub type_id: TypeId,
    /// Its place.
    pub location: ArgumentLocation,
}

/// The arguments of a raw tracepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracepoint<'a> {
    /// Its arguments, in order. Names are missing where only the typedef of its prototype is known.
    pub parameters: Vec<Parameter<'a>>,
}

impl<'a> Parameter<'a> {
    /// Its name, or `argN` (counted from 0) for one without.
    pub fn name_or_position(&self, position: usize) -> String {
        self.name
            .map_or_else(|| format!("arg{position}"), str::to_owned)
    }
}

impl<'a> Btf<'a> {
    /// All functions called `name`. Several are static functions of different files; if their signatures differ, BTF does not
    /// tell which of them an address belongs to.
    pub fn functions(&self, name: &str) -> Result<Vec<KernelFunction<'a>>, BtfError> {
        self.find(NameKind::Function, name)
            .into_iter()
            .map(|id| self.function(id))
            .collect()
    }

    /// The function of type number `id`.
    pub fn function(&self, id: TypeId) -> Result<KernelFunction<'a>, BtfError> {
        let Type::Function {
            name,
            prototype,
            linkage,
        } = self.get(id)?
        else {
            return Err(BtfError::of_type(id, "it is not a function"));
        };
        let Type::Prototype(prototype) = self.get(prototype)? else {
            return Err(BtfError::of_type(
                id,
                "it is a function without a prototype",
            ));
        };
        Ok(KernelFunction {
            id,
            name,
            linkage: match linkage {
                0 => Linkage::Static,
                1 => Linkage::Global,
                _ => Linkage::Extern,
            },
            signature: self.signature(&prototype)?,
        })
    }

    /// The signature that `prototype` says, with the place of each argument on the kernel's architecture.
    pub fn signature(&self, prototype: &Prototype<'a>) -> Result<Signature<'a>, BtfError> {
        let mut declared = prototype.parameters(self)?;
        let variadic = declared.last().is_some_and(|last| last.1 == TypeId::VOID);
        if variadic {
            declared.pop();
        }
        let mut places = ArgumentRegisters::new(self.arch());
        let parameters = declared
            .into_iter()
            .map(|(name, type_id)| {
                Ok(Parameter {
                    name: Some(name).filter(|name| !name.is_empty()),
                    type_id,
                    location: places.place_argument(self, type_id)?,
                })
            })
            .collect::<Result<_, BtfError>>()?;
        Ok(Signature {
            parameters,
            variadic,
            result: prototype.result,
        })
    }

    /// The raw tracepoint `name`, or `None` if the kernel has none. Its signature comes from the function
    /// `__traceiter_NAME`, else (without parameter names) from the typedef `btf_trace_NAME`; both have a
    /// first parameter `__data`, which programs do not get.
    /// <https://elixir.bootlin.com/linux/v6.1/source/include/linux/tracepoint.h#L304>
    pub fn tracepoint(&self, name: &str) -> Result<Option<Tracepoint<'a>>, BtfError> {
        let function = self.find(NameKind::Function, &format!("__traceiter_{name}"));
        let prototype = if let Some(&id) = function.first() {
            match self.get(id)? {
                Type::Function { prototype, .. } => prototype,
                _ => return Err(BtfError::of_type(id, "it is not a function")),
            }
        } else {
            let typedef = self.find(NameKind::Typedef, &format!("btf_trace_{name}"));
            let Some(&id) = typedef.first() else {
                return Ok(None);
            };
            match self.strip(id)?.ty {
                Type::Pointer(prototype) => prototype,
                _ => {
                    return Err(BtfError::of_type(
                        id,
                        "it is a tracepoint that is not a function pointer",
                    ));
                }
            }
        };
        let Type::Prototype(prototype) = self.get(prototype)? else {
            return Err(BtfError::of_type(prototype, "it is not a prototype"));
        };
        // Tracepoint programs get every argument, of whatever type, as one 64-bit number.
        // https://elixir.bootlin.com/linux/v6.1/source/include/trace/bpf_probe.h#L27
        let parameters = prototype
            .parameters(self)?
            .into_iter()
            .skip(1)
            .zip(0..)
            .map(|((name, type_id), position)| {
                let passing = match self.strip(type_id)?.ty {
                    Type::Struct(_) | Type::Union(_) => ArgumentLocation::Unreadable(BY_VALUE),
                    Type::Float { .. } => ArgumentLocation::Unreadable(FLOATING),
                    _ if position >= REGISTERS => ArgumentLocation::Unreadable(
                        "only the first six arguments of a tracepoint are kept",
                    ),
                    _ => ArgumentLocation::Register(position),
                };
                Ok(Parameter {
                    name: Some(name).filter(|name| !name.is_empty()),
                    type_id,
                    location: passing,
                })
            })
            .collect::<Result<_, BtfError>>()?;
        Ok(Some(Tracepoint { parameters }))
    }

    /// The LSM hook `name` (e.g. `socket_create`), or `None` if the kernel has none: the function
    /// `bpf_lsm_NAME`, which exists for each hook that a program can attach to.
    /// <https://elixir.bootlin.com/linux/v6.1/source/kernel/bpf/bpf_lsm.c#L22>
    pub fn lsm_hook(&self, name: &str) -> Result<Option<KernelFunction<'a>>, BtfError> {
        Ok(self
            .functions(&format!("bpf_lsm_{name}"))?
            .into_iter()
            .next())
    }

    /// Names of all LSM hooks, sorted.
    pub fn lsm_hook_names(&self) -> Result<Vec<&'a str>, BtfError> {
        self.names_with_prefix("bpf_lsm_")
    }

    /// Names of all raw tracepoints, sorted.
    pub fn tracepoint_names(&self) -> Result<Vec<&'a str>, BtfError> {
        self.names_with_prefix("__traceiter_")
    }

    fn names_with_prefix(&self, prefix: &str) -> Result<Vec<&'a str>, BtfError> {
        let mut names = Vec::new();
        self.for_each(NameKind::Function, &mut |_, name| {
            names.extend(name.strip_prefix(prefix));
        })?;
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}
