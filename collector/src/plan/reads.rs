//! Values at a probe's target: parameters, results and reads.

use std::collections::BTreeMap;

use qed_collector_ebpf::{ReadSpec, form, root};
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Target;
use qed_evidence::investigation::{Probe, Read, ReadKind};

use super::expr::{
    Code, CompiledPath, Decoder, ErrorClass, ReadOptions, ReturnMeaning, Scope, as_bits, as_time,
    compile, compile_of_kind, compile_wanted, text_length,
};
use super::layout;
use super::loads::{no_slot_reason, plan_loads};
use super::number_names::{NumberNaming, named_fields, number_names};
use super::paths::wrong_path_error;
use super::place::ProbePlace;
use super::planner::Planner;
use super::types::{NumberNames, PlannedParameter, PlannedRead, PlannedReturn};
use crate::btf::{ArgumentLocation, Type, TypeId};
use crate::probe::AttachTarget;
use crate::reason::Reason;
use crate::symbols::disasm::ReturnAddress;

/// Compile the path that says how many elements there are.
fn compile_element_count(
    path: &str,
    scope: &Scope<'_, '_>,
    limit: bool,
) -> Result<CompiledPath, Reason> {
    let wrong = |why: String| -> Reason {
        format!("`{path}` does not say how many elements there are: {why}").into()
    };
    let wanted = ReadOptions {
        limit,
        ..ReadOptions::default()
    };
    let compiled = compile_wanted(path, scope, wanted).map_err(|error| wrong(error.to_string()))?;
    match compiled.decode {
        Decoder::Int { .. } => Ok(compiled),
        other => Err(wrong(format!(
            "it is not an integer but `{}`",
            other.type_name()
        ))),
    }
}

/// Compile the path of the length of a text that no NUL needs to end.
fn length(
    read: &Read,
    path: &str,
    scope: &Scope<'_, '_>,
    wanted: ReadOptions<'_>,
) -> Result<Option<CompiledPath>, Reason> {
    if read.kind != Some(ReadKind::Text) {
        return Ok(None);
    }
    let length = text_length(path, scope, wanted);
    length
        .map(|length| compile_element_count(&length, scope, wanted.limit))
        .transpose()
}

/// Accept a value that can be an IP address.
///
/// # Errors
/// The reason why it cannot.
fn check_ip_address(path: &str, decode: &Decoder) -> Result<(), Reason> {
    match decode {
        Decoder::Int {
            size: 4,
            big_endian: true,
            ..
        } => Ok(()),
        Decoder::Bytes { len, of, .. } if u64::from(*len) == *of && [4, 16].contains(len) => Ok(()),
        other => Err(format!(
            "`{path}` is `{}`, and an IP address is `__be32`, or 4 or 16 bytes; `(__be32)` before it says that it is in network byte order",
            other.type_name()
        )
        .into()),
    }
}

/// Why a read has no path.
enum ReadPathError {
    /// This kernel can read none.
    Refused(Reason),
    /// One of them is none on any kernel, also if another one could be read.
    Wrong(Vec<Diagnostic>),
}

