//! `qed-collector members`: all members of a type of a kernel.

use std::path::PathBuf;

use anyhow::Context as _;
use qed_evidence::document::{MemberFacts, TypeFacts};
use qed_evidence::lock::Lock;
use qed_evidence::value::{Datum, Value};
use serde::Serialize;
use thiserror::Error;

use super::failure::Failure;
use super::guest_boot::boot;
use super::kernel_files::DebugInfo;
use super::lock;
use super::output::{Format, json, print};
use super::progress::Progress;
use super::request::{LIMIT_S, RequestArgs, read_request};
use super::runtime::runtime;
use super::target::{TargetMachine, find_nearest_book};
use crate::assemble::facts::{member_facts, type_facts};
use crate::btf::{Btf, BtfError, Composite, NameKind, Type, TypeId};
use crate::guest::cache::Cache;
use crate::guest::host_binaries::GuestFiles;
use crate::guest::protocol::{GuestJob, parse_types_answer};
use crate::guest::{KernelSource, qemu};
use crate::kaslr::vmlinuz::{self, VmlinuzError};
use crate::session::machine_facts::BTF;

/// Arguments of `members`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A structure, union, enumeration or typedef, without these words: file
    #[arg(value_parser = parse_type_name)]
    pub name: String,
    /// The machine whose kernel is asked: host, guest:debian-6.12, … Of a guest the image is read [default: the first machine of the
    /// book of this folder, else host]
    #[arg(long, value_name = "MACHINE")]
    pub on: Option<TargetMachine>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// A text that is not the name of a type with members.
#[derive(Debug, Error)]
enum TypeNameError {
    /// Not a name.
    #[error("a type is written as C names it: file, `struct sockaddr_in`")]
    NotAName,
    /// A type of C that has no members.
    #[error("`{0}` is a basic type of C, which has no members: name a structure or a union")]
    Basic(String),
    /// C's keyword of another kind of type.
    #[error("`{0}` types have no members: name a structure or a union")]
    Keyword(String),
}

/// C's words for basic types.
const BASIC_TYPES: [&str; 10] = [
    "void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool",
];

/// The name of a structure or a union, or of a type that is one, without C's keyword before it.
fn parse_type_name(text: &str) -> Result<String, TypeNameError> {
    if text
        .split_whitespace()
        .all(|word| BASIC_TYPES.contains(&word))
        && !text.trim().is_empty()
    {
        return Err(TypeNameError::Basic(text.trim().to_owned()));
    }
    let name = match text.trim().split_once(' ') {
        None => text.trim(),
        Some(("struct" | "union", name)) => name.trim_start(),
        Some((keyword @ "enum", _)) => return Err(TypeNameError::Keyword(keyword.into())),
        Some(_) => return Err(TypeNameError::NotAName),
    };
    let is_one = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match is_one {
        true => Ok(name.to_owned()),
        false => Err(TypeNameError::NotAName),
    }
}

/// Run the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let MembersRequest { on, lock } = MembersRequest::from_target(args.on.as_ref())?;
    let bytes = match &on {
        TargetMachine::Host => host_btf()?,
        TargetMachine::Guest(name, source) => guest_btf(name, source, lock.as_ref())?,
    };
    let btf = Btf::parse(&bytes).map_err(|error| {
        Failure::machine(format!(
            "failed to understand the kernel's types of {}: {error}",
            on.name()
        ))
    })?;
    let wrong = |what: String| {
        let near = btf.nearest(NameKind::Struct, &args.name).into_iter().next();
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Failure::input(format!(
            "the type `{}` of {} {what}{near}",
            args.name,
            on.name()
        ))
    };
    let facts = type_facts(&btf, &args.name).ok_or_else(|| wrong("does not exist".into()))?;
    if let Datum::Missing(why) = &facts.exists {
        return Err(wrong(format!("is not known: {why}")));
    }
    let facts = expand_anonymous_members(&btf, facts, &args.name)
        .map_err(|error| wrong(format!("cannot be understood: {error}")))?;
    print(&match args.format {
        Format::Text => format_members(&args.name, on.name(), &facts),
        Format::Json => json(&Answer {
            name: &args.name,
            facts: &facts,
        })?,
    })
}

/// The machine that is asked, and the lock file that pins its kernel.
struct MembersRequest {
    on: TargetMachine,
    lock: Option<Lock>,
}

