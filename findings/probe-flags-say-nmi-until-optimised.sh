#!/usr/bin/env bash
# Guess: the columns of flags in a line of a probe event, irqs-off and preempt-depth, are those of the place that was probed, and the same
#        for each hit of one probe that is hit in the same way.
# Seen:  a probe inside of a function of x86-64 is a breakpoint at first. Its hits are `..Zff`: in an NMI, in an interrupt, interrupts on,
#        255 levels of disabled preemption (shown as ff). A fraction of a second later the kernel has put a jump in its place, and
#        the same read is `.....`. Where no jump fits, or with debug.kprobes-optimization=0, all hits stay `..Zff`.
#        The breakpoint does count as an NMI and does turn interrupts off; the tracer takes one off a preemption count of 0,
#        which borrows the flag of the interrupts. On arm64, whose breakpoint is another exception, every hit is `d....`: interrupts off,
#        which is the handler's state. A probe at the entry, which is the function tracer's on x86-64, is `.....` there.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavours) for x86-64 and arm64, in QEMU.
# Why it matters: a filter for `common_preempt_count == 0`, or for hits outside of interrupts, drops the first hits of a probe and takes the
#        later ones, and one for hits with interrupts off selects all on one architecture and none on the other.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

arm64
apt_state trixie trixie trixie-backports
APT_ARCH=arm64 apt_state arm64 trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack arm64 "$WORK/arm-old" linux-image-6.12.117+deb13-cloud-arm64-unsigned=6.12.117-1
unpack arm64 "$WORK/arm-new" linux-binary-7.3.4+deb13-cloud-arm64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
# The flags of the first hit; the second of them, whether a switch of tasks is due, is left out.
show() {
	echo > trace
	wc -c < /script > /dev/null
	echo "$1: $(grep -m1 wc- trace | sed -E 's/.*\[000\] (.).([^ ]*).*/\1.\2/')"
}
on() {
	echo "p:probe $1" > kprobe_events
	echo 1 > events/kprobes/probe/enable
}
off() {
	echo 0 > events/kprobes/probe/enable
	echo > kprobe_events
}
on vfs_read
show "entry"
off
# The first instruction behind the entry that takes a probe and is not the tracer's.
for offset in 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	echo "p:probe vfs_read+$offset" 2> /dev/null > kprobe_events && break
done
off
on vfs_read+$offset
show "inside, at once"
sleep 2
show "inside, 2 s later"
if [ -e /proc/sys/debug/kprobes-optimization ]; then
	echo 0 > /proc/sys/debug/kprobes-optimization
	show "inside, not optimised"
fi
echo 'hist:keys=common_preempt_count,common_flags' > events/kprobes/probe/trigger
wc -c < /script > /dev/null
sed -nE 's/^\{ common_preempt_count: +([0-9]+), common_flags: +([0-9]+) \}.*/preemption count \1, flags \2/p' events/kprobes/probe/hist
GUEST
initramfs "$WORK/initrd" "$WORK/script"
GUEST_ARCH=arm64 initramfs "$WORK/initrd-arm" "$WORK/script"

# Of the flags 1 is interrupts off, 8 a hardware interrupt, 64 an NMI.
recorded="entry: .....
inside, at once: ..Zff
inside, 2 s later: .....
inside, not optimised: ..Zff
preemption count 255, flags 72"
recorded_arm="entry: d....
inside, at once: d....
inside, 2 s later: d....
preemption count 0, flags 1"
expect "6.12.117, x86-64" "$recorded" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4, x86-64" "$recorded" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
expect "6.12.117, arm64" "$recorded_arm" "$(GUEST_ARCH=arm64 guest "$WORK"/arm-old/boot/vmlinuz-* "$WORK/initrd-arm")"
expect "7.3.4, arm64" "$recorded_arm" "$(GUEST_ARCH=arm64 guest "$WORK"/arm-new/usr/lib/modules/*/vmlinuz "$WORK/initrd-arm")"
finish
