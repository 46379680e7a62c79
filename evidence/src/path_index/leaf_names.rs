//! Names of leaves that an author can use whatever was captured.

/// Names of the values of one hit that are not in `args`, `entry` or `exit`.
pub const HIT_LEAVES: &[&str] = &[
    "order",
    "time_ns",
    "return_order",
    "return_time_ns",
    "duration_ns",
    "pid",
    "tid",
    "task",
    "cpu",
    "context",
    "return",
    "instance",
    "returns_to",
    "caller",
    "site",
    "stack",
];

/// Names of the values of a probe as a whole.
pub const PROBE_LEAVES: &[&str] = &[
    "backend",
    "attach_errno",
    "address",
    "definition",
    "hits",
    "offset",
    "instruction",
    "code",
    "listed",
    "skipped",
];

/// Names of the values of a member that a read takes.
pub const MEMBER_LEAVES: &[&str] = &["structure", "name", "offset"];

/// Leaves of the fixed sections that every capture plans.
pub(super) const FIXED_SECTION_LEAVES: &[&str] = &[
    "run.id",
    "run.time",
    "run.investigation",
    "run.investigation_digest",
    "run.collector",
    "run.object_digest",
    "machine.name",
    "machine.kind",
    "machine.ephemeral",
    "machine.boot_id",
    "machine.cpu_model",
    "machine.cpus",
    "machine.accelerator",
    "kernel.release",
    "kernel.version",
    "kernel.package",
    "kernel.build_id",
    "kernel.image_digest",
    "kernel.btf_digest",
    "kernel.lockdown",
    "kernel.lsm",
    "kernel.command_line",
    "kernel.debuginfo",
    "kaslr.status",
    "kaslr.slide",
    "kaslr.agree",
    "kaslr.checked",
    "kaslr.differing",
    "kaslr.physical_start",
    "kaslr.physical_align",
    "kaslr.live_physical_start",
    "boots.count",
    "boots.distinct",
    "boots.distinct_physical",
    "boots.lowest",
    "boots.highest",
    "boots.divisor",
    "boots.differing",
];
