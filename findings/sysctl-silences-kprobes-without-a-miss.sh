#!/usr/bin/env bash
# Guess: the sysctl kernel.ftrace_enabled is about the function tracer. A kprobe at a function's entry stays armed, or the write is
#        refused while one is there, or its misses are counted.
# Seen:  on 6.12 and 6.18 the write of 0 is accepted and the kprobe sees nothing from then on: no hit and no miss in
#        `kprobe_profile`, the event still says enable 1, and /sys/kernel/debug/kprobes/list shows the probe as
#        [FTRACE], not as [DISABLED]. Writing 1 brings it back. A kprobe in the middle of a function goes on. On 7.3
#        the write is refused (EOPNOTSUPP) and nothing is lost.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: "attached, no misses, no hits" is what a function that was never called looks like. A claim of absence needs this
#        sysctl read before and after, or a probe that is known to fire in between.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/k612" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/k618" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/k73" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:entry vfs_open' > kprobe_events
# The first offset at which the kernel takes a probe that is not at the entry.
for offset in 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	echo "p:middle vfs_open+$offset" >> kprobe_events 2>/dev/null && break
done
echo 1 > events/kprobes/enable
# Hits of two opens by this shell, for each event, and its misses.
opens() {
	entry=$(awk '$1 == "entry" { print $2 }' kprobe_profile)
	middle=$(awk '$1 == "middle" { print $2 }' kprobe_profile)
	: < /script
	: < /script
	awk -v when="$1" -v entry=$entry -v middle=$middle '
		{ hits[$1] = $2; missed += $3 }
		END {
			print when ": entry " (hits["entry"] - entry >= 2 ? "seen" : hits["entry"] - entry) \
				", middle " (hits["middle"] - middle >= 2 ? "seen" : hits["middle"] - middle) ", missed " missed
		}' kprobe_profile
}
opens before
echo 0 2>/dev/null > /proc/sys/kernel/ftrace_enabled && echo accepted || echo refused
opens off
echo "enable $(cat events/kprobes/entry/enable), list: $(grep -o 'vfs_open+0x[04] .*' /sys/kernel/debug/kprobes/list | sed 's/ \+/ /g; s/vfs_open+0x[04] //')"
echo 1 > /proc/sys/kernel/ftrace_enabled
opens on
GUEST
initramfs "$WORK/initrd" "$WORK/script"
check() {
	expect "$1" "before: entry seen, middle seen, missed 0
$3
off: entry $4, middle seen, missed 0
enable 1, list: [FTRACE]
on: entry seen, middle seen, missed 0" "$(guest "$2" "$WORK/initrd")"
}
check 6.12.117 "$WORK"/k612/boot/vmlinuz-* accepted 0
check 6.18.15 "$WORK"/k618/boot/vmlinuz-* accepted 0
check 7.3.4 "$WORK"/k73/usr/lib/modules/*/vmlinuz refused seen
finish