impl<'a> Planner<'_, '_, '_, 'a> {
    pub(super) fn scope<'x>(
        &'x self,
        place: &'x ProbePlace<'a>,
        exit: bool,
        code: Code<'x>,
    ) -> Scope<'x, 'a> {
        let system_call = matches!(place.returned, ReturnMeaning::SystemCall);
        Scope {
            btf: self.offer.btf,
            parameters: &place.parameters,
            returned: if exit || system_call {
                place.returned
            } else {
                ReturnMeaning::NotYet
            },
            code,
        }
    }

    pub(super) fn plan_parameters(
        &self,
        place: &ProbePlace<'a>,
        probe: &Probe,
    ) -> Vec<PlannedParameter> {
        let mut parameters = self.own_parameters(place, probe);
        let unknown: Vec<PlannedParameter> = probe
            .names
            .keys()
            .filter(|name| !parameters.iter().any(|p| p.name == **name))
            .map(|name| PlannedParameter {
                name: name.clone(),
                type_name: String::new(),
                register: Err(format!("there is no argument `{name}` here").into()),
                decode: None,
                names: None,
                nameable: None,
            })
            .collect();
        parameters.extend(unknown);
        parameters
    }

    pub(super) fn own_parameters(
        &self,
        place: &ProbePlace<'a>,
        probe: &Probe,
    ) -> Vec<PlannedParameter> {
        let scope = self.scope(place, false, Code::UNKNOWN);
        let tables = match &probe.target {
            Target::Tracepoint(tracepoint) => named_fields(self.offer, tracepoint),
            _ => BTreeMap::new(),
        };
        place
            .parameters
            .iter()
            .enumerate()
            .map(|(position, parameter)| {
                let name = parameter.name_or_position(position);
                let decode = compile(&name, &scope).map(|compiled| compiled.decode);
                let named = match (probe.names.get(&name), &decode) {
                    (Some(set), Ok(decode)) => {
                        number_names(self.offer, set, false, decode).map(Some)
                    }
                    _ => Ok(None),
                };
                let misnamed = named.as_ref().err().cloned();
                let (enumerated, names) = match named {
                    Ok(Some(NumberNaming::Enumeration(decode))) => (Some(decode), None),
                    Ok(Some(NumberNaming::Names(names))) => (None, Some(names)),
                    Ok(None) | Err(_) => (None, None),
                };
                let plain = matches!(decode, Ok(Decoder::Int { .. }));
                let nameable = tables.get(&name).filter(|_| plain);
                let nameable = nameable.filter(|_| !probe.names.contains_key(&name));
                PlannedParameter {
                    nameable: nameable.cloned(),
                    type_name: self
                        .offer
                        .btf
                        .type_name(parameter.type_id)
                        .unwrap_or_default(),
                    register: match (parameter.location, &decode) {
                        (ArgumentLocation::Unreadable(why), _) => Err(why.into()),
                        (_, Err(error)) => Err(Reason::from_error(error)),
                        (ArgumentLocation::Register(register), Ok(_)) => match misnamed {
                            Some(reason) => Err(reason),
                            None => Ok(register as usize),
                        },
                    },
                    // A `char *` argument is shown as the pointer that it is.
                    decode: match self.pointer_decoder(parameter.type_id) {
                        Some(pointer) => Some(pointer),
                        None => enumerated.or(decode.ok()),
                    },
                    names,
                    name,
                }
            })
            .collect()
    }

    /// The decoder of a pointer of this type, if it is one.
    pub(super) fn pointer_decoder(&self, id: TypeId) -> Option<Decoder> {
        let stripped = self.offer.btf.strip(id).ok()?;
        matches!(stripped.ty, Type::Pointer { .. }).then(|| Decoder::Pointer {
            type_name: self.offer.btf.type_name(id).unwrap_or_default(),
            to_function: false,
            signature_bits: 0,
        })
    }

    pub(super) fn plan_return(
        &self,
        probe: &Probe,
        place: &ProbePlace<'a>,
    ) -> Option<PlannedReturn> {
        if let Some(reason) = place.untyped.as_ref().filter(|_| probe.watch_return) {
            return Some(PlannedReturn {
                type_name: String::new(),
                decode: Err(reason.clone()),
            });
        }
        let ReturnMeaning::Function(id) = place.returned else {
            return None;
        };
        if id == TypeId::VOID || !probe.watch_return {
            return None;
        }
        let decode = match self.pointer_decoder(id) {
            Some(pointer) => Ok(pointer),
            None => compile("return", &self.scope(place, true, Code::UNKNOWN))
                .map(|compiled| compiled.decode)
                .map_err(Reason::from_error),
        };
        Some(PlannedReturn {
            type_name: self.offer.btf.type_name(id).unwrap_or_default(),
            decode,
        })
    }

    /// The first path of a read that this kernel can read. One that could only not be read because something is not known here, such as
    /// the address of a symbol, is not passed over: less information would give another value.
    fn first_path<'r>(
        &self,
        read: &'r Read,
        scope: &Scope<'_, 'a>,
        wanted: ReadOptions<'_>,
    ) -> Result<(&'r str, CompiledPath), ReadPathError> {
        let mut found = None;
        let mut is_known = true;
        let mut refused = Vec::new();
        let mut problems = Vec::new();
        for (path, span) in read.paths() {
            match compile_of_kind(path, scope, wanted, read.kind) {
                Ok(compiled) => {
                    found.get_or_insert((path, compiled));
                }
                Err(error) if error.class == ErrorClass::Syntax => {
                    let path = (path, span);
                    problems.push(wrong_path_error(
                        self.investigation,
                        &read.name,
                        path,
                        &error,
                    ));
                }
                Err(error) => {
                    let of_kernel = matches!(error.class, ErrorClass::Unknown | ErrorClass::Type);
                    is_known &= of_kernel || found.is_some();
                    refused.push(format!("`{path}` cannot be read here: {error}"));
                }
            }
        }
        match found.filter(|_| is_known) {
            _ if !problems.is_empty() => Err(ReadPathError::Wrong(problems)),
            Some(found) => Ok(found),
            None => Err(ReadPathError::Refused(refused.join("; ").into())),
        }
    }

    /// Plan one read; `Err(None)` means that it was reported as a problem of the investigation.
    pub(super) fn plan_read(
        &mut self,
        read: &Read,
        place: &ProbePlace<'a>,
        usages: &[usize],
        exit: bool,
        at_return: bool,
    ) -> Result<PlannedRead, Option<Reason>> {
        let symbols = |name: &str| only_one(&(self.offer.symbols)(name));
        let wanted = ReadOptions {
            max: read.max,
            elements: read.elements.is_some(),
            whole: true,
            choose: &read.choose,
            limit: read.limit.is_some(),
        };
        let return_slot = |function| self.return_slot(place, exit, function);
        let code = Code {
            symbols: &symbols,
            return_slot: &return_slot,
            per_cpu: &|name| layout::per_cpu_symbol(self.offer, name),
            cpus: self.offer.cpus,
        };
        let scope = self.scope(place, exit, code);
        let (path, mut compiled) = match self.first_path(read, &scope, wanted) {
            Ok(found) => found,
            Err(ReadPathError::Refused(reason)) => return Err(Some(reason)),
            Err(ReadPathError::Wrong(problems)) => {
                self.problems.extend(problems);
                return Err(None);
            }
        };
        compiled.decode = of_kind(read.kind, compiled.decode);
        let length = length(read, path, &scope, wanted).map_err(Some)?;
        if let Some(reason) = several_values_reason(read, path, &compiled.decode) {
            return Err(Some(reason));
        }
        let number = match (&read.elements, &compiled.elements) {
            (Some(path), Some(element)) => {
                let number = compile_element_count(path, &scope, false).map_err(Some)?;
                Some((path, number, element.index))
            }
            _ => None,
        };
        if read.kind == Some(ReadKind::Ip) {
            check_ip_address(path, &compiled.decode).map_err(Some)?;
        }
        let (decode, names) = (self.named(read, compiled.decode.clone())).map_err(Some)?;
        let inside_null = inside_null(&compiled.spec, &decode);
        let start = match &compiled.list {
            Some(list) => &list.head,
            None => &compiled.spec,
        };
        let return_slot_of = return_slot_function(start);
        let mut add = |spec| {
            let taken = self.attachments.add_read(usages, at_return, spec);
            taken.map_err(|_| Some(no_slot_reason()))
        };
        let loads = plan_loads(&compiled, read.limit, number, length.as_ref(), &mut add)?;
        Ok(PlannedRead {
            name: read.name.clone(),
            path: path.to_owned(),
            slots: loads.own.slots,
            elements: loads.elements,
            length: loads.own.length,
            list: loads.list,
            inside_null,
            decode,
            kind: read.kind,
            names,
            member: compiled.member,
            retyped: compiled.retyped,
            secret: compiled.secret,
            return_slot_of,
        })
    }

    /// The meaning of a value, with the names that the author declared for its numbers.
    fn named(
        &self,
        read: &Read,
        decode: Decoder,
    ) -> Result<(Decoder, Option<NumberNames>), Reason> {
        let Some(set) = &read.names else {
            return Ok((decode, None));
        };
        let flags = read.kind == Some(ReadKind::Flags);
        Ok(match number_names(self.offer, set, flags, &decode)? {
            NumberNaming::Enumeration(named) => (named, None),
            NumberNaming::Names(named) => (decode, Some(named)),
        })
    }

    /// Check the paths of a probe that is not possible here for mistakes that do not depend on the kernel.
    pub(super) fn check_syntax(&mut self, probe: &Probe) {
        let nothing = ProbePlace {
            attach: AttachTarget::Lsm {
                hook: String::new(),
                function: None,
            },
            address: 0,
            parameters: Vec::new(),
            returned: ReturnMeaning::NotYet,
            untyped: None,
            instruction: None,
            return_address: ReturnAddress::Frame,
            has_clones: false,
            others: Vec::new(),
        };
        for read in probe.entry.iter().chain(&probe.exit) {
            for path in read.paths() {
                let result = compile(path.0, &self.scope(&nothing, false, Code::UNKNOWN));
                if let Err(error) = result
                    && error.class == ErrorClass::Syntax
                {
                    let problem = wrong_path_error(self.investigation, &read.name, path, &error);
                    self.problems.push(problem);
                }
            }
        }
    }
}

