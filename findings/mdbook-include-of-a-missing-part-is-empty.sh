#!/usr/bin/env bash
# Guess: mdBook's `{{#include FILE:ANCHOR}}` and `{{#include FILE:5:9}}` report a part that the file does not have; a missing
#        file is an error in the log, after all.
# Seen:  nothing is reported, and the page has nothing in that place: an anchor that was renamed or mistyped (case counts),
#        lines past the end of the file, a range the wrong way round, and `3x`, which is taken for an anchor. An
#        anchor that is never closed goes to the end of the file; line 0 is line 1. Only the missing file is an
#        error in the log, and even then the build succeeds, with the directive as the page's text.
# Where: mdBook 0.5.4 and 0.4.48 (Debian).
# Why it matters: a chapter whose code was moved is built green with an empty listing. A gate has to look at the built page, or
#        resolve the includes itself; neither the exit status nor the log tells.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

apt_state sid sid
apt_state trixie trixie
unpack_program sid "$WORK/new" mdbook=0.5.4+ds-2
unpack_program trixie "$WORK/old" mdbook=0.4.48+ds-2

mkdir -p "$WORK/book/src"
printf '[book]\ntitle = "Parts"\n' >"$WORK/book/book.toml"
printf -- '- [Parts](parts.md)\n' >"$WORK/book/src/SUMMARY.md"
printf 'first\n// ANCHOR: one\nsecond\n// ANCHOR_END: one\nthird\n// ANCHOR: open\nfourth\n' >"$WORK/book/src/code.txt"
for part in one One renamed open 90:95 5:3 3x 0:1; do
	printf '%s = [{{#include code.txt:%s}}]\n\n' "$part" "$part"
done >"$WORK/book/src/parts.md"

# What the page says and how many lines of the log are warnings or errors.
build() {
	local root=$1 log status=0
	# Debian's mdBook reads its icons from /usr/share: hence chroot.
	for name in lib lib64; do [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"; done
	cp -r "$WORK/book" "$root/book"
	log=$(chroot "$root" /usr/bin/mdbook build /book 2>&1) || status=$?
	sed -nE 's/^ *<p>(.* = \[.*\])<\/p>$/\1/p' "$root/book/book/parts.html"
	echo "exit status $status, $(grep -cE 'WARN|ERROR' <<<"$log" || true) warnings"
}
recorded="one = [second]
One = []
renamed = []
open = [fourth]
90:95 = []
5:3 = []
3x = []
0:1 = [first]
exit status 0, 0 warnings"
expect "0.4.48" "$recorded" "$(build "$WORK/old")"
expect "0.5.4" "$recorded" "$(build "$WORK/new")"
printf 'file = [{{#include missing.txt}}]\n' >"$WORK/book/src/parts.md"
rm -rf "$WORK/new/book"
expect "0.5.4, a missing file" "file = [{{#include missing.txt}}]
exit status 0, 3 warnings" "$(build "$WORK/new")"
finish
