//! The BTF type id of an LSM hook's function, in the form that aya needs.
//!
//! aya looks `bpf_lsm_HOOK` up in a BTF that it has parsed itself. Parsing the kernel's whole BTF takes aya 100 to 600 ms in an
//! emulated guest, and the id is known from the plan: so aya gets a BTF in which only that type has a name.

use aya::Btf;

use crate::btf;

/// The kernel's types.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The number of a hook's function that is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    /// aya does not understand what was made for it.
    #[error("the numbers of the hooks in BTF were not understood: {0}")]
    NotUnderstood(#[from] aya::BtfError),
    /// The kernel's BTF cannot be read.
    #[error("{KERNEL_BTF} cannot be read: {0}")]
    Read(std::io::Error),
    /// The kernel's BTF is damaged.
    #[error("the kernel's BTF is damaged: {0}")]
    Damaged(#[from] btf::BtfError),
    /// The kernel has no such hook.
    #[error("this kernel has no LSM hook `{0}`")]
    NoHook(String),
}

/// A BTF in which each `(hook, number)` names the function `bpf_lsm_HOOK`, as in the kernel's.
///
/// # Errors
/// When aya does not understand it.
pub(super) fn btf_with_hooks(hooks: &[(&str, u32)]) -> Result<Btf, HookError> {
    Ok(Btf::parse(&encode_btf(hooks), Default::default())?)
}

/// The number of `bpf_lsm_HOOK` in the kernel's BTF.
///
/// # Errors
/// When the kernel's BTF cannot be read, or has no such hook.
pub(super) fn find_hook_id(hook: &str) -> Result<u32, HookError> {
    let data = std::fs::read(KERNEL_BTF).map_err(HookError::Read)?;
    let found = btf::Btf::parse(&data)?.lsm_hook(hook)?.map(|f| f.id.0);
    found.ok_or_else(|| HookError::NoHook(hook.to_owned()))
}

/// Forward declarations without names, the shortest type there is, up to the greatest number; the functions among
/// them. Format: <https://docs.kernel.org/bpf/btf.html>.
fn encode_btf(hooks: &[(&str, u32)]) -> Vec<u8> {
    const HEADER: u32 = 24;
    const TYPE: u32 = 12;
    const FORWARD: u32 = 7 << 24;
    const FUNCTION: u32 = 12 << 24;
    let last = hooks.iter().map(|hook| hook.1).max().unwrap_or(0);
    let types = last.saturating_mul(TYPE);
    let mut strings = vec![0];
    let mut records = [0, FORWARD, 0]
        .map(u32::to_ne_bytes)
        .concat()
        .repeat(last as usize);
    for (hook, number) in hooks {
        let words = [strings.len() as u32, FUNCTION, 0].map(u32::to_ne_bytes);
        // Type numbers count from 1; 0 belongs to none.
        let record = (number.checked_sub(1)).map_or(0, |at| (at * TYPE) as usize);
        if let Some(record) = records.get_mut(record..record + TYPE as usize) {
            record.copy_from_slice(&words.concat());
        }
        strings.extend(format!("bpf_lsm_{hook}\0").into_bytes());
    }
    let mut out = Vec::with_capacity(HEADER as usize + records.len() + strings.len());
    out.extend(0xeb9f_u16.to_ne_bytes());
    // Version and flags.
    out.extend([1, 0]);
    for word in [HEADER, 0, types, types, strings.len() as u32] {
        out.extend(word.to_ne_bytes());
    }
    out.extend(records);
    out.extend(strings);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check, with this project's own reader, that the named types have their numbers and that no other has a name.
    #[test]
    fn has_the_numbers() {
        for numbers in [[1, 2], [2, 1], [70_000, 4]] {
            let blob = encode_btf(&[("socket_create", numbers[0]), ("file_open", numbers[1])]);
            let read = btf::Btf::parse(&blob).unwrap();
            for (hook, number) in ["bpf_lsm_socket_create", "bpf_lsm_file_open"]
                .iter()
                .zip(numbers)
            {
                let found = read.find(btf::NameKind::Function, hook);
                assert_eq!(found, [btf::TypeId(number)]);
            }
            assert_eq!(read.end_id(), numbers[0].max(numbers[1]) + 1);
        }
    }

    /// Check that aya accepts the BTF that is made for it.
    #[test]
    fn aya_understands_it() {
        assert!(btf_with_hooks(&[("socket_create", 90_000), ("file_open", 3)]).is_ok());
    }
}
