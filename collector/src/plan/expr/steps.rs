//! The operators of a path: each turns one [`Value`] into the next.

use super::compile::{Compiler, Result, TakenElement, WithSpan, type_error};
use super::parse::{Expr, Name, TypeText};
use super::types::{ErrorClass, ExprError};
use super::value::{Extent, Origin, Pointee, ReadLocation, Shape, Ty, Value, ValueSource};
use crate::btf::Type;
use std::ops::Range;

impl<'a> Compiler<'_, '_, 'a> {
    pub(super) fn compile_member(
        &self,
        of: &Expr,
        arrow: bool,
        name: &Name,
        span: &Range<usize>,
    ) -> Result<Value> {
        let value = self.compile_expr(of)?;
        let shape = value.ty.shape(self.btf()).with_span(&of.span)?;
        let origin = value.origin;
        // An arrow leads to another object; a dot stays in the same one.
        let around = value.member.clone().filter(|_| !arrow);
        let owner = match &shape {
            Shape::Pointer(target) => target.ty,
            Shape::Plain(_) => value.ty,
        };
        let (mut place, user, composite) = match (shape, arrow) {
            (Shape::Pointer(target), true) => {
                let place = self.follow_pointer(value, &target, &of.span)?;
                (
                    place,
                    target.user,
                    self.find_composite(target.ty, &of.span)?,
                )
            }
            (Shape::Plain(_), false) => {
                let user = match value.holds {
                    ValueSource::Kernel => false,
                    ValueSource::User => true,
                    _ => return self.no_members_error(value.ty, &of.span),
                };
                let composite = self.find_composite(value.ty, &of.span)?;
                (value.place, user, composite)
            }
            (Shape::Pointer(_), false) => {
                let ty = value.ty.name(self.btf()).with_span(&of.span)?;
                return type_error(
                    &name.span,
                    format!("`{ty}` is a pointer: write `->{}`", name.text),
                );
            }
            (Shape::Plain(_), true) => {
                let ty = value.ty.name(self.btf()).with_span(&of.span)?;
                return type_error(
                    &name.span,
                    format!("`{ty}` is not a pointer: `->` does not apply to it"),
                );
            }
        };
        let member = self.find_member(&composite, name)?;
        place.shift(i128::from(member.bit_offset / 8), span)?;
        let bit_offset = (member.bit_offset % 8) as u32;
        let holds = match (member.bits, user) {
            (0, false) if bit_offset == 0 => ValueSource::Kernel,
            (0, true) if bit_offset == 0 => ValueSource::User,
            (0, _) => {
                return Err(ExprError::new(
                    ErrorClass::Btf,
                    &name.span,
                    "the kernel's BTF places it inside a byte",
                ));
            }
            (_, true) => return type_error(span, "bit fields in the task's memory cannot be read"),
            (bits, false) => ValueSource::Bits { bit_offset, bits },
        };
        let bytes = member.bit_offset / 8;
        let seen = match around {
            Some(around) => super::types::PathMember {
                name: format!("{}.{}", around.name, name.text),
                offset: around.offset + bytes,
                ..around
            },
            None => super::types::PathMember {
                structure: self.btf().type_name(composite.id).with_span(span)?,
                name: name.text.clone(),
                offset: bytes,
            },
        };
        Ok(Value {
            place,
            ty: member.type_id.into(),
            holds,
            member: Some(seen),
            extent: Extent::Own,
            origin: self.origin_of_member(origin, owner, &name.text, span)?,
        })
    }

    /// Follow the pointer `value`.
    pub fn follow_pointer(
        &self,
        mut value: Value,
        target: &Pointee,
        span: &Range<usize>,
    ) -> Result<ReadLocation> {
        if target.percpu {
            return type_error(
                span,
                "it is a per-CPU pointer, which is not an address by itself: write `this_cpu_ptr(…)` or `per_cpu_ptr(…, CPU)` around it",
            );
        }
        match value.holds {
            ValueSource::Itself => {}
            ValueSource::Kernel | ValueSource::Code(0) => value.place.hop(span)?,
            ValueSource::User => {
                return Err(ExprError::new(
                    ErrorClass::Limit,
                    span,
                    "it is a pointer in the task's memory, which a read cannot follow",
                ));
            }
            ValueSource::Bits { .. } | ValueSource::Code(_) => {
                return type_error(span, "it is not a pointer");
            }
        }
        Ok(value.place)
    }

