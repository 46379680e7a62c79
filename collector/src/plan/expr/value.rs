//! The meaning of a part of a path while it is compiled: a location in the kernel and the type of its content.

use super::types::{ErrorClass, ExprError, PathMember};
use crate::btf::{Btf, BtfError, StrippedType, Type, TypeId};
use qed_collector_ebpf::{MAX_HOPS, NO_CPU, ReadSpec, THIS_CPU};
use std::ops::Range;

/// A type of the BTF with stars added, because BTF need not hold every pointer type that a path makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ty {
    pub base: TypeId,
    pub stars: u32,
    /// The innermost of the stars points into the task's memory.
    pub user: bool,
}

/// A type, seen from outside.
pub(super) enum Shape<'a> {
    Pointer(Pointee<'a>),
    /// Not a pointer, or `void`.
    Plain(StrippedType<'a>),
}

/// The target of a pointer.
pub(super) struct Pointee<'a> {
    pub ty: Ty,
    /// In the task's memory.
    pub user: bool,
    /// Its address is relative to a CPU's area.
    pub percpu: bool,
    /// `None`: another pointer.
    pub plain: Option<Type<'a>>,
}

impl From<TypeId> for Ty {
    fn from(base: TypeId) -> Self {
        Ty {
            base,
            stars: 0,
            user: false,
        }
    }
}

impl Ty {
    /// A pointer to this, which is in user memory if `user`.
    pub fn pointer_to(self, user: bool) -> Ty {
        Ty {
            stars: self.stars + 1,
            user: self.user || user,
            ..self
        }
    }

    pub fn name(self, btf: &Btf) -> Result<String, BtfError> {
        let mut stars = "*".repeat(self.stars as usize);
        if self.user {
            stars.insert_str(0, "__user ");
        }
        if self.stars > 0 && matches!(btf.get(self.base)?, Type::Array { .. } | Type::Prototype(_))
        {
            stars = format!("({stars})");
        }
        btf.declaration(self.base, &stars)
    }

    pub fn shape<'a>(self, btf: &Btf<'a>) -> Result<Shape<'a>, BtfError> {
        if self.stars > 0 {
            let ty = Ty {
                stars: self.stars - 1,
                user: self.user && self.stars > 1,
                ..self
            };
            return Ok(Shape::Pointer(Pointee {
                ty,
                user: self.user && self.stars == 1,
                percpu: false,
                plain: ty.plain_type(btf)?,
            }));
        }
        let stripped = btf.strip(self.base)?;
        let Type::Pointer(to) = stripped.ty else {
            return Ok(Shape::Plain(stripped));
        };
        // Tags of what is pointed to describe the pointer.
        let target = btf.strip(to)?;
        let ty = Ty::from(to);
        Ok(Shape::Pointer(Pointee {
            ty,
            user: target.user,
            percpu: target.percpu,
            plain: ty.plain_type(btf)?,
        }))
    }

    fn plain_type<'a>(self, btf: &Btf<'a>) -> Result<Option<Type<'a>>, BtfError> {
        if self.stars > 0 {
            return Ok(None);
        }
        let ty = btf.strip(self.base)?.ty;
        Ok((!matches!(ty, Type::Pointer(_))).then_some(ty))
    }

    pub fn size(self, btf: &Btf) -> Result<Option<u64>, BtfError> {
        if self.stars > 0 {
            Ok(Some(8))
        } else {
            btf.size_of(self.base)
        }
    }
}

/// The place at which a path has arrived: the fields of a [`ReadSpec`] that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadLocation {
    pub root: u32,
    pub root_index: u32,
    pub constant: u64,
    pub hops: Vec<i32>,
    pub offset: i64,
    /// Number of hops behind which there is a per-CPU pointer, and the CPU that it is followed on; `None`: the one of the hit.
    pub cpu: Option<(usize, Option<u32>)>,
}

impl ReadLocation {
    pub fn root(root: u32) -> Self {
        ReadLocation {
            root,
            root_index: 0,
            constant: 0,
            hops: Vec::new(),
            offset: 0,
            cpu: None,
        }
    }

