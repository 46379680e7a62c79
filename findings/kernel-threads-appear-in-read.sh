#!/usr/bin/env bash
# Guess: /proc/PID/syscall of a kernel thread, which makes no system calls, says -1, as for whatever is blocked outside of one.
# Seen:  it says `0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0` for every kernel thread that sleeps: call 0, which on x86-64 is read, of
#        descriptor 0. The first two numbers of a process that does wait for its standard input are the same. For a 32-bit
#        program the number is one of the 32-bit table, unmarked: its pause is 29, which to others is shmget.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: a sampler that names calls by this file finds most tasks of a machine in read. What tells kernel threads apart is
#        the stack pointer of 0.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/pause.c" <<'C'
void _start(void)
{
	__asm__ volatile("int $0x80" : : "a"(29));
}
C
gcc -m32 -nostdlib -static -fno-pie -no-pie -fno-stack-protector -O1 "$WORK/pause.c" -o "$WORK/files/usr/bin/pause32"

cat >"$WORK/script" <<'GUEST'
pause32 & pause=$!
mkfifo /tmp/fifo
sleep 100 > /tmp/fifo &
dd bs=1 count=1 < /tmp/fifo & reader=$!
sleep 0.5
# Sleeping kernel threads: those without a memory of their own.
for process in /proc/[0-9]*; do
	grep -q '^VmSize' $process/status && continue
	case $(sed -nE 's/^State:\s+(.).*/\1/p' $process/status) in S | I) cat $process/syscall ;; esac
done | sort | uniq -c | awk '{ count = $1; sub(/^ *[0-9]+ /, ""); print "kernel threads: " (count > 20 ? "more than 20" : count) " in " $0 }'
echo "a reader of descriptor 0: $(awk '{ print $1, $2 }' /proc/$reader/syscall)"
echo "a 32-bit program in pause: $(awk '{ print $1 }' /proc/$pause/syscall)"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
seen="kernel threads: more than 20 in 0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0
a reader of descriptor 0: 0 0x0
a 32-bit program in pause: 29"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
