//! Going through a document by its tables.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::model::{Computed, Field};
use crate::document::names::Names;
use crate::document::pointer::Step;
use crate::document::value::{Address, Bytes, Datum, Frame};
use crate::document::{Backend, Context, FileRole, MachineKind, Reader, Target};

/// A structure of the document, with one row for each of its fields.
pub(crate) trait Structure {
    /// The rows, in the order of the fields.
    const FIELDS: &'static [Field];
    /// The leaves beside them that are computed.
    const COMPUTED: &'static [Computed];

    /// Visits each field.
    fn visit<'a, V: Visit<'a>>(&'a self, visit: &mut V) -> ControlFlow<V::Break>;

    /// Visits each field to change it.
    fn visit_mut<V: VisitMut>(&mut self, visit: &mut V);

    /// The names of its leaves, but for those in maps.
    fn leaf_names() -> impl Iterator<Item = &'static str> + Clone {
        let computed = Self::COMPUTED.iter().map(|computed| computed.name);
        Self::FIELDS
            .iter()
            .filter_map(Field::leaf_name)
            .chain(computed)
    }
}

/// A visitor of each field, until it gives something back.
pub(crate) trait Visit<'a>: Sized {
    /// The value that ends the visit.
    type Break;

    /// Goes into a field, or passes by.
    fn field(
        &mut self,
        _field: &'static Field,
        inside: impl FnOnce(&mut Self) -> ControlFlow<Self::Break>,
    ) -> ControlFlow<Self::Break> {
        inside(self)
    }

    /// Goes into an entry of a map or an item of a list.
    fn item(
        &mut self,
        _step: Step<'a>,
        inside: impl FnOnce(&mut Self) -> ControlFlow<Self::Break>,
    ) -> ControlFlow<Self::Break> {
        inside(self)
    }

    /// A value, or the reason why there is none.
    fn datum(&mut self, field: &'static Field, datum: &'a Datum) -> ControlFlow<Self::Break>;

    /// A frame of a stack that is not a value.
    fn frame(&mut self, _frame: &'a Frame) -> ControlFlow<Self::Break> {
        ControlFlow::Continue(())
    }

    /// A text, or a word of a fixed set.
    fn text(&mut self, _field: &'static Field, _text: &'a str) -> ControlFlow<Self::Break> {
        ControlFlow::Continue(())
    }

    /// A number that is not negative.
    fn number(&mut self, _field: &'static Field, _number: u64) -> ControlFlow<Self::Break> {
        ControlFlow::Continue(())
    }

    /// Yes or no.
    fn truth(&mut self, _field: &'static Field, _truth: bool) -> ControlFlow<Self::Break> {
        ControlFlow::Continue(())
    }
}