    fn checked_offset(&self, span: &Range<usize>) -> Result<i32, ExprError> {
        i32::try_from(self.offset).map_err(|_| {
            ExprError::new(
                ErrorClass::Limit,
                span,
                format!(
                    "it is {} bytes away, more than a read can reach",
                    self.offset
                ),
            )
        })
    }

    /// Load the pointer at this place, and continue at its target.
    pub fn hop(&mut self, span: &Range<usize>) -> Result<(), ExprError> {
        if self.hops.len() >= MAX_HOPS {
            return Err(ExprError::new(
                ErrorClass::Limit,
                span,
                format!("it follows more than {MAX_HOPS} pointers: start nearer, at another probe"),
            ));
        }
        self.hops.push(self.checked_offset(span)?);
        self.offset = 0;
        Ok(())
    }

    /// Move by `bytes`.
    pub fn shift(&mut self, bytes: i128, span: &Range<usize>) -> Result<(), ExprError> {
        // Anything beyond 32 bits is refused, so clamping cannot change which place is read.
        self.offset = i128::from(self.offset)
            .saturating_add(bytes)
            .clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        self.checked_offset(span).map(|_| ())
    }

    /// Take what this place leads to for a per-CPU pointer, and continue in the memory of a CPU, `None`: that of the hit.
    pub fn on_cpu(&mut self, cpu: Option<u32>, span: &Range<usize>) -> Result<(), ExprError> {
        if self.cpu.is_some() {
            return Err(ExprError::new(
                ErrorClass::Limit,
                span,
                "one read can follow one per-CPU pointer: start nearer, at another probe",
            ));
        }
        self.cpu = Some((self.hops.len(), cpu));
        Ok(())
    }

    pub fn read_spec(
        &self,
        form: u32,
        size: u32,
        span: &Range<usize>,
    ) -> Result<ReadSpec, ExprError> {
        let mut hops = [0; MAX_HOPS];
        for (to, &from) in hops.iter_mut().zip(&self.hops) {
            *to = from;
        }
        let mut per_cpu = [0; MAX_HOPS + 1];
        let mut cpu = NO_CPU;
        if let Some((hop, number)) = self.cpu {
            let place = if hop == self.hops.len() {
                MAX_HOPS
            } else {
                hop
            };
            per_cpu[place] = -1;
            cpu = number.unwrap_or(THIS_CPU);
        }
        Ok(ReadSpec {
            constant: self.constant,
            root: self.root,
            root_index: self.root_index,
            hops,
            hop_count: self.hops.len() as u32,
            offset: self.checked_offset(span)?,
            form,
            size,
            per_cpu,
            cpu,
            ..ReadSpec::zero()
        })
    }
}

/// The origin of a value, from what can be trusted most to what can be least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The kernel's types declare it; or they do not, and the author casts a `void *` to it.
    #[default]
    Kernel,
    /// A pointer whose type is known, and was cast away.
    Erased,
    /// A part of a number that can be an address, or memory under another type than the kernel's.
    Retyped,
    /// A secret of the kernel, under whatever type.
    Secret,
}

/// The meaning of a part of a path.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub place: ReadLocation,
    pub ty: Ty,
    pub holds: ValueSource,
    /// The member that the path has arrived at.
    pub member: Option<PathMember>,
    /// The room for elements that are counted from here.
    pub extent: Extent,
    /// Its relation to what the kernel's own types say about it.
    pub origin: Origin,
}

/// The room for the elements of an array, or for data beside an object: in bytes from the last pointer that was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Only where the value itself stands.
    Own,
    /// Nobody says: it is a pointer that was loaded or handed over.
    Free,
    /// From the first byte to the one after the last, which is not known for an array without a length.
    Within(i64, Option<i64>),
}

impl Value {
    /// Something that is not a member of a structure.
    pub fn new(place: ReadLocation, ty: Ty, holds: ValueSource, extent: Extent) -> Self {
        Value {
            place,
            ty,
            holds,
            member: None,
            extent,
            origin: Origin::Kernel,
        }
    }
}

/// The way in which a [`ReadLocation`] gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// The value is the address arrived at.
    Itself,
    /// The value is in kernel memory there.
    Kernel,
    /// The value is in the task's memory there.
    User,
    /// The value is a bit field in kernel memory there.
    Bits { bit_offset: u32, bits: u32 },
    /// So many bytes of code are there.
    Code(u32),
}
