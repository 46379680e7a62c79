//! The facts that an investigation names, and those of functions, tracepoints, system calls and options.

use std::collections::BTreeMap;

use qed_evidence::document::facts::{
    Facts, FieldFacts, FunctionFacts, OptionFacts, SyscallFacts, TracepointFacts,
};
use qed_evidence::instances::Instances;
use qed_evidence::value::{Datum, Value};

use super::types::{bool_datum, existence_only, number_datum, type_facts};
use crate::assemble::context::Context;
use crate::btf::{Btf, BtfError, KernelFunction};
use crate::plan::TracepointFormats;
use crate::reason::Reason;
use crate::session::build_facts::RawSyscall;
use crate::session::raw::RawCapture;

/// Ending of the names of the functions in the table's entries for system calls that this kernel does not have
/// (<https://elixir.bootlin.com/linux/v6.12/source/kernel/sys_ni.c>).
const NOT_IMPLEMENTED: &str = "sys_ni_syscall";

/// The facts that the investigation names; `None`: it names none. `instances` are the copies of the functions among them.
pub(in crate::assemble) fn collect_facts(
    raw: &RawCapture,
    context: &Context<'_>,
    instances: &BTreeMap<String, Instances>,
) -> Option<Facts> {
    let wanted = &context.investigation.facts;
    if wanted.is_empty() {
        return None;
    }
    let build = &raw.facts.build;
    let base = Btf::parse(&raw.facts.btf);
    let with_modules = base.as_ref().map_err(ToString::to_string).and_then(|base| {
        if build.module_types.is_empty() {
            return Ok(None);
        }
        let merged = Btf::parse_module(&build.module_types, base);
        merged.map(Some).map_err(|error| error.to_string())
    });
    let btf: Result<&Btf<'_>, Reason> = match (&base, &with_modules) {
        (_, Err(why)) => Err(format!("the kernel's types cannot be understood: {why}").into()),
        (_, Ok(Some(all))) => Ok(all),
        (Ok(base), Ok(None)) => Ok(base),
        (Err(why), Ok(None)) => Err(why.to_string().into()),
    };
    let named = |name: &String| name.clone();
    let absent = absent_datum(context);
    Some(Facts {
        types: wanted
            .types
            .iter()
            .map(|name| {
                let facts = match &btf {
                    Ok(btf) => {
                        type_facts(btf, name).unwrap_or_else(|| existence_only(absent.clone()))
                    }
                    Err(why) => existence_only(Datum::unavailable(why.clone())),
                };
                (named(name), facts)
            })
            .collect(),
        functions: wanted
            .functions
            .iter()
            .map(|name| {
                let is_nowhere = context.names.check_exists(name).is_err();
                let facts = function_facts(name, &btf, instances.get(name), is_nowhere, &absent);
                (named(name), facts)
            })
            .collect(),
        tracepoints: build
            .tracepoints
            .iter()
            .map(|(name, formats)| (named(name), tracepoint_facts(name, &btf, formats, &absent)))
            .collect(),
        syscalls: build
            .syscalls
            .iter()
            .map(|(name, entry)| {
                let function = |address| context.names.symbol(address).map(|(name, _)| name);
                (named(name), syscall_facts(entry.as_ref(), function))
            })
            .collect(),
        config: wanted
            .config
            .iter()
            .map(|name| (named(name), option_facts(name, context)))
            .collect(),
    })
}

/// The answer for what neither the kernel's image nor a module that is loaded has: it does not exist if the kernel has no modules.
fn absent_datum(context: &Context<'_>) -> Datum {
    const MODULES: &str = "CONFIG_MODULES";
    match &context.config {
        Ok(config) => absent_by_modules_option(config.get_listed(MODULES)),
        Err(why) => Datum::unavailable(format!(
            "the kernel's image does not have it, and it is not known whether a module may: {why}"
        )),
    }
}

/// The same, by the value of the option. Each whole configuration lists it: it depends on no other
/// (<https://elixir.bootlin.com/linux/v6.12/source/kernel/module/Kconfig>).
fn absent_by_modules_option(option: Option<&str>) -> Datum {
    match option {
        Some("n") => bool_datum(false),
        Some(_) => Datum::unavailable(
            "neither the kernel's image nor a module that is loaded has it; a module that is not loaded may",
        ),
        None => Datum::unavailable(
            "the kernel's image does not have it, and its configuration does not list whether a module may",
        ),
    }
}

