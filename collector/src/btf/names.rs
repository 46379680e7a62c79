//! Types as C spells them.

use super::error::BtfError;
use super::kinds::TypeId;
use super::raw::Btf;
use super::types::{MAX_CHAIN, Type};

/// Types that one name may mention, so that hostile BTF cannot make an endless name.
const MAX_MENTIONED: u32 = 300;

/// The usual spelling of the compilers' names for integers, so that evidence does not depend on the compiler.
pub(super) fn canonical_int_name(name: &str) -> &str {
    match name {
        "long int" => "long",
        "long unsigned int" => "unsigned long",
        "short int" => "short",
        "short unsigned int" => "unsigned short",
        "long long int" => "long long",
        "long long unsigned int" => "unsigned long long",
        "__int128 unsigned" => "unsigned __int128",
        "_Bool" => "bool",
        other => other,
    }
}

fn join_declarator(base: &str, declarator: &str) -> String {
    if declarator.is_empty() {
        base.to_owned()
    } else {
        format!("{base} {declarator}")
    }
}

impl<'a> Btf<'a> {
    /// Type `id` in C, e.g. `struct socket *`, `const char *`, `socket_state`, `int (*)(struct sock *)`.
    pub fn type_name(&self, id: TypeId) -> Result<String, BtfError> {
        self.declaration(id, "")
    }

    /// A C declaration of `declarator` (e.g. `*`, `ops`, or nothing) with type `id`.
    pub fn declaration(&self, id: TypeId, declarator: &str) -> Result<String, BtfError> {
        self.declare(id, declarator.to_owned(), 0, &mut 0)
    }

    fn declare(
        &self,
        id: TypeId,
        declarator: String,
        depth: usize,
        mentioned: &mut u32,
    ) -> Result<String, BtfError> {
        *mentioned += 1;
        if depth > MAX_CHAIN || *mentioned > MAX_MENTIONED || declarator.len() > 10_000 {
            return Err(BtfError::of_type(id, "its name in C has no end"));
        }
        let mut inner = |id, declarator| self.declare(id, declarator, depth + 1, mentioned);
        let tagged = |keyword: &str, name: &str| {
            if name.is_empty() {
                format!("{keyword} {{…}}")
            } else {
                format!("{keyword} {name}")
            }
        };
        Ok(match self.get(id)? {
            Type::Void => join_declarator("void", &declarator),
            Type::Int(int) => join_declarator(canonical_int_name(int.name), &declarator),
            Type::Struct(composite) => {
                join_declarator(&tagged("struct", composite.name), &declarator)
            }
            Type::Union(composite) => {
                join_declarator(&tagged("union", composite.name), &declarator)
            }
            Type::Enum(enumeration) => {
                join_declarator(&tagged("enum", enumeration.name), &declarator)
            }
            Type::Forward { name, union } => {
                let keyword = if union { "union" } else { "struct" };
                join_declarator(&tagged(keyword, name), &declarator)
            }
            Type::Typedef { name, .. } | Type::Float { name, .. } => {
                join_declarator(name, &declarator)
            }
            Type::Pointer(to) => {
                let pointer = format!("*{declarator}");
                match self.strip_qualifiers(to)? {
                    Type::Array { .. } | Type::Prototype(_) => inner(to, format!("({pointer})"))?,
                    _ => inner(to, pointer)?,
                }
            }
            Type::Array { element, count } => inner(element, format!("{declarator}[{count}]"))?,
            Type::Const(to) => self.qualify("const", to, &declarator, &mut inner)?,
            Type::Volatile(to) => self.qualify("volatile", to, &declarator, &mut inner)?,
            Type::Restrict(to) => self.qualify("restrict", to, &declarator, &mut inner)?,
            Type::TypeTag { tag, target } => {
                let tag = match tag {
                    "user" | "percpu" | "rcu" => format!("__{tag}"),
                    other => format!("/* {other} */"),
                };
                inner(target, join_declarator(&tag, &declarator))?
            }
            Type::Prototype(prototype) => {
                let mut parameters = Vec::new();
                for (_, parameter) in prototype.parameters(self)? {
                    parameters.push(inner(parameter, String::new())?);
                }
                // BTF writes `...` as a last parameter of type void.
                match (parameters.len(), parameters.last_mut()) {
                    (_, Some(last)) if last == "void" => *last = "...".into(),
                    (0, _) => parameters.push("void".into()),
                    _ => {}
                }
                inner(
                    prototype.result,
                    format!("{declarator}({})", parameters.join(", ")),
                )?
            }
            Type::Function { prototype, .. } => inner(prototype, declarator)?,
            Type::Other => {
                return Err(BtfError::of_type(
                    id,
                    "it is a variable, a section or a tag, where a type is needed",
                ));
            }
        })
    }

    /// A qualifier is written after the star of a pointer, and before any other type.
    fn qualify(
        &self,
        word: &str,
        to: TypeId,
        declarator: &str,
        inner: &mut dyn FnMut(TypeId, String) -> Result<String, BtfError>,
    ) -> Result<String, BtfError> {
        match self.strip_qualifiers(to)? {
            Type::Pointer(_) => inner(to, join_declarator(word, declarator)),
            _ => Ok(format!("{word} {}", inner(to, declarator.to_owned())?)),
        }
    }

    /// The type of `id` without qualifiers and tags; typedefs are kept.
    fn strip_qualifiers(&self, id: TypeId) -> Result<Type<'a>, BtfError> {
        let mut at = id;
        for _ in 0..MAX_CHAIN {
            match self.get(at)? {
                Type::Const(to)
                | Type::Volatile(to)
                | Type::Restrict(to)
                | Type::TypeTag { target: to, .. } => at = to,
                ty => return Ok(ty),
            }
        }
        Err(BtfError::of_type(id, "its qualifiers go round in a circle"))
    }
}
