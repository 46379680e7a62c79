//! Lists: `list_for_each_entry(TYPE, HEAD, MEMBER)` is each object of a list, from the pointer to the list's head and the member that
//! links the objects. The names and the order of the arguments are those of the kernel's macros, without the variable.

use std::ops::Range;

use qed_collector_ebpf::{ReadSpec, form, root};

use super::compile::{Compiler, Result, WithSpan, type_error};
use super::list_kind::ListKind;
use super::parse::{Expr, Name, TypeText};
use super::types::{CompiledList, ErrorClass, ExprError};
use super::value::{Extent, ReadLocation, Shape, Ty, Value, ValueSource};

impl Compiler<'_, '_, '_> {
    /// An object of a list. Which of them is not said here: the plan makes a read of each.
    pub(super) fn compile_list_entry(
        &self,
        kind: ListKind,
        of: &Expr,
        text: &TypeText,
        names: &[Name],
        span: &Range<usize>,
    ) -> Result<Value> {
        let head = self.compile_expr(of)?;
        if head.place.root == root::READ {
            let reason = "a list of lists: one read walks one, so start at another probe";
            return Err(ExprError::new(ErrorClass::Limit, &of.span, reason));
        }
        let (head_type, first) = kind.head();
        let name = head.ty.name(self.btf()).with_span(&of.span)?;
        let Shape::Pointer(target) = head.ty.shape(self.btf()).with_span(&of.span)? else {
            return type_error(
                &of.span,
                format!("`{name}` is no pointer to a `struct {head_type}`: write `&` before it"),
            );
        };
        if self.bare_name(target.ty, &of.span)? != format!("struct {head_type}") {
            let right = self.kind_of_head(target.ty, &of.span)?;
            let right = right.map_or_else(String::new, |kind| {
                format!(": it is one that `{}` walks", kind.macro_name())
            });
            return type_error(
                &of.span,
                format!("`{name}` is no pointer to a `struct {head_type}`{right}"),
            );
        }
        if target.user {
            return type_error(&of.span, "it is a pointer into the task's memory");
        }
        let (container, member, offset) = self.find_inner_member(text, names)?;
        let (wanted, is) = (kind.node(), self.bare_name(member, span)?);
        if is != format!("struct {wanted}") {
            let place = names.last().map_or(span, |name| &name.span);
            return type_error(
                place,
                format!("the elements are linked by a `struct {wanted}`, and this is `{is}`"),
            );
        }
        let first = self.offset_in(head_type, first, span)?;
        let next = self.offset_in(wanted, "next", span)?;
        let origin = head.origin;
        let place = self.follow_pointer(head, &target, &of.span)?;
        let list = CompiledList {
            kind,
            head: place.read_spec(form::ADDRESS, 8, &of.span)?,
            first: link_spec(first, span)?,
            next: link_spec(next, span)?,
            span: span.clone(),
        };
        let mut known = self.list.borrow_mut();
        match &*known {
            Some(other) if (other.kind, other.head) != (list.kind, list.head) => {
                return type_error(span, "one read walks one list");
            }
            _ => *known = Some(list),
        }
        let mut place = ReadLocation::root(root::READ);
        place.shift(-offset, span)?;
        let ty = container.pointer_to(false);
        Ok(Value {
            origin,
            ..Value::new(place, ty, ValueSource::Itself, Extent::Free)
        })
    }

    /// The kind of list that has a head of this type.
    fn kind_of_head(&self, ty: Ty, span: &Range<usize>) -> Result<Option<ListKind>> {
        let name = self.bare_name(ty, span)?;
        let mut all = ListKind::ALL.into_iter();
        Ok(all.find(|kind| name == format!("struct {}", kind.head().0)))
    }

    /// The offset of a pointer in a structure, in bytes.
    fn offset_in(&self, structure: &str, member: &str, span: &Range<usize>) -> Result<i64> {
        let ty = Ty::from(self.find_tagged("struct", structure, span)?);
        let composite = self.find_composite(ty, span)?;
        let name = Name {
            span: span.clone(),
            text: member.into(),
        };
        let found = self.find_member(&composite, &name)?;
        Ok(i64::try_from(found.bit_offset / 8).unwrap_or(i64::MAX))
    }
}

/// The load of the pointer to an element, `offset` bytes into the head or into the element before.
fn link_spec(offset: i64, span: &Range<usize>) -> Result<ReadSpec> {
    let mut place = ReadLocation::root(root::READ);
    place.shift(offset.into(), span)?;
    place.read_spec(form::BYTES, 8, span)
}

#[cfg(test)]
mod tests {
    use qed_collector_ebpf::{form, root};

    use super::super::types::{Code, ReturnSlot};
    use super::ListKind;
    use crate::btf::build::Builder;
    use crate::btf::{ArgumentLocation, Btf, Parameter, TypeId};
    use crate::plan::expr::{
        CompiledPath, Decoder, ErrorClass, ExprError, ReadOptions, ReturnMeaning, Scope,
        compile_wanted,
    };

