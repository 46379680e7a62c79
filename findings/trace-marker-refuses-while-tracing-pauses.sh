#!/usr/bin/env bash
# Guess: a write to trace_marker succeeds whether or not anything records; what is not recorded is dropped, like other records.
# Seen:  while nothing can be recorded the write fails with EBADF, "Bad file descriptor", on a descriptor that is open and good:
#        with tracing_on 0, after a `traceoff` trigger, on a processor outside tracing_cpumask, and in a full buffer that does
#        not overwrite. It fails likewise for trace_marker_raw, and an instance goes by its own tracing_on. On 6.18 and 7.3 a
#        write can fail and be recorded: with copy_trace_marker the record is in the instance, and the result tells of the
#        top buffer.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour).
# Why it matters: a program that marks its phases and checks its writes fails the moment that somebody stops the trace, with an
#        error that makes one look for a closed file; a trigger that stops the trace at a fault adds this error to it.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/k612" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/k618" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/k73" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
mkdir instances/own
# What writing to each of the files says; the descriptor was opened while all was on.
exec 3> trace_marker 4> trace_marker_raw 5> instances/own/trace_marker
mark() {
	answer=
	for fd in 3 4 5; do
		error=$( { dd if=/tmp/mark bs=100 >&$fd; } 2>&1 | sed -nE 's/^dd: .*: //p')
		answer="$answer, ${error:-written}"
	done
	echo "$1: ${answer#, }"
}
printf '\001\000\000\000mark\n' > /tmp/mark
mark "on"
echo 0 > tracing_on; mark "tracing_on 0"; echo 1 > tracing_on
echo 0 > instances/own/tracing_on; mark "tracing_on 0 in the instance"; echo 1 > instances/own/tracing_on
event=events/sched/sched_process_exec
echo 'traceoff if filename ~ "*/uname"' > $event/trigger
/applets/uname > /dev/null
mark "after traceoff"
echo '!traceoff' > $event/trigger
echo 1 > tracing_on
echo 0 > tracing_cpumask; mark "outside tracing_cpumask"; echo 1 > tracing_cpumask
echo 0 > options/overwrite
echo 4 > buffer_size_kb
i=0; while [ $i -lt 2000 ]; do echo full >&3; i=$((i + 1)); done 2>/dev/null
mark "full"
echo 1 > options/overwrite
if [ -e instances/own/options/copy_trace_marker ]; then
	echo 1 > instances/own/options/copy_trace_marker
	echo 0 > tracing_on
	echo > instances/own/trace
	error=$( { echo copied >&3; } 2>&1 | sed 's/.*: //')
	echo "copied: ${error:-written}, records in the instance: $(grep -c copied instances/own/trace)"
fi
GUEST
initramfs "$WORK/initrd" "$WORK/script"
bad="Bad file descriptor"
seen="on: written, written, written
tracing_on 0: $bad, $bad, written
tracing_on 0 in the instance: written, written, $bad
after traceoff: $bad, $bad, written
outside tracing_cpumask: $bad, $bad, written
full: $bad, $bad, written"
copied="copied: $bad, records in the instance: 1"
expect "6.12.117" "$seen" "$(guest "$WORK"/k612/boot/vmlinuz-* "$WORK/initrd")"
expect "6.18.15" "$seen
$copied" "$(guest "$WORK"/k618/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen
$copied" "$(guest "$WORK"/k73/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
