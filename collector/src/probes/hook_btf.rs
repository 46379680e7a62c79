//! The number of an LSM hook's function, in the form in which aya wants it.
//!
//! aya looks `bpf_lsm_HOOK` up in a parsed BTF of its own. To parse the kernel's whole BTF takes aya 100 to 600 ms
//! in an emulated guest, and the number is known from the plan: so aya gets a BTF in which that one type has a name.

use aya::Btf;

use crate::btf;

/// A BTF in which type `function` is the function `bpf_lsm_HOOK`, as in the kernel's. `None`: look it up there.
///
/// # Errors
/// Why the number is not known, in words.
pub(super) fn naming(hook: &str, function: Option<u32>) -> Result<Btf, String> {
    let number = match function {
        Some(number) => number,
        None => look_up(hook)?,
    };
    Btf::parse(&blob(hook, number), Default::default())
        .map_err(|error| format!("its number in BTF was not understood: {error}"))
}

fn look_up(hook: &str) -> Result<u32, String> {
    let path = "/sys/kernel/btf/vmlinux";
    let data = std::fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    let found = btf::Btf::parse(&data).and_then(|btf| Ok(btf.lsm_hook(hook)?.map(|f| f.id.0)));
    found
        .map_err(|error| format!("the kernel's BTF is damaged: {error}"))?
        .ok_or_else(|| format!("this kernel has no LSM hook `{hook}`"))
}

/// Forward declarations without names, the shortest type there is, up to the number; then the function.
/// Format: <https://docs.kernel.org/bpf/btf.html>.
fn blob(hook: &str, number: u32) -> Vec<u8> {
    const HEADER: u32 = 24;
    const TYPE: u32 = 12;
    const FORWARD: u32 = 7 << 24;
    const FUNCTION: u32 = 12 << 24;
    let strings = format!("\0bpf_lsm_{hook}\0");
    let types = number.saturating_mul(TYPE);
    let mut out = Vec::with_capacity((HEADER + types) as usize + strings.len());
    out.extend(0xeb9f_u16.to_ne_bytes());
    // Version and flags.
    out.extend([1, 0]);
    for word in [HEADER, 0, types, types, strings.len() as u32] {
        out.extend(word.to_ne_bytes());
    }
    // Type numbers count from 1.
    for id in 1..=number {
        let words = if id == number {
            [1, FUNCTION, 0]
        } else {
            [0, FORWARD, 0]
        };
        out.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }
    out.extend(strings.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check, with this project's own reader, that the named type has the number and that no other has a name.
    #[test]
    fn has_the_number() {
        for number in [1, 2, 70_000] {
            let blob = blob("socket_create", number);
            let read = btf::Btf::parse(&blob).unwrap();
            let hook = read.find(btf::Wanted::Function, "bpf_lsm_socket_create");
            assert_eq!(hook, [btf::TypeId(number)]);
            assert_eq!(read.end_id(), number + 1);
        }
    }

    /// Check that aya finds the number that was put in.
    #[test]
    fn aya_understands_it() {
        assert!(naming("socket_create", Some(90_000)).is_ok());
    }
}