impl MembersRequest {
    /// The first machine of the book of this folder or the nearest one above, unless one is named; the host where there is no book.
    ///
    /// # Errors
    /// When there is a book that cannot be read.
    fn from_target(named: Option<&TargetMachine>) -> Result<Self, Failure> {
        let Ok(book) = find_nearest_book() else {
            let on = named.cloned().unwrap_or(TargetMachine::Host);
            return Ok(Self { on, lock: None });
        };
        let found = match (read_request(&request_args(named, Some(book))), named) {
            (Ok(found), _) => found,
            // A book that does not say which kernels are its own says nothing about this one.
            (Err(_), Some(on)) => {
                let on = on.clone();
                return Ok(Self { on, lock: None });
            }
            (Err(error), None) => return Err(error),
        };
        let on = found
            .machines
            .into_iter()
            .next()
            .unwrap_or(TargetMachine::Host);
        // The lock of a book pins the machines of that book.
        let lock = found.lock.filter(|lock| lock.get(on.name()).is_some());
        Ok(Self { on, lock })
    }
}

fn request_args(on: Option<&TargetMachine>, book: Option<PathBuf>) -> RequestArgs {
    RequestArgs {
        investigation: None,
        on: on.into_iter().cloned().collect(),
        book,
        lock: None,
        debuginfo: Some(DebugInfo::None),
        limit: LIMIT_S,
        refresh: false,
    }
}

/// The types of the running kernel, which are read from a file.
fn host_btf() -> Result<Vec<u8>, Failure> {
    std::fs::read(BTF).map_err(|error| {
        Failure::machine(format!(
            "failed to read the kernel's types from {BTF}: {error}; ask a guest: --on guest:debian-6.12"
        ))
    })
}

/// The types of a guest's kernel, from its image. Only one that is packed in a way which is not read here is booted for them.
fn guest_btf(name: &str, source: &KernelSource, lock: Option<&Lock>) -> Result<Vec<u8>, Failure> {
    let progress = Progress::new(name);
    let say = |line: &str| progress.show_step(line);
    let cache = Cache::for_user()?;
    let kernel = lock::find_kernel(lock, name, source, &cache, false, &say)?;
    say("unpacking the kernel's types");
    let image = std::fs::read(&kernel.path)
        .with_context(|| format!("failed to read the kernel image {}", kernel.path.display()))?;
    match vmlinuz::types(&image) {
        Ok(types) => return Ok(types),
        Err(VmlinuzError::Unsupported(_)) => {}
        Err(error) => {
            return Err(Failure::machine(format!(
                "{error}: {}",
                kernel.path.display()
            )));
        }
    }
    qemu::check_emulator(source)?;
    let job = GuestJob::Types;
    let run = runtime()?.block_on(boot(
        kernel,
        &job,
        GuestFiles::default(),
        cache,
        LIMIT_S,
        &say,
    ))?;
    Ok(parse_types_answer(&run.payload)?)
}

/// The facts with the members of members that are structures or unions without a name, `in6_u.u6_addr8`: such a type cannot be
/// asked for by its own name.
fn expand_anonymous_members(
    btf: &Btf<'_>,
    mut facts: TypeFacts,
    name: &str,
) -> Result<TypeFacts, BtfError> {
    // Of several types of one name none is described.
    if facts.members.is_empty() {
        return Ok(facts);
    }
    let kinds = [NameKind::Struct, NameKind::Union, NameKind::Typedef];
    let mut kinds = kinds.iter();
    let Some(id) = kinds.find_map(|kind| btf.find(*kind, name).first().copied()) else {
        return Ok(facts);
    };
    if let Type::Struct(composite) | Type::Union(composite) = btf.strip(id)?.ty {
        let mut all = Vec::new();
        add_members(btf, &composite, ("", 0), NESTING, &mut all)?;
        facts.members = (0..)
            .zip(all)
            .map(|(order, (name, member))| (name, MemberFacts { order, ..member }))
            .collect();
        facts.count = facts.members.len() as u64;
    }
    Ok(facts)
}

/// The most levels of types without a name. No kernel has as many.
const NESTING: usize = 16;

/// Add the members of a structure or union that begins at this bit, with this before their names, and those inside of them.
fn add_members(
    btf: &Btf<'_>,
    composite: &Composite<'_>,
    (above, begin): (&str, u64),
    levels: usize,
    out: &mut Vec<(String, MemberFacts)>,
) -> Result<(), BtfError> {
    for mut member in btf.all_members(composite)? {
        member.bit_offset += begin;
        let name = format!("{above}{}", member.name);
        out.push((name.clone(), member_facts(btf, &member, 0)?));
        if let (Some(inner), 1..) = (anonymous_composite(btf, member.type_id)?, levels) {
            let start = (&*format!("{name}."), member.bit_offset);
            add_members(btf, &inner, start, levels - 1, out)?;
        }
    }
    Ok(())
}

