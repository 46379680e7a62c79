//! The tables of the facts of a build: names, types and numbers from the kernel's own tables.

use super::model::Drift;
use super::model::Form;
use super::model::Publish::{Below, Public, Setting, Value};
use super::model::rows::{PER_KERNEL, UNLISTED, form, map, named};
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
        size: PER_KERNEL, Value;
        members: map(PER_KERNEL), Below;
        enumerators: map(PER_KERNEL), Below;
        count: UNLISTED, Public;
    }
    MemberFacts {
        order: UNLISTED, Public;
        offset: form(Form::Offset, PER_KERNEL), Public;
        size: PER_KERNEL, Public;
        bit: PER_KERNEL, Public;
        bits: PER_KERNEL, Public;
        type_name("type"): named("type", PER_KERNEL), Public;
        + "exists": Drift::PerKernel;
    }
    EnumeratorFacts {
        value: PER_KERNEL, Value;
        + "exists": Drift::PerKernel;
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
        offset: form(Form::Offset, PER_KERNEL), Public;
        size: PER_KERNEL, Public;
        type_name("type"): named("type", PER_KERNEL), Public;
        + "exists": Drift::PerKernel;
    }
    SyscallFacts {
        exists: PER_KERNEL, Value;
        number: PER_KERNEL, Value;
        function: PER_KERNEL, Value;
    }
    OptionFacts {
        exists: PER_KERNEL, Value;
        value: PER_KERNEL, Setting;
    }
}
