#!/usr/bin/env bash
# Guess: an emulated processor without a model of its timing counts no cycles: `perf stat -e cycles` says "not supported", as for the
#        emulated x86-64, or counts instructions.
# Seen:  on an emulated arm64 perf counts cycles, without a remark, and they are nanoseconds: as many as task-clock says the program took
#        of the host's time, within a few per cent. `instructions` is "not supported". On the emulated x86-64 both are.
# Where: QEMU 7.2 under emulation (TCG), perf and Linux 7.3.4 (Debian's cloud flavours) for arm64 and x86-64.
# Why it matters: a loop "costs" three times the cycles when the host is three times as slow, and two runs are compared in a unit that
#        depends on who else uses the machine.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

arm64
apt_state trixie trixie trixie-backports
APT_ARCH=arm64 apt_state arm64 trixie trixie-backports
unpack arm64 "$WORK/arm" linux-binary-7.3.4+deb13-cloud-arm64=7.3.4-1~bpo13+1
unpack trixie "$WORK/x86" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program arm64 "$WORK/perf-arm" linux-perf=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/perf" linux-perf=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
# A loop of the shell that takes a second or so.
echo 'i=0; while [ $i -lt 40000 ]; do i=$((i + 1)); done' > /tmp/loop
perf stat -x, -e cycles,instructions,task-clock -o /tmp/counts /bin/busybox sh /tmp/loop
sed -nE 's/^<not supported>,[^,]*,([a-z]+).*/\1: not supported/p' /tmp/counts
awk -F, '
	$3 ~ /^cycles/ { cycles = $1 }
	$3 ~ /^task-clock/ { time = $1 * ($2 == "msec" ? 1000000 : 1) }
	END {
		if (cycles + 0 > 0)
			print "cycles for a nanosecond of task-clock: " (cycles > 0.85 * time && cycles < 1.1 * time ? "1" : cycles / time)
	}' /tmp/counts
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/perf"
GUEST_ARCH=arm64 initramfs "$WORK/initrd-arm" "$WORK/script" "$WORK/perf-arm"
export GUEST_MIB=3000
expect "arm64" "instructions: not supported
cycles for a nanosecond of task-clock: 1" "$(GUEST_ARCH=arm64 guest "$WORK"/arm/usr/lib/modules/*/vmlinuz "$WORK/initrd-arm")"
expect "x86-64" "cycles: not supported
instructions: not supported" "$(guest "$WORK"/x86/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
