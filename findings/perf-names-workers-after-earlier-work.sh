#!/usr/bin/env bash
# Guess: the task's name in `perf script` and `perf report` is the one that it had at the event, the same as in the trace.
# Seen:  a worker of the kernel that was there before the recording is called after the work queue that it served at that
#        moment, such as kworker/0:1-mm_ or kworker/0:1-eve, whatever it does later: one such name stands before functions of
#        several queues, and takes all of their time in `perf report`. No event has the name: to the kernel the task is
#        kworker/0:1, which stands in the same line of a sched_switch. perf reads the names in /proc, which adds the queue,
#        when it starts, and cuts them to 15 characters.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour), perf 7.3.4.
# Why it matters: a profile by comm says which queue kept the machine busy, and that is the queue of the moment when perf was
#        started. `--comms kworker/0:1` finds nothing, and neither does an event's filter with perf's name.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/perf" linux-perf=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
export HOME=/tmp
perf record -q -a -o /tmp/perf.dat -e sched:sched_switch -e workqueue:workqueue_execute_start \
	-e workqueue:workqueue_queue_work sleep 4
perf script -i /tmp/perf.dat -F comm,tid,event,trace 2>/dev/null > /tmp/lines
# Workers of one processor, by perf's name and by the name in the record: kworker/CPU:N and kworker/CPU:N-QUEUE.
grep -E 'sched_switch: prev_comm=kworker/[0-9]+:[0-9]+ ' /tmp/lines > /tmp/switches
echo "perf's name has a queue: $(grep -qE '^ *kworker/[0-9:]+-' /tmp/switches && echo yes || echo no)"
echo "the record's name has a queue: $(grep -qE 'prev_comm=kworker/[0-9:]+-' /tmp/switches && echo yes || echo no)"
# The queues of the functions that ran under one name of perf.
awk '/workqueue_queue_work:/ {
		for (i = 1; i <= NF; i++) { if ($i ~ /^workqueue=/) queue = substr($i, 11); if ($i ~ /^function=/) func_ = substr($i, 10) }
		of[func_] = queue }
	/workqueue_execute_start:/ && $1 ~ /^kworker\/[0-9]+:[0-9]+-/ { ran[$1 " " $NF] }
	END { for (key in ran) { split(key, part, " "); if (part[2] in of && !seen[part[1] of[part[2]]]++) count[part[1]]++ }
		most = 0; for (name in count) if (count[name] > most) most = count[name]
		print "queues under one name: " (most > 1 ? "several" : most) }' /tmp/lines
name=$(sed -nE 's,^ *kworker/[0-9:]+-.*prev_comm=(kworker/[0-9:]+) .*,\1,p' /tmp/switches | head -n 1)
echo "lines for --comms with the record's name: $(perf script -i /tmp/perf.dat --comms "$name" 2>/dev/null | wc -l)"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/perf"
seen="perf's name has a queue: yes
the record's name has a queue: no
queues under one name: several
lines for --comms with the record's name: 0"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
