#!/usr/bin/env bash
# Guess: what a BPF program prints with bpf_printk comes to trace_pipe (`bpftool prog tracelog`) as long as the program runs. It is no event
#        that someone has set, so what others do to events, filters of processes and recordings does not concern it.
# Seen:  it is the event bpf_trace:bpf_trace_printk, switched on when a program with such a call is loaded, and only then. `echo 0 >
#        events/enable`, setting another event through set_event, `trace-cmd reset` and any `trace-cmd record` of other events switch it
#        off, for every program that prints, silently; the programs run on and count on. With set_event_pid only the processes named there
#        print. It comes back when anyone loads any program with the call in it, or through the event's `enable`.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour), bpftrace 0.27.1 (its debugf() is bpf_printk), trace-cmd 3.4.
# Why it matters: "my program prints nothing, so it is not reached" is the usual way to look for a fault, and a recording beside it is
#        enough to make it wrong. An instance with the event on is not touched by set_event at the top, and keeps the lines.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/tools" bpftrace=0.27.1-1
unpack_program sid "$WORK/tools" trace-cmd=3.4-2

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
event=events/bpf_trace/bpf_trace_printk
echo "before: enable $(cat $event/enable)"
printing='tracepoint:sched:sched_process_exec /comm == "busybox"/ { @runs = count(); debugf("printed\n") }'
bpftrace -q -e "$printing" > /tmp/out 2>&1 &
while [ "$(cat $event/enable)" = 0 ] || ! /bin/busybox true || ! grep -q printed trace; do sleep 1; done
# How many lines there are of two runs of the program, after WHAT.
look() {
	: > trace
	/bin/busybox true
	/bin/busybox true
	echo "$1: $(grep -c printed trace) of 2, enable $(cat $event/enable)"
}
look running
echo 0 > events/enable
look 'echo 0 > events/enable'
echo 1 > $event/enable
look 'its own enable'
echo sched:sched_process_fork > set_event
look 'echo sched:sched_process_fork > set_event'
echo 0 > events/sched/enable
bpftrace -q -e 'BEGIN { exit() }' > /dev/null 2>&1
look 'another program that prints nothing'
bpftrace -q -e 'BEGIN { debugf("once\n"); exit() }' > /dev/null 2>&1
look 'another program that prints'
echo $$ > set_event_pid
look 'echo $$ > set_event_pid'
: > set_event_pid
look ': > set_event_pid'
trace-cmd record -q -o /tmp/data -e sched:sched_process_fork sleep 1 > /dev/null 2>&1
look 'trace-cmd record -e sched:sched_process_fork'
mkdir instances/mine
echo 1 > instances/mine/$event/enable
echo sched:sched_process_fork > set_event
look 'with an instance'
echo "the instance: $(grep -c printed instances/mine/trace) of 2"
kill -INT $!
wait
runs=$(sed -n 's/^@runs: //p' /tmp/out)
echo "runs of the program: $([ "$runs" -ge 21 ] && echo all || echo "$runs")"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/tools"
seen="before: enable 0
running: 2 of 2, enable 1
echo 0 > events/enable: 0 of 2, enable 0
its own enable: 2 of 2, enable 1
echo sched:sched_process_fork > set_event: 0 of 2, enable 0
another program that prints nothing: 0 of 2, enable 0
another program that prints: 2 of 2, enable 1
echo \$\$ > set_event_pid: 0 of 2, enable 1
: > set_event_pid: 2 of 2, enable 1
trace-cmd record -e sched:sched_process_fork: 0 of 2, enable 0
with an instance: 0 of 2, enable 0
the instance: 2 of 2
runs of the program: all"
GUEST_MIB=2048
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
