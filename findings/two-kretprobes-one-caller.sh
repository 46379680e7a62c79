#!/usr/bin/env bash
# Guess: two kretprobe events on one function both say which function called it, as each does alone.
# Seen:  only the one that was created last does. The other prints `[unknown/kretprobe'd]` for the caller, and its raw field
#        `__probe_ret_ip` holds the address of arch_rethook_trampoline. Created later means any tool on the
#        machine: its probe changes what a recording that is under way contains. Once the later event is off, the
#        earlier one names the caller again.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: a filter or a histogram over the caller puts all hits into one false group, without an error and with no
#        miss counted; an address of return may only be believed when it is no trampoline.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'r:first vfs_read' > kprobe_events
echo 'r:second vfs_read' >> kprobe_events
# The callers that the events ENABLED give for the reads of one process, and how many different raw ones the first has.
callers() {
	echo "$1"
	for event in $1; do echo 1 > events/kprobes/$event/enable; done
	echo > trace
	wc -c < /script > /dev/null
	for event in $1; do echo 0 > events/kprobes/$event/enable; done
	grep 'wc-' trace | sed -E 's/^.*[0-9]: //; s/\+0x[0-9a-f/x]+//' | sort -u
}
callers first
callers "first second"
callers "second first"
callers first
echo 'hist:keys=__probe_ret_ip.sym' > events/kprobes/first/trigger
echo 1 > events/kprobes/second/enable
wc -c < /script > /dev/null
grep -o 'arch_rethook_trampoline\|ksys_read' events/kprobes/first/hist
GUEST
initramfs "$WORK/initrd" "$WORK/script"
recorded="first
first: (ksys_read <- vfs_read)
first second
first: ([unknown/kretprobe'd] <- vfs_read)
second: (ksys_read <- vfs_read)
second first
first: ([unknown/kretprobe'd] <- vfs_read)
second: (ksys_read <- vfs_read)
first
first: (ksys_read <- vfs_read)
arch_rethook_trampoline"
expect "6.12.117" "$recorded" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$recorded" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
