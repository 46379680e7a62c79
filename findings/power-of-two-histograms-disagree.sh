#!/usr/bin/env bash
# Guess: `.log2` of a tracefs histogram trigger and `hist()` of bpftrace sort a value into the same bucket: 2^2 is 4 to 7.
# Seen:  they are one off except at powers of two. tracefs rounds up: "~ 2^3" is 5 to 8, and 4 is in "~ 2^2"; bpftrace's [4, 8) is
#        4 to 7. So 1025 bytes are "~ 2^11" in one and [1K, 2K) in the other, 1024 are "~ 2^10" and [1K, 2K). Neither a
#        shift by one nor a change of the label makes one histogram of the other.
# Where: Linux 7.3.4 (Debian's cloud flavour) in QEMU, bpftrace 0.27.1, both over the same twelve calls of write(2).
# Why it matters: a statement such as "n calls of at least 1 KiB" cannot be read from both, and sizes are mostly powers
#        of two, the very values on which the two differ.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state backports trixie-backports
apt_state sid sid
unpack backports "$WORK/kernel" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
for size in 1 2 3 4 5 6 7 8 9 1023 1024 1025; do
	echo "dd if=/dev/zero of=/dev/null bs=$size count=1 2>/dev/null"
done > /tmp/calls
# dd writes its report to standard error, descriptor 2.
echo 'hist:keys=count.log2:sort=count if comm == "dd" && fd == 1' > events/syscalls/sys_enter_write/trigger
bpftrace -e 'tracepoint:syscalls:sys_enter_write /comm == "dd" && args.fd == 1/ { @ = hist(args.count); }' \
	-c '/applets/sh /tmp/calls' 2>&1 | awk '/^\[/ { sub(/ *\|.*/, ""); n = $NF; sub(/ +[0-9]+$/, ""); if (n) print "bpftrace", $0, n }'
awk '/count: ~/ { gsub(/[{}]/, ""); print "tracefs", $2 $3, $NF }' events/syscalls/sys_enter_write/hist
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace"
expect "both histograms" "bpftrace [1] 1
bpftrace [2, 4) 2
bpftrace [4, 8) 4
bpftrace [8, 16) 2
bpftrace [512, 1K) 1
bpftrace [1K, 2K) 2
tracefs ~2^0 1
tracefs ~2^1 1
tracefs ~2^2 2
tracefs ~2^3 4
tracefs ~2^4 1
tracefs ~2^10 2
tracefs ~2^11 1" "$(GUEST_MIB=2048 guest "$WORK"/kernel/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
