#!/usr/bin/env bash
# Guess: a filter that tracefs refuses (EINVAL, "Field not found") changes nothing: the filter that was there stays.
# Seen:  the refusal takes the old filter away and the event goes on without one. With `common_pid == 1` none of the
#        shell's own calls are recorded; after a mistyped `commn_pid == 1` was refused, all of them are. The same holds for
#        `echo x > set_event_pid` and `echo nosuch > set_ftrace_filter`: refused, and then every process and every
#        function passes. For a whole system of events (`events/syscalls/filter`) a field that no event has
#        is not even refused: the write succeeds, the filters of its events are gone.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: a tool that goes on after a failed write, because "the old one is still in force", records other people's
#        processes, or counts hits that its filter excludes. After an error the filter has to be read back or the event
#        disabled first, and success of the write to a system's filter proves nothing.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
event=events/syscalls/sys_enter_getppid
# Calls of getppid by a shell with another process id than 1, as recorded.
count() {
	echo > trace
	echo 1 > $event/enable
	sh -c 'true'
	echo 0 > $event/enable
	[ "$(grep -c sys_getppid trace)" -gt 0 ] && echo "$1: recorded" || echo "$1: nothing"
}
tell() { "$@" 2>/dev/null && echo "$name: accepted" || echo "$name: refused"; }
set_filter() { echo "$1" > "$2"; }
count "no filter"
set_filter 'common_pid == 1' $event/filter
count "filter"
name=mistyped
tell set_filter 'commn_pid == 1' $event/filter
count "after it"
set_filter 'common_pid == 1' $event/filter
name=system
tell set_filter 'commn_pid == 1' events/syscalls/filter
count "after the system's"
set_filter 0 events/syscalls/filter
set_filter 1 set_event_pid
count "pid"
name="no pid"
tell set_filter x set_event_pid
count "after no pid"
set_filter vfs_read set_ftrace_filter
name=function
tell set_filter nosuch set_ftrace_filter
head -n 1 set_ftrace_filter
GUEST
initramfs "$WORK/initrd" "$WORK/script"
recorded="no filter: recorded
filter: nothing
mistyped: refused
after it: recorded
system: accepted
after the system's: recorded
pid: nothing
no pid: refused
after no pid: recorded
function: refused
#### all functions enabled ####"
expect "6.12.117" "$recorded" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$recorded" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