    /// Compile `path` with a limit, or without one, for a function with the parameter `task`, which has children in a ring, and groups in a
    /// list that NULL ends, 8 bytes into an array of two.
    fn read(path: &str, limit: bool) -> Result<CompiledPath, ExprError> {
        let mut b = Builder::default();
        let int = b.int("int", 4, true);
        let void = b.pointer(TypeId::VOID);
        let ring = b.structure(
            "list_head",
            16,
            &[("next", void, 0, 0), ("prev", void, 64, 0)],
        );
        let node = b.structure("hlist_node", 16, &[("next", void, 0, 0)]);
        let hash = b.structure("hlist_head", 8, &[("first", void, 0, 0)]);
        let table = b.array(hash, 2);
        let links = b.structure("links", 40, &[("pid", int, 0, 0), ("node", node, 64, 0)]);
        let parent = b.pointer(TypeId::VOID);
        let task = b.structure(
            "task",
            128,
            &[
                ("pid", int, 0, 0),
                ("children", ring, 64, 0),
                ("sibling", ring, 192, 0),
                ("groups", table, 320, 0),
                ("links", links, 448, 0),
                ("parent", parent, 832, 0),
            ],
        );
        let task = b.pointer(task);
        let data = b.bytes();
        let btf = Btf::parse(&data).unwrap();
        let parameter = Parameter {
            name: Some("task"),
            type_id: task,
            location: ArgumentLocation::Register(0),
        };
        let scope = Scope {
            btf: &btf,
            parameters: &[parameter],
            returned: ReturnMeaning::NotYet,
            code: Code {
                return_slot: &|_| Ok(ReturnSlot::Stack(0)),
                ..Code::UNKNOWN
            },
        };
        let wanted = ReadOptions {
            whole: true,
            limit,
            ..ReadOptions::default()
        };
        compile_wanted(path, &scope, wanted)
    }

    /// Check which loads walk a list: the address of its head, the pointer in there, those in the elements, and the value from the
    /// pointer to an element, which is in the middle of it.
    #[test]
    fn loads() {
        let ring = read(
            "list_for_each_entry(struct task, &task->children, sibling)->pid",
            true,
        );
        let hash = "hlist_for_each_entry(struct task, &task->groups[1], links.node)->pid";
        for (compiled, kind, head, first, next, value) in [
            (ring.unwrap(), ListKind::Ring, 8, 0, 0, -24),
            (read(hash, true).unwrap(), ListKind::Hash, 48, 0, 0, -64),
        ] {
            let list = compiled.list.unwrap();
            assert_eq!(list.kind, kind);
            assert_eq!(
                (list.head.form, list.head.root),
                (form::ADDRESS, root::ARGUMENT)
            );
            assert_eq!((list.head.offset, list.head.hop_count), (head, 0));
            for (link, offset) in [(list.first, first), (list.next, next)] {
                assert_eq!(
                    (link.root, link.form, link.size),
                    (root::READ, form::BYTES, 8)
                );
                assert_eq!((link.offset, link.hop_count), (offset, 0));
            }
            let spec = compiled.spec;
            assert_eq!((spec.root, spec.offset, spec.size), (root::READ, value, 4));
            assert!(matches!(compiled.decode, Decoder::Int { size: 4, .. }));
            assert_eq!(compiled.member.unwrap().name, "pid");
        }
    }

    /// Check that an element is a pointer like any other: it is read itself, whole, and followed.
    #[test]
    fn elements_are_pointers() {
        let element = "list_for_each_entry(struct task, &task->children, sibling)";
        let itself = read(element, true).unwrap();
        assert_eq!((itself.spec.form, itself.spec.offset), (form::ADDRESS, -24));
        let whole = read(&format!("*{element}"), true).unwrap();
        assert!(matches!(whole.decode, Decoder::Structure { .. }) && whole.more.len() == 1);
        let followed = read(&format!("((struct task *){element}->parent)->pid"), true).unwrap();
        assert_eq!((followed.spec.hop_count, followed.spec.hops[0]), (1, 80));
    }

    /// Check that a list of another kind, a member that links nothing, a list in a list, and a list without a limit or a limit without a
    /// list are refused, with the reason.
    #[test]
    fn refused() {
        let of = |head: &str, member: &str| {
            format!("list_for_each_entry(struct task, {head}, {member})->pid")
        };
        let inner = format!(
            "&{}",
            of("&task->children", "sibling").replace("->pid", "->children")
        );
        for (path, class, reason) in [
            (
                of("task->children", "sibling"),
                ErrorClass::Type,
                "write `&` before it",
            ),
            (
                of("task", "sibling"),
                ErrorClass::Type,
                "`struct task *` is no pointer to a `struct list_head`",
            ),
            (
                of("&task->groups[0]", "sibling"),
                ErrorClass::Type,
                "one that `hlist_for_each_entry` walks",
            ),
            (
                of("&task->children", "pid"),
                ErrorClass::Type,
                "a `struct list_head`, and this is `int`",
            ),
            (
                of("&task->children", "links.node"),
                ErrorClass::Type,
                "and this is `struct hlist_node`",
            ),
            (
                of("&task->children", "siblings"),
                ErrorClass::Unknown,
                "did you mean `sibling`",
            ),
            (of(&inner, "sibling"), ErrorClass::Limit, "a list of lists"),
            (
                "llist_for_each_entry(struct task, &task->children, sibling)".into(),
                ErrorClass::Type,
                "no pointer to a `struct llist_head`",
            ),
            (
                "list_for_each_entry(struct task, &task->children)".into(),
                ErrorClass::Syntax,
                "expected `,`",
            ),
            (
                "list_for_each_entry".into(),
                ErrorClass::Syntax,
                "needs its arguments",
            ),
            (
                "list_for_each_entri(task)".into(),
                ErrorClass::Syntax,
                "did you mean",
            ),
            (
                "task->pid".into(),
                ErrorClass::Type,
                "`limit` is for a path that walks a list",
            ),
        ] {
            let error = read(&path, true).unwrap_err();
            assert_eq!(error.class, class, "{path}: {error}");
            assert!(error.to_string().contains(reason), "{path}: {error}");
        }
        let error = read(&of("&task->children", "sibling"), false).unwrap_err();
        assert!(error.to_string().contains("`limit = 4`"), "{error}");
    }
}
