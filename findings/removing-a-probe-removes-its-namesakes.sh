#!/usr/bin/env bash
# Guess: `p:open vfs_open` makes the event kprobes/open, and `-:open` in the same file removes it: the group that is left out is
#        `kprobes` both times.
# Seen:  a removal without a group is one for every group. In kprobe_events it also takes theirs/open, which another tool made;
#        in dynamic_events it takes all events of that name, whatever they are: kernel probes, a probe in a program, a
#        synthetic event, an event probe and a function probe. While theirs/open is in use and is the first of
#        them, one's own kprobes/open cannot be removed ("Device or resource busy") and stays. `-:kprobes/open` does what was meant.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: a script that cleans up after itself ends what others are recording, without an error on either side.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
make() {
	echo > dynamic_events
	echo 'p:theirs/open vfs_read' > dynamic_events
	echo 'p:open vfs_open' >> dynamic_events
	echo 'p:program/open /bin/busybox:0x1000' >> dynamic_events
	echo 's:open int x' >> dynamic_events
	echo 'e:of_event/open sched.sched_switch p=$prev_pid' >> dynamic_events
	echo 'f:function/open vfs_write' >> dynamic_events
}
left() { echo "$1:" $(cut -d ' ' -f 1 dynamic_events | sed -E 's/^([pf])[0-9]+:/\1:/;s/\t.*//' | sort); }
make
left before
echo '-:kprobes/open' >> dynamic_events
left '-:kprobes/open'
make
echo '-:open' >> kprobe_events
left '-:open in kprobe_events'
make
echo '-:open' >> dynamic_events
left '-:open in dynamic_events'
make
echo 1 > events/theirs/open/enable
echo '-:open' 2>/dev/null >> kprobe_events || echo "refused while theirs is in use"
left '-:open in kprobe_events'
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="before: e:of_event/open f:function/open p:kprobes/open p:program/open p:theirs/open s:synthetic/open
-:kprobes/open: e:of_event/open f:function/open p:program/open p:theirs/open s:synthetic/open
-:open in kprobe_events: e:of_event/open f:function/open p:program/open s:synthetic/open
-:open in dynamic_events:
refused while theirs is in use
-:open in kprobe_events: e:of_event/open f:function/open p:kprobes/open p:program/open p:theirs/open s:synthetic/open"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
