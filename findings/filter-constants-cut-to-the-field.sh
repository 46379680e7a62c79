#!/usr/bin/env bash
# Guess: a tracefs filter compares numbers: a constant that the field cannot hold is refused, or is never equal.
# Seen:  the constant is cut to the width of the field, silently, and the filter's text still shows all of it.
#        `common_pid == 4294967296 + N` selects process N. For an unsigned byte of value 44, `== 300` is true and `< 256`
#        is false, for it compares with 0. For a signed byte of -3, `== 253` is true and `< 200` compares with
#        -56 and is true for -100 only. Only a negative number for an unsigned field is refused.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU. perf's --filter is the same filter.
# Why it matters: "no event matched" is no proof of absence, nor is a match one of equality, unless the constant fits the
#        field's size and signedness as `format` gives them; an address in a filter of a 32-bit field is half an address.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:probe do_sys_openat2 a=\44:u8 b=\-3:s8 c=\-100:s8 d=\7:u64' > kprobe_events
ask() {
	echo 0 > tracing_on
	echo "$1" 2>/dev/null > events/kprobes/probe/filter || { echo "$1: refused"; return; }
	echo > trace
	echo 1 > events/kprobes/probe/enable
	echo 1 > tracing_on
	: < /script
	echo 0 > events/kprobes/probe/enable
	grep -q probe: trace && echo "${2:-$1}: yes" || echo "${2:-$1}: no"
}
ask "common_pid == $$"
ask "common_pid == $((4294967296 + $$))" "common_pid == 4294967296 + $$"
ask 'a == 300'
ask 'a < 256'
ask 'b == 253'
ask 'b < 200'
ask 'c < 200'
ask 'd > -1'
GUEST
initramfs "$WORK/initrd" "$WORK/script"
recorded="common_pid == N: yes
common_pid == 4294967296 + N: yes
a == 300: yes
a < 256: no
b == 253: yes
b < 200: no
c < 200: yes
d > -1: refused"
seen() { guest "$1" "$WORK/initrd" | sed -E '/^common_pid/s/[0-9]+: yes$/N: yes/'; }
expect "6.12.117" "$recorded" "$(seen "$WORK"/old/boot/vmlinuz-*)"
expect "7.3.4" "$recorded" "$(seen "$WORK"/new/usr/lib/modules/*/vmlinuz)"
finish
