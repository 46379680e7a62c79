//! Reasons why something of a live machine is withheld.

pub(super) const SLIDE: &str = "withheld: it would tell where this live machine's kernel is";
pub(super) const BOOT: &str = "withheld: it tells this boot of a live machine from its others";
pub(super) const NUMBER: &str =
    "withheld: this number is an address of this live machine, or a part of one";
pub(super) const BYTES: &str = "withheld: memory of this live machine can hold addresses";
pub(super) const TEXT: &str = "withheld: this text holds an address of this live machine";
pub(super) const COMMAND: &str = "withheld: a command printed it on this live machine";
pub(super) const OUTPUT: &str =
    "withheld: what a workload prints may tell who or where this live machine is";
pub(super) const BUFFER: &str =
    "withheld: what a system call writes into a buffer may tell who or where this live machine is";
pub(super) const SETTING: &str =
    "withheld: a text in the configuration of a live machine's kernel may name its owner";
pub(super) const TASK: &str = "withheld: the name of another task of this live machine";