    /// Element `index` of an array, or what is `index` elements after a pointer, or before it.
    pub(super) fn compile_index(
        &self,
        value: Value,
        index: i128,
        span: &Range<usize>,
    ) -> Result<Value> {
        let (around, origin) = (value.member.clone(), value.origin);
        let mut seen = None;
        let mut extent = Extent::Free;
        let (mut place, element, holds) = match value.ty.shape(self.btf()).with_span(span)? {
            Shape::Pointer(target) => {
                // `&x` may only be indexed within `x`; how much other pointers lead to is not known.
                if value.holds == ValueSource::Itself {
                    extent = value.extent;
                }
                let place = self.follow_pointer(value, &target, span)?;
                let holds = if target.user {
                    ValueSource::User
                } else {
                    ValueSource::Kernel
                };
                (place, target.ty, holds)
            }
            Shape::Plain(plain) => match plain.ty {
                Type::Array { element, count }
                    if matches!(value.holds, ValueSource::Kernel | ValueSource::User) =>
                {
                    if index < 0 || count > 0 && index >= i128::from(count) {
                        return type_error(
                            span,
                            format!(
                                "element {index} is asked of an array of {count}, counted from 0"
                            ),
                        );
                    }
                    seen = around;
                    extent = self.array_extent(&value, span)?;
                    (value.place, element.into(), value.holds)
                }
                _ => {
                    let ty = value.ty.name(self.btf()).with_span(span)?;
                    let row = value.member.filter(|member| member.name.ends_with(']'));
                    let flat = row.map_or("", |_| {
                        "; the kernel's types have a table of rows as one array of all elements: the one in column C of \
                         row R is [R * COLUMNS + C]"
                    });
                    return type_error(
                        span,
                        format!("`{ty}` is neither a pointer nor an array{flat}"),
                    );
                }
            },
        };
        let element = self.complete_type(element, span)?;
        let Some(size) = element.size(self.btf()).with_span(span)? else {
            let ty = element.name(self.btf()).with_span(span)?;
            return type_error(
                span,
                format!("it points to `{ty}`, which has no size: say what it is with a cast"),
            );
        };
        let bytes = i128::from(size).saturating_mul(index);
        place.shift(bytes, span)?;
        self.check_index(extent, &place, size, index, span)?;
        let member = seen.map(|seen| super::types::PathMember {
            name: format!("{}[{index}]", seen.name),
            offset: seen.offset + u64::try_from(bytes).unwrap_or_default(),
            ..seen
        });
        Ok(Value {
            place,
            ty: element,
            holds,
            member,
            extent,
            origin,
        })
    }

    /// The extent of the elements of the array `value`.
    fn array_extent(&self, value: &Value, span: &Range<usize>) -> Result<Extent> {
        // The whole size of an array without a length is 0.
        let size = value
            .ty
            .size(self.btf())
            .with_span(span)?
            .filter(|size| *size > 0);
        let start = value.place.offset;
        let end = size.map(|size| start.saturating_add_unsigned(size));
        Ok(Extent::Within(start, end))
    }

