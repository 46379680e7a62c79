#!/usr/bin/env bash
# Guess: `trace_instance=NAME^traceoff@MEMORY,EVENT` prepares an instance whose persistent buffer records nothing until it is
#        switched on: `traceoff` is there so that the trace of the last boot can be read first.
# Seen:  on 6.18 so it is. On 7.3 naming an event, as the documentation's own examples do, erases the last boot's trace before
#        user space starts, although the kernel's log says that the buffer is from the previous boot and `tracing_on`
#        is 0 throughout: `last_boot_info` says "# Current" and `trace` is empty. Without an event it is kept. Nothing
#        is logged of it.
# Where: Linux 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU, restarted in the same memory.
# Why it matters: a machine set up on 6.18 to keep the trace of a crash loses it after the upgrade, and the difference shows only
#        after the first crash. Enable events from user space, after the old trace has been saved.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/6.18" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/7.3" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing/instances/last
# The first boot leaves a line; so does any other in which the memory came to lie elsewhere.
if ! dmesg | grep -q 'from previous boot'; then
	echo 1 > tracing_on
	echo "written before the restart" > trace_marker
	echo 0 > tracing_on
	grep -q "before the restart" trace || echo "not written"
	reboot -f
	sleep 60
fi
echo "after the restart: tracing_on $(cat tracing_on), buffer of" \
	"$(grep -q Current last_boot_info && echo this boot || echo the last boot), line" \
	"$(grep -q "before the restart" trace && echo kept || echo lost), set_event: $(cat set_event)"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
GUEST_REBOOTS=yes
without="reserve_mem=20M:2M:trace trace_instance=last^traceoff@trace"
kept="after the restart: tracing_on 0, buffer of the last boot, line kept, set_event:"
lost="after the restart: tracing_on 0, buffer of this boot, line lost, set_event:"
after() {
	GUEST_APPEND=$1
	guest "$2" "$WORK/initrd" | grep "^after"
}
old=$(echo "$WORK"/6.18/boot/vmlinuz-*) new=$(echo "$WORK"/7.3/usr/lib/modules/*/vmlinuz)
expect "6.18.15, no event" "$kept " "$(after "$without" "$old")"
expect "6.18.15, an event" "$kept sched:sched_waking" "$(after "$without,sched:sched_waking" "$old")"
expect "7.3.4, no event" "$kept " "$(after "$without" "$new")"
expect "7.3.4, an event" "$lost sched:sched_waking" "$(after "$without,sched:sched_waking" "$new")"
finish
