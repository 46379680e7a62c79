#!/usr/bin/env bash
# Guess: `strace -e inject=write:error=ENOSPC` makes the kernel fail that call; a tracer in the kernel sees the write and the
#        result -28, as the program and strace do.
# Seen:  the tracer sees another call and another result: `sys_enter: NR -1` and `sys_exit: NR -1 = -38` (ENOSYS). strace
#        replaces the number before the tracepoint reads it and the result after the exit's was recorded. The
#        arguments are still those of write. The events sys_enter_write and sys_exit_write record nothing, whereas strace prints
#        "write(1, …) = -1 ENOSPC (INJECTED)".
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU, strace 7.2.
# Why it matters: a test that injects faults with strace and checks by eBPF or ftrace what happened checks nothing: its probe
#        has no hits, and -38 is not the error that the program got. NR -1 is in no table of a tool.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/strace" strace=7.2+ds-1+b1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 1 > events/raw_syscalls/enable
echo 1 > events/syscalls/sys_enter_write/enable
echo 1 > events/syscalls/sys_exit_write/enable

strace --color=never -o /tmp/log -e trace=write -e inject=write:error=ENOSPC /applets/echo data
echo "exit status $?"
echo 0 > events/enable
head -n 1 /tmp/log
# What the program itself did after its execve.
grep 'echo-' trace | sed -nE '/sys_exit: NR 59 /,$s/^.*[0-9]: (sys_(enter|exit|write).*)/\1/p' | grep -E 'NR (-1|1) |write' |
	sed -E 's/\(1, [0-9a-f]*,/(1, ADDRESS,/' | head -n 2
echo "other events: $(grep 'echo-' trace | sed '1,/sys_exit: NR 59 /d' | grep -c 'sys_write')"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/strace"
recorded='exit status 1
write(1, "data\n", 5) = -1 ENOSPC (No space left on device) (INJECTED)
sys_enter: NR -1 (1, ADDRESS, 5, ...)
sys_exit: NR -1 = -38
other events: 0'
seen() { guest "$1" "$WORK/initrd" | sed -E 's/ +/ /g; s/(NR -1 \(1, ADDRESS, 5, ).*/\1...)/'; }
expect "6.12.117" "$recorded" "$(seen "$WORK"/old/boot/vmlinuz-*)"
expect "7.3.4" "$recorded" "$(seen "$WORK"/new/usr/lib/modules/*/vmlinuz)"
finish
