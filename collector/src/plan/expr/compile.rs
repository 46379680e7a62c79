//! Compilation of a path's tree to the instructions for the eBPF programs.

use super::decode::Decoder;
use super::parse::{Expr, ExprArgument, ExprNode, Name, parse};
use super::types::{
    CompiledList, CompiledPath, Element, ErrorClass, ExprError, ReadOptions, ReturnMeaning,
    ReturnSlot, Scope,
};
use super::value::{Extent, Origin, ReadLocation, Ty, Value, ValueSource};
use crate::btf::{ArgumentLocation, Btf, BtfError, Type, TypeId, nearest};
use qed_collector_ebpf::root;
use qed_evidence::investigation::MAX_READ;
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// Bytes of `text(SYMBOL)` when it does not say how many: a function's entry with `endbr64` and its 5-byte NOP.
const CODE_BYTES: u32 = 16;
/// Members that a message lists.
const MAX_LISTED: usize = 8;
const BUILT_IN: [&str; 14] = [
    "return",
    "regs",
    "task",
    "fd",
    "text",
    "return_slot",
    "container_of",
    "this_cpu_ptr",
    "per_cpu_ptr",
    "per_cpu",
    "list_for_each_entry",
    "hlist_for_each_entry",
    "hlist_nulls_for_each_entry",
    "llist_for_each_entry",
];

pub(super) type Result<T> = std::result::Result<T, ExprError>;

/// Compile `path` for a probe with this `scope`.
pub fn compile(path: &str, scope: &Scope) -> Result<CompiledPath> {
    compile_wanted(path, scope, ReadOptions::default())
}

/// The same for a read that is asked for more than its path says.
pub fn compile_wanted(path: &str, scope: &Scope, wanted: ReadOptions<'_>) -> Result<CompiledPath> {
    let expr = parse(path)?;
    let compiler = Compiler {
        scope,
        whole: wanted.whole,
        choose: wanted.choose,
        wanted: Cell::new(wanted.max),
        element: RefCell::new(None),
        list: RefCell::new(None),
    };
    let value = compiler.compile_expr(&expr)?;
    let member = value.member.clone();
    let origin = value.origin;
    let mut compiled = compiler.compile_read(value, &expr.span)?;
    compiled.retyped = origin >= Origin::Retyped;
    compiled.secret = origin == Origin::Secret;
    compiler.narrow_result(&mut compiled, &expr.span)?;
    if compiler.wanted.get().is_some() {
        return type_error(
            &expr.span,
            "`max` is for text and for arrays, and this is neither",
        );
    }
    if !wanted.choose.is_empty() && !matches!(compiled.decode, Decoder::Structure { .. }) {
        return type_error(
            &expr.span,
            "`choose` is for a structure that is read whole, and this is none",
        );
    }
    let list = compiler.list.into_inner();
    check_limit(list.as_ref(), wanted, &expr.span)?;
    let elements = compiler.element.into_inner().map(|taken| taken.element);
    match &elements {
        Some(element) if element.flexible && !wanted.elements => {
            return type_error(
                &element.span,
                "the kernel's types do not say how many elements this array has: say which path does, \
                 `elements = \"…->count\"`",
            );
        }
        None if wanted.elements => {
            return type_error(
                &expr.span,
                "`elements` is for a path that takes an element, `[0]`, of something whose length is not known",
            );
        }
        _ => {}
    }
    Ok(CompiledPath {
        member,
        elements: elements.filter(|_| wanted.elements),
        list,
        ..compiled
    })
}

/// Check that a limit is given for a list, and for nothing else.
fn check_limit(
    list: Option<&CompiledList>,
    wanted: ReadOptions<'_>,
    span: &Range<usize>,
) -> Result<()> {
    match (list, wanted.limit) {
        (Some(list), false) => type_error(
            &list.span,
            "nothing says how long a list is: say how many of its elements are read at most, `limit = 4`",
        ),
        (None, true) => type_error(
            span,
            "`limit` is for a path that walks a list, `list_for_each_entry(…)`, and this does not",
        ),
        _ => Ok(()),
    }
}

