#!/usr/bin/env bash
# Guess: the guard against recursion drops a hit only when a program interrupts itself: a nested call or an interrupt in
#        the same task. A program that is slow for one task costs another task on the same processor time, not hits.
# Seen:  the guard is a counter for each program and processor, and on newer kernels a program can be preempted. While it runs
#        for one task, every hit of any other task on that processor is dropped and counted in `recursion_misses`, although
#        nothing recursed. Here `od` makes a program spin and `dd` makes 3000 calls of vfs_read beside it:
#                                    6.12.117    6.18.15     7.3.4
#          raw tracepoint sys_enter  6011 seen   6011 seen   0 seen
#          fentry vfs_read           3000 seen   0 seen      0 seen
#        6.12 of Debian preempts on request only; 6.18 is built with PREEMPT_LAZY, which lets fentry programs be preempted;
#        in 7.3 raw tracepoints run preemptibly too. A kprobe program is still run with preemption off and loses none.
# Where: Linux 6.12.117, 6.18.15, 7.3.4 (Debian's cloud flavour) in QEMU with one processor, bpftrace 0.27.1.
# Why it matters: "recursion_misses is 0" is needed for a complete trace, and a filter on the task inside the program does not
#        help: the filter does not run. `recursion_misses` also counts hits of tasks that the filter would have left out.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/k612" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/k618" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/k73" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

cat >"$WORK/script" <<'GUEST'
echo x > /tmp/f
cat > /tmp/both <<'BOTH'
( od /tmp/f /tmp/f /tmp/f /tmp/f /tmp/f /tmp/f >/dev/null ) &
usleep 50000
dd if=/dev/zero of=/dev/null bs=1 count=3000 2>/dev/null
wait
BOTH
for probe in rawtracepoint:sys_enter fentry:vfs_read kprobe:vfs_read; do
	bpftrace -e "
	$probe /comm == \"od\" || comm == \"dd\"/ {
		if (comm == \"dd\") { @seen = count(); }
		if (comm == \"od\") { for (\$i : 0..400000) { @spin = \$i; } }
	}
	END { printf(\"$probe: %d\n\", (uint64)@seen); clear(@seen); clear(@spin); }" -c "/applets/sh /tmp/both" 2>&1
done
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace"

check() {
	local name=$1 kernel=$2 raw=$3 fentry=$4 seen
	seen=$(GUEST_MIB=2048 GUEST_SECONDS=550 guest "$kernel" "$WORK/initrd")
	expect "$name, raw tracepoint" "rawtracepoint:sys_enter: $raw" "$(grep '^raw' <<<"$seen" || true)"
	expect "$name, fentry" "fentry:vfs_read: $fentry" "$(grep '^fentry' <<<"$seen" || true)"
	expect "$name, kprobe" "kprobe:vfs_read: 3000" "$(grep '^kprobe' <<<"$seen" || true)"
}
check 6.12.117 "$WORK"/k612/boot/vmlinuz-* 6011 3000
check 6.18.15 "$WORK"/k618/boot/vmlinuz-* 6011 0
check 7.3.4 "$WORK"/k73/usr/lib/modules/*/vmlinuz 0 0
finish