/// A visitor that changes each field.
pub(crate) trait VisitMut: Sized {
    /// True if the field is left out, or emptied where it cannot be.
    fn leaves_out(&self, field: &'static Field) -> bool;

    /// A value, or the reason why there is none.
    fn datum(&mut self, field: &'static Field, datum: &mut Datum);

    /// A frame of a stack that is not a value.
    fn frame(&mut self, field: &'static Field, frame: &mut Frame);

    /// A text; whether it stays.
    fn text(&mut self, field: &'static Field, text: &mut String) -> bool;
}

/// The content of a field.
pub(super) trait Content {
    fn accept<'a, V: Visit<'a>>(
        &'a self,
        field: &'static Field,
        visit: &mut V,
    ) -> ControlFlow<V::Break>;

    /// Visits it to change it; whether it stays.
    fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool;
}

impl Content for Datum {
    fn accept<'a, V: Visit<'a>>(
        &'a self,
        field: &'static Field,
        visit: &mut V,
    ) -> ControlFlow<V::Break> {
        visit.datum(field, self)
    }

    fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool {
        visit.datum(field, self);
        true
    }
}

impl Content for Frame {
    fn accept<'a, V: Visit<'a>>(
        &'a self,
        _field: &'static Field,
        visit: &mut V,
    ) -> ControlFlow<V::Break> {
        visit.frame(self)
    }

    fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool {
        visit.frame(field, self);
        true
    }
}

impl Content for String {
    fn accept<'a, V: Visit<'a>>(
        &'a self,
        field: &'static Field,
        visit: &mut V,
    ) -> ControlFlow<V::Break> {
        visit.text(field, self)
    }

    fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool {
        let stays = !visit.leaves_out(field) && visit.text(field, self);
        if !stays {
            self.clear();
        }
        stays
    }
}

impl<T: Content> Content for Option<T> {
    fn accept<'a, V: Visit<'a>>(
        &'a self,
        field: &'static Field,
        visit: &mut V,
    ) -> ControlFlow<V::Break> {
        match self {
            Some(part) => part.accept(field, visit),
            None => ControlFlow::Continue(()),
        }
    }

    fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool {
        if visit.leaves_out(field) {
            *self = None;
        }
        if self
            .as_mut()
            .is_some_and(|part| !part.accept_mut(field, visit))
        {
            *self = None;
        }
        true
    }
}

impl<T: Content> Content for Vec<T> {
    fn accept<'a, V: Visit<'a>>(
        &'a self,
        field: &'static Field,
        visit: &mut V,
    ) -> ControlFlow<V::Break> {
        for (index, part) in self.iter().enumerate() {
            visit.item(Step::Index(index), |visit| part.accept(field, visit))?;
        }
        ControlFlow::Continue(())
    }

    fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool {
        if visit.leaves_out(field) {
            self.clear();
        }
        self.retain_mut(|part| part.accept_mut(field, visit));
        true
    }
}

impl<T: Content> Content for BTreeMap<String, T> {
    fn accept<'a, V: Visit<'a>>(
        &'a self,
        field: &'static Field,
        visit: &mut V,
    ) -> ControlFlow<V::Break> {
        for (name, part) in self {
            visit.item(Step::Key(name), |visit| part.accept(field, visit))?;
        }
        ControlFlow::Continue(())
    }

    fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool {
        if visit.leaves_out(field) {
            self.clear();
        }
        self.retain(|_, part| part.accept_mut(field, visit));
        true
    }
}

/// Plain data that nothing changes.
macro_rules! plain {
    ($($kind:ty: |$this:ident, $field:ident, $visit:ident| $accept:expr;)*) => {$(
        impl Content for $kind {
            fn accept<'a, V: Visit<'a>>(
                &'a self,
                $field: &'static Field,
                $visit: &mut V,
            ) -> ControlFlow<V::Break> {
                let $this = self;
                $accept
            }

            fn accept_mut<V: VisitMut>(&mut self, field: &'static Field, visit: &mut V) -> bool {
                !visit.leaves_out(field)
            }
        }
    )*};
}

plain! {
    u64: |this, field, visit| visit.number(field, *this);
    u32: |this, field, visit| visit.number(field, (*this).into());
    // Ids of processes, which are never negative.
    i32: |this, field, visit| visit.number(field, u64::try_from(*this).unwrap_or_default());
    // The result of a call in a tree, of which nothing is published.
    i64: |this, field, visit| visit.number(field, this.unsigned_abs());
    bool: |this, field, visit| visit.truth(field, *this);
    MachineKind: |this, field, visit| visit.text(field, this.name());
    Backend: |this, field, visit| visit.text(field, this.name());
    Context: |this, field, visit| visit.text(field, this.name());
    Reader: |_this, _field, _visit| ControlFlow::Continue(());
    Target: |_this, _field, _visit| ControlFlow::Continue(());
    FileRole: |_this, _field, _visit| ControlFlow::Continue(());
    Address: |_this, _field, _visit| ControlFlow::Continue(());
    Bytes: |_this, _field, _visit| ControlFlow::Continue(());
    // The kernel's own tables, which hold no values.
    Names: |_this, _field, _visit| ControlFlow::Continue(());
}

/// One table for each structure: `field ("key"): leaf, publish;`, and the computed leaves after `+`.
macro_rules! structures {
    ($($name:ident {
        $($field:ident $(($key:literal))?: $leaf:expr, $publish:expr;)*
        $(+ $computed:literal: $computed_leaf:expr;)*
    })*) => {
        /// The structures with their rows, for tests.
        #[cfg(test)]
        pub(crate) const STRUCTURES: &[(&str, &[$crate::document::fields::model::Field])] = &[$(
            (
                stringify!($name),
                <$name as $crate::document::fields::visitor::Structure>::FIELDS,
            ),
        )*];

        /// Their computed leaves, for tests.
        #[cfg(test)]
        pub(crate) const COMPUTED: &[&[$crate::document::fields::model::Computed]] = &[$(
            <$name as $crate::document::fields::visitor::Structure>::COMPUTED,
        )*];

        $(
        impl $crate::document::fields::visitor::Structure for $name {
            const FIELDS: &'static [$crate::document::fields::model::Field] = &[$(
                $crate::document::fields::model::Field {
                    key: $crate::document::fields::visitor::key!($field $(, $key)?),
                    leaf: $leaf,
                    publish: $publish,
                },
            )*];
            const COMPUTED: &'static [$crate::document::fields::model::Computed] = &[$(
                $crate::document::fields::model::Computed {
                    name: $computed,
                    rule: $crate::document::fields::model::rows::rule($computed_leaf),
                },
            )*];

            fn visit<'a, V: $crate::document::fields::visitor::Visit<'a>>(
                &'a self,
                visit: &mut V,
            ) -> std::ops::ControlFlow<V::Break> {
                // Without `..`: a field that has no row does not compile.
                let $name { $($field),* } = self;
                $(
                    let field = const {
                        &$crate::document::fields::model::Field {
                            key: $crate::document::fields::visitor::key!($field $(, $key)?),
                            leaf: $leaf,
                            publish: $publish,
                        }
                    };
                    visit.field(field, |visit| {
                        $crate::document::fields::visitor::Content::accept($field, field, visit)
                    })?;
                )*
                std::ops::ControlFlow::Continue(())
            }

            fn visit_mut<V: $crate::document::fields::visitor::VisitMut>(&mut self, visit: &mut V) {
                let $name { $($field),* } = self;
                let mut fields = <Self as $crate::document::fields::visitor::Structure>::FIELDS.iter();
                $(
                    if let Some(field) = fields.next() {
                        $crate::document::fields::visitor::Content::accept_mut($field, field, visit);
                    }
                )*
            }
        }

        impl $crate::document::fields::visitor::Content for $name {
            fn accept<'a, V: $crate::document::fields::visitor::Visit<'a>>(
                &'a self,
                field: &'static $crate::document::fields::model::Field,
                visit: &mut V,
            ) -> std::ops::ControlFlow<V::Break> {
                debug_assert!(field.holds_structures(), "{field:?}");
                $crate::document::fields::visitor::Structure::visit(self, visit)
            }

            fn accept_mut<V: $crate::document::fields::visitor::VisitMut>(
                &mut self,
                field: &'static $crate::document::fields::model::Field,
                visit: &mut V,
            ) -> bool {
                debug_assert!(field.holds_structures(), "{field:?}");
                $crate::document::fields::visitor::Structure::visit_mut(self, visit);
                true
            }
        }
        )*
    };
}

/// The key of a field in JSON.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident, $key:literal) => {
        $key
    };
}

pub(super) use {key, structures};
