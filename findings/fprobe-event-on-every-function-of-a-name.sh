#!/usr/bin/env bash
# Guess: a probe event on a name that several static functions have is refused, since nobody can say which is meant; kprobe
#        events are, since 6.7.
# Seen:  a kprobe event on `type_show` is refused and an fprobe event on it is accepted and put on every function of the name:
#        13 of 6.12.117, 14 of 7.3.4. All report as one event, told apart at best by the function's length behind the
#        name. With `$arg*` it is refused, as BTF has no `type_show`; `size_show`, whose functions all have one prototype, is
#        in BTF once, and an event with its arguments is put on all of them, 5 and 6.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: a count of hits of an fprobe event is not the count of calls of one function, and replacing a kprobe by the
#        cheaper fprobe changes the question. About 200 names of 7.3.4 are in available_filter_functions more than once.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
try() {
	if echo "$1" >> dynamic_events 2>/dev/null; then echo "$1: accepted"; else echo "$1: refused"; fi
}
try 'p:tried/kprobe type_show'
try 'f:tried/fprobe type_show'
try 'f:tried/arguments type_show $arg*'
try 'f:tried/size size_show $arg*'
echo 1 > events/tried/enable
for name in type_show size_show; do
	echo "$name: $(grep -cx $name available_filter_functions) functions, $(grep -c "^$name " enabled_functions) probed"
done
grep 'tried/size' dynamic_events
echo 1 > tracing_on
cat $(find /sys/devices /sys/class /sys/kernel -name type 2>/dev/null) >/dev/null 2>&1
echo "lengths: $(grep -o 'fprobe: (type_show+0x4/0x[0-9a-f]*' trace | sort -u | wc -l)"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
check() {
	local name=$1 kernel=$2 types=$3 sizes=$4 seen
	seen=$(guest "$kernel" "$WORK/initrd")
	expect "$name" "p:tried/kprobe type_show: refused
f:tried/fprobe type_show: accepted
f:tried/arguments type_show \$arg*: refused
f:tried/size size_show \$arg*: accepted
type_show: $types functions, $types probed
size_show: $sizes functions, $sizes probed
f:tried/size size_show dev=dev attr=attr buf=buf" "$(grep -v ^lengths <<<"$seen")"
	expect "$name, functions of several lengths in one event" "yes" \
		"$([ "$(sed -n 's/^lengths: //p' <<<"$seen")" -gt 1 ] && echo yes || echo no)"
}
check 6.12.117 "$WORK"/old/boot/vmlinuz-* 13 5
check 7.3.4 "$WORK"/new/usr/lib/modules/*/vmlinuz 14 6
finish
