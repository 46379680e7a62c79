#!/usr/bin/env bash
# Guess: opening an event's `trigger` with `>` either empties it, as it does with set_event and kprobe_events, or changes nothing, as
#        with most files of tracefs.
# Seen:  it removes the event's histograms, with all that they have counted, and leaves every other trigger. So `: > trigger` does not
#        stop `traceoff`, `stacktrace`, `snapshot` or `enable_event` (`echo > trigger` neither, and says EINVAL); and
#        `echo '!stacktrace' > trigger`, the way in which the kernel's documentation removes one, takes all histograms of the event
#        along, as does setting another, `echo disable_event:… > trigger`. With `>>` nothing but what is named changes.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: a second tool that sets or removes its own trigger wipes the first one's counts without an error, and a reset by
#        truncation looks right in a test with histograms and leaves a `traceoff` that later stops someone else's recording.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
file=events/sched/sched_process_exit/trigger
others='traceoff:9 snapshot:9 stacktrace:9 enable_event:sched:sched_process_exec:9'
# What is left after COMMAND.
look() {
	for trigger in hist:keys=pid hist:keys=common_pid $others; do echo $trigger >> $file; done
	sh -c "$1" 2>/dev/null && said="no error" || said="an error"
	echo "$1: $said: $(sed '/^#/d; s/:\(keys\|count\|unlimited\|sched:\).*//' $file | sort | uniq -c | awk '{ print $1, $2 }' | xargs)"
	for trigger in hist:keys=pid hist:keys=common_pid $others disable_event:sched:sched_switch:9; do
		echo "!$trigger" >> $file
	done 2>/dev/null
	sed '/^#/d' $file
}
export file
look ':'
look 'echo > $file'
look ': > $file'
look 'echo !stacktrace > $file'
look 'echo !stacktrace >> $file'
look 'echo disable_event:sched:sched_switch:9 > $file'
look 'echo !hist:keys=pid > $file'
look 'echo !hist:keys=pid >> $file'
GUEST
initramfs "$WORK/initrd" "$WORK/script"
rest="1 enable_event 1 snapshot 1 stacktrace 1 traceoff"
seen=":: no error: 1 enable_event 2 hist 1 snapshot 1 stacktrace 1 traceoff
echo > \$file: an error: $rest
: > \$file: no error: $rest
echo !stacktrace > \$file: no error: 1 enable_event 1 snapshot 1 traceoff
echo !stacktrace >> \$file: no error: 1 enable_event 2 hist 1 snapshot 1 traceoff
echo disable_event:sched:sched_switch:9 > \$file: no error: 1 disable_event $rest
echo !hist:keys=pid > \$file: no error: $rest
echo !hist:keys=pid >> \$file: no error: 1 enable_event 1 hist 1 snapshot 1 stacktrace 1 traceoff"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