/// A structure or union without a name.
fn anonymous_composite<'a>(btf: &Btf<'a>, id: TypeId) -> Result<Option<Composite<'a>>, BtfError> {
    Ok(match btf.get(id)? {
        Type::Const(target) | Type::Volatile(target) => match btf.get(target)? {
            Type::Struct(inner) | Type::Union(inner) => Some(inner),
            _ => None,
        },
        Type::Struct(inner) | Type::Union(inner) => Some(inner),
        _ => None,
    }
    .filter(|inner| inner.name.is_empty()))
}

/// The members in the order of the declaration.
fn members_in_order(facts: &TypeFacts) -> Vec<(&str, &MemberFacts)> {
    let mut members: Vec<(&str, &MemberFacts)> = (facts.members.iter())
        .map(|(name, member)| (name.as_str(), member))
        .collect();
    members.sort_by_key(|(_, member)| member.order);
    members
}

/// The title of a type: `struct file, 232 bytes`.
fn type_title(name: &str, facts: &TypeFacts) -> String {
    let word = |datum: &Option<Datum>| Some(datum.as_ref()?.value()?.to_string());
    let mut title = match word(&facts.kind) {
        Some(kind) => format!("{kind} {name}"),
        None => name.to_owned(),
    };
    if let Some(names) = word(&facts.names) {
        title += &format!(" = {names}");
    }
    if let Some(size) = word(&facts.size) {
        title += &format!(", {size} bytes");
    }
    title
}

fn format_members(name: &str, machine: &str, facts: &TypeFacts) -> String {
    let mut out = format!("{}, of {machine}\n", type_title(name, facts));
    for (name, member) in members_in_order(facts) {
        let bits = match (member.bit, member.bits) {
            (Some(bit), Some(bits)) => format!(" (bit {bit}, {bits} wide)"),
            _ => String::new(),
        };
        out += &format!("{:>6} {} {name}{bits}\n", member.offset, member.type_name);
    }
    let number = |datum: &Datum| datum.value().and_then(Value::as_integer);
    let mut enumerators: Vec<_> = (facts.enumerators.iter())
        .map(|(name, one)| (number(&one.value), name))
        .collect();
    enumerators.sort_unstable();
    for (number, name) in enumerators {
        let number = number.map_or_else(|| "?".into(), |number| number.to_string());
        out += &format!("{number:>6} {name}\n");
    }
    out
}

/// The answer for programs.
#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    #[serde(flatten)]
    facts: &'a TypeFacts,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::tests::sample_arguments;

    /// Check that a structure is named with and without C's keyword, and that what has no members is told apart from what is no name.
    #[test]
    fn names_of_types() {
        assert_eq!(parse_type_name("file").unwrap(), "file");
        assert_eq!(
            parse_type_name("struct sockaddr_in").unwrap(),
            "sockaddr_in"
        );
        for (text, part) in [
            ("int", "`int` is a basic type of C"),
            ("unsigned long", "`unsigned long` is a basic type of C"),
            ("enum pid_type", "`enum` types have no members"),
            ("", "as C names it"),
            ("f o", "as C names it"),
        ] {
            let error = parse_type_name(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    /// Check that all members are listed in the order of the declaration, with offset, type and bits.
    #[test]
    fn all_members() {
        let bytes = sample_arguments();
        let btf = Btf::parse(&bytes).unwrap();
        let facts = type_facts(&btf, "given").unwrap();
        let facts = expand_anonymous_members(&btf, facts, "given").unwrap();
        let text = format_members("given", "host", &facts);
        assert!(
            text.starts_with("struct given, 24 bytes, of host\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), facts.members.len() + 1, "{text}");
        for part in ["     0 __be16 port\n", " wide)\n", " inner\n"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let answer = Answer {
            name: "given",
            facts: &facts,
        };
        assert!(json(&answer).unwrap().contains("\"name\": \"given\""));
    }

    /// Check that the word before a name is left out, and what is no name is refused.
    #[test]
    fn names() {
        assert_eq!(parse_type_name("struct file").unwrap(), "file");
        assert_eq!(parse_type_name("file").unwrap(), "file");
        assert_eq!(parse_type_name("union  bpf_attr").unwrap(), "bpf_attr");
        for wrong in [
            "",
            "1file",
            "file->f_op",
            "a\"b",
            "file; rm",
            "foo bar file",
            "enum pid_type",
        ] {
            assert!(parse_type_name(wrong).is_err(), "{wrong}");
        }
    }
}
