//! From the tree of a path to what the kernel side has to do.

use super::{
    Compiled, ErrorClass, ExprError, Returned, Scope,
    parse::{Argument, Expr, Name, Node, TypeText, parse},
    value::{Holds, Place, Shape, Target, Ty, Value},
};
use crate::btf::{Btf, BtfError, Composite, Member, Passing, Type, TypeId, nearest};
use qed_collector_ebpf::{MAX_READ_BYTES, root};
use std::ops::Range;

/// Bytes of `text(SYMBOL)` when it does not say how many: a function's entry with `endbr64` and its 5-byte NOP.
const CODE_BYTES: u32 = 16;
/// Members that a message lists.
const MAX_LISTED: usize = 8;
const BUILT_IN: [&str; 7] = [
    "return",
    "regs",
    "task",
    "fd",
    "text",
    "return_slot",
    "container_of",
];

type Result<T> = std::result::Result<T, ExprError>;

/// Compile `path` for a probe with this `scope`.
pub fn compile(path: &str, scope: &Scope) -> Result<Compiled> {
    let expr = parse(path)?;
    let compiler = Compiler { scope };
    let value = compiler.value(&expr)?;
    compiler.read(value, &expr.span)
}

pub(super) struct Compiler<'c, 's, 'a> {
    pub scope: &'c Scope<'s, 'a>,
}

/// An [`ErrorClass::Type`] error.
pub(super) fn wrong<T>(span: &Range<usize>, reason: impl Into<String>) -> Result<T> {
    Err(ExprError::new(ErrorClass::Type, span, reason))
}

fn unknown(span: &Range<usize>, reason: impl Into<String>) -> ExprError {
    ExprError::new(ErrorClass::Unknown, span, reason)
}

/// Attach the place in the path to an error of the BTF.
pub(super) trait At<T> {
    fn at(self, span: &Range<usize>) -> Result<T>;
}

impl<T> At<T> for std::result::Result<T, BtfError> {
    fn at(self, span: &Range<usize>) -> Result<T> {
        self.map_err(|error| ExprError::btf(span, &error))
    }
}

