#!/usr/bin/env bash
# Guess: the trace that a persistent ring buffer keeps over a restart reads as it did before the restart, or the records of
#        events that this boot does not have are marked as such.
# Seen:  the buffer keeps only the number of each record's event. A probe event of the last boot is "Unknown type 1666" until
#        this boot's first probe event gets that number; from then on the old records carry the name and the fields of
#        the new probe. A record `probe_one: name="/etc/hosts" dfd=-100` of do_sys_openat2 reads
#        `probe_two: count=0xffffff9c000b0018 pos=0x736f682f6374652f`, values that vfs_read never had, without a mark.
#        The instruction's address in the record is still translated right, to do_sys_openat2.
#        A system call's arguments are gone: `sys_enter: NR 3 (…)` has become `args=<INVALID-SIZE>`.
# Where: Linux 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU, restarted in the same memory.
# Why it matters: this buffer is for finding out why a machine went down. Whoever starts a tool with a probe in the next
#        boot, before the old trace is read, changes what it says; events of modules get their numbers in the same way.
#        Read the old trace first, and keep the formats of the events beside it.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/6.18" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/7.3" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
tracing=/sys/kernel/tracing
cd $tracing/instances/last
touch /etc/hosts
records() { grep -E '(probe_...|Unknown type|sys_enter):? ' trace | sed -E 's/^.*[0-9]: //; s/ \(-?[0-9]+\)//g'; }
if ! dmesg | grep -q 'from previous boot'; then
	echo 'p:mine/probe_one do_sys_openat2 name=+0($arg2):ustring dfd=$arg1:s32' > $tracing/dynamic_events
	echo > trace
	echo 1 > events/mine/enable
	echo 'id == 3 && common_pid == '$$ > events/raw_syscalls/sys_enter/filter
	echo 1 > events/raw_syscalls/sys_enter/enable
	echo 1 > tracing_on
	read line < /etc/hosts
	echo 0 > tracing_on
	echo "first boot:"
	records | grep -m 1 hosts
	records | grep -m 1 sys_enter | sed 's/(.*/(…)/'
	reboot -f
	sleep 60
fi
echo "next boot:"
records | grep -v sys_enter | sort | uniq | sed -E 's/[0-9]+$/its number/'
records | grep -m 1 sys_enter
echo 'p:other/probe_two vfs_read count=$arg3:u64 pos=$arg4:x64' > $tracing/dynamic_events
echo "next boot, with a probe of its own that has recorded nothing:"
records | grep 0x736f682f6374652f
grep -c probe_two $tracing/trace
GUEST
initramfs "$WORK/initrd" "$WORK/script"
GUEST_REBOOTS=yes
GUEST_APPEND="reserve_mem=20M:2M:trace trace_instance=last^traceoff@trace"
seen='first boot:
probe_one: (do_sys_openat2+0x0/0xe0) name="/etc/hosts" dfd=-100
sys_enter: NR 3 (…)
next boot:
Unknown type its number
sys_enter: id=0x3 args=<INVALID-SIZE>
next boot, with a probe of its own that has recorded nothing:
probe_two: __probe_ip=do_sys_openat2+0x0/0xe0 count=0xffffff9c000b0018 pos=0x736f682f6374652f
0'
last() { sed -n '/^first boot/h; /^first boot/!H; ${x;p}'; }
expect "6.18.15" "$seen" "$(guest "$WORK"/6.18/boot/vmlinuz-* "$WORK/initrd" | last)"
expect "7.3.4" "$seen" "$(guest "$WORK"/7.3/usr/lib/modules/*/vmlinuz "$WORK/initrd" | last)"
finish