/// The reason why an option for a single value cannot be used for a read, if that is a structure.
fn several_values_reason(read: &Read, path: &str, decode: &Decoder) -> Option<Reason> {
    let is_structure = matches!(decode, Decoder::Structure { .. });
    (is_structure && (read.kind.is_some() || read.names.is_some())).then(|| {
        let type_name = decode.type_name();
        let reason = format!(
            "`{path}` is `{type_name}`, a structure: `kind` and `names` are for one value, so name a member"
        );
        reason.into()
    })
}

/// The pointer that a member inside of the structure behind NULL has, if a read takes the address of one.
fn inside_null(spec: &ReadSpec, decode: &Decoder) -> Option<u64> {
    // A list has no element at NULL.
    let is_inside = spec.form == form::ADDRESS
        && spec.offset != 0
        && spec.root != root::READ
        && matches!(decode, Decoder::Pointer { .. });
    is_inside.then_some(i64::from(spec.offset) as u64)
}

/// The meaning of a number, as the author says it.
fn of_kind(kind: Option<ReadKind>, decode: Decoder) -> Decoder {
    match kind {
        Some(ReadKind::Time) => as_time(decode),
        Some(ReadKind::Flags) => as_bits(decode),
        _ => decode,
    }
}

/// The address of a name that only one symbol has.
fn only_one(addresses: &[u64]) -> Option<u64> {
    match addresses {
        [address] => Some(*address),
        _ => None,
    }
}

/// Live address of the function whose return address a read takes, if it does.
fn return_slot_function(spec: &ReadSpec) -> Option<u64> {
    (spec.root == root::RETURN_SLOT).then_some(spec.constant)
}
