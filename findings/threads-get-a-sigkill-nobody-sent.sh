#!/usr/bin/env bash
# Guess: signal_deliver with sig=9 means that somebody killed the process, and every delivery has a signal_generate before it.
# Seen:  each thread that is still there when its program ends by `exit(0)`, or turns into another by execve, gets a SIGKILL
#        delivered, with the code 0 of a kill() by a user. Nobody generated it: there is no signal_generate of 9, and the
#        program's status is 0. A program with one thread has none. A real `kill -9` is delivered with the very same fields.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: "who killed it?" asked of signal_deliver finds kills in every program with threads that ends well. Ask
#        signal_generate instead, which happens in the task that sends.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/threads.c" <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}
int main(int count, char **words)
{
	pthread_t thread;
	for (int n = atoi(words[1]); n > 1; n--)
		pthread_create(&thread, NULL, wait_for_ever, NULL);
	usleep(100000);
	if (count > 2)
		execv(words[2], words + 2);
	exit(0);
}
C
gcc -O1 -static -pthread "$WORK/threads.c" -o "$WORK/files/usr/bin/threads"

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
for event in generate deliver; do
	echo 'sig == 9' > events/signal/signal_$event/filter
	echo 1 > events/signal/signal_$event/enable
done
tell() {
	status=$?
	sleep 0.2
	echo "$1: status $status, generated $(grep -c signal_generate: trace), delivered $(grep -c signal_deliver: trace)," \
		"as $(sed -nE 's/.*signal_deliver: (sig=.* code=[^ ]*).*/\1/p' trace | sort -u)"
	echo > trace
}
threads 1; tell "one thread, exit"
threads 4; tell "four threads, exit"
threads 4 /applets/true; tell "four threads, execve"
threads 1 /applets/sleep 10 & sleep 0.3
kill -9 $!; wait $! 2>/dev/null; tell "kill -9"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
seen="one thread, exit: status 0, generated 0, delivered 0, as
four threads, exit: status 0, generated 0, delivered 3, as sig=9 errno=0 code=0
four threads, execve: status 0, generated 0, delivered 3, as sig=9 errno=0 code=0
kill -9: status 137, generated 1, delivered 1, as sig=9 errno=0 code=0"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd" | sed 's/ *$//')"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd" | sed 's/ *$//')"
finish