impl<'a> Compiler<'_, '_, 'a> {
    pub fn btf(&self) -> &Btf<'a> {
        self.scope.btf
    }

    fn value(&self, expr: &Expr) -> Result<Value> {
        let span = &expr.span;
        match &expr.node {
            Node::Name(name) => self.name(name, span),
            Node::Call(name, arguments) => self.call(name, arguments, span),
            Node::Member { of, arrow, name } => self.member(of, *arrow, name, span),
            Node::Index(of, index) => self.index(self.value(of)?, *index, span),
            Node::Load(of) => self.index(self.value(of)?, 0, span),
            Node::AddressOf(of) => self.address_of(self.value(of)?, &of.span),
            Node::Cast(ty, of) => self.cast(ty, self.value(of)?, span),
            Node::ContainerOf(of, ty, members) => self.container_of(of, ty, members),
        }
    }

    fn name(&self, name: &str, span: &Range<usize>) -> Result<Value> {
        let parameters = self.scope.parameters;
        let found = parameters
            .iter()
            .enumerate()
            .find(|(position, parameter)| parameter.name_or_position(*position) == name);
        if let Some((_, parameter)) = found {
            return match parameter.passing {
                Passing::Register(register) => Ok(Value {
                    place: Place {
                        root_index: register,
                        ..Place::root(root::ARGUMENT)
                    },
                    ty: parameter.type_id.into(),
                    holds: Holds::Itself,
                }),
                Passing::Unreadable(reason) => {
                    wrong(span, format!("parameter `{name}` cannot be read: {reason}"))
                }
            };
        }
        match name {
            "return" => self.returned(span),
            "regs" | "task" | "fd" => self.call(name, &[], span),
            "text" | "return_slot" | "container_of" => Err(ExprError::new(
                ErrorClass::Syntax,
                span,
                format!("`{name}` needs its arguments: `{name}(…)`"),
            )),
            _ => {
                let names: Vec<String> = parameters
                    .iter()
                    .enumerate()
                    .map(|(position, parameter)| parameter.name_or_position(position))
                    .collect();
                let known = names.iter().map(String::as_str);
                let near = nearest(name, known.chain(BUILT_IN));
                let list = if names.is_empty() {
                    "it has none that are known".to_owned()
                } else {
                    format!("it has `{}`", names.join("`, `"))
                };
                Err(
                    unknown(span, format!("there is no parameter `{name}` here: {list}"))
                        .near(near),
                )
            }
        }
    }

    fn returned(&self, span: &Range<usize>) -> Result<Value> {
        let type_id = match self.scope.returned {
            Returned::NotYet => {
                return wrong(
                    span,
                    "`return` is known only where something returns: read it at the exit",
                );
            }
            Returned::Function(TypeId::VOID) => {
                return wrong(span, "the function returns nothing");
            }
            Returned::Function(type_id) => type_id,
            Returned::SystemCall => self.integer(&["long".into()], span)?,
        };
        Ok(Value {
            place: Place::root(root::RETURN),
            ty: type_id.into(),
            holds: Holds::Itself,
        })
    }

    fn call(&self, name: &str, arguments: &[Argument], span: &Range<usize>) -> Result<Value> {
        let object = |root, constant, tag| {
            Ok(Value {
                place: Place {
                    constant,
                    ..Place::root(root)
                },
                ty: Ty::from(self.tagged("struct", tag, span)?).pointer(false),
                holds: Holds::Itself,
            })
        };
        match (name, arguments) {
            ("regs", []) => object(root::REGISTERS, 0, "pt_regs"),
            ("task", []) => object(root::TASK, 0, "task_struct"),
            ("fd", []) => {
                self.returns_fd(span)?;
                object(root::RETURNED_FD, 0, "file")
            }
            ("fd", [Argument::Number(number_span, number)]) => {
                if i32::try_from(*number).is_err() {
                    return wrong(number_span, format!("{number} is no file descriptor"));
                }
                object(root::FD, *number, "file")
            }
            ("text", [Argument::Name(symbol)]) => self.code(symbol, CODE_BYTES),
            (
                "text",
                [
                    Argument::Name(symbol),
                    Argument::Number(number_span, number),
                ],
            ) => match u32::try_from(*number) {
                Ok(bytes @ 1..) if bytes as usize <= MAX_READ_BYTES => self.code(symbol, bytes),
                _ => Err(ExprError::new(
                    ErrorClass::Limit,
                    number_span,
                    format!("one read brings back 1 to {MAX_READ_BYTES} bytes"),
                )),
            },
            ("return_slot", [Argument::Name(function)]) => Ok(Value {
                place: Place {
                    constant: self.symbol(function)?,
                    ..Place::root(root::RETURN_SLOT)
                },
                ty: Ty::from(TypeId::VOID).pointer(false),
                holds: Holds::Code(0),
            }),
            _ if BUILT_IN.contains(&name) => Err(ExprError::new(
                ErrorClass::Syntax,
                span,
                "the forms are `regs()`, `task()`, `fd()`, `fd(3)`, `text(SYMBOL)`, `text(SYMBOL, 16)`, `return_slot(FUNCTION)`",
            )),
            _ => Err(ExprError::new(
                ErrorClass::Syntax,
                span,
                format!("`{name}(…)` is not known: a read path cannot call kernel functions"),
            )
            .near(nearest(name, BUILT_IN))),
        }
    }

    fn returns_fd(&self, span: &Range<usize>) -> Result<()> {
        let fits = match self.scope.returned {
            Returned::NotYet => false,
            Returned::SystemCall => true,
            Returned::Function(type_id) => {
                matches!(self.btf().strip(type_id).at(span)?.ty, Type::Int(int) if int.size >= 4)
            }
        };
        if fits {
            Ok(())
        } else {
            wrong(
                span,
                "`fd` is the file at the returned descriptor, and no descriptor is returned here: read it at the exit of a call that returns one, or say `fd(N)`",
            )
        }
    }

    fn code(&self, symbol: &Name, bytes: u32) -> Result<Value> {
        Ok(Value {
            place: Place {
                constant: self.symbol(symbol)?,
                ..Place::root(root::ADDRESS)
            },
            ty: Ty::from(TypeId::VOID),
            holds: Holds::Code(bytes),
        })
    }

    fn symbol(&self, name: &Name) -> Result<u64> {
        (self.scope.symbols)(&name.text).ok_or_else(|| {
            ExprError::new(
                ErrorClass::Symbol,
                &name.span,
                format!(
                    "the address of `{}` is not known: the kernel has no such symbol, or hides it",
                    name.text
                ),
            )
        })
    }

    fn member(&self, of: &Expr, arrow: bool, name: &Name, span: &Range<usize>) -> Result<Value> {
        let value = self.value(of)?;
        let shape = value.ty.shape(self.btf()).at(&of.span)?;
        let (mut place, user, composite) = match (shape, arrow) {
            (Shape::Pointer(target), true) => {
                let place = self.follow(value, &target, &of.span)?;
                (place, target.user, self.composite(target.ty, &of.span)?)
            }
            (Shape::Plain(_), false) => {
                let user = match value.holds {
                    Holds::Kernel => false,
                    Holds::User => true,
                    _ => return self.no_members(value.ty, &of.span),
                };
                let composite = self.composite(value.ty, &of.span)?;
                (value.place, user, composite)
            }
            (Shape::Pointer(_), false) => {
                let ty = value.ty.name(self.btf()).at(&of.span)?;
                return wrong(
                    &name.span,
                    format!("`{ty}` is a pointer: write `->{}`", name.text),
                );
            }
            (Shape::Plain(_), true) => {
                let ty = value.ty.name(self.btf()).at(&of.span)?;
                return wrong(
                    &name.span,
                    format!("`{ty}` is not a pointer: `->` does not apply to it"),
                );
            }
        };
        let member = self.find_member(&composite, name)?;
        place.shift(i128::from(member.bit_offset / 8), span)?;
        let bit_offset = (member.bit_offset % 8) as u32;
        let holds = match (member.bits, user) {
            (0, false) if bit_offset == 0 => Holds::Kernel,
            (0, true) if bit_offset == 0 => Holds::User,
            (0, _) => {
                return Err(ExprError::new(
                    ErrorClass::Btf,
                    &name.span,
                    "the kernel's BTF places it inside a byte",
                ));
            }
            (_, true) => return wrong(span, "bit fields in the task's memory cannot be read"),
            (bits, false) => Holds::Bits { bit_offset, bits },
        };
        Ok(Value {
            place,
            ty: member.type_id.into(),
            holds,
        })
    }

    /// Where the pointer `value` points.
    pub fn follow(&self, mut value: Value, target: &Target, span: &Range<usize>) -> Result<Place> {
        if target.percpu {
            return wrong(
                span,
                "it is a per-CPU pointer, which is no address by itself",
            );
        }
        match value.holds {
            Holds::Itself => {}
            Holds::Kernel | Holds::Code(0) => value.place.hop(span)?,
            Holds::User => {
                return Err(ExprError::new(
                    ErrorClass::Limit,
                    span,
                    "it is a pointer in the task's memory, which a read cannot follow",
                ));
            }
            Holds::Bits { .. } | Holds::Code(_) => return wrong(span, "it is not a pointer"),
        }
        Ok(value.place)
    }

    /// The structure or union that `ty` is.
    fn composite(&self, ty: Ty, span: &Range<usize>) -> Result<Composite<'a>> {
        if ty.stars > 0 {
            return self.no_members(ty, span);
        }
        let ty = self.complete(ty, span)?;
        match self.btf().strip(ty.base).at(span)?.ty {
            Type::Struct(composite) | Type::Union(composite) => Ok(composite),
            Type::Void => wrong(
                span,
                "it is a `void *`: say what it points to with a cast, `((struct NAME *)…)->…`",
            ),
            _ => self.no_members(ty, span),
        }
    }

    /// `ty` itself, or where it is only declared, its one definition in this kernel.
    fn complete(&self, ty: Ty, span: &Range<usize>) -> Result<Ty> {
        if ty.stars == 0
            && let Type::Forward { name, union } = self.btf().strip(ty.base).at(span)?.ty
        {
            let tag = if union { "union" } else { "struct" };
            return Ok(self.tagged(tag, name, span)?.into());
        }
        Ok(ty)
    }

    fn no_members<T>(&self, ty: Ty, span: &Range<usize>) -> Result<T> {
        let ty = ty.name(self.btf()).at(span)?;
        wrong(span, format!("`{ty}` has no members"))
    }

    fn find_member(&self, composite: &Composite<'a>, name: &Name) -> Result<Member<'a>> {
        let found = self.btf().find_member(composite, &name.text);
        if let Some(member) = found.at(&name.span)? {
            return Ok(member);
        }
        let members = self.btf().member_names(composite).at(&name.span)?;
        let ty = self.btf().type_name(composite.id).at(&name.span)?;
        let near = nearest(&name.text, members.iter().copied());
        let mut reason = format!("`{ty}` has no member `{}`", name.text);
        if near.is_empty() {
            reason.push_str(&format!("; it has {}", list(&members)));
        }
        Err(unknown(&name.span, reason).near(near))
    }

    /// Element `index` of an array, or what `index` elements after a pointer is.
    fn index(&self, value: Value, index: u64, span: &Range<usize>) -> Result<Value> {
        let (mut place, element, holds) = match value.ty.shape(self.btf()).at(span)? {
            Shape::Pointer(target) => {
                let place = self.follow(value, &target, span)?;
                let holds = if target.user {
                    Holds::User
                } else {
                    Holds::Kernel
                };
                (place, target.ty, holds)
            }
            Shape::Plain(plain) => match plain.ty {
                Type::Array { element, count }
                    if matches!(value.holds, Holds::Kernel | Holds::User) =>
                {
                    if count > 0 && index >= u64::from(count) {
                        return wrong(
                            span,
                            format!(
                                "element {index} is asked of an array of {count}, counted from 0"
                            ),
                        );
                    }
                    (value.place, element.into(), value.holds)
                }
                _ => {
                    let ty = value.ty.name(self.btf()).at(span)?;
                    return wrong(span, format!("`{ty}` is neither a pointer nor an array"));
                }
            },
        };
        let element = self.complete(element, span)?;
        let Some(size) = element.size(self.btf()).at(span)? else {
            let ty = element.name(self.btf()).at(span)?;
            return wrong(
                span,
                format!("it points to `{ty}`, which has no size: say what it is with a cast"),
            );
        };
        place.shift(i128::from(size) * i128::from(index), span)?;
        Ok(Value {
            place,
            ty: element,
            holds,
        })
    }

    fn address_of(&self, value: Value, span: &Range<usize>) -> Result<Value> {
        let user = match value.holds {
            Holds::Kernel | Holds::Code(_) => false,
            Holds::User => true,
            Holds::Bits { .. } => return wrong(span, "a bit field has no address"),
            Holds::Itself => {
                return wrong(span, "it is a value in a register, which has no address");
            }
        };
        Ok(Value {
            ty: value.ty.pointer(user),
            place: value.place,
            holds: Holds::Itself,
        })
    }

    fn cast(&self, text: &TypeText, value: Value, span: &Range<usize>) -> Result<Value> {
        let ty = self.type_of(text)?;
        let to = match ty.shape(self.btf()).at(&text.span)? {
            Shape::Pointer(_) => Some(8),
            Shape::Plain(plain) => match plain.ty {
                Type::Int(int) if !int.boolean && int.size <= 8 => Some(u64::from(int.size)),
                Type::Enum(enumeration) => Some(u64::from(enumeration.size)),
                _ => None,
            },
        };
        let Some(to) = to else {
            return wrong(
                &text.span,
                "a cast goes to a pointer, an integer or an enumeration",
            );
        };
        let (from, holds) = match value.ty.shape(self.btf()).at(span)? {
            _ if matches!(value.holds, Holds::Bits { .. }) => {
                return wrong(span, "a bit field cannot be cast");
            }
            _ if matches!(value.holds, Holds::Code(1..)) => {
                return wrong(span, "code cannot be cast: take its address with `&`");
            }
            Shape::Pointer(_) => (8, value.holds),
            Shape::Plain(plain) => match plain.ty {
                Type::Int(int) if int.size <= 8 => (u64::from(int.size), value.holds),
                Type::Enum(enumeration) => (u64::from(enumeration.size), value.holds),
                // As in C, an array stands for the address of its first element.
                Type::Array { .. } => {
                    if value.holds == Holds::User && !text.user {
                        return wrong(&text.span, "it is in the task's memory: cast with `__user`");
                    }
                    (8, Holds::Itself)
                }
                _ => {
                    let name = value.ty.name(self.btf()).at(span)?;
                    return wrong(
                        span,
                        format!(
                            "`{name}` cannot be cast: name a member of it, or take its address with `&`"
                        ),
                    );
                }
            },
        };
        if to > from {
            let (name, wide) = (value.ty.name(self.btf()), ty.name(self.btf()));
            return wrong(
                span,
                format!(
                    "a cast cannot widen `{}` of {from} bytes to `{}` of {to}",
                    name.at(span)?,
                    wide.at(span)?
                ),
            );
        }
        Ok(Value {
            place: value.place,
            ty,
            holds,
        })
    }

    fn container_of(&self, of: &Expr, text: &TypeText, names: &[Name]) -> Result<Value> {
        let value = self.value(of)?;
        let Shape::Pointer(target) = value.ty.shape(self.btf()).at(&of.span)? else {
            let ty = value.ty.name(self.btf()).at(&of.span)?;
            return wrong(&of.span, format!("`{ty}` is not a pointer"));
        };
        let container = self.type_of(text)?;
        let mut composite = self.composite(container, &text.span)?;
        let mut offset = 0;
        let mut ty = container;
        for (nth, name) in names.iter().enumerate() {
            if nth > 0 {
                composite = self.composite(ty, &name.span)?;
            }
            let member = self.find_member(&composite, name)?;
            if member.bits != 0 {
                return wrong(&name.span, "a bit field has no address");
            }
            offset += i128::from(member.bit_offset / 8);
            ty = member.type_id.into();
        }
        // The kernel's macro refuses the same mistake.
        // https://elixir.bootlin.com/linux/v6.1/source/include/linux/container_of.h#L19
        let opaque = matches!(target.plain, Some(Type::Void));
        let (points_to, is) = (
            self.bare_name(target.ty, &of.span)?,
            self.bare_name(ty, &of.span)?,
        );
        if !opaque && points_to != is {
            return wrong(
                &of.span,
                format!("it points to `{points_to}`, the member is `{is}`"),
            );
        }
        let mut place = self.follow(value, &target, &of.span)?;
        place.shift(-offset, &of.span)?;
        Ok(Value {
            place,
            ty: container.pointer(target.user),
            holds: Holds::Itself,
        })
    }

    /// The name of `ty` without typedefs and qualifiers at its top.
    fn bare_name(&self, ty: Ty, span: &Range<usize>) -> Result<String> {
        let base = if ty.stars == 0 {
            self.btf().strip(ty.base).at(span)?.id
        } else {
            ty.base
        };
        Ty { base, ..ty }.name(self.btf()).at(span)
    }
}

/// Some of `members`, in words.
pub(super) fn list(members: &[&str]) -> String {
    if members.is_empty() {
        return "no members".into();
    }
    let mut text = members
        .iter()
        .take(MAX_LISTED)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if members.len() > MAX_LISTED {
        text.push_str(&format!(" and {} more", members.len() - MAX_LISTED));
    }
    text
}
