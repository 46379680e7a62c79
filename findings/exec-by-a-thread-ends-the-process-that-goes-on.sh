#!/usr/bin/env bash
# Guess: after sched_process_exit for a process's own id the process is over; the thread that called execve returns from it, and a
#        thread that ends has an exit.
# Seen:  when a thread other than the first calls execve, sched_process_exit comes for the process's id, and after it
#        sched_process_exec of the same id, which lives on and exits a second time. The thread that called has a
#        sys_enter_execve, and neither a sys_exit_execve nor an exit: it has become the first thread, under whose id the result
#        of the call stands. Only `old_pid` of sched_process_exec tells, and group_dead where the event has it: it is false at
#        the first exit.
# Where: Linux 6.12.117 (no group_dead) and 7.3.4 (Debian's cloud flavour).
# Why it matters: what keeps a table of processes, or counts how many live, drops this one at the first exit and takes its later
#        events for a stranger's; the duration of the call is paired with nothing, and a filter by the caller's id loses the
#        result.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/turn.c" <<'C'
#include <pthread.h>
#include <unistd.h>
static void *turn(void *program)
{
	execl(program, program, (char *)NULL);
	return NULL;
}
int main(int count, char **words)
{
	pthread_t thread;
	pthread_create(&thread, NULL, turn, words[count - 1]);
	for (;;)
		pause();
}
C
gcc -O1 -static -pthread "$WORK/turn.c" -o "$WORK/files/usr/bin/turn"

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
for event in sched/sched_process_exit sched/sched_process_exec syscalls/sys_enter_execve syscalls/sys_exit_execve; do
	echo 1 > events/$event/enable
done
turn /applets/true &
process=$!
wait $process
echo 0 > events/enable
# The events of the process and of its thread from the second execve on, with the ids by name.
sed -nE "s/ prio=[0-9]+//; s/^.*-$process +\[.*[0-9]: /process: /p; s/^ *turn-[0-9]+ +\[.*[0-9]: /thread: /p" trace |
	sed -E "s/pid=$process( |\$)/pid=process\1/g; s/old_pid=[0-9]+/old_pid=thread/; s/\(.*//; s/comm=[a-z]+ //" |
	sed '1,/sys_execve -> 0x0/d'
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
expect "6.12.117" "thread: sys_execve
process: sched_process_exit: pid=process
process: sched_process_exec: filename=/applets/true pid=process old_pid=thread
process: sys_execve -> 0x0
process: sched_process_exit: pid=process" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "thread: sys_execve
process: sched_process_exit: pid=process group_dead=false
process: sched_process_exec: filename=/applets/true pid=process old_pid=thread
process: sys_execve -> 0x0
process: sched_process_exit: pid=process group_dead=true" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
