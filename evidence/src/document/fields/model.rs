//! The rows of the tables.

use serde::{Deserialize, Serialize};

/// When a value may change without anything being wrong.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// With every run: times, process ids, heap addresses.
    PerRun,
    /// With every boot: text addresses, the slide.
    PerBoot,
    /// With the kernel build: source lines, offsets, sizes.
    PerKernel,
    /// Never, as long as the investigation stays the same.
    Invariant,
}

/// A field of a structure of the document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name in JSON.
    pub key: &'static str,
    /// Its path.
    pub leaf: PathRule,
    /// The rule by which a live machine publishes it.
    pub publish: Publish,
}

/// The path of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathRule {
    /// It has none, and nothing below it has one.
    Unlisted,
    /// It is a value.
    Listed {
        /// Its name, where that is not its key.
        name: Option<&'static str>,
        /// What is true of the value.
        rule: LeafRule,
    },
    /// It is a map: paths of its entries have the field's key and the entry's name.
    Map(LeafRule),
    /// It is a structure whose values have paths beside this field's.
    Inline,
}

/// What is true of a leaf in every document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeafRule {
    /// When it may change.
    pub changes: Changes,
    /// The form of a number.
    pub form: Form,
    /// The values that it can have.
    pub bounds: Bounds,
    /// The capture decides whether there is a value, not the kernel: it comes and goes as often as the value changes.
    pub optional: bool,
}

/// The values that a leaf can have on any machine, beyond what their kind says. The negative control tries no others: a claim
/// that fails only on those is true of all evidence. So a bound that is missing here weakens the control, and one that is wrong
/// strengthens it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The investigation alone determines the value, so that nothing in the kernel could have changed it.
    pub given: bool,
    /// A text is always of one form: as long, digits where this one has digits, and all else the same. Identifiers, digests and
    /// times, which the collector or the linker writes.
    pub formed: bool,
    /// A text or bytes can be empty: those that are read from memory, or written by a program.
    pub may_be_empty: bool,
    /// The lowest and the highest number.
    pub range: Option<(i128, i128)>,
    /// The only words.
    pub words: Option<&'static [&'static str]>,
}

/// The source of a value's drift class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// It is the same for all values of the field.
    Always(Drift),
    /// The value itself says so: it was read from memory or registers.
    ByValue,
    /// By where the command ran.
    ByReader,
}

/// The kind of value that a leaf makes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The kind that belongs to the field's type; a number is a count.
    Plain,
    /// The number of something, or the place in a count: never negative, and comparable with other counts alone.
    Count,
    /// The place among the events of an experiment: a count that means nothing beside those of another experiment.
    Order,
    /// Nanoseconds.
    Time,
    /// The time of an event, counted within its experiment.
    Moment,
    /// A process or thread.
    Pid,
    /// A distance in bytes.
    Offset,
    /// A statement about the caller of a hit, which older evidence cannot make.
    Caller,
    /// What a system call of the workload returned, as the kernel returns it: an error is negative.
    Returned,
}

/// The rule by which the evidence of a live machine publishes a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// Unchanged: only the collector, the investigation or the kernel's own tables can have written it. Names of functions,
    /// types and probes, counts, orders, times, process ids.
    Public,
    /// The rules of the fields below it.
    Below,
    /// A pseudonym in the place of each address, and nothing else changes.
    Pseudonyms,
    /// Nothing: the field is left out.
    Nothing,
    /// The same reason in its place, whatever it was.
    Withheld(FieldWithholdReason),
    /// Any value; of a reason only known words.
    Value,
    /// A value whose kind is harmless; of a reason only known words.
    Kind,
    /// The same, or what the investigation declares public.
    Declared,
    /// Hexadecimal digits.
    Hex,
    /// A list of words joined by commas.
    List,
    /// A choice or a number of the kernel's configuration.
    Setting,
    /// Text of known words.
    Phrase,
    /// Text of known words, or the reason why it is withheld.
    Sentence,
    /// An address, or text of known words, that a command printed.
    Printed,
    /// An empty text.
    Empty,
    /// Kernel stacks, with places in the kernel's source alone.
    Frames,
    /// A place in the kernel's source; otherwise the field is left out.
    SourceFile,
    /// A file's name, without its folder.
    FileName,
    /// A decision that needs other fields: code in `redact::in_context`.
    InContext,
}

/// The reason why a field is withheld as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldWithholdReason {
    /// It identifies a boot.
    Boot,
    /// It reveals where the kernel is.
    Slide,
    /// A system call wrote it.
    Buffer,
}

/// A leaf that is computed from several fields.
#[derive(Debug)]
pub(crate) struct Computed {
    /// Its name.
    pub name: &'static str,
    /// What is true of it.
    pub rule: LeafRule,
}

/// The drift class of a computed leaf of this table. At compile time: a name that the table does not have is an error.
pub(crate) const fn drift(table: &[Computed], name: &str) -> Drift {
    let mut index = 0;
    while index < table.len() {
        if equal(table[index].name.as_bytes(), name.as_bytes()) {
            let Changes::Always(drift) = table[index].rule.changes else {
                panic!("a computed leaf has one drift class");
            };
            return drift;
        }
        index += 1;
    }
    panic!("no computed leaf has this name")
}