type Types<'b, 'a> = Result<&'b Btf<'a>, Reason>;

/// The facts of a function. `is_nowhere`: neither symbols nor debug information have anything of that name, and both were looked
/// through. `absent`: the answer if there is none.
fn function_facts(
    name: &str,
    btf: &Types<'_, '_>,
    instances: Option<&Instances>,
    is_nowhere: bool,
    absent: &Datum,
) -> FunctionFacts {
    let described = match btf {
        Ok(btf) => btf.functions(name).map_err(|error| error.to_string()),
        Err(why) => Err(why.to_string()),
    };
    let in_types = described.as_ref().is_ok_and(|all| !all.is_empty());
    let has_code = instances.is_some_and(|all| all.count > 0);
    // Without a copy of its own it may still be inlined everywhere, which only debug information shows.
    let exists = match instances {
        _ if in_types || has_code => bool_datum(true),
        _ if is_nowhere => absent.clone(),
        Some(Instances {
            inlined: Some(_), ..
        }) => absent.clone(),
        Some(Instances { unknown, .. }) => Datum::unavailable(format!(
            "this kernel has no code of its own for it, and it is not known whether it is inlined: {}",
            unknown
                .as_deref()
                .unwrap_or("there is no debug information")
        )),
        None => Datum::unavailable("nobody looked for its copies"),
    };
    let is_there = exists == bool_datum(true);
    FunctionFacts {
        exists,
        prototype: is_there.then(|| match (&described, btf) {
            (Ok(all), Ok(btf)) => prototype(btf, all),
            (Err(why), _) => Datum::unavailable(why.clone()),
            (_, Err(why)) => Datum::unavailable(why.clone()),
        }),
    }
}

fn prototype(btf: &Btf<'_>, all: &[KernelFunction<'_>]) -> Datum {
    let mut found = Vec::new();
    for function in all {
        match declaration(btf, function) {
            Ok(text) if found.contains(&text) => {}
            Ok(text) => found.push(text),
            Err(error) => return Datum::unavailable(error.to_string()),
        }
    }
    match &found[..] {
        // pahole makes this of a function in assembly, about which the debug information says nothing.
        [text] if text.starts_with("void ") && text.ends_with("(void)") && !text.contains('*') => {
            Datum::unavailable(
                "the kernel's types describe functions that are written in assembly like this, too, whatever they take and return",
            )
        }
        [text] => Value::text(text).into(),
        [] => Datum::unavailable(
            "the kernel's types do not describe it: it may have no code of its own",
        ),
        _ => Datum::unavailable(format!("{} functions of this name differ", found.len())),
    }
}

/// `struct socket *sock_alloc(void)`
fn declaration(btf: &Btf<'_>, function: &KernelFunction<'_>) -> Result<String, BtfError> {
    let signature = &function.signature;
    let mut parameters = Vec::new();
    for parameter in &signature.parameters {
        parameters.push(btf.declaration(parameter.type_id, parameter.name.unwrap_or_default())?);
    }
    if signature.variadic {
        parameters.push("...".into());
    }
    if parameters.is_empty() {
        parameters.push("void".into());
    }
    let call = format!("{}({})", function.name, parameters.join(", "));
    btf.declaration(signature.result, &call)
}

fn tracepoint_facts(
    name: &str,
    btf: &Types<'_, '_>,
    formats: &Result<TracepointFormats, Reason>,
    absent: &Datum,
) -> TracepointFacts {
    let in_types = match btf {
        Ok(btf) => match btf.tracepoint(name) {
            Ok(found) => Ok(found.is_some()),
            Err(error) => Err(error.to_string()),
        },
        Err(why) => Err(why.to_string()),
    };
    let none = |exists| TracepointFacts {
        exists,
        group: None,
        fields: BTreeMap::new(),
        count: 0,
    };
    let with_gap = |why: String| TracepointFacts {
        group: Some(Datum::unavailable(why)),
        ..none(bool_datum(true))
    };
    match (formats.as_deref(), in_types) {
        (Ok([(group, text)]), _) => match parse_fields(text) {
            Some(fields) => TracepointFacts {
                group: Some(Value::text(group).into()),
                count: fields.len() as u64,
                fields,
                ..none(bool_datum(true))
            },
            None => with_gap(format!("the format of {group}:{name} cannot be understood")),
        },
        (Ok([]), Ok(false)) => none(absent.clone()),
        (Ok([]), Ok(true)) => with_gap("tracefs has no event of it".into()),
        (Ok([]), Err(why)) => none(Datum::unavailable(why)),
        (Ok(several), _) => {
            let groups: Vec<&str> = several.iter().map(|(group, _)| group.as_str()).collect();
            with_gap(format!(
                "several groups have an event of this name: {}",
                groups.join(", ")
            ))
        }
        (Err(why), Ok(true)) => with_gap(why.to_string()),
        (Err(why), _) => none(Datum::unavailable(why.clone())),
    }
}

