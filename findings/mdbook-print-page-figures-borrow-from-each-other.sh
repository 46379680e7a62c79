#!/usr/bin/env bash
# Guess: the print page of mdBook holds every chapter as its own page shows it; where two chapters use one id, mdBook makes
#        it unique and all that refers to it follows.
# Seen:  0.5.4 renames the second `id="shape"` to `shape-1` and rewrites the <a href> that points there, and nothing else:
#        `<use href="#shape">`, `url(#paint)`, `aria-labelledby="name"` and `<label for="box">` of the second chapter
#        now mean the first chapter's. The second figure is drawn with the first's shape and colours and announced by its
#        title, without a warning. 0.4.48 renamed no id of raw HTML: of two equal ids a browser
#        takes the first, so the figures were mixed up there as well, and a link left the print page. 0.5.4 also lower-cases raw SVG (`viewBox`, `linearGradient`): a browser's
#        HTML parser mends that, an XML reader does not.
# Where: mdBook 0.5.4 and 0.4.48 (Debian's packages).
# Why it matters: generated diagrams reuse ids. They must be unique in the book, not in the chapter, or a printed book shows
#        one chapter's figure under another's heading.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

apt_state sid sid
apt_state trixie trixie
unpack_program sid "$WORK/new" mdbook=0.5.4+ds-2
unpack_program trixie "$WORK/old" mdbook=0.4.48+ds-2

mkdir -p "$WORK/book/src"
printf '[book]\ntitle = "Figures"\n[output.html.print]\nenable = true\n' >"$WORK/book/book.toml"
printf -- '- [First](first.md)\n- [Second](second.md)\n' >"$WORK/book/src/SUMMARY.md"
chapter() {
	cat <<-MD
		# $1

		<svg viewBox="0 0 9 9" aria-labelledby="name"><title id="name">$1</title><defs><linearGradient id="paint"/><path id="shape" d="M0 $2"/></defs><use href="#shape"/><rect fill="url(#paint)"/></svg>

		<label for="box">$1</label><input id="box"> <a href="#shape">$1</a>
	MD
}
chapter First 1 >"$WORK/book/src/first.md"
chapter Second 2 >"$WORK/book/src/second.md"

# The ids of the second chapter on the print page, what refers to an id there, and how SVG's names are written.
second_chapter() {
	local root=$1 text
	# Debian's mdBook reads its icons from /usr/share: hence chroot.
	for name in lib lib64; do [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"; done
	rm -rf "$root/book" && cp -r "$WORK/book" "$root/book"
	chroot "$root" /usr/bin/mdbook build /book >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; cannot "mdbook does not run"; }
	text=$(sed -n '/<h1 id="second">/,/<\/main>/p' "$root/book/book/print.html")
	grep -oE ' id="(name|paint|shape|box)[^"]*"' <<<"$text" | sed 's/.*"\(.*\)"/\1/' | paste -sd' '
	grep -oE '(aria-labelledby|for|use href|fill|a href)="[^"]*(name|paint|shape|box)[^"]*"' <<<"$text" | tr -d '"' | paste -sd' '
	grep -oiE 'viewbox|lineargradient' <<<"$text" | sort -u | paste -sd' '
}
expect "0.5.4" "name-1 paint-1 shape-1 box-1
aria-labelledby=name use href=#shape fill=url(#paint) for=box a href=#shape-1
lineargradient viewbox" "$(second_chapter "$WORK/new")"
expect "0.4.48" "name paint shape box
aria-labelledby=name use href=#shape fill=url(#paint) for=box a href=second.html#shape
linearGradient viewBox" "$(second_chapter "$WORK/old")"
finish
