//! One type of the kernel, with all its members or values.

use std::collections::BTreeMap;

use qed_evidence::document::facts::{EnumeratorFacts, MemberFacts, TypeFacts};
use qed_evidence::value::{Datum, Integer, Value};

use crate::btf::{Btf, BtfError, BtfMember, Composite, Enumeration, NameKind, Type, TypeId};

/// Kinds of types by name, in the order in which a name is looked up, with the word that C has for each.
const KINDS: [(NameKind, &str); 4] = [
    (NameKind::Struct, "struct"),
    (NameKind::Union, "union"),
    (NameKind::Enum, "enum"),
    (NameKind::Typedef, "typedef"),
];

/// The facts of the type called `name`; `None`: it is not there. One that cannot be understood is an answer. A structure, a union and an
/// enumeration of one name are of different compilation units; a `typedef` may have the name of any of them.
pub fn type_facts(btf: &Btf<'_>, name: &str) -> Option<TypeFacts> {
    let tags = KINDS.iter().filter(|(kind, _)| *kind != NameKind::Typedef);
    let tags: Vec<&str> = tags
        .filter(|(kind, _)| !btf.find(*kind, name).is_empty())
        .map(|(_, word)| *word)
        .collect();
    if tags.len() > 1 {
        let mut facts = existence_only(bool_datum(true));
        facts.size = Some(Datum::unavailable(format!(
            "this kernel has several types of this name: {}",
            tags.join(", ")
        )));
        return Some(facts);
    }
    let (ids, kind) = KINDS.iter().find_map(|(wanted, kind)| {
        let ids = btf.find(*wanted, name);
        (!ids.is_empty()).then_some((ids, *kind))
    })?;
    let facts = describe_types(btf, &ids, kind);
    Some(facts.unwrap_or_else(|error| existence_only(Datum::unavailable(error.to_string()))))
}

/// Facts of which only the existence is known, or not even that.
pub(super) fn existence_only(exists: Datum) -> TypeFacts {
    TypeFacts {
        exists,
        kind: None,
        names: None,
        size: None,
        members: BTreeMap::new(),
        enumerators: BTreeMap::new(),
        count: 0,
    }
}

/// The type with these numbers: several where compilation units have types of one name, which may differ.
fn describe_types(btf: &Btf<'_>, ids: &[TypeId], kind: &str) -> Result<TypeFacts, BtfError> {
    let mut all = Vec::new();
    for id in ids {
        let one = describe_type(btf, *id, kind)?;
        if !all.contains(&one) {
            all.push(one);
        }
    }
    if all.len() > 1 {
        let mut facts = existence_only(bool_datum(true));
        facts.kind = Some(Value::text(kind).into());
        facts.size = Some(Datum::unavailable(format!(
            "{} different types of this kernel have this name",
            all.len()
        )));
        return Ok(facts);
    }
    Ok(all.remove(0))
}

fn describe_type(btf: &Btf<'_>, id: TypeId, kind: &str) -> Result<TypeFacts, BtfError> {
    let mut facts = existence_only(bool_datum(true));
    facts.kind = Some(Value::text(kind).into());
    if let Type::Typedef { target, .. } = btf.get(id)? {
        facts.names = Some(Value::text(btf.type_name(target)?).into());
    }
    facts.size = Some(match btf.size_of(id)? {
        Some(size) => {
            number_datum(size.into()).unwrap_or_else(|| Datum::unavailable("it is too large"))
        }
        None => Datum::unavailable("it has no size"),
    });
    match btf.strip(id)?.ty {
        Type::Struct(composite) | Type::Union(composite) => {
            facts.members = members(btf, &composite)?;
        }
        Type::Enum(enumeration) => facts.enumerators = enumerators(btf, &enumeration)?,
        _ => {}
    }
    facts.count = (facts.members.len() + facts.enumerators.len()) as u64;
    Ok(facts)
}

/// The named members, those of anonymous members included.
fn members(
    btf: &Btf<'_>,
    composite: &Composite<'_>,
) -> Result<BTreeMap<String, MemberFacts>, BtfError> {
    let mut members = BTreeMap::new();
    for (order, member) in (0..).zip(btf.all_members(composite)?) {
        members.insert(member.name.to_owned(), member_facts(btf, &member, order)?);
    }
    Ok(members)
}

/// The facts of a member in this place of the declaration.
///
/// # Errors
/// When its type cannot be understood.
pub fn member_facts(
    btf: &Btf<'_>,
    member: &BtfMember<'_>,
    order: u64,
) -> Result<MemberFacts, BtfError> {
    let is_field = member.bits > 0;
    Ok(MemberFacts {
        order,
        offset: member.bit_offset / 8,
        size: match is_field {
            true => None,
            false => btf.size_of(member.type_id)?,
        },
        bit: is_field.then_some(member.bit_offset % 8),
        bits: is_field.then_some(member.bits.into()),
        type_name: btf.type_name(member.type_id)?,
    })
}

fn enumerators(
    btf: &Btf<'_>,
    enumeration: &Enumeration<'_>,
) -> Result<BTreeMap<String, EnumeratorFacts>, BtfError> {
    let values = enumeration.values(btf)?.into_iter();
    Ok(values
        .map(|(name, value)| {
            let value =
                number_datum(value).unwrap_or_else(|| Datum::unavailable("it is too large"));
            (name.to_owned(), EnumeratorFacts { value })
        })
        .collect())
}

/// Yes or no.
pub(super) fn bool_datum(value: bool) -> Datum {
    Value::Bool { value }.into()
}

/// A number without a type.
pub(super) fn number_datum(value: i128) -> Option<Datum> {
    let value = Integer::new(value)?;
    let type_name = None;
    Some(Value::Int { value, type_name }.into())
}
