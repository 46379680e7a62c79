//! `qed-collector`: the command line.

use qed_collector::guest;

fn main() {
    // Before anything else: as the first process of a guest there is no command line to parse.
    if guest::init::is_guest_init() {
        guest::init::run(guest::init::ping);
    }
}
