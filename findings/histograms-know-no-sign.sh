#!/usr/bin/env bash
# Guess: a histogram of the kernel (`hist:` trigger) treats a field that its event declares as signed as signed.
# Seen:  it forgets the sign, although `format` says signed:1 and `trace` prints -2 for the same field. The key of a failed
#        call is printed as 18446744073709551614 but sorted as -2, below every success; the sum of two failures,
#        18446744073709551612, is sorted above every success; `.log2` puts them in the bucket 2^64.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: whoever parses `hist` has to read its numbers as signed by the event's format; the order and the buckets
#        cannot be repaired, and a sum over results needs a filter `ret >= 0`.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
event=events/syscalls/sys_exit_openat
grep ret $event/format | sed -E 's/\t+/ /g; s/offset:[0-9]*; //'
# One process that succeeds, one that fails twice, one that does both.
calls() {
	cat /script
	cat /missing /missing
	cat /script /missing
} >/dev/null 2>&1
histogram() {
	echo "$1 if comm == \"cat\"" > $event/trigger
	calls
	echo "$1"
	grep '^{' $event/hist | sed -E 's/ +/ /g; s/common_pid: [0-9]*/common_pid: N/'
	echo "!$1" > $event/trigger
}
histogram 'hist:keys=ret:sort=ret'
histogram 'hist:keys=common_pid:vals=ret:sort=ret'
histogram 'hist:keys=ret.log2:sort=ret'
GUEST
initramfs "$WORK/initrd" "$WORK/script"
recorded=" field:long ret; size:8; signed:1;
hist:keys=ret:sort=ret
{ ret: 18446744073709551614 } hitcount: 3
{ ret: 3 } hitcount: 2
hist:keys=common_pid:vals=ret:sort=ret
{ common_pid: N } hitcount: 2 ret: 1
{ common_pid: N } hitcount: 1 ret: 3
{ common_pid: N } hitcount: 2 ret: 18446744073709551612
hist:keys=ret.log2:sort=ret
{ ret: ~ 2^2 } hitcount: 2
{ ret: ~ 2^64 } hitcount: 3"
seen() { guest "$1" "$WORK/initrd" | grep -v '^print fmt'; }
expect "6.12.117" "$recorded" "$(seen "$WORK"/old/boot/vmlinuz-*)"
expect "7.3.4" "$recorded" "$(seen "$WORK"/new/usr/lib/modules/*/vmlinuz)"
finish
