#!/usr/bin/env bash
# Guess: a tracepoint probe (`t:mine sched_switch`) on a tracepoint that the kernel does not have is refused, as a kprobe, an fprobe and
#        an event probe are for a name that does not exist.
# Seen:  `t:mine sched_swich` is accepted, is listed, is enabled without an error, says 1 in `enable`, and never fires: the
#        kernel waits for a module that might bring the tracepoint. The same for a function's name (`vfs_open`) and for an event
#        that no tracepoint stands behind (sys_enter_openat, which is made out of sys_enter). With $arg3 as well; only an argument's name, or
#        $arg*, makes the kernel look for the tracepoint and refuse. No word in the kernel's log.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour).
# Why it matters: "enabled and no hit" reads as "it never happened". Who makes such probes has to look the name up itself, for
#        instance as `__probestub_NAME` in /proc/kallsyms, and an empty capture of a `t:` event proves nothing without it.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/6.12" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/6.18" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/7.3" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
try() { if echo "$1" 2>/dev/null >> dynamic_events; then echo "$1: accepted"; else echo "$1: refused"; fi; }
try 'p:kprobe no_such_name'
try 'f:fprobe no_such_name'
try 'e:eprobe sched.no_such_name'
try 't:right sched_switch'
try 't:misspelt sched_swich'
try 't:event_of_another_name sys_enter_openat'
try 't:function vfs_open'
try 't:with_an_argument sched_swich prev'
try 't:with_a_number sched_swich next=$arg3'
try 't:with_all sched_swich $arg*'
dmesg -c > /tmp/before
for event in right misspelt event_of_another_name function with_a_number; do
	echo 1 2>/dev/null > events/tracepoints/$event/enable && said="no error" || said="an error"
	echo "$event: $said, enabled $(cat events/tracepoints/$event/enable)"
done
for turn in 1 2 3; do sleep 0.1; : < /script; done
echo 0 > tracing_on
for event in right misspelt event_of_another_name function with_a_number; do
	[ "$(grep -c " $event: " trace)" -gt 0 ] && echo "$event: hits" || echo "$event: no hit"
done
for name in sched_switch sched_swich sys_enter_openat vfs_open; do
	echo "__probestub_$name: $(grep -cw "__probestub_$name" /proc/kallsyms)"
done
echo "lines about it in the kernel's log: $(dmesg | grep -ciE 'tracepoint|sched_swich|probe')"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="p:kprobe no_such_name: refused
f:fprobe no_such_name: refused
e:eprobe sched.no_such_name: refused
t:right sched_switch: accepted
t:misspelt sched_swich: accepted
t:event_of_another_name sys_enter_openat: accepted
t:function vfs_open: accepted
t:with_an_argument sched_swich prev: refused
t:with_a_number sched_swich next=\$arg3: accepted
t:with_all sched_swich \$arg*: refused
right: no error, enabled 1
misspelt: no error, enabled 1
event_of_another_name: no error, enabled 1
function: no error, enabled 1
with_a_number: no error, enabled 1
right: hits
misspelt: no hit
event_of_another_name: no hit
function: no hit
with_a_number: no hit
__probestub_sched_switch: 1
__probestub_sched_swich: 0
__probestub_sys_enter_openat: 0
__probestub_vfs_open: 0
lines about it in the kernel's log: 0"
expect "6.12.117" "$seen" "$(guest "$WORK"/6.12/boot/vmlinuz-* "$WORK/initrd")"
expect "6.18.15" "$seen" "$(guest "$WORK"/6.18/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/7.3/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
