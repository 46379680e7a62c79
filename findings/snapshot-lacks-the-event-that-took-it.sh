#!/usr/bin/env bash
# Guess: a trigger acts at the event that it is on, and a condition (`if …`) only says at which hits. So the snapshot that `snapshot:1`
#        takes ends with the event that took it, and with `traceon` that event is the first or, at any rate, always is or is not recorded.
# Seen:  a snapshot taken without a condition lacks its event, which goes to the buffer that goes on; with a condition that is
#        always true, `if common_pid >= 0`, the event is in the snapshot and missing from the buffer. With `traceon` it is the other way
#        about: without a condition the event is the first of the trace, with one it is in no trace. `traceoff` records it either way. The
#        same for tracepoints, kprobes, fprobes, event probes and system calls.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: who looks into a snapshot for the arguments of the hit that took it finds the hit before it, or none. A filter
#        that is added to a trigger for fewer hits changes the first or the last record of the capture as well.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:kprobe kernel_clone' > dynamic_events
echo 'f:fprobe kernel_clone' >> dynamic_events
echo 'e:eprobe sched.sched_process_fork' >> dynamic_events
# How many of the forks of four programs are where, with TRIGGER on each event.
look() {
	for event in sched/sched_process_fork kprobes/kprobe fprobes/fprobe eprobes/eprobe syscalls/sys_enter_clone; do
		name=${event##*/}
		echo 1 > tracing_on
		echo 1 > snapshot
		echo 2 > snapshot
		: > trace
		case $1 in traceon*) echo 0 > tracing_on ;; esac
		echo "$1" > events/$event/trigger
		echo 1 > events/$event/enable
		for turn in 1 2 3 4; do /bin/busybox true; done
		echo 0 > events/$event/enable
		echo "!$1" >> events/$event/trigger
		echo "$(grep -cE " (sys_clone|$name)[:(]" trace) in the trace, $(grep -cE " (sys_clone|$name)[:(]" snapshot) in the snapshot"
	done > /tmp/counts
	sort /tmp/counts | uniq -c | sed -E "s/^ *([0-9]+) /$1: \1 events: /"
}
look 'snapshot:1'
look 'snapshot:1 if common_pid >= 0'
look 'traceon'
look 'traceon if common_pid >= 0'
look 'traceoff'
look 'traceoff if common_pid >= 0'
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="snapshot:1: 5 events: 4 in the trace, 0 in the snapshot
snapshot:1 if common_pid >= 0: 5 events: 3 in the trace, 1 in the snapshot
traceon: 5 events: 4 in the trace, 0 in the snapshot
traceon if common_pid >= 0: 5 events: 3 in the trace, 0 in the snapshot
traceoff: 5 events: 1 in the trace, 0 in the snapshot
traceoff if common_pid >= 0: 5 events: 1 in the trace, 0 in the snapshot"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
