//! The drift class of a value.

pub use crate::document::fields::Drift;
use crate::document::value::{Datum, Value};

/// The beginning of the kernel's half of the address space, with four levels of page tables or with five
/// (<https://elixir.bootlin.com/linux/v6.12/source/Documentation/arch/x86/x86_64/mm.rst#L20>).
const KERNEL_HALF: i128 = 0xff00_0000_0000_0000;

/// The class of a value that was read from memory or registers.
pub(super) fn value_drift(datum: &Datum) -> Drift {
    match datum.value() {
        Some(Value::Address { value, symbol, .. }) => match (value.0, symbol) {
            (0, _) => Drift::Invariant,
            (_, Some(_)) => Drift::PerBoot,
            (_, None) => Drift::PerRun,
        },
        Some(
            Value::Symbol { .. }
            | Value::Location { .. }
            | Value::Stack { .. }
            | Value::CutStack { .. },
        ) => Drift::PerKernel,
        Some(Value::Offset { .. } | Value::Size { .. }) => Drift::PerKernel,
        Some(Value::Bytes { .. } | Value::CutBytes { .. }) => Drift::PerBoot,
        // An address that C calls a number, such as a tracepoint's `call_site`.
        Some(Value::Int { value, .. }) if value.get() >= KERNEL_HALF => Drift::PerBoot,
        Some(Value::Pid { .. } | Value::Time { .. }) => Drift::PerRun,
        _ => Drift::Invariant,
    }
}
