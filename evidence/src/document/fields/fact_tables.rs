//! The tables of the facts of a build: names, types and numbers from the kernel's own tables.

use super::model::Form;
use super::model::Publish::{Below, Public, Setting, Value};
use super::model::rows::{PER_KERNEL, UNLISTED, at_least, form, map, named, within};
use super::visitor::structures;
use crate::document::facts::{
    EnumeratorFacts, Facts, FieldFacts, FunctionFacts, MemberFacts, OptionFacts, SyscallFacts,
    TracepointFacts, TypeFacts,
};

structures! {
    // Each is a section of paths of its own.
    Facts {
        types: map(PER_KERNEL), Below;
        functions: map(PER_KERNEL), Below;
        tracepoints: map(PER_KERNEL), Below;
        syscalls: map(PER_KERNEL), Below;
        config: map(PER_KERNEL), Below;
    }
    TypeFacts {
        exists: PER_KERNEL, Value;
        kind: PER_KERNEL, Value;
        names: PER_KERNEL, Value;
        size: at_least(0, PER_KERNEL), Value;
        members: map(PER_KERNEL), Below;
        enumerators: map(PER_KERNEL), Below;
        count: UNLISTED, Public;
    }
    MemberFacts {
        order: UNLISTED, Public;
        offset: at_least(0, form(Form::Offset, PER_KERNEL)), Public;
        size: at_least(0, PER_KERNEL), Public;
        // A bit field begins in the byte at its offset.
        bit: within(0, 7, PER_KERNEL), Public;
        bits: within(1, 64, PER_KERNEL), Public;
        type_name("type"): named("type", PER_KERNEL), Public;
        + "exists": PER_KERNEL;
    }
    EnumeratorFacts {
        value: PER_KERNEL, Value;
        + "exists": PER_KERNEL;
    }
    FunctionFacts {
        exists: PER_KERNEL, Value;
        prototype: PER_KERNEL, Value;
    }
    TracepointFacts {
        exists: PER_KERNEL, Value;
        group: PER_KERNEL, Value;
        fields: map(PER_KERNEL), Below;
        count: UNLISTED, Public;
    }
    FieldFacts {
        order: UNLISTED, Public;
        offset: at_least(0, form(Form::Offset, PER_KERNEL)), Public;
        size: at_least(0, PER_KERNEL), Public;
        type_name("type"): named("type", PER_KERNEL), Public;
        + "exists": PER_KERNEL;
    }
    SyscallFacts {
        exists: PER_KERNEL, Value;
        number: at_least(0, PER_KERNEL), Value;
        function: PER_KERNEL, Value;
    }
    OptionFacts {
        exists: PER_KERNEL, Value;
        value: PER_KERNEL, Setting;
    }
}
