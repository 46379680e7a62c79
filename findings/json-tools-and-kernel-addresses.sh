#!/usr/bin/env bash
# Guess: a filter of the jq family either keeps the 64 bits of an integer or rounds it to a double; what it tells apart it
#        also computes with.
# Seen:  jq 1.8.2 does both. It prints, compares and sorts two kernel addresses that differ by one exactly, and their
#        difference is 0; one of them `+ 0` is printed as 151 more, and `. % 4096`, the offset in the page, is 4095 for every kernel
#        address. jaq 3.1.1 is exact in all of these, but an address equals its neighbour written with ".0", so a
#        selection of one finds both. Miller 6.18.1 copies the numbers of a JSON file as strings, exact and quoted.
# Where: jq 1.8.2, jaq 3.1.1, Miller 6.18.1 (Debian).
# Why it matters: that == and sort tell addresses apart does not mean that they may be subtracted. Slides and offsets in
#        JSON belong in strings, or into a tool with integers.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

apt_state sid sid
unpack_program sid "$WORK/jq" jq=1.8.2-1
unpack_program sid "$WORK/jaq" jaq=3.1.1-1
unpack_program sid "$WORK/mlr" miller=6.18.1-1

tool() {
	local root=$WORK/$1/usr
	local name=$1
	shift
	"$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/lib/x86_64-linux-gnu" "$root/bin/$name" "$@"
}
first=18446744071579598848 second=18446744071579598849
row() {
	local filter=$1 recorded=$2
	expect "$filter" "$recorded" "jq $(tool jq -nc --argjson a $first --argjson b $second "$filter"), \
jaq $(tool jaq -nc --argjson a $first --argjson b $second "$filter")"
}
row '$b' "jq $second, jaq $second"
row '$a == $b' "jq false, jaq false"
row '$a < $b' "jq true, jaq true"
row '[$b, $a, $b] | unique | length' "jq 2, jaq 2"
row '$b - $a' "jq 0, jaq 1"
row '$b + 0' "jq 18446744071579599000, jaq $second"
row '[$a, $b] | map(. % 4096)' "jq [4095,4095], jaq [0,1]"
row "\$b == $first.0" "jq false, jaq true"
expect "Miller" "{\"at\": \"$second\"}" "$(echo "{\"at\": $second}" | tool mlr --ojsonl --ijson cat)"
finish
