//! Facts of a kernel's build that need no probe: types, prototypes, formats of tracepoints, system calls, configuration.
//!
//! They are those of the kernel's image and of the modules that the investigation loads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Datum, Value};

/// The facts that an investigation names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Structures, unions, enumerations and typedefs, from BTF.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub types: BTreeMap<String, TypeFacts>,
    /// Functions, from symbols, BTF and debug information.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub functions: BTreeMap<String, FunctionFacts>,
    /// Tracepoints, from tracefs and BTF.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub tracepoints: BTreeMap<String, TracepointFacts>,
    /// System calls, from the kernel's table of them.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub syscalls: BTreeMap<String, SyscallFacts>,
    /// Options of the build's configuration, by their names in lower case without `CONFIG_`.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub config: BTreeMap<String, OptionFacts>,
}

/// One type. Of one that does not exist all but `exists` is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeFacts {
    /// True if this kernel has a type of that name, or the reason why that is not known.
    pub exists: Datum,
    /// `struct`, `union`, `enum` or `typedef`; that of the name itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Datum>,
    /// The type that a typedef names, as C writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Datum>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Datum>,
    /// The named members, including those of anonymous members, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub members: BTreeMap<String, MemberFacts>,
    /// The enumerators, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub enumerators: BTreeMap<String, EnumeratorFacts>,
    /// The number of members and enumerators together: it shows whether an entry was removed from a list.
    pub count: u64,
}

/// A member of a structure or union.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberFacts {
    /// Its place in the declaration, from 0.
    pub order: u64,
    /// Its beginning, in bytes from that of the type; of a bit field the byte in which its first bit is.
    pub offset: u64,
    /// Bytes; `None`: a bit field, or of no size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The first bit of a bit field, from the lowest of the byte at `offset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit: Option<u64>,
    /// Width of a bit field in bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u64>,
    /// Its type, as C writes it.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// An enumerator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnumeratorFacts {
    /// Its number.
    pub value: Datum,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionFacts {
    /// True if this kernel has it, with code of its own or inlined into others, or the reason why that is not known.
    pub exists: Datum,
    /// Its declaration, as C writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prototype: Option<Datum>,
}

/// True if a declaration can be that of this function.
pub(crate) fn is_prototype(text: &str, function: &str) -> bool {
    let call = text.split_once('(').map_or("", |(front, _)| front);
    let of_function = call
        .strip_suffix(function)
        .is_some_and(|front| front.ends_with([' ', '*']));
    // A function that returns a pointer to a function has its name in brackets.
    (of_function || text.contains(&format!("(*{function}("))) && text.ends_with(')')
}

impl FunctionFacts {
    /// The reason why the prototype cannot be that of the function with this name.
    fn foreign_prototype_reason(&self, name: &str) -> Option<String> {
        match self.prototype.as_ref()?.value()? {
            Value::Text { value } if !is_prototype(value, name) => {
                Some(format!("`{value}` does not declare `{name}`"))
            }
            _ => None,
        }
    }
}

/// One tracepoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracepointFacts {
    /// True if this kernel has it, or the reason why that is not known.
    pub exists: Datum,
    /// The group of events to which tracefs counts it, or the reason why its format is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Datum>,
    /// The fields of its record without those that all records have, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub fields: BTreeMap<String, FieldFacts>,
    /// The number of fields.
    pub count: u64,
}

/// A field of a tracepoint's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldFacts {
    /// Its place in the format, from 0.
    pub order: u64,
    /// Its beginning in the record, in bytes.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Its type, as C writes it.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyscallFacts {
    /// True if the kernel's table of system calls has a function of its own for it, or the reason why that is not known.
    pub exists: Datum,
    /// Its number on this architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Datum>,
    /// The function in the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Datum>,
}

/// One option of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionFacts {
    /// True if the configuration of this build lists it, set or not, or the reason why that is not known.
    pub exists: Datum,
    /// `y`, `m`, a value, or `n` for one that is listed as not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Datum>,
}

/// The answer to whether something exists; `None`: it is not known.
fn existence(exists: &Datum) -> Option<bool> {
    match exists.value() {
        Some(Value::Bool { value }) => Some(*value),
        _ => None,
    }
}