/// The key of a row of this table. At compile time: a key that the table does not have is an error.
pub(crate) const fn key(table: &[Field], key: &str) -> &'static str {
    let mut index = 0;
    while index < table.len() {
        if equal(table[index].key.as_bytes(), key.as_bytes()) {
            return table[index].key;
        }
        index += 1;
    }
    panic!("no field has this key")
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The values of rows, as the tables write them.
pub(super) mod rows {
    use super::{Bounds, Changes, Drift, Form, LeafRule, PathRule};

    pub(crate) const UNLISTED: PathRule = PathRule::Unlisted;
    pub(crate) const INLINE: PathRule = PathRule::Inline;
    pub(crate) const PER_RUN: PathRule = always(Drift::PerRun);
    pub(crate) const PER_BOOT: PathRule = always(Drift::PerBoot);
    pub(crate) const PER_KERNEL: PathRule = always(Drift::PerKernel);
    pub(crate) const INVARIANT: PathRule = always(Drift::Invariant);
    pub(crate) const BY_VALUE: PathRule = listed_leaf(Changes::ByValue);
    pub(crate) const BY_READER: PathRule = listed_leaf(Changes::ByReader);

    const fn listed_leaf(changes: Changes) -> PathRule {
        PathRule::Listed {
            name: None,
            rule: LeafRule {
                changes,
                form: Form::Plain,
                bounds: NONE,
                optional: false,
            },
        }
    }

    const NONE: Bounds = Bounds {
        given: false,
        formed: false,
        may_be_empty: false,
        range: None,
        words: None,
    };

    const fn always(drift: Drift) -> PathRule {
        listed_leaf(Changes::Always(drift))
    }

    /// A map of such values.
    pub(crate) const fn map(leaf: PathRule) -> PathRule {
        PathRule::Map(rule(leaf))
    }

    /// Such a value under another name than its key.
    pub(crate) const fn named(name: &'static str, leaf: PathRule) -> PathRule {
        PathRule::Listed {
            name: Some(name),
            rule: rule(leaf),
        }
    }

    /// Such a value in another form.
    pub(crate) const fn form(form: Form, leaf: PathRule) -> PathRule {
        let rule = rule(leaf);
        with_rule(LeafRule { form, ..rule }, leaf)
    }

    /// Such a value, which counts something.
    pub(crate) const fn counted(leaf: PathRule) -> PathRule {
        form(Form::Count, leaf)
    }

    /// Such a value, which the investigation alone determines.
    pub(crate) const fn given(leaf: PathRule) -> PathRule {
        let given = true;
        let bounds = rule(leaf).bounds;
        with_bounds(Bounds { given, ..bounds }, leaf)
    }

    /// Such a text, which is always of one form.
    pub(crate) const fn formed(leaf: PathRule) -> PathRule {
        let formed = true;
        let bounds = rule(leaf).bounds;
        with_bounds(Bounds { formed, ..bounds }, leaf)
    }

    /// Such a text, or such bytes, which can be empty.
    pub(crate) const fn may_be_empty(leaf: PathRule) -> PathRule {
        let may_be_empty = true;
        let bounds = rule(leaf).bounds;
        let bounds = Bounds {
            may_be_empty,
            ..bounds
        };
        with_bounds(bounds, leaf)
    }

    /// Such a value, which is there or not depending on how the capture was made.
    pub(crate) const fn optional(leaf: PathRule) -> PathRule {
        let optional = true;
        let rule = rule(leaf);
        with_rule(LeafRule { optional, ..rule }, leaf)
    }

    /// Such a number, which is within these two.
    pub(crate) const fn within(lowest: i128, highest: i128, leaf: PathRule) -> PathRule {
        let range = Some((lowest, highest));
        let bounds = rule(leaf).bounds;
        with_bounds(Bounds { range, ..bounds }, leaf)
    }

    /// Such a number, which is at least this one.
    pub(crate) const fn at_least(lowest: i128, leaf: PathRule) -> PathRule {
        within(lowest, i128::MAX, leaf)
    }

    /// Such a text, which is one of these.
    pub(crate) const fn one_of(words: &'static [&'static str], leaf: PathRule) -> PathRule {
        let words = Some(words);
        let bounds = rule(leaf).bounds;
        with_bounds(Bounds { words, ..bounds }, leaf)
    }

    const fn with_bounds(bounds: Bounds, leaf: PathRule) -> PathRule {
        let rule = rule(leaf);
        with_rule(LeafRule { bounds, ..rule }, leaf)
    }

    const fn with_rule(rule: LeafRule, leaf: PathRule) -> PathRule {
        match leaf {
            PathRule::Listed { name, .. } => PathRule::Listed { name, rule },
            _ => panic!("this field has no value"),
        }
    }

    /// What is true of a value. At compile time: a field without a value has no such rule.
    pub(crate) const fn rule(leaf: PathRule) -> LeafRule {
        match leaf {
            PathRule::Listed { rule, .. } => rule,
            _ => panic!("this field has no value"),
        }
    }
}

impl Field {
    /// True if its row delegates everything to the tables of the structures that it contains.
    pub(super) fn holds_structures(&self) -> bool {
        let below = matches!(self.publish, Publish::Below | Publish::Nothing);
        below && !matches!(self.leaf, PathRule::Listed { .. })
    }

    /// The name of its leaf; `None` if it has none, or is a map.
    pub(crate) fn leaf_name(&self) -> Option<&'static str> {
        match self.leaf {
            PathRule::Listed { name, .. } => Some(name.unwrap_or(self.key)),
            _ => None,
        }
    }
}
