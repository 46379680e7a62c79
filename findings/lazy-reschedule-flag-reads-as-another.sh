#!/usr/bin/env bash
# Guess: the letters of the latency column (`d.s2.`) are one language: `trace` and trace-cmd print the same for one record.
# Seen:  where the kernel prints l, "a lazy reschedule is asked for and nothing else", trace-cmd prints L, which to the kernel
#        means that the lazy flag and the preemption count both ask; and B, where lazy and immediate are both asked
#        for, is N, as if there were no lazy one. On 6.12, which has no lazy preemption, the letters agree. Nothing
#        unknown is printed, and the version of the file is the same.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour, which preempts lazily by default), trace-cmd 3.4 with
#        libtraceevent 1.9.0, records of one buffer read by both.
# Why it matters: who measures how long a lazy request waits before it is turned into an immediate one, which is what the letters
#        are for, sees in trace-cmd's text that it was immediate from the start, or a state that did not occur.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/trace-cmd" trace-cmd=3.4-2

cat >"$WORK/script" <<'GUEST'
cd /tmp
# Time and event of each record, then its letters.
letters() { grep ']' | sed -E 's/^[^[]*\[[0-9]+\] +([^ ]+) +([0-9.]+): ([a-z_]+):.*/\2 \3 \1/' | sort -u; }
trace-cmd start -e sched -e irq -e timer > /dev/null 2>&1
i=0
while [ $i -lt 6000 ]; do i=$((i + 1)); done
for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do ls /proc > /dev/null; done
trace-cmd stop > /dev/null 2>&1
grep -v '^#' /sys/kernel/tracing/trace | letters > kernel
trace-cmd extract -o trace.dat > /dev/null 2>&1
trace-cmd report -i trace.dat 2>/dev/null | letters > trace-cmd
echo "for one record the kernel and trace-cmd print:"
awk 'NR == FNR { kernel[$1 " " $2] = $3; next }
	($1 " " $2) in kernel { print substr(kernel[$1 " " $2], 2, 1), substr($3, 2, 1) }' kernel trace-cmd | grep -v '^\.' | sort -u
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/trace-cmd"
title="for one record the kernel and trace-cmd print:"
expect "6.12.117" "$title
N N" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$title
B N
N N
l L" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