/// Find the mistakes in `path` that do not depend on the kernel.
///
/// # Errors
/// An [`ErrorClass::Syntax`] error.
pub fn check(path: &str) -> Result<()> {
    check_calls(&parse(path)?)
}

fn check_calls(expr: &Expr) -> Result<()> {
    match &expr.node {
        // A parameter may be called like a built-in.
        ExprNode::Name(_) => Ok(()),
        ExprNode::Call(name, arguments) if is_built_in(name, arguments) => Ok(()),
        ExprNode::Call(name, _) => Err(unknown_call_error(name, &expr.span)),
        ExprNode::Member { of, .. }
        | ExprNode::Index(of, _)
        | ExprNode::Load(of)
        | ExprNode::AddressOf(of)
        | ExprNode::Cast(_, of)
        | ExprNode::ContainerOf(of, ..)
        | ExprNode::ListEntry(_, of, ..)
        | ExprNode::OnCpu(of, _) => check_calls(of),
    }
}

/// True if this is one of the forms of a call that [`Compiler::compile_call`] understands.
fn is_built_in(name: &str, arguments: &[ExprArgument]) -> bool {
    use ExprArgument::{Name, Number};
    matches!(
        (name, arguments),
        ("regs" | "task" | "fd", [])
            | ("fd", [Number(..)])
            | ("text", [Name(_)] | [Name(_), Number(..)])
            | ("return_slot", [Name(_)])
    )
}

fn unknown_call_error(name: &str, span: &Range<usize>) -> ExprError {
    if BUILT_IN.contains(&name) {
        return ExprError::new(
            ErrorClass::Syntax,
            span,
            "the forms are `regs()`, `task()`, `fd()`, `fd(3)`, `text(SYMBOL)`, `text(SYMBOL, 16)`, `return_slot(FUNCTION)`",
        );
    }
    ExprError::new(
        ErrorClass::Syntax,
        span,
        format!("`{name}(…)` is not known: a read path cannot call kernel functions"),
    )
    .with_nearest(nearest(name, BUILT_IN))
}

pub(super) struct Compiler<'c, 's, 'a> {
    pub scope: &'c Scope<'s, 'a>,
    /// [`ReadOptions::whole`]
    pub whole: bool,
    /// [`ReadOptions::choose`]
    pub choose: &'c [String],
    /// [`ReadOptions::max`], until something has been made of it.
    pub wanted: Cell<Option<u32>>,
    /// The element that the path takes of something of unknown length.
    pub element: RefCell<Option<TakenElement>>,
    /// The list that the path walks.
    pub list: RefCell<Option<CompiledList>>,
}

/// An element that a path takes, and which array it is of: how many pointers were followed to it, and its first byte.
pub(super) struct TakenElement {
    pub element: Element,
    pub array: (usize, i64),
}

/// An [`ErrorClass::Type`] error.
pub(super) fn type_error<T>(span: &Range<usize>, reason: impl Into<String>) -> Result<T> {
    Err(ExprError::new(ErrorClass::Type, span, reason))
}

/// An [`ErrorClass::Unknown`] error.
pub(super) fn unknown_error(span: &Range<usize>, reason: impl Into<String>) -> ExprError {
    ExprError::new(ErrorClass::Unknown, span, reason)
}

/// Attach the place in the path to an error of the BTF.
pub(super) trait WithSpan<T> {
    fn with_span(self, span: &Range<usize>) -> Result<T>;
}

impl<T> WithSpan<T> for std::result::Result<T, BtfError> {
    fn with_span(self, span: &Range<usize>) -> Result<T> {
        self.map_err(|error| ExprError::from_btf(span, &error))
    }
}

