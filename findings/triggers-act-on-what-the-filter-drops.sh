#!/usr/bin/env bash
# Guess: an event's `filter` comes before its `trigger`: what the filter drops is not counted by a histogram and does not stop the
#        trace. And with tracing_on at 0 nothing is counted.
# Seen:  the trigger knows only a filter of its own (`if …`). With the filter on ls the trace has one record, of ls, and the
#        histogram has ls and uname; `traceoff` stops the trace at an event that the filter dropped. The histogram also counts
#        on while the event is off and tracing_on is 0.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: a histogram beside a filtered trace is one of the whole machine, and counts of both cannot be compared; a trace that
#        was to stop at one program's event stops at any.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
event=events/sched/sched_process_exec
counted() { echo "$1:" $(sed -nE 's,^[{] filename: /applets/([a-z]+) .* hitcount: +([0-9]+)$,\1 \2,p' $event/hist | sort); }
echo 'filename == "/applets/ls"' > $event/filter
echo 'hist:keys=filename' > $event/trigger
echo 1 > $event/enable
/applets/ls > /dev/null
/applets/uname > /dev/null
echo "recorded:" $(grep -oE 'filename=/applets/[a-z]+' trace | sed 's,.*/,,')
counted "histogram"
echo 0 > $event/enable
echo 0 > tracing_on
/applets/uname > /dev/null
counted "histogram, event off and tracing_on 0"
echo '!hist:keys=filename' > $event/trigger
echo 1 > tracing_on
echo 1 > $event/enable
echo 'filename == "/applets/none"' > $event/filter
echo traceoff > $event/trigger
/applets/uname > /dev/null
echo "traceoff: tracing_on $(cat tracing_on)"
echo '!traceoff' > $event/trigger
echo 1 > tracing_on
echo 'traceoff if filename == "/applets/none"' > $event/trigger
/applets/uname > /dev/null
echo "traceoff with the filter in the trigger: tracing_on $(cat tracing_on)"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="recorded: ls
histogram: ls 1 uname 1
histogram, event off and tracing_on 0: ls 1 uname 2
traceoff: tracing_on 0
traceoff with the filter in the trigger: tracing_on 1"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
