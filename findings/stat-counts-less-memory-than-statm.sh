#!/usr/bin/env bash
# Guess: a process's resident memory is one number of the kernel: VmRSS in `status`, the second of `statm` and the 24th of `stat`
#        agree while the process sleeps.
# Seen:  `stat` is short of the other two, by a third for a process of 1.2 MB that touched 30 pages on each of four processors,
#        and does not catch up while the process sleeps. smaps_rollup is on the side of status. pidstat shows the number of
#        stat and ps that of status, so that they disagree about one process.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) with four processors, sysstat 12.7.5, procps 4.0.7.
# Why it matters: what a monitor takes from stat is too low by an amount that depends on where the threads ran; a small process
#        appears to have lost memory, and two tools to watch two processes.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/tools" sysstat=12.7.5-2
unpack_program sid "$WORK/tools" procps=2:4.0.7-1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/spread.c" <<'C'
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* Touches 30 pages on each of four processors. */
int main(void)
{
	for (int cpu = 0; cpu < 4; cpu++) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			return 1;
		memset(mmap(NULL, 30 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 30 * 4096);
	}
	for (;;)
		pause();
}
C
gcc -O1 -static "$WORK/spread.c" -o "$WORK/files/usr/bin/spread"

cat >"$WORK/script" <<'GUEST'
export TERM=dumb
spread & process=$!
sleep 1
status=$(awk '/^VmRSS/ { print $2 }' /proc/$process/status)
# The size in KIB, against that of status.
against() { awk -v own="$1" -v status="$status" 'BEGIN { print (own == status ? "the same" : own > 0 && own < status * 0.8 ? "short by more than a fifth" : own " of " status) }'; }
echo "smaps_rollup: $(against $(awk '/^Rss/ { print $2 }' /proc/$process/smaps_rollup))"
echo "statm: $(against $(awk '{ print $2 * 4 }' /proc/$process/statm))"
echo "stat: $(against $(awk '{ print $24 * 4 }' /proc/$process/stat))"
echo "ps: $(against $(/usr/bin/ps -o rss= -p $process))"
echo "pidstat: $(against $(S_COLORS=never /usr/bin/pidstat -r -p $process | awk '$NF == "spread" { print $(NF - 2) }'))"
sleep 2
echo "stat, later: $(against $(awk '{ print $24 * 4 }' /proc/$process/stat))"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files" "$WORK/tools"
GUEST_CPUS=4
seen="smaps_rollup: the same
statm: the same
stat: short by more than a fifth
ps: the same
pidstat: short by more than a fifth
stat, later: short by more than a fifth"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
