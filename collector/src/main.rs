//! `qed-collector`: the command line.

fn main() {}
