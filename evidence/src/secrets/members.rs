//! Members of the kernel's structures that hold secrets of a boot, such as stack canaries: knowing one defeats the protection
//! that the kernel builds on it. They are not addresses, so only their names tell them apart from other numbers.

/// The structure as C writes it, and the member. Without a member, all of it is a secret.
const SECRET: &[(&str, Option<&str>)] = &[
    // The stack protector's number of a task, and the copy of it that the code compares with.
    // https://elixir.bootlin.com/linux/v6.12/source/include/linux/sched.h
    ("struct task_struct", Some("stack_canary")),
    // https://elixir.bootlin.com/linux/v6.12/source/arch/x86/include/asm/processor.h
    ("struct fixed_percpu_data", Some("stack_canary")),
    // The number by which pointers in free memory are hidden.
    // https://elixir.bootlin.com/linux/v6.12/source/mm/slab.h
    ("struct kmem_cache", Some("random")),
    // Keys of hashes that others must not foresee, of ports, sequence numbers and cookies among them.
    // https://elixir.bootlin.com/linux/v6.12/source/include/linux/siphash.h
    ("siphash_key_t", None),
    ("siphash_aligned_key_t", None),
    ("hsiphash_key_t", None),
    // https://elixir.bootlin.com/linux/v6.12/source/include/net/net_namespace.h
    ("struct net", Some("hash_mix")),
    // https://elixir.bootlin.com/linux/v6.12/source/include/linux/rhashtable.h
    ("struct bucket_table", Some("hash_rnd")),
    // The states of random number generators.
    // https://elixir.bootlin.com/linux/v6.12/source/include/linux/prandom.h
    ("struct rnd_state", None),
    // https://elixir.bootlin.com/linux/v6.12/source/drivers/char/random.c
    ("struct crng", None),
];

/// Per-CPU variables that hold a secret, or what random numbers are made of.
const SECRET_VARIABLES: &[&str] = &[
    // The number of the running task that the code of the stack protector compares with.
    // https://elixir.bootlin.com/linux/v6.18/source/arch/x86/kernel/cpu/common.c
    "__stack_chk_guard",
    "fixed_percpu_data",
    // How far the stack is moved at each entry.
    // https://elixir.bootlin.com/linux/v6.12/source/init/main.c
    "kstack_offset",
    "kstack_rnd_state",
    "sched_rnd_state",
    "slab_rnd_state",
    // The states and stores of the random number generators.
    // https://elixir.bootlin.com/linux/v6.12/source/drivers/char/random.c
    "crngs",
    "irq_randomness",
    "batched_entropy_u8",
    "batched_entropy_u16",
    "batched_entropy_u32",
    "batched_entropy_u64",
    // https://elixir.bootlin.com/linux/v6.12/source/lib/random32.c
    "net_rand_state",
    // https://elixir.bootlin.com/linux/v6.12/source/kernel/bpf/core.c
    "bpf_user_rnd_state",
    // How far each CPU's memory is from the kernel's image, which is an address and the slide together.
    // https://elixir.bootlin.com/linux/v6.12/source/arch/x86/kernel/setup_percpu.c
    "this_cpu_off",
    // Where a CPU's entry area was put, and descriptors that hold its address in parts.
    // https://elixir.bootlin.com/linux/v6.12/source/arch/x86/mm/cpu_entry_area.c
    "_cea_offset",
    "gdt_page",
    // Pointers of a task's threads.
    "shadow_tls_desc",
    // Digests made with keys of the network, https://elixir.bootlin.com/linux/v6.12/source/net/ipv6/seg6_hmac.c
    "hmac_ring",
    "hmac_storage",
];

/// True if this per-CPU variable of the kernel is a secret as a whole.
pub fn is_secret_variable(name: &str) -> bool {
    SECRET_VARIABLES.contains(&name)
}

/// True if this member of a structure, as C writes both, is a secret of the kernel; of a member with others around it, `a.b`,
/// also if one of those is.
pub fn is_secret_member(structure: &str, member: &str) -> bool {
    let first = member.split(['.', '[']).next().unwrap_or_default();
    let structure = structure.trim_start_matches("const ");
    SECRET
        .iter()
        .any(|(of, secret)| *of == structure && secret.is_none_or(|secret| secret == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that variables with secrets are known, and that others are none.
    #[test]
    fn variables() {
        for name in ["__stack_chk_guard", "crngs", "this_cpu_off", "_cea_offset"] {
            assert!(is_secret_variable(name), "{name}");
        }
        assert!(!is_secret_variable("runqueues") && !is_secret_variable(""));
    }

    /// Check that a secret is known by its structure and its name, also in parts, and that its neighbours are none.
    #[test]
    fn by_name() {
        for (structure, member) in [
            ("struct task_struct", "stack_canary"),
            ("const struct task_struct", "stack_canary"),
            ("struct kmem_cache", "random"),
            ("siphash_key_t", "key[1]"),
        ] {
            assert!(is_secret_member(structure, member), "{structure} {member}");
        }
        for (structure, member) in [
            ("struct task_struct", "pid"),
            ("struct other", "stack_canary"),
            ("struct kmem_cache", "random_seq"),
        ] {
            assert!(!is_secret_member(structure, member), "{structure} {member}");
        }
    }
}
