#!/usr/bin/env bash
# Guess: `print(@x, 3)` of bpftrace prints the three rows with the greatest values, as its manual says, and a whole map is printed in the
#        order of its values.
# Seen:  that holds when the values are uint64, or are counted with `++`, `+=`, count() or max(). A map that is assigned a plain number
#        (`@x[$key] = 7`, which is an int64), or one that has been cast to 32 bits, is not sorted at all: the three rows are any three,
#        other ones at each run, among them the smallest, and the whole map is out of order as well. Of min() and max() the negative values
#        are taken for the greatest, of sum() they are not. No warning is given for either.
# Where: bpftrace 0.27.1 on Linux 7.3.4. 0.23.2 sorts all of these but for the negative ones.
# Why it matters: "the three slowest" of a map with durations as int64, or of results of a function (an int), is a list that looks
#        like one and is none. Print the whole map and sort it elsewhere, or assign `(uint64)`.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/kernel" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/old" bpftrace=0.23.2-1
unpack_program sid "$WORK/new" bpftrace=0.27.1-1

cat >"$WORK/script" <<'GUEST'
# Whether the three rows that print(@, 3) gives of 24 rows are the last three, both times, when row N is set by ASSIGNMENT.
top() {
	lines=
	for n in $(seq 24); do lines="$lines $(echo "$1" | sed "s/N/$n/g");"; done
	right=0
	for turn in 1 2; do
		seen=$(bpftrace -q -e "BEGIN { $lines print(@, 3); printf(\"end\\n\"); exit() }" 2>/dev/null | sed '/^end/,$d; s/^@.*: //')
		[ "$(echo $seen)" = "22 23 24" ] && right=$((right + 1))
	done
	case $right in 2) echo "$1: the greatest" ;; 0) echo "$1: others" ;; *) echo "$1: the greatest once" ;; esac
}
top '@[N] = (uint64)N'
top '@[N] += N'
top '@[N] = max(N)'
top '@[N] = N'
top '@[N, comm] = N'
top '@[N] = (uint32)N'
for function in sum max; do
	bpftrace -q -e "BEGIN { @[1] = $function(5); @[2] = $function(-3); @[3] = $function(9); print(@, 1); printf(\"end\\n\"); exit() }" 2>&1 |
		sed -n "/^end/q; s/^@.*: /greatest $function() of 5, -3, 9: /p"
done
GUEST
initramfs "$WORK/initrd.old" "$WORK/script" "$WORK/old"
initramfs "$WORK/initrd.new" "$WORK/script" "$WORK/new"
seen() {
	echo "@[N] = (uint64)N: the greatest
@[N] += N: the greatest
@[N] = max(N): the greatest
@[N] = N: $1
@[N, comm] = N: $1
@[N] = (uint32)N: $1
greatest sum() of 5, -3, 9: 9
greatest max() of 5, -3, 9: -3"
}
GUEST_MIB=2048
GUEST_SECONDS=900
expect "0.23.2" "$(seen "the greatest")" "$(guest "$WORK"/kernel/usr/lib/modules/*/vmlinuz "$WORK/initrd.old")"
expect "0.27.1" "$(seen others)" "$(guest "$WORK"/kernel/usr/lib/modules/*/vmlinuz "$WORK/initrd.new")"
finish
