#!/usr/bin/env bash
# Guess: in sched_switch `prev_state == 0` selects the tasks that could have run on, which are printed R and R+, and `prev_state != 0`
#        those that went to sleep: 0 is TASK_RUNNING.
# Seen:  a preempted task, printed "R+", has a state of its own in the record, a bit above all states. It passes the filter for sleepers,
#        with a loop that never sleeps, and is missing from the one for running tasks.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour), loops and a dd on one processor.
# Why it matters: time "asleep" that is measured with this filter has the time in it that tasks waited for a processor, and counts of
#        preemptions with `== 0` have none of those that the kernel forced.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
event=events/sched/sched_switch
for filter in 'prev_state == 0' 'prev_state != 0'; do
	echo > trace
	echo "$filter" > $event/filter
	echo 1 > $event/enable
	for i in 1 2; do timeout 2 sh -c 'while :; do :; done' & done
	dd if=/dev/zero of=/dev/null bs=1048576 count=300 2>/dev/null
	sleep 1
	echo 0 > $event/enable
	echo "$filter:" $(grep -oE 'prev_state=(S|R[+]?) ' trace | sort -u)
	wait
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="prev_state == 0: prev_state=R
prev_state != 0: prev_state=R+ prev_state=S"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