/// The fields of a format, without those that all records have, which come before the first blank line
/// (<https://elixir.bootlin.com/linux/v6.12/source/kernel/trace/trace_events.c>).
fn parse_fields(format: &str) -> Option<BTreeMap<String, FieldFacts>> {
    let (_, behind) = format.split_once("\nformat:\n")?;
    let (_, own) = behind.split_once("\n\n").unwrap_or((behind, ""));
    let mut found = BTreeMap::new();
    let lines = own
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("field:"));
    for (order, line) in (0..).zip(lines) {
        let part = |key: &str| {
            let mut parts = line.split(';').map(str::trim);
            parts.find_map(|part| part.strip_prefix(key))
        };
        let (type_name, name) = split_declaration(part("field:")?)?;
        let fact = FieldFacts {
            order,
            offset: part("offset:")?.parse().ok()?,
            size: part("size:")?.parse().ok()?,
            type_name,
        };
        if found.insert(name, fact).is_some() {
            return None;
        }
    }
    Some(found)
}

/// `const void * ptr` → its type and its name; `char name[16]` → `char[16]`.
fn split_declaration(text: &str) -> Option<(String, String)> {
    let (front, array) = match text.find('[') {
        Some(at) if text.ends_with(']') && !text[..at].ends_with("__data_loc char") => {
            // `__data_loc char[] name` has its brackets before the name, and does not end in one.
            (&text[..at], &text[at..])
        }
        _ => (text, ""),
    };
    let start = front.rfind(|c: char| !c.is_alphanumeric() && c != '_')? + 1;
    let (type_name, name) = (front[..start].trim(), &front[start..]);
    (!name.is_empty() && !type_name.is_empty())
        .then(|| (format!("{type_name}{array}"), name.to_owned()))
}

fn syscall_facts(
    entry: Result<&RawSyscall, &Reason>,
    symbol: impl Fn(u64) -> Option<String>,
) -> SyscallFacts {
    let entry = match entry {
        Ok(entry) => entry,
        Err(why) => {
            return SyscallFacts {
                exists: Datum::unavailable(why.clone()),
                number: None,
                function: None,
            };
        }
    };
    let number = number_datum(entry.number.into());
    let (exists, function) = match entry.function {
        None => (bool_datum(false), None),
        Some(address) => match symbol(address) {
            Some(name) if name.ends_with(NOT_IMPLEMENTED) || entry.is_weak => {
                (bool_datum(false), Some(Value::text(name).into()))
            }
            Some(name) => (bool_datum(true), Some(Value::text(name).into())),
            None => (
                Datum::unavailable("the function in the kernel's table has no symbol"),
                None,
            ),
        },
    };
    SyscallFacts {
        exists,
        number,
        function,
    }
}