impl Facts {
    /// The existence of a member, a field or an enumerator that is not in the lists: `Ok(false)` if these are known to be
    /// complete.
    ///
    /// # Errors
    /// The reason why that is not known; `None` where the path is of nothing that the facts hold.
    pub(crate) fn existence_of_unlisted(
        &self,
        section: &str,
        name: &str,
        list: &str,
    ) -> Result<bool, Option<String>> {
        let (exists, unlisted) = match (section, list) {
            ("types", "members" | "enumerators") => {
                let one = self.types.get(name).ok_or(None)?;
                (&one.exists, one.unlisted_reason())
            }
            ("tracepoints", "fields") => {
                let one = self.tracepoints.get(name).ok_or(None)?;
                (&one.exists, one.unlisted_reason())
            }
            _ => return Err(None),
        };
        match (exists, existence(exists)) {
            (Datum::Missing(why), _) => Err(Some(why.to_string())),
            (_, Some(false)) => Ok(false),
            (_, Some(true)) => unlisted.map_or(Ok(false), |why| Err(Some(why))),
            (_, None) => Err(None),
        }
    }

    /// The first contradiction within the facts: the place below `/facts`, and the reason.
    pub(crate) fn contradiction(&self) -> Option<(String, String)> {
        let types = self
            .types
            .iter()
            .find_map(|(name, one)| Some((format!("types/{name}"), one.contradiction()?)));
        let functions = || {
            self.functions.iter().find_map(|(name, one)| {
                let why = check_no_parts(&one.exists, one.prototype.is_none())
                    .or_else(|| one.foreign_prototype_reason(name))?;
                Some((format!("functions/{name}"), why))
            })
        };
        let tracepoints = || {
            self.tracepoints
                .iter()
                .find_map(|(name, one)| Some((format!("tracepoints/{name}"), one.contradiction()?)))
        };
        let syscalls = || {
            self.syscalls.iter().find_map(|(name, one)| {
                Some((format!("syscalls/{name}"), check_bool_or_gap(&one.exists)?))
            })
        };
        let config = || {
            self.config.iter().find_map(|(name, one)| {
                let why = check_no_parts(&one.exists, one.value.is_none())?;
                Some((format!("config/{name}"), why))
            })
        };
        types
            .or_else(functions)
            .or_else(tracepoints)
            .or_else(syscalls)
            .or_else(config)
    }
}

fn check_bool_or_gap(exists: &Datum) -> Option<String> {
    let known = existence(exists).is_some() || exists.value().is_none();
    (!known).then(|| "`exists` is neither true nor false".into())
}

/// The complaint about something that has parts although it does not exist, or although that is not known.
fn check_no_parts(exists: &Datum, is_empty: bool) -> Option<String> {
    check_bool_or_gap(exists).or_else(|| {
        (existence(exists) != Some(true) && !is_empty)
            .then(|| "it has details although nothing says that it exists".into())
    })
}

impl TypeFacts {
    /// The reason why members or enumerators are not listed, of a type that exists.
    fn unlisted_reason(&self) -> Option<String> {
        match self.size.as_ref() {
            Some(Datum::Missing(why)) => Some(why.to_string()),
            Some(Datum::Value(_)) => None,
            None => Some("the evidence does not list what is in it".into()),
        }
    }

    fn contradiction(&self) -> Option<String> {
        let Self {
            exists,
            kind,
            names,
            size,
            members,
            enumerators,
            count,
        } = self;
        let is_empty = kind.is_none()
            && names.is_none()
            && size.is_none()
            && members.is_empty()
            && enumerators.is_empty()
            && *count == 0;
        if let Some(why) = check_no_parts(exists, is_empty) {
            return Some(why);
        }
        if existence(exists) == Some(true) && kind.is_none() {
            return Some("it exists, and its kind is not told".into());
        }
        let listed = (members.len() + enumerators.len()) as u64;
        if listed != *count {
            return Some(format!(
                "{listed} members and enumerators are listed, and {count} are counted"
            ));
        }
        let outside = |member: &MemberFacts| {
            let whole = size.as_ref()?.value()?.as_integer()?;
            let end = i128::from(member.offset) + i128::from(member.size.unwrap_or(0));
            (end > whole).then_some(())
        };
        members
            .iter()
            .find(|(_, member)| outside(member).is_some())
            .map(|(name, _)| format!("member `{name}` ends behind it"))
    }
}

