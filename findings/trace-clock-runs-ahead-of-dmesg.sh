#!/usr/bin/env bash
# Guess: the timestamps of `trace` (clock "local", the default) and of dmesg are one clock: both count seconds since boot, and
#        both are read by sched_clock.
# Seen:  in one guest the same moment has another number in each: `trace` is 1 to 4 seconds ahead of dmesg, by exactly the last
#        number of the boot message "sched_clock: Marking stable (A, B)->(C, -D)". When the kernel finds its clock stable it
#        adds an offset for dmesg and perf, so that time does not jump there, and the trace clock goes without it. With
#        `trace_clock` "perf" both agree. After a warm reboot of the same machine the difference is another one.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU under emulation.
# Why it matters: a trace and a kernel log are put in one order by their timestamps, and a line of the log is then seconds
#        away from what caused it. A trace and a recording by perf of one event differ by as much.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need python3

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
mark() {
	for turn in 1 2 3 4 5; do
		echo "$1.$turn" > trace_marker
		echo "$1.$turn" > /dev/kmsg
	done
	grep -o '[0-9.]*: tracing_mark_write: .*' trace
}
echo 1 > tracing_on
mark local
echo perf > trace_clock
mark perf
dmesg | sed -nE 's/.*sched_clock: Marking stable .*, (-?[0-9]+)\)$/offset \1/p; s/^\[ *([0-9.]+)\] ((local|perf)\.[0-9])$/log \1 \2/p'
GUEST
initramfs "$WORK/initrd" "$WORK/script"

# Differences between the trace's and the log's time of one moment: the nearest of five, to 0.1 s.
differences() {
	python3 - "$(guest "$1" "$WORK/initrd")" <<-'PYTHON'
		import re, sys
		text = sys.argv[1]
		trace = {m: float(t) for t, m in re.findall(r"^([\d.]+): tracing_mark_write: (\S+)$", text, re.M)}
		log = {m: float(t) for t, m in re.findall(r"^log ([\d.]+) (\S+)$", text, re.M)}
		offset = int(re.search(r"^offset (-?\d+)$", text, re.M)[1]) / 1e9
		least = {c: min((trace[m] - log[m] for m in log if m.startswith(c)), key=abs) for c in ("local", "perf")}
		print("seen: local %+.3f s, perf %+.3f s, offset %+.3f s" % (least["local"], least["perf"], offset), file=sys.stderr)
		print("ahead by more than 0.3 s: %s; by the offset: %s; perf agrees: %s" % (
		    least["local"] > 0.3, abs(least["local"] + offset) < 0.1, abs(least["perf"]) < 0.1))
	PYTHON
}
recorded="ahead by more than 0.3 s: True; by the offset: True; perf agrees: True"
expect "6.12.117" "$recorded" "$(differences "$WORK"/old/boot/vmlinuz-*)"
expect "7.3.4" "$recorded" "$(differences "$WORK"/new/usr/lib/modules/*/vmlinuz)"
finish
