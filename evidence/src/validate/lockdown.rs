//! Check of lockdown against the kernel's command line: lockdown that is enabled there cannot be lifted later.

use super::finding::Finding;
use crate::document::Evidence;
use crate::document::value::{Datum, Value};
use crate::document::withheld::withheld_reason;

/// Check that a kernel is locked down at least as far as its command line asks for: no mode is ever left for a lower one
/// (`lockdown_param` and `lock_kernel_down`, <https://elixir.bootlin.com/linux/v6.12/source/security/lockdown/lockdown.c>). One that was
/// built without the module has no mode.
pub(super) fn check_lockdown(evidence: &Evidence) -> Option<Finding> {
    /// The lowest first.
    const MODES: [&str; 3] = ["none", "integrity", "confidentiality"];
    let rank = |mode: &str| MODES.iter().position(|known| *known == mode);
    let text = |datum: &Datum| match datum.value() {
        Some(Value::Text { value }) if withheld_reason(value).is_none() => Some(value.clone()),
        _ => None,
    };
    let mode = text(&evidence.kernel.lockdown)?;
    let line = evidence.kernel.command_line.as_ref()?;
    // Words after `--` are for the first process.
    let words = line.split_whitespace().take_while(|word| *word != "--");
    let requested = words.filter_map(|word| word.strip_prefix("lockdown="));
    let (requested, least) = requested
        .filter_map(|requested| Some((requested, rank(requested)?)))
        .max_by_key(|(_, rank)| *rank)?;
    (rank(&mode)? < least).then(|| {
        let reason = format!("the kernel's command line says `lockdown={requested}`");
        ("/kernel/lockdown".into(), reason)
    })
}