fn option_facts(name: &str, context: &Context<'_>) -> OptionFacts {
    let option = format!("CONFIG_{}", name.to_uppercase());
    match &context.config {
        Ok(config) => {
            let value = config.get_listed(&option);
            OptionFacts {
                exists: bool_datum(value.is_some()),
                value: value.map(|value| Value::text(value).into()),
            }
        }
        Err(why) => OptionFacts {
            exists: Datum::unavailable(why.clone()),
            value: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: kmem_cache_alloc\nID: 1\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:const void * ptr;\toffset:16;\tsize:8;\tsigned:0;\n\tfield:char comm[16];\toffset:24;\tsize:16;\tsigned:0;\n\
        \tfield:__data_loc char[] name;\toffset:40;\tsize:4;\tsigned:0;\n\nprint fmt: \"%p\", REC->ptr\n";

    /// Check that the fields of a record are read with their types, without those that all records have.
    #[test]
    fn fields_of_a_format() {
        let found = parse_fields(FORMAT).unwrap();
        let one = |name: &str| {
            (
                found[name].type_name.as_str(),
                found[name].offset,
                found[name].size,
            )
        };
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(one("ptr"), ("const void *", 16, 8));
        assert_eq!(one("comm"), ("char[16]", 24, 16));
        assert_eq!(one("name"), ("__data_loc char[]", 40, 4));
        assert_eq!(parse_fields("name: x\n"), None);
        assert_eq!(parse_fields(&FORMAT.replace("size:8", "size:x")), None);
    }

    /// Check that a tracepoint or function is reported as missing only if that is known, and that missing data gives no answer.
    #[test]
    fn existence() {
        let no_types: Types<'_, '_> = Err("no BTF".into());
        let no = bool_datum(false);
        let one = tracepoint_facts(
            "x",
            &no_types,
            &Ok(vec![("kmem".into(), FORMAT.into())]),
            &no,
        );
        assert_eq!((one.exists, one.count), (bool_datum(true), 3));
        assert!(
            tracepoint_facts("x", &no_types, &Ok(Vec::new()), &no)
                .exists
                .value()
                .is_none()
        );
        assert!(
            tracepoint_facts("x", &no_types, &Err("no tracefs".into()), &no)
                .exists
                .value()
                .is_none()
        );
        let mut instances = Instances {
            copies: vec![],
            inlined: None,
            count: 0,
            leaves_by_jump: None,
            never_returns: None,
            unknown: Some("no debug information".into()),
        };
        assert!(
            function_facts("f", &no_types, Some(&instances), false, &no)
                .exists
                .value()
                .is_none()
        );
        assert_eq!(
            function_facts("f", &no_types, Some(&instances), true, &no).exists,
            bool_datum(false)
        );
        instances.inlined = Some(vec![]);
        assert_eq!(
            function_facts("f", &no_types, Some(&instances), false, &no).exists,
            bool_datum(false)
        );
        instances.count = 1;
        assert_eq!(
            function_facts("f", &no_types, Some(&instances), false, &no).exists,
            bool_datum(true)
        );
    }

    /// Check that what the image does not have is said not to exist only of a kernel that is known to have no modules.
    #[test]
    fn modules() {
        assert_eq!(absent_by_modules_option(Some("n")), bool_datum(false));
        let no_types: Types<'_, '_> = Err("no BTF".into());
        for option in [Some("y"), None] {
            let absent = absent_by_modules_option(option);
            assert!(absent.value().is_none(), "{option:?}");
            let nowhere = function_facts("f", &no_types, None, true, &absent);
            assert_eq!(nowhere.exists, absent, "{option:?}");
        }
    }

    /// Check that a number beyond the end of the table, and one without a function of its own, do not count as system calls of
    /// this kernel.
    #[test]
    fn system_calls() {
        let entry = |function| RawSyscall {
            number: 41,
            function,
            is_weak: false,
        };
        let stub = RawSyscall {
            is_weak: true,
            ..entry(Some(2))
        };
        let symbol = |address| match address {
            1 => Some("__x64_sys_ni_syscall".to_owned()),
            2 => Some("__x64_sys_socket".to_owned()),
            _ => None,
        };
        assert_eq!(
            syscall_facts(Ok(&entry(None)), symbol).exists,
            bool_datum(false)
        );
        assert_eq!(
            syscall_facts(Ok(&entry(Some(1))), symbol).exists,
            bool_datum(false)
        );
        assert_eq!(syscall_facts(Ok(&stub), symbol).exists, bool_datum(false));
        let one = syscall_facts(Ok(&entry(Some(2))), symbol);
        assert_eq!(
            (one.exists, one.number),
            (bool_datum(true), number_datum(41))
        );
        assert!(
            syscall_facts(Ok(&entry(Some(3))), symbol)
                .exists
                .value()
                .is_none()
        );
        assert!(
            syscall_facts(Err(&"no symbols".into()), symbol)
                .exists
                .value()
                .is_none()
        );
    }
}