impl<'a> Compiler<'_, '_, 'a> {
    pub fn btf(&self) -> &Btf<'a> {
        self.scope.btf
    }

    pub(super) fn compile_expr(&self, expr: &Expr) -> Result<Value> {
        let span = &expr.span;
        match &expr.node {
            ExprNode::Name(name) => self.compile_name(name, span),
            ExprNode::Call(name, arguments) => self.compile_call(name, arguments, span),
            ExprNode::Member { of, arrow, name } => self.compile_member(of, *arrow, name, span),
            ExprNode::Index(of, index) => self.compile_index(self.compile_expr(of)?, *index, span),
            ExprNode::Load(of) => self.compile_index(self.compile_expr(of)?, 0, span),
            ExprNode::AddressOf(of) => self.compile_address_of(self.compile_expr(of)?, &of.span),
            ExprNode::Cast(ty, of) => self.compile_cast(ty, self.compile_expr(of)?, span),
            ExprNode::ContainerOf(of, ty, members) => self.compile_container_of(of, ty, members),
            ExprNode::ListEntry(kind, of, ty, members) => {
                self.compile_list_entry(*kind, of, ty, members, span)
            }
            ExprNode::OnCpu(of, cpu) => self.compile_on_cpu(of, cpu.as_ref(), span),
        }
    }

    fn compile_name(&self, name: &str, span: &Range<usize>) -> Result<Value> {
        let parameters = self.scope.parameters;
        let found = parameters
            .iter()
            .enumerate()
            .find(|(position, parameter)| parameter.name_or_position(*position) == name);
        if let Some((_, parameter)) = found {
            return match parameter.location {
                ArgumentLocation::Register(register) => Ok(Value {
                    place: ReadLocation {
                        root_index: register,
                        ..ReadLocation::root(root::ARGUMENT)
                    },
                    ty: parameter.type_id.into(),
                    holds: ValueSource::Itself,
                    member: None,
                    extent: Extent::Free,
                    origin: Origin::Kernel,
                }),
                ArgumentLocation::Unreadable(reason) => {
                    type_error(span, format!("parameter `{name}` cannot be read: {reason}"))
                }
            };
        }
        match name {
            "return" => self.compile_returned(span),
            "regs" | "task" | "fd" => self.compile_call(name, &[], span),
            "text"
            | "return_slot"
            | "container_of"
            | "this_cpu_ptr"
            | "per_cpu_ptr"
            | "per_cpu"
            | "list_for_each_entry"
            | "hlist_for_each_entry"
            | "hlist_nulls_for_each_entry"
            | "llist_for_each_entry" => Err(ExprError::new(
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
                    unknown_error(span, format!("there is no parameter `{name}` here: {list}"))
                        .with_nearest(near),
                )
            }
        }
    }

    fn compile_returned(&self, span: &Range<usize>) -> Result<Value> {
        let type_id = match self.scope.returned {
            ReturnMeaning::NotYet => {
                return type_error(
                    span,
                    "`return` is known only where something returns: read it at the exit",
                );
            }
            ReturnMeaning::Unknown => {
                return type_error(
                    span,
                    "the type of what it returns is not known: read the bare register as `(long)regs->ax`",
                );
            }
            ReturnMeaning::Function(TypeId::VOID) => {
                return type_error(span, "the function returns nothing");
            }
            ReturnMeaning::Function(type_id) => type_id,
            ReturnMeaning::SystemCall => self.find_integer(&["long".into()], span)?,
        };
        Ok(Value {
            place: ReadLocation::root(root::RETURN),
            ty: type_id.into(),
            holds: ValueSource::Itself,
            member: None,
            extent: Extent::Free,
            origin: Origin::Kernel,
        })
    }

    fn compile_call(
        &self,
        name: &str,
        arguments: &[ExprArgument],
        span: &Range<usize>,
    ) -> Result<Value> {
        let object = |root, constant, tag| {
            Ok(Value {
                place: ReadLocation {
                    constant,
                    ..ReadLocation::root(root)
                },
                ty: Ty::from(self.find_tagged("struct", tag, span)?).pointer_to(false),
                holds: ValueSource::Itself,
                member: None,
                extent: Extent::Free,
                origin: Origin::Kernel,
            })
        };
        match (name, arguments) {
            ("regs", []) => object(root::REGISTERS, 0, "pt_regs"),
            ("task", []) => object(root::TASK, 0, "task_struct"),
            ("fd", []) => {
                self.check_returns_fd(span)?;
                object(root::RETURNED_FD, 0, "file")
            }
            ("fd", [ExprArgument::Number(number_span, number)]) => {
                if i32::try_from(*number).is_err() {
                    return type_error(number_span, format!("{number} is not a file descriptor"));
                }
                object(root::FD, *number, "file")
            }
            ("text", [ExprArgument::Name(symbol)]) => self.compile_code(symbol, CODE_BYTES),
            (
                "text",
                [
                    ExprArgument::Name(symbol),
                    ExprArgument::Number(number_span, number),
                ],
            ) => match u32::try_from(*number) {
                Ok(bytes @ 1..=MAX_READ) => self.compile_code(symbol, bytes),
                _ => Err(ExprError::new(
                    ErrorClass::Limit,
                    number_span,
                    format!("one read brings back 1 to {MAX_READ} bytes"),
                )),
            },
            ("return_slot", [ExprArgument::Name(function)]) => {
                self.compile_return_slot(function, span)
            }
            _ => Err(unknown_call_error(name, span)),
        }
    }

    fn compile_return_slot(&self, function: &Name, span: &Range<usize>) -> Result<Value> {
        let address = self.find_symbol(function)?;
        let slot = (self.scope.code.return_slot)(address);
        let slot =
            slot.map_err(|reason| ExprError::new(ErrorClass::Type, span, reason.to_string()))?;
        let place = match slot {
            ReturnSlot::Stack(offset) => ReadLocation {
                constant: address,
                offset,
                ..ReadLocation::root(root::RETURN_SLOT)
            },
            ReturnSlot::Register(offset) => ReadLocation {
                offset: offset.into(),
                ..ReadLocation::root(root::REGISTERS)
            },
        };
        Ok(Value {
            place,
            ty: Ty::from(TypeId::VOID).pointer_to(false),
            holds: ValueSource::Code(0),
            member: None,
            extent: Extent::Free,
            origin: Origin::Kernel,
        })
    }

    fn check_returns_fd(&self, span: &Range<usize>) -> Result<()> {
        let fits = match self.scope.returned {
            ReturnMeaning::NotYet | ReturnMeaning::Unknown => false,
            ReturnMeaning::SystemCall => true,
            ReturnMeaning::Function(type_id) => {
                matches!(self.btf().strip(type_id).with_span(span)?.ty, Type::Int(int) if int.size >= 4)
            }
        };
        if fits {
            Ok(())
        } else {
            type_error(
                span,
                "`fd` is the file at the returned descriptor, and no descriptor is returned here: read it at the exit of a call that returns one, or say `fd(N)`",
            )
        }
    }

    fn compile_code(&self, symbol: &Name, bytes: u32) -> Result<Value> {
        Ok(Value {
            place: ReadLocation {
                constant: self.find_symbol(symbol)?,
                ..ReadLocation::root(root::ADDRESS)
            },
            ty: Ty::from(TypeId::VOID),
            holds: ValueSource::Code(bytes),
            member: None,
            extent: Extent::Free,
            origin: Origin::Kernel,
        })
    }

    fn find_symbol(&self, name: &Name) -> Result<u64> {
        (self.scope.code.symbols)(&name.text).ok_or_else(|| {
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
}

/// Some of `members`, in words.
pub(super) fn list_members(members: &[&str]) -> String {
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
        text.push_str(&format!(
            " and {} more, which `qed-collector members` lists",
            members.len() - MAX_LISTED
        ));
    }
    text
}
