#!/usr/bin/env bash
# Guess: a kprobe goes on any function of the kernel's text that is not in the blacklist: a Rust function has no entry for
#        ftrace, so the probe costs a breakpoint instead of a call, as in any function without one.
# Seen:  Debian's kernel is built with CONFIG_RUST, and 3624 functions of 7.3.4's text have Rust's mangled names. None can be
#        probed: kprobe_events answers EINVAL for each that is tried, and none is in the blacklist or in
#        available_filter_functions. Only the log says why: the compiler makes no ftrace entry for Rust code, a function
#        without one counts as "notrace", and a kernel without KPROBE_EVENTS_ON_NOTRACE refuses probe events there, at
#        any offset. The C wrappers that Rust code calls (rust_helper_*) have entries in 6.18, all 346 of them; in 7.3
#        none of the 426 has.
# Where: Linux 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU. 6.12.117 has no Rust code.
# Why it matters: code in Rust is a hole in every trace by ftrace, kprobe events and fentry. "No event of F" says nothing
#        when F is Rust, and a program that takes "not in the blacklist" for "can be probed" is wrong.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
awk '$2 ~ /[tT]/ && $3 ~ /^_R/ { print $3 }' /proc/kallsyms | sort -u > /tmp/rust
awk '$2 ~ /[tT]/ && $3 ~ /^rust_helper_/ { print $3 }' /proc/kallsyms | sort -u > /tmp/helpers
echo "names $(wc -l < /tmp/rust), with an ftrace entry $(grep -c '^_R' available_filter_functions)," \
	"in the blacklist $(grep -c '_R' /sys/kernel/debug/kprobes/blacklist)"
tried=0 accepted=0
for function in $(awk 'NR % 20 == 1' /tmp/rust); do
	tried=$((tried + 1))
	for place in $function $function+8; do
		echo "p:rust/p$tried $place" >> kprobe_events 2>/dev/null && accepted=$((accepted + 1))
	done
done
[ $tried -gt 100 ] && echo "more than 100 tried, accepted $accepted"
echo 'p:rust/control vfs_read' >> kprobe_events && echo "vfs_read accepted"
dmesg | grep -o 'Could not probe notrace function _R' | sort -u
echo "helpers $(wc -l < /tmp/helpers), with an ftrace entry $(grep -c '^rust_helper_' available_filter_functions)"
GUEST
initramfs "$WORK/initrd" "$WORK/script"

check() {
	local name=$1 kernel=$2 names=$3 helpers=$4 traced=$5 seen
	seen=$(guest "$kernel" "$WORK/initrd")
	expect "$name" "names $names, with an ftrace entry 0, in the blacklist 0
more than 100 tried, accepted 0
vfs_read accepted
Could not probe notrace function _R
helpers $helpers, with an ftrace entry $traced" "$seen"
}
check 6.18.15 "$WORK"/old/boot/vmlinuz-* 3202 346 346
check 7.3.4 "$WORK"/new/usr/lib/modules/*/vmlinuz 3623 426 0
finish
