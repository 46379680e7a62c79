#!/usr/bin/env bash
# Guess: `perf stat -a` and `perf record -a` cover all processors until they end. If one goes offline and comes back meanwhile, as all
#        but the first do when a machine is suspended, its counts go on, or perf says what it missed.
# Seen:  nothing of that processor is counted or recorded from then on. Of ten programs, five before and five after, perf stat counts
#        five and says that the counter ran 100.00 % of the time; only with -A, and only for who compares them, the times of the two
#        processors differ. perf record has five samples, and no lost ones. `profile:hz` of bpftrace is silent on the processor as
#        well. A counter of a task, a tracepoint of bpftrace, and tracefs have all ten.
# Where: perf 7.3.4 on Linux 6.12.117 and 7.3.4, bpftrace 0.27.1 on 7.3.4 (Debian's cloud flavour).
# Why it matters: after a suspend or a change of a virtual machine's processors a recording that runs on holds the first processor only, and
#        "no hit" there looks like an idle machine.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/perf" linux-perf=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

cat >"$WORK/script" <<'GUEST'
# Runs five programs on the second processor, takes that offline and back, and runs five more.
cat > /tmp/work <<'WORK'
five() { taskset 2 sh -c 'for turn in 1 2 3 4 5; do /bin/busybox true; done'; }
five
echo 0 > /sys/devices/system/cpu/cpu1/online
sleep 0.5
echo 1 > /sys/devices/system/cpu/cpu1/online
five
WORK
event="-e sched:sched_process_exec"
only='filename == "/bin/busybox"'
perf stat -x ' ' -a $event --filter "$only" -o /tmp/stat sh /tmp/work
awk '/sched_process_exec/ { print "perf stat -a: " $1 ", " $(NF > 4 ? 4 : NF) " %" }' /tmp/stat
perf stat -x, -a -A $event --filter "$only" -o /tmp/stat sh /tmp/work
awk -F, '/sched_process_exec/ { print "perf stat -a -A: " $1 " " $2 ", " $6 " %"; time[$1] = $5 }
	END { print "time of CPU1: " (time["CPU1"] < time["CPU0"] - 400000000 ? "shorter" : "the same") }' /tmp/stat
perf stat -x, $event --filter "$only" -o /tmp/stat sh /tmp/work
awk -F, '/sched_process_exec/ { print "perf stat of the task: " $1 ", " $5 " %" }' /tmp/stat
perf record -q -a -o /tmp/data $event --filter "$only" sh /tmp/work
echo "perf record -a: $(perf script -i /tmp/data -F cpu,event 2>/dev/null | grep -c sched_process_exec)," \
	"$(perf report -i /tmp/data -D 2>/dev/null | grep -c 'PERF_RECORD_LOST[^_]') records of losses"
cd /sys/kernel/tracing
echo "$only" > events/sched/sched_process_exec/filter
echo 1 > events/sched/sched_process_exec/enable
sh /tmp/work
echo "tracefs: $(grep -c sched_process_exec: trace)"
echo 0 > events/sched/sched_process_exec/enable
if [ -e /usr/bin/bpftrace ]; then
	cp /bin/busybox /tmp/back
	echo '/tmp/back 2>/dev/null; sleep 2; /tmp/back 2>/dev/null' >> /tmp/work
	bpftrace -e 'tracepoint:sched:sched_process_exec /str(args.filename) == "/bin/busybox"/ { @execs = count() }
		tracepoint:sched:sched_process_exec /comm == "back"/ { @back = 1 }
		profile:hz:50 { @ticks[cpu, @back ? "after" : "before"] = count() }' > /tmp/out 2>&1 &
	while ! grep -q Attached /tmp/out; do sleep 1; done
	sleep 1
	sh /tmp/work
	kill -INT $!
	wait
	sed -n 's/^@execs: /bpftrace, tracepoint: /p' /tmp/out
	for turn in before after; do for cpu in 0 1; do
		grep -q "^@ticks\[$cpu, $turn\]: [1-9]" /tmp/out && ticks=ticks || ticks=none
		echo "bpftrace, profile, CPU$cpu, $turn: $ticks"
	done; done
fi
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/perf"
initramfs "$WORK/initrd-bpftrace" "$WORK/script" "$WORK/perf" "$WORK/bpftrace"
seen="perf stat -a: 5, 100.00 %
perf stat -a -A: CPU0 0, 100.00 %
perf stat -a -A: CPU1 5, 100.00 %
time of CPU1: shorter
perf stat of the task: 10, 100.00 %
perf record -a: 5, 0 records of losses
tracefs: 10"
GUEST_CPUS=2
GUEST_MIB=2048
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen
bpftrace, tracepoint: 10
bpftrace, profile, CPU0, before: ticks
bpftrace, profile, CPU1, before: ticks
bpftrace, profile, CPU0, after: ticks
bpftrace, profile, CPU1, after: none" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd-bpftrace")"
finish
