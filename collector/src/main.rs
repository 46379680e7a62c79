//! `qed-collector`: the command line.

use qed_collector::{guest, workload};

fn main() {
    // The process of a workload is a second copy of this program.
    workload::child_main();
    // Before anything else: as the first process of a guest there is no command line to parse.
    if guest::init::is_guest_init() {
        guest::init::run(guest::init::ping);
    }
}
