#!/usr/bin/env bash
# Guess: the line that the file `trigger` of an event shows is a trigger's text: written back it sets the trigger again, and with a `!` in
#        front it removes it. At most the state at its end, `[active]`, has to be cut off.
# Seen:  so it is with histograms by a field. One by processor (`keys=cpu`, `keys=common_cpu`) is listed by 7.3 as `common_cpucpu` and
#        `common_cpucommon_cpu`, and both writes are refused. 6.12 lists it as `common_cpu`, takes the removal of `keys=cpu` under this name
#        without an error, and leaves it there, counting. Triggers of other kinds are listed as `traceoff:unlimited` or
#        `traceoff:count=5`: that removes them, and is refused as a trigger.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: a tool that saves the triggers, works, and puts them back loses all that are no histograms, and one that cleans up by
#        what it reads leaves histograms behind. What removes any trigger is `!` and the text that set it.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
file=events/sched/sched_process_exit/trigger
listed() { sed -n '/^#/d; s/ \[active\]$//; p' $file; }
# What is listed for the trigger TEXT, and what becomes of it when that is removed, and set.
look() {
	: > $file
	echo "$1" >> $file
	text=$(listed)
	echo "!$text" 2>/dev/null >> $file && removal=accepted || removal=refused
	[ -z "$(listed)" ] && rest=gone || rest="still there"
	: > $file
	echo "$text" 2>/dev/null >> $file && setting=accepted || setting=refused
	echo "$1: $text: removal $removal, $rest; setting $setting"
}
look hist:keys=pid
look 'hist:keys=common_pid.execname:vals=prio if pid > 5'
look hist:keys=common_cpu
look hist:keys=cpu
look hist:keys=pid,common_cpu
look hist:keys=pid:where=common_cpu
look traceoff
look 'traceoff:5 if pid == 1'
look stacktrace
look enable_event:sched:sched_switch:3
: > $file
listed
GUEST
initramfs "$WORK/initrd" "$WORK/script"
tail=":vals=hitcount:sort=hitcount:size=2048"
good="removal accepted, gone; setting accepted"
bad="removal refused, still there; setting refused"
execname=hist:keys=common_pid.execname
fields="hist:keys=pid: hist:keys=pid$tail: $good
$execname:vals=prio if pid > 5: $execname:vals=hitcount,prio:sort=hitcount:size=2048 if pid > 5: $good"
others="traceoff: traceoff:unlimited: removal accepted, gone; setting refused
traceoff:5 if pid == 1: traceoff:count=5 if pid == 1: removal accepted, gone; setting refused
stacktrace: stacktrace:unlimited: removal accepted, gone; setting refused
enable_event:sched:sched_switch:3: enable_event:sched:sched_switch:count=3: removal accepted, gone; setting refused"
expect "6.12.117" "$fields
hist:keys=common_cpu: hist:keys=common_cpu$tail: $good
hist:keys=cpu: hist:keys=common_cpu$tail: removal accepted, still there; setting accepted
hist:keys=pid,common_cpu: hist:keys=pid,common_cpu$tail: $good
hist:keys=pid:where=common_cpu: hist:keys=pid:vals=hitcount:where=common_cpu:sort=hitcount:size=2048: $good
$others" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd" 2>/dev/null)"
expect "7.3.4" "$fields
hist:keys=common_cpu: hist:keys=common_cpucommon_cpu$tail: $bad
hist:keys=cpu: hist:keys=common_cpucpu$tail: $bad
hist:keys=pid,common_cpu: hist:keys=pid,common_cpucommon_cpu$tail: $bad
hist:keys=pid:where=common_cpu: hist:keys=pid:vals=hitcount:where=common_cpucommon_cpu:sort=hitcount:size=2048: $bad
$others" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd" 2>/dev/null)"
finish
