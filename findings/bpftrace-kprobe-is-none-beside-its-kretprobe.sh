#!/usr/bin/env bash
# Guess: `kprobe:vfs_open` of bpftrace is a kprobe: it stands in the kernel's list of kprobes and in `bpftool perf show`, whatever else
#        the program holds.
# Seen:  alone it does. With `kretprobe:vfs_open` beside it neither of the two is in either list, and with both lists empty they count on
#        while the kernel's switch for all kprobes (/sys/kernel/debug/kprobes/enabled) is off: bpftrace has made one fprobe
#        of them. If the two actions use the word `probe`, they are two kprobes again, listed and switched off. `kprobe:vfs_ope*` is an
#        fprobe too, `kprobe:vfs_open,kprobe:vfs_statx` two kprobes. `enabled_functions` of tracefs has the function each time.
# Where: bpftrace 0.27.1 and bpftool 7.8.0 on Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: an empty list of kprobes does not say that nothing probes the kernel, and kprobe and fprobe differ in the stack, the
#        limits and what makes them miss: which of them recorded a capture follows from its whole text and not from the word
#        `kprobe`.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1
unpack_program sid "$WORK/bpftrace" bpftool=7.8.0+7.2.13-1

cat >"$WORK/script" <<'GUEST'
opens() { turn=0; while [ $turn -lt 50 ]; do : < /etc; turn=$((turn + 1)); done; }
# What the lists say while bpftrace runs PROGRAM, and what it counts of 50 opens while all kprobes are switched off.
look() {
	bpftrace -e "$2"' interval:s:90 { exit() }' > /tmp/out 2>&1 &
	turn=0
	while [ $turn -lt 80 ]; do grep -q Attached /tmp/out && break; sleep 1; turn=$((turn + 1)); done
	sleep 2
	listed=$(awk '{ print $3 }' /sys/kernel/debug/kprobes/list | grep -c '^vfs_open')
	echo "$1: $listed in kprobes/list, $(bpftool perf show | grep -c 'func vfs_open ') in bpftool perf," \
		"$(grep -c '^vfs_open ' /sys/kernel/tracing/enabled_functions) in enabled_functions"
	echo 0 > /sys/kernel/debug/kprobes/enabled
	opens
	echo 1 > /sys/kernel/debug/kprobes/enabled
	kill -INT $!
	wait
	awk '/^@/ { split($1, name, /[^@a-z]/); print "  " name[1] ": " ($NF >= 50 ? "goes on" : "stops") }' /tmp/out
}
mine='/comm == "sh"/'
look "kprobe" "kprobe:vfs_open $mine { @entered = count() }"
look "kretprobe" "kretprobe:vfs_open $mine { @left = count() }"
look "both" "kprobe:vfs_open $mine { @entered = count() } kretprobe:vfs_open $mine { @left = count() }"
look "both with probe" "kprobe:vfs_open $mine { @entered[probe] = count() } kretprobe:vfs_open $mine { @left[probe] = count() }"
look "wildcard" "kprobe:vfs_ope* $mine { @entered = count() }"
look "two functions" "kprobe:vfs_open,kprobe:vfs_statx $mine { @entered = count() }"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace"
seen="kprobe: 1 in kprobes/list, 1 in bpftool perf, 1 in enabled_functions
  @entered: stops
kretprobe: 1 in kprobes/list, 1 in bpftool perf, 1 in enabled_functions
  @left: stops
both: 0 in kprobes/list, 0 in bpftool perf, 1 in enabled_functions
  @entered: goes on
  @left: goes on
both with probe: 2 in kprobes/list, 2 in bpftool perf, 1 in enabled_functions
  @entered: stops
  @left: stops
wildcard: 0 in kprobes/list, 0 in bpftool perf, 1 in enabled_functions
  @entered: goes on
two functions: 1 in kprobes/list, 1 in bpftool perf, 1 in enabled_functions
  @entered: stops"
GUEST_MIB=2048
GUEST_SECONDS=600
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
