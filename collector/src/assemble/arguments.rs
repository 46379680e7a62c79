//! The arguments of traced functions: the registers that the tracer recorded, by the parameters that the kernel's types describe.

use serde::{Serialize, Serializer};

use crate::btf::{ArgumentLocation, Btf, BtfError, KernelFunction, Type, TypeId};

/// A parameter of a traced function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedParameter {
    /// Its name, or `argN` for one without.
    pub name: String,
    /// Its type as C writes it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How its value is read; `None`: it is not in one register of its own.
    #[serde(skip)]
    place: Option<(usize, Form)>,
}

/// The meaning of the bits of a register.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Address,
    Bool,
    /// A number of so many bytes, which may be a constant of an enumeration.
    Number {
        size: u32,
        signed: bool,
        big_endian: bool,
        constants: Vec<(String, i128)>,
    },
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentValue {
    /// A pointer.
    Address(u64),
    /// A truth value.
    Bool(bool),
    /// A number, and the constant of its enumeration that it is.
    Number {
        /// The number.
        value: i128,
        /// True if its type has negative values.
        signed: bool,
        /// The constant.
        constant: Option<String>,
    },
}

/// The parameters of the function with this symbol; `None` where the kernel's types do not describe exactly one.
pub fn parameters(symbol: &str, btf: &Btf<'_>) -> Option<Vec<TracedParameter>> {
    let functions = btf.functions(symbol).ok()?;
    let mut described = functions
        .iter()
        .map(|function| of_function(function, btf).ok());
    let first = described.next()??;
    // Static functions of one name: which of them ran is not known.
    described
        .all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}

fn of_function(
    function: &KernelFunction<'_>,
    btf: &Btf<'_>,
) -> Result<Vec<TracedParameter>, BtfError> {
    let parameters = function.signature.parameters.iter().enumerate();
    let each = parameters.map(|(at, parameter)| {
        let place = match parameter.location {
            ArgumentLocation::Register(register) => {
                form(btf, parameter.type_id)?.map(|form| (register as usize, form))
            }
            ArgumentLocation::Unreadable(_) => None,
        };
        Ok(TracedParameter {
            name: parameter.name_or_position(at),
            type_name: btf.type_name(parameter.type_id)?,
            place,
        })
    });
    each.collect()
}

fn form(btf: &Btf<'_>, id: TypeId) -> Result<Option<Form>, BtfError> {
    let stripped = btf.strip(id)?;
    Ok(match stripped.ty {
        Type::Pointer(_) => Some(Form::Address),
        Type::Int(int) if int.boolean => Some(Form::Bool),
        Type::Int(int) => Some(Form::Number {
            size: int.size,
            signed: int.signed,
            big_endian: stripped.big_endian,
            constants: Vec::new(),
        }),
        Type::Enum(enumeration) => {
            let constants = enumeration.values(btf)?.into_iter();
            Some(Form::Number {
                size: enumeration.size,
                signed: enumeration.signed,
                big_endian: false,
                constants: constants
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            })
        }
        _ => None,
    })
}

impl TracedParameter {
    /// Its value, from the argument registers at the entry of the function.
    pub fn value(&self, registers: &[u64]) -> Option<ArgumentValue> {
        let (register, form) = self.place.as_ref()?;
        let word = *registers.get(*register)?;
        Some(form.value(word))
    }
}

impl Form {
    /// The bits above a type's size are undefined, and left out.
    fn value(&self, word: u64) -> ArgumentValue {
        match self {
            Self::Address => ArgumentValue::Address(word),
            Self::Bool => ArgumentValue::Bool(word & 0xff != 0),
            Self::Number {
                size,
                signed,
                big_endian,
                constants,
            } => {
                let unused = 64 - 8 * (*size).clamp(1, 8);
                let used = word << unused;
                let value = match (big_endian, signed) {
                    (true, _) => i128::from((used >> unused).swap_bytes() >> unused),
                    (false, true) => i128::from((used as i64) >> unused),
                    (false, false) => i128::from(used >> unused),
                };
                let constant = constants.iter().find(|(_, one)| *one == value);
                ArgumentValue::Number {
                    value,
                    signed: *signed,
                    constant: constant.map(|(name, _)| name.clone()),
                }
            }
        }
    }
}

/// As the kernel's own tracer writes it: addresses and unsigned numbers in hexadecimal; constants by their names.
impl std::fmt::Display for ArgumentValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address:#x}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number {
                constant: Some(name),
                ..
            } => f.write_str(name),
            Self::Number {
                value,
                signed: true,
                ..
            } => write!(f, "{value}"),
            Self::Number { value, .. } => write!(f, "{value:#x}"),
        }
    }
}

/// An address as text, because JSON's readers lose digits of it as a number.
impl Serialize for ArgumentValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Address(_) => serializer.collect_str(self),
            Self::Bool(value) => serializer.serialize_bool(*value),
            // No register is wider.
            Self::Number { value, .. } => match u64::try_from(*value) {
                Ok(value) => serializer.serialize_u64(value),
                Err(_) => serializer.serialize_i64(*value as i64),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::build::Builder;

    /// Check that each type is read with its own size and sign, that a structure by value has no value and leaves the registers after it
    /// in place, and that nothing is said of a function which the types describe twice.
    #[test]
    fn by_type() {
        let mut builder = Builder::default();
        let int = builder.int("int", 4, true);
        let unsigned = builder.int("unsigned int", 4, false);
        let short = builder.int("unsigned short", 2, false);
        let port = builder.typedef("__be16", short);
        let truth = builder.int("_Bool", 1, false);
        let pointer = builder.pointer(int);
        let kind = builder.enumeration("kind", 4, false, &[("FIRST", 0), ("SECOND", 1)]);
        let pair = builder.structure("pair", 8, &[("a", int, 0, 0), ("b", int, 32, 0)]);
        let prototype = builder.prototype(
            int,
            &[
                ("fd", int),
                ("pair", pair),
                ("", pointer),
                ("flags", unsigned),
                ("port", port),
                ("kind", kind),
                ("stack", int),
            ],
        );
        builder.function("f", prototype);
        let other = builder.prototype(int, &[("other", truth)]);
        builder.function("two", prototype);
        builder.function("two", other);
        let nothing = builder.prototype(int, &[]);
        builder.function("none", nothing);
        let bytes = builder.bytes();
        let btf = Btf::parse(&bytes).unwrap();
        let found = parameters("f", &btf).unwrap();
        let high = 0xdead_beef_0000_0000;
        let registers = [
            high | 0xffff_ff9c,
            7,
            0xffff_8880_0123_4567,
            high | 0x80000,
            high | 0x901f,
            high | 1,
        ];
        let shown: Vec<String> = found
            .iter()
            .map(|one| {
                let value = one.value(&registers);
                let value = value.map_or_else(|| "?".to_owned(), |value| value.to_string());
                format!("{}={value}", one.name)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "fd=-100",
                "pair=?",
                "arg2=0xffff888001234567",
                "flags=0x80000",
                "port=0x1f90",
                "kind=SECOND",
                "stack=?"
            ]
        );
        let json: Vec<_> = found.iter().map(|one| one.value(&registers)).collect();
        assert_eq!(
            serde_json::to_string(&json).unwrap(),
            r#"[-100,null,"0xffff888001234567",524288,8080,1,null]"#
        );
        // Older kernels record no registers.
        assert!(found.iter().all(|one| one.value(&[]).is_none()));
        assert_eq!(parameters("two", &btf), None);
        assert_eq!(parameters("absent", &btf), None);
        assert_eq!(parameters("none", &btf), Some(Vec::new()));
    }
}