    /// Refuse an index outside the array. If its type does not give its length, the element is recorded for a check at run
    /// time.
    fn check_index(
        &self,
        room: Extent,
        place: &ReadLocation,
        size: u64,
        index: i128,
        span: &Range<usize>,
    ) -> Result<()> {
        let at = place.offset;
        let (index, flexible, start) = match room {
            Extent::Within(start, Some(end)) => {
                let behind = at.saturating_add_unsigned(size);
                if at < start || behind > end {
                    return type_error(
                        span,
                        format!(
                            "element {index} there would be the bytes {} to {} of {}",
                            at - start,
                            behind - start,
                            end - start
                        ),
                    );
                }
                return Ok(());
            }
            Extent::Within(start, None) => {
                let Ok(distance) = u64::try_from(at - start) else {
                    return type_error(
                        span,
                        format!("element {index} there would be before the array"),
                    );
                };
                (distance / size.max(1), true, start)
            }
            Extent::Own | Extent::Free => match u64::try_from(index) {
                Ok(index) => (index, false, 0),
                // Before a pointer is nothing that is counted.
                Err(_) => return Ok(()),
            },
        };
        let array = (place.hops.len(), start);
        let mut taken = self.element.borrow_mut();
        match &*taken {
            Some(other) if other.element.flexible && flexible && other.array != array => {
                return type_error(
                    span,
                    "it takes elements of two arrays whose length is not known: read one of them at another probe",
                );
            }
            Some(other) if other.element.flexible && !flexible => {}
            // A further index into the same array selects another element of it.
            _ => {
                let span = span.clone();
                let element = super::types::Element {
                    index,
                    flexible,
                    span,
                };
                *taken = Some(TakenElement { element, array });
            }
        }
        Ok(())
    }

    pub(super) fn compile_address_of(&self, value: Value, span: &Range<usize>) -> Result<Value> {
        let user = match value.holds {
            ValueSource::Kernel | ValueSource::Code(_) => false,
            ValueSource::User => true,
            ValueSource::Bits { .. } => return type_error(span, "a bit field has no address"),
            ValueSource::Itself => {
                return type_error(span, "it is a value in a register, which has no address");
            }
        };
        let room = match value.extent {
            // A type without a size is never counted in.
            Extent::Own => self.array_extent(&value, span)?,
            room => room,
        };
        let ty = value.ty.pointer_to(user);
        let origin = value.origin;
        Ok(Value {
            origin,
            ..Value::new(value.place, ty, ValueSource::Itself, room)
        })
    }

    pub(super) fn compile_cast(
        &self,
        text: &TypeText,
        value: Value,
        span: &Range<usize>,
    ) -> Result<Value> {
        let ty = self.find_type(text)?;
        let to = match ty.shape(self.btf()).with_span(&text.span)? {
            Shape::Pointer(_) => Some(8),
            Shape::Plain(plain) => match plain.ty {
                Type::Int(int) if !int.boolean && int.size <= 8 => Some(u64::from(int.size)),
                Type::Enum(enumeration) => Some(u64::from(enumeration.size)),
                _ => None,
            },
        };
        let Some(to) = to else {
            return type_error(
                &text.span,
                "a cast goes to a pointer, an integer or an enumeration",
            );
        };
        let mut room = match value.holds {
            ValueSource::Itself => value.extent,
            _ => Extent::Free,
        };
        let (from, holds) = match value.ty.shape(self.btf()).with_span(span)? {
            _ if matches!(value.holds, ValueSource::Bits { .. }) => {
                return type_error(span, "a bit field cannot be cast");
            }
            _ if matches!(value.holds, ValueSource::Code(1..)) => {
                return type_error(span, "code cannot be cast: take its address with `&`");
            }
            Shape::Pointer(_) => (8, value.holds),
            Shape::Plain(plain) => match plain.ty {
                Type::Int(int) if int.size <= 8 => (u64::from(int.size), value.holds),
                Type::Enum(enumeration) => (u64::from(enumeration.size), value.holds),
                // As in C, an array stands for the address of its first element.
                Type::Array { .. } => {
                    if value.holds == ValueSource::User && !text.user {
                        return type_error(
                            &text.span,
                            "it is in the task's memory: cast with `__user`",
                        );
                    }
                    room = self.array_extent(&value, span)?;
                    (8, ValueSource::Itself)
                }
                _ => {
                    let name = value.ty.name(self.btf()).with_span(span)?;
                    return type_error(
                        span,
                        format!(
                            "`{name}` cannot be cast: name a member of it, or take its address with `&`"
                        ),
                    );
                }
            },
        };
        self.refuse_split_pointer(&value, ty, to, span)?;
        if to > from {
            let (name, wide) = (value.ty.name(self.btf()), ty.name(self.btf()));
            return type_error(
                span,
                format!(
                    "a cast cannot widen `{}` of {from} bytes to `{}` of {to}",
                    name.with_span(span)?,
                    wide.with_span(span)?
                ),
            );
        }
        Ok(Value {
            origin: self.origin_of_cast(&value, ty, span)?,
            place: value.place,
            ty,
            holds,
            member: value.member,
            extent: room,
        })
    }

