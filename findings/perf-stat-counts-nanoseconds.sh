#!/usr/bin/env bash
# Guess: the number that `perf stat -e` prints for a tracepoint is how often it was hit.
# Seen:  for sched:sched_stat_runtime it is nanoseconds: more than ten million where there were less than a thousand hits. The
#        kernel hands the event's `runtime` to perf as the number of events to add. `perf record` takes one sample a hit and writes
#        the nanoseconds down as its period, so that the event count of `perf report` is nanoseconds as well. A `hist:` trigger
#        counts hits, and the format of the event tells nothing of it.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour), perf 7.3.4.
# Why it matters: in a table of `perf stat -e 'sched:*'` this row leads by five digits and looks like a storm of events; a rate, or
#        the cost of tracing, that is computed from it is of another unit.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/perf" linux-perf=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
export HOME=/tmp
event=/sys/kernel/tracing/events/sched/sched_stat_runtime
cat > /tmp/work <<'WORK'
printf loop > /proc/$$/comm
i=0; while [ $i -lt 4000 ]; do i=$((i + 1)); done
WORK
size() { awk -v n="$1" 'BEGIN { print (n > 10000000 ? "above ten million" : n > 0 && n < 1000 ? "below a thousand" : n) }'; }
# The trigger counts for the same task; its sum is of the event's own field.
echo 'hist:keys=comm:vals=runtime if comm == "loop"' > $event/trigger
perf stat -x, -o /tmp/stat -e sched:sched_stat_runtime -e sched:sched_switch sh /tmp/work
echo "perf stat, sched_stat_runtime: $(size $(sed -n 's/,.*sched_stat_runtime.*//p' /tmp/stat))"
echo "perf stat, sched_switch: $(size $(sed -n 's/,.*sched_switch.*//p' /tmp/stat))"
sed -nE 's/^[{] comm: loop +[}] hitcount: +([0-9]+) +runtime: +([0-9]+)$/\1 \2/p' $event/hist | {
	read -r hits sum
	echo "hist, hits: $(size $hits)"
	echo "hist, sum of runtime: $(size $sum)"
}
echo '!hist:keys=comm' > $event/trigger
perf record -q -o /tmp/perf.dat -e sched:sched_stat_runtime sh /tmp/work
perf script -i /tmp/perf.dat -F period,trace 2>/dev/null | sed -nE 's/^ *([0-9]+) .*runtime=([0-9]+).*/\1 \2/p' > /tmp/samples
echo "perf record, samples: $(size $(wc -l < /tmp/samples))"
echo "perf record, the period is: $(awk '$1 == $2 { same++ } END { print same == NR ? "runtime" : same " of " NR }' /tmp/samples)"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/perf"
seen="perf stat, sched_stat_runtime: above ten million
perf stat, sched_switch: below a thousand
hist, hits: below a thousand
hist, sum of runtime: above ten million
perf record, samples: below a thousand
perf record, the period is: runtime"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
