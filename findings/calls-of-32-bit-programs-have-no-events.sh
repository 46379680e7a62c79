#!/usr/bin/env bash
# Guess: the events of tracefs cover every program: a 32-bit one that opens a file gives sys_enter_openat or sys_enter_open.
# Seen:  a 32-bit program gives no event of the group `syscalls` at all, with all of them on, and none says so. The
#        group `raw_syscalls` has its calls under the numbers of the other table: open is 5 (fstat to a 64-bit reader),
#        write 4 (stat). Its execve even changes number on the way: sys_enter NR 59, sys_exit NR 11. bpftrace on
#        the events of open, openat and write counts nothing, where its raw tracepoint counts four calls.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour, CONFIG_IA32_EMULATION=y) in QEMU, bpftrace 0.27.1.
# Why it matters: "no open was recorded" is no proof that nothing was opened. A number in raw_syscalls means nothing without
#        the table of the task at that moment, and enter and exit of one call cannot be paired by number.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/calls.c" <<'C'
static long call(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}
void _start(void)
{
	call(5, (long)"/init", 0, 0);
	call(4, 1, (long)"written\n", 8);
	call(1, 0, 0, 0);
}
C
gcc -m32 -nostdlib -static -fno-pie -no-pie -fno-stack-protector -O1 "$WORK/calls.c" -o "$WORK/files/usr/bin/calls32"

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
record() {
	echo > trace
	echo 1 > events/$1/enable
	calls32
	echo 0 > events/$1/enable
	grep 'calls32-' trace | sed -E 's/^.*[0-9]: //'
}
record syscalls | sed -nE '/sys_execve\(/,$s/\(.*//p'
record raw_syscalls | sed -n '/NR 59 /,$p' | sed -E 's/ \(.*//'
if [ -e /usr/bin/bpftrace ]; then
	bpftrace -e 'tracepoint:syscalls:sys_enter_open,tracepoint:syscalls:sys_enter_openat,tracepoint:syscalls:sys_enter_write /pid == cpid/ { @ = count(); }
		rawtracepoint:sys_enter /pid == cpid/ { @raw = count(); }
		END { printf("bpftrace: syscalls %d, raw %d\n", (uint64)@, (uint64)@raw); clear(@); clear(@raw); }' -c /usr/bin/calls32
fi 2>&1
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
initramfs "$WORK/initrd-bpftrace" "$WORK/script" "$WORK/files" "$WORK/bpftrace"
old=$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")
new=$(GUEST_MIB=2048 guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd-bpftrace")
recorded="sys_execve
sys_enter: NR 59
sys_exit: NR 11 = 0
sys_enter: NR 5
sys_exit: NR 5 = 3
sys_enter: NR 4
sys_exit: NR 4 = 8
sys_enter: NR 1"
events() { grep '^sys_' <<<"$1" || true; }
expect "6.12.117" "$recorded" "$(events "$old")"
expect "7.3.4" "$recorded" "$(events "$new")"
expect "7.3.4" "bpftrace: syscalls 0, raw 4" "$(grep '^bpftrace:' <<<"$new" || true)"
finish
