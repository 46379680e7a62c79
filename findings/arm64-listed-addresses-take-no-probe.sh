#!/usr/bin/env bash
# Guess: an address that the kernel itself gives for a function, in available_filter_functions_addrs or in an fprobe's hit, is good for a
#        kprobe at the function's entry: the list is of what can be traced, and kprobes know the tracer's places.
# Seen:  on arm64 each of them is refused with EINVAL, and the function's name is taken. The addresses are those of the instruction that
#        the function tracer patches, four bytes into the function, which is the one that arm64 lets no kprobe have; the kprobe by name is
#        a breakpoint on the one before it. On x86-64 the same addresses are taken, and there the kprobe by name moves itself to the
#        patched place: one function has the offset +0x4 for a kprobe there and +0x0 on arm64, and for an fprobe +0x4 on both.
# Where: Linux 7.3.4 (Debian's cloud flavours) for arm64 and x86-64 in QEMU.
# Why it matters: a tool that resolves names itself, and probes by address for the sake of functions that share a name, works on one
#        architecture and not on the other; and whoever joins hits by address or by offset sees two functions.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

arm64
apt_state backports trixie-backports
APT_ARCH=arm64 apt_state arm64 trixie-backports
unpack arm64 "$WORK/arm" linux-binary-7.3.4+deb13-cloud-arm64=7.3.4-1~bpo13+1
unpack backports "$WORK/x86" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
offset() {
	echo 1 > events/$1/enable
	echo > trace
	wc -c < /script > /dev/null
	echo 0 > events/$1/enable
	sed -nE 's/.*\((vfs_read\+0x[0-9a-f]+)\/.*/\1/p' trace | head -n 1
}
for function in vfs_read vfs_write; do
	listed=$(awk -v name=$function '$2 == name { print $1 }' available_filter_functions_addrs)
	symbol=$(awk -v name=$function '$3 == name { print $1 }' /proc/kallsyms)
	echo "$function: listed $((0x$listed - 0x$symbol)) behind its symbol"
	for where in 0x$listed 0x$symbol $function; do
		answer=taken
		message=$(echo "p:probe $where" 2>&1 > kprobe_events) || answer="refused (${message##*: })"
		echo > kprobe_events
		case $where in 0x$listed) what="listed address" ;; 0x*) what="symbol's address" ;; *) what=name ;; esac
		echo "$function: kprobe by $what: $answer"
	done
done
echo "p:probe vfs_read" > kprobe_events
echo "the kprobe by name hits at $(offset kprobes/probe)"
echo > kprobe_events
echo "f:probe vfs_read" > dynamic_events
echo "the fprobe hits at $(offset fprobes/probe)"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
GUEST_ARCH=arm64 initramfs "$WORK/initrd-arm" "$WORK/script"
recorded() {
	for function in vfs_read vfs_write; do
		echo "$function: listed 4 behind its symbol"
		echo "$function: kprobe by listed address: $1"
		echo "$function: kprobe by symbol's address: taken"
		echo "$function: kprobe by name: taken"
	done
	echo "the kprobe by name hits at vfs_read+$2"
	echo "the fprobe hits at vfs_read+0x4"
}
expect "arm64" "$(recorded "refused (Invalid argument)" 0x0)" \
	"$(GUEST_ARCH=arm64 guest "$WORK"/arm/usr/lib/modules/*/vmlinuz "$WORK/initrd-arm")"
expect "x86-64" "$(recorded taken 0x4)" "$(guest "$WORK"/x86/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
