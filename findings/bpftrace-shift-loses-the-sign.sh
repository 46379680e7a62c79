#!/usr/bin/env bash
# Guess: in bpftrace `>>` keeps the sign of a signed number, as in C with every compiler of the kernel: -4096 >> 4 is -256.
# Seen:  it is -256 as a literal, and 1152921504606846720 as a variable, which bpftrace itself calls int64. It is not below zero, and a map,
#        print and `%ld` show the large number; `printf("%d")` shows -256, because it prints the low 32 bits of what it is given:
#        so the usual look at a value says that all is well. For a division there is a warning and for this none.
# Where: bpftrace 0.27.1 on Linux 7.3.4 (Debian's cloud flavour).
# Why it matters: pages, blocks and fixed-point averages out of a negative difference become numbers of 19 digits, which lead every sum and
#        histogram, and the printf put in to find them hides them.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

cat >"$WORK/script" <<'GUEST'
bpftrace -e 'BEGIN {
	printf("literal: %ld\n", -4096 >> 4);
	$bytes = (int64)-4096;
	$pages = $bytes >> 4;
	printf("variable, %%d: %d\n", $pages);
	printf("variable, %%ld: %ld\n", $pages);
	printf("below zero: bytes %s, pages %s\n", $bytes < 0 ? "yes" : "no", $pages < 0 ? "yes" : "no");
	printf("2^32 + 5 with %%d: %d\n", (uint64)4294967301);
	@sum = sum($pages);
	exit();
}' 2>&1 | sed '/^Attached/d; /^$/d'
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace"
expect "-4096 >> 4" "literal: -256
variable, %d: -256
variable, %ld: 1152921504606846720
below zero: bytes yes, pages no
2^32 + 5 with %d: 5
@sum: 1152921504606846720" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