    /// Refuse to read a pointer in parts: as plain numbers they could be published, and give a live machine's address away.
    fn refuse_split_pointer(
        &self,
        value: &Value,
        ty: Ty,
        size: u64,
        span: &Range<usize>,
    ) -> Result<()> {
        let Shape::Pointer(from) = value.ty.shape(self.btf()).with_span(span)? else {
            return Ok(());
        };
        let parts = match ty.shape(self.btf()).with_span(span)? {
            Shape::Plain(_) => size < 8,
            Shape::Pointer(to) => {
                from.plain.is_none() && !matches!(to.plain, None | Some(Type::Void))
            }
        };
        match parts {
            true => type_error(
                span,
                "a pointer is read as a whole: its parts would be numbers that nothing tells from others",
            ),
            false => Ok(()),
        }
    }

    pub(super) fn compile_container_of(
        &self,
        of: &Expr,
        text: &TypeText,
        names: &[Name],
    ) -> Result<Value> {
        let value = self.compile_expr(of)?;
        let Shape::Pointer(target) = value.ty.shape(self.btf()).with_span(&of.span)? else {
            let ty = value.ty.name(self.btf()).with_span(&of.span)?;
            return type_error(&of.span, format!("`{ty}` is not a pointer"));
        };
        let (container, ty, offset) = self.find_inner_member(text, names)?;
        // The kernel's macro refuses the same mistake.
        // https://elixir.bootlin.com/linux/v6.1/source/include/linux/container_of.h#L19
        let opaque = matches!(target.plain, Some(Type::Void));
        let (points_to, is) = (
            self.bare_name(target.ty, &of.span)?,
            self.bare_name(ty, &of.span)?,
        );
        if !opaque && points_to != is {
            return type_error(
                &of.span,
                format!("it points to `{points_to}`, the member is `{is}`"),
            );
        }
        // Around a member of something whose type is known there is only that.
        let origin = match value.extent {
            Extent::Within(..) => Origin::Retyped,
            Extent::Own | Extent::Free => value.origin,
        };
        let mut place = self.follow_pointer(value, &target, &of.span)?;
        place.shift(-offset, &of.span)?;
        let ty = container.pointer_to(target.user);
        Ok(Value {
            origin,
            ..Value::new(place, ty, ValueSource::Itself, Extent::Free)
        })
    }

    /// The type in `text`, and the type of a member in it, with its offset in bytes.
    pub(super) fn find_inner_member(
        &self,
        text: &TypeText,
        names: &[Name],
    ) -> Result<(Ty, Ty, i128)> {
        let container = self.find_type(text)?;
        let mut composite = self.find_composite(container, &text.span)?;
        let mut offset = 0;
        let mut ty = container;
        for (nth, name) in names.iter().enumerate() {
            if nth > 0 {
                composite = self.find_composite(ty, &name.span)?;
            }
            let member = self.find_member(&composite, name)?;
            if member.bits != 0 {
                return type_error(&name.span, "a bit field has no address");
            }
            offset += i128::from(member.bit_offset / 8);
            ty = member.type_id.into();
        }
        Ok((container, ty, offset))
    }

    /// The name of `ty` without typedefs and qualifiers at its top.
    pub(super) fn bare_name(&self, ty: Ty, span: &Range<usize>) -> Result<String> {
        let base = if ty.stars == 0 {
            self.btf().strip(ty.base).with_span(span)?.id
        } else {
            ty.base
        };
        Ty { base, ..ty }.name(self.btf()).with_span(span)
    }
}
