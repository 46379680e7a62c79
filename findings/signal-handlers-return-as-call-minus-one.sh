#!/usr/bin/env bash
# Guess: a read that a signal interrupts is left with -4, EINTR, as its caller gets it; the call with which the handler returns,
#        rt_sigreturn, is left with 0 or not at all.
# Seen:  the read is left with -512, and nothing of read ever with -4. The -4 is the result of call -1: rt_sigreturn is entered as
#        call 15 and left as call -1, with what the interrupted code finds in its register as the result, be it the -4 or, for
#        a loop, the 123456 that it was working with. sys_exit_rt_sigreturn is there, can be switched on and never happens.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: who looks for calls that end with EINTR finds none under their numbers; counts of errors hold ones of calls that
#        nobody made; and what pairs enter and exit by number keeps one rt_sigreturn open for every signal.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/alarms.c" <<'C'
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
static volatile sig_atomic_t done;
static void handler(int number) { done = number; }
int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	struct itimerval soon = { .it_value = { .tv_usec = 200000 } };
	int ends[2];
	char byte;
	sigaction(SIGALRM, &action, 0);
	/* Interrupted in a call: read from a pipe that stays empty. */
	pipe(ends);
	setitimer(ITIMER_REAL, &soon, 0);
	read(ends[0], &byte, 1);
	/* Interrupted outside of one, with 123456 in the register of results. */
	done = 0;
	setitimer(ITIMER_REAL, &soon, 0);
	while (!done)
		__asm__ volatile("mov $123456, %%eax\n1: dec %%ecx\njnz 1b" : : "c"(1000000) : "eax", "cc");
	_exit(0);
}
C
gcc -O1 -static "$WORK/alarms.c" -o "$WORK/files/usr/bin/alarms"

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
for event in raw_syscalls/sys_enter raw_syscalls/sys_exit syscalls/sys_enter_rt_sigreturn syscalls/sys_exit_rt_sigreturn; do
	echo 1 > events/$event/enable
done
alarms & process=$!
wait $process
echo 0 > events/enable
grep -E -- "-$process +\[" trace | sed -E 's/.*[0-9]: (sys_.*)/\1/' > /tmp/calls
# From the read on that the signal interrupts, without arguments and the call that sets the timer.
sed -n '/^sys_exit: NR 0 = -512/,$p' /tmp/calls | sed 's/ *(.*//' | grep -v ' NR 38\( \|$\)'
echo "exits of read with -4: $(grep -c 'sys_exit: NR 0 = -4$' /tmp/calls)"
echo "events sys_exit_rt_sigreturn: $(grep -c 'sys_rt_sigreturn ->' /tmp/calls)"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
seen="sys_exit: NR 0 = -512
sys_enter: NR 15
sys_rt_sigreturn
sys_exit: NR -1 = -4
sys_enter: NR 15
sys_rt_sigreturn
sys_exit: NR -1 = 123456
sys_enter: NR 231
exits of read with -4: 0
events sys_exit_rt_sigreturn: 0"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
