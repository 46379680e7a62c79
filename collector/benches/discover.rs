//! `discover` of one system call in a guest, against the bare boot of the same guest.
//!
//! `cargo bench -p qed-collector --bench discover [-- -n ROUNDS]`. Bare: from the start of QEMU until it has ended, with a job that only
//! says hello. Discover: the command as a user types it, from its start to its end, with kernel and source lines cached. Both run in
//! turns; the ratio is the median of the turns' ratios.

mod common;

use common::{boot, children, collector, guest, kernel, median, ms, ratio, rounds};

/// The guests that are traced: the last one records arguments, too.
const TRACED: [&str; 3] = ["debian-6.1", "debian-6.12", "debian-7.3"];
/// The call.
const CALL: [&str; 5] = ["--", "socket", "AF_INET", "SOCK_STREAM", "0"];

fn main() -> anyhow::Result<()> {
    if qed_collector::guest::find_program::find_in_path("qemu-system-x86_64").is_none() {
        common::skip("there is no qemu-system-x86_64; install the Debian package qemu-system-x86");
    }
    for name in TRACED {
        let (cache, image) = match kernel(name) {
            Ok(found) => found,
            Err(error) => {
                println!("{name}: not measured: {error}");
                continue;
            }
        };
        let machine = format!("guest:{name}");
        let arguments = [&["discover", "-q", "--on", machine.as_str()], &CALL[..]].concat();
        // Once for the caches.
        collector(&arguments)?;
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        let (mut bare_cpu, mut whole_cpu) = (Vec::new(), Vec::new());
        for _ in 0..rounds(5) {
            let before = children();
            bare.push(boot(&guest(&image, &cache))?.0.boot_to_exit);
            let between = children();
            whole.push(collector(&arguments)?);
            bare_cpu.push(between - before);
            whole_cpu.push(children() - between);
        }
        println!(
            "{name}: bare boot {:.0} ms, discover {:.0} ms, RATIO {:.2}; of processor time {:.2}",
            ms(median(&bare)),
            ms(median(&whole)),
            ratio(&whole, &bare),
            ratio(&whole_cpu, &bare_cpu)
        );
    }
    Ok(())
}
