#!/usr/bin/env bash
# Guess: an event probe that takes a string field of another event (`e:mine sched.sched_switch who=$prev_comm`), or $comm, holds the
#        text: the kernel knows the field's type, and `$comm` is text in a probe event without saying so.
# Seen:  a kprobe event with `who=$comm` holds the text, and an event probe with the same words an address, as it does for a
#        field that is a string; only `:string` makes it text. For prev_comm it is the address at which the other event
#        was being made, the same for every task: a histogram over it has one row where four tasks and more ran.
#        Nothing is refused and nothing is logged.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: events of which the names are one number look as if one task had caused them all, and a filter for a name cannot
#        be set on them.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:probe vfs_open who=$comm' > dynamic_events
echo 'e:of_event sched.sched_process_exec who=$comm file=$filename' >> dynamic_events
echo 'e:of_event_string sched.sched_process_exec who=$comm:string file=$filename:string' >> dynamic_events
echo 'e:switch sched.sched_switch who=$prev_comm' >> dynamic_events
echo 'e:switch_string sched.sched_switch who=$prev_comm:string' >> dynamic_events
echo 'hist:keys=who' > events/eprobes/switch/trigger
echo 'hist:keys=who' > events/eprobes/switch_string/trigger
echo 1 > events/kprobes/enable
echo 1 > events/eprobes/enable
for turn in 1 2 3 4; do sleep 0.1; ls /proc > /dev/null; done
echo 'who == "sh"' 2>/dev/null > events/eprobes/switch/filter || echo "switch: a filter for a name is refused"
echo 0 > events/enable
first() { grep -m 1 " $1: " trace | sed -E 's/^.* who=/who=/; s/0xff[0-9a-f]{14}/(an address)/g; s/"[^"]*"/(text)/g'; }
for event in probe of_event of_event_string; do echo "$event: $(first $event)"; done
for event in switch switch_string; do
	rows=$(grep -c '^{' events/eprobes/$event/hist)
	echo "$event: $([ $rows -ge 4 ] && echo four tasks and more || echo "$rows task")"
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="switch: a filter for a name is refused
probe: who=(text)
of_event: who=(an address) file=(an address)
of_event_string: who=(text) file=(text)
switch: 1 task
switch_string: four tasks and more"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