impl TracepointFacts {
    /// The reason why its fields are not listed, of one that exists.
    fn unlisted_reason(&self) -> Option<String> {
        match self.group.as_ref() {
            Some(Datum::Missing(why)) => Some(why.to_string()),
            Some(Datum::Value(_)) => None,
            None => Some("the evidence does not list its fields".into()),
        }
    }

    fn contradiction(&self) -> Option<String> {
        let Self {
            exists,
            group,
            fields,
            count,
        } = self;
        let is_empty = group.is_none() && fields.is_empty() && *count == 0;
        if let Some(why) = check_no_parts(exists, is_empty) {
            return Some(why);
        }
        let listed = fields.len() as u64;
        (listed != *count).then(|| format!("{listed} fields are listed, and {count} are counted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(value: bool) -> Datum {
        Value::Bool { value }.into()
    }

    fn sample() -> Facts {
        let member = MemberFacts {
            order: 0,
            offset: 8,
            size: Some(8),
            bit: None,
            bits: None,
            type_name: "struct sock *".into(),
        };
        let absent = TypeFacts {
            exists: truth(false),
            kind: None,
            names: None,
            size: None,
            members: BTreeMap::new(),
            enumerators: BTreeMap::new(),
            count: 0,
        };
        let present = TypeFacts {
            exists: truth(true),
            kind: Some(Value::text("struct").into()),
            size: Some(super::super::count_value(16).into()),
            members: [("sk".to_owned(), member)].into(),
            count: 1,
            ..absent.clone()
        };
        Facts {
            types: [
                ("socket".to_owned(), present),
                ("sokket".to_owned(), absent),
            ]
            .into(),
            ..Facts::default()
        }
    }

    /// Check that only a whole list proves that something is not in it.
    #[test]
    fn absence() {
        let mut facts = sample();
        assert_eq!(
            facts.existence_of_unlisted("types", "socket", "members"),
            Ok(false)
        );
        assert_eq!(
            facts.existence_of_unlisted("types", "sokket", "members"),
            Ok(false)
        );
        assert_eq!(
            facts.existence_of_unlisted("types", "sock", "members"),
            Err(None)
        );
        assert_eq!(
            facts.existence_of_unlisted("types", "socket", "fields"),
            Err(None)
        );
        let socket = facts.types.get_mut("socket").unwrap();
        socket.size = Some(Datum::unavailable("two structures have this name"));
        let why = facts
            .existence_of_unlisted("types", "socket", "members")
            .unwrap_err()
            .unwrap();
        assert!(why.contains("two structures"), "{why}");
        facts.types.get_mut("socket").unwrap().size = None;
        assert!(
            facts
                .existence_of_unlisted("types", "socket", "members")
                .unwrap_err()
                .is_some()
        );
        facts.types.get_mut("socket").unwrap().exists = Datum::unavailable("no BTF");
        let why = facts
            .existence_of_unlisted("types", "socket", "members")
            .unwrap_err()
            .unwrap();
        assert!(why.contains("no BTF"), "{why}");
    }

    /// Check that a list is no shorter for want of its length: a document without it is refused, and so is one without both.
    #[test]
    fn length_is_told() {
        for (section, name, list) in [
            ("types", "socket", "members"),
            ("tracepoints", "kfree", "fields"),
        ] {
            let exists = serde_json::json!({"kind": "bool", "value": true});
            let mut one = serde_json::json!({ "exists": exists, "count": 0 });
            let read = |one: &serde_json::Value| {
                serde_json::from_value::<Facts>(serde_json::json!({ section: { name: one } }))
            };
            assert!(read(&one).is_ok(), "{section}");
            one.as_object_mut().unwrap().remove("count");
            assert!(
                read(&one).is_err(),
                "{section} without {list} and their number"
            );
        }
    }

    /// Check that facts that contradict themselves are refused: above all a list from which something was taken.
    #[test]
    fn contradictions() {
        assert_eq!(sample().contradiction(), None);
        let broken: [fn(&mut TypeFacts); 6] = [
            |one| one.members.clear(),
            |one| one.count = 2,
            |one| one.exists = truth(false),
            |one| one.exists = super::super::count_value(1).into(),
            |one| one.kind = None,
            |one| one.size = Some(super::super::count_value(15).into()),
        ];
        for (at, breaks) in broken.iter().enumerate() {
            let mut facts = sample();
            breaks(facts.types.get_mut("socket").unwrap());
            assert!(facts.contradiction().is_some(), "{at}");
        }
    }
}
