#!/usr/bin/env bash
# Guess: a new instance (mkdir instances/mine) starts with the kernel's defaults, whatever other users of tracing have set at the top.
# Seen:  it starts with the options of the top level at that moment, and with nothing else of it: of `overwrite`, `stacktrace` and
#        `pause-on-trace` it has what is set there, but its own clock, buffer size, filter of processes and tracer. With `overwrite` off
#        at the top it keeps the oldest records in its full buffer and drops those that matter; with `context-info` off its lines have no
#        task and no time. `event-fork` and `function-fork` are not taken over, and changes at the top after that neither.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: an instance is what keeps one tool's tracing apart from another's. A tool that makes one, and sets only what it wants
#        otherwise than by default, records something else on a machine where someone has set an option at the top before.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
options="overwrite stacktrace pause-on-trace context-info print-parent hash-ptr record-tgid irq-info event-fork function-fork"
values() { for option in $options; do cat $1/options/$option; done; }
mkdir instances/before
values instances/before > /tmp/before
for option in $options; do
	read -r value < options/$option
	echo $((1 - value)) > options/$option
done
echo mono > trace_clock
echo 2000 > buffer_size_kb
echo $$ > set_event_pid
echo 0 > tracing_on
mkdir instances/mine
values instances/before | cmp -s - /tmp/before && echo "an instance of before: as it was"
for option in $options; do
	[ "$(cat options/$option)" = "$(cat instances/mine/options/$option)" ] && echo "$option: taken over" || echo "$option: default"
done
for file in trace_clock buffer_size_kb set_event_pid tracing_on; do
	cmp -s $file instances/mine/$file && echo "$file: taken over" || echo "$file: default"
done
# A full buffer of each.
for instance in before mine; do
	cd /sys/kernel/tracing/instances/$instance
	echo 0 > options/stacktrace
	echo 8 > buffer_size_kb
	for turn in $(seq 1000); do echo "mark $turn" > trace_marker; done 2>/dev/null
	first=$(grep -c 'mark 1$' trace) last=$(grep -c 'mark 1000$' trace)
	timed=$(grep 'mark ' trace | sed -n '1s/ *mark.*//p' | grep -c '[0-9]\.[0-9]')
	echo "$instance: the first of 1000 marks $first, the last $last, $timed with a time"
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="an instance of before: as it was
overwrite: taken over
stacktrace: taken over
pause-on-trace: taken over
context-info: taken over
print-parent: taken over
hash-ptr: taken over
record-tgid: taken over
irq-info: taken over
event-fork: default
function-fork: default
trace_clock: default
buffer_size_kb: default
set_event_pid: default
tracing_on: default
before: the first of 1000 marks 0, the last 1, 1 with a time
mine: the first of 1000 marks 1, the last 0, 0 with a time"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
