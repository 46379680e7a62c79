#!/usr/bin/env bash
# Guess: the clock of the trace (trace_clock) changes the times of the records and nothing else.
# Seen:  where the kernel keeps time by the HPET, as on virtual machines whose TSC it does not trust, the clock `mono` reads it
#        through `read_hpet`, which the tracer traces like any function: the call graph of every system call is full of
#        read_hpet calls that the tracer itself has made, more than a fifth of all that call nothing. With `local` or `global` there
#        are only those few of the timer's interrupt, and so there are on 6.12 with `mono`.
# Where: Linux 7.3.4 and not yet 6.12.117 (Debian's cloud flavour) in QEMU, with the clock source set to hpet.
# Why it matters: a call graph says "this function calls read_hpet" on one boot and not on the next, with the same kernel and
#        the same call, because the watchdog changed the clock source in between. `mono` is the clock that is
#        advised for comparing a trace with other logs.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
echo hpet > /sys/devices/system/clocksource/clocksource0/current_clocksource
cd /sys/kernel/tracing
echo 0 > tracing_on
echo 8192 > buffer_size_kb
echo $$ > set_ftrace_pid
echo function_graph > current_tracer
for clock in local global mono; do
	echo $clock > trace_clock
	echo > trace
	echo 1 > tracing_on
	: < /script
	echo 0 > tracing_on
	grep -q openat trace || echo "nothing was traced"
	hpet=$(grep -c read_hpet trace)
	all=$(grep -c '();' trace)
	[ $((hpet * 5)) -gt $all ] && echo "$clock: full of read_hpet" || echo "$clock: few read_hpet"
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
before="local: few read_hpet
global: few read_hpet
mono: few read_hpet"
since="local: few read_hpet
global: few read_hpet
mono: full of read_hpet"
expect "6.12.117" "$before" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$since" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
