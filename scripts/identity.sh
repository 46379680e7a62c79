#!/usr/bin/env bash
# Builds a book that does not use QED with and without it, and compares every byte: HTML, then Markdown, then the same
# of a copy whose line ends are CRLF. The book stays as it is.
#
#   scripts/identity.sh BOOKDIR     BOOKDIR holds book.toml; its other preprocessors must be installed
#
# Exit status: 0 the same, 1 a difference (listed), 2 the book cannot be built.
set -euo pipefail
[ $# -eq 1 ] && [ -f "$1/book.toml" ] || { echo "usage: $0 BOOKDIR (a folder that holds book.toml)" >&2; exit 2; }
book=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$here/target/x86_64-unknown-linux-gnu/release:$here/.tools/bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Leaves a mark, so that a build without us is not taken for one with us.
printf '#!/bin/sh\n[ "$1" = supports ] || : >%s/called\nexec mdbook-qed "$@"\n' "$work" >"$work/traced"
chmod +x "$work/traced"

# build BOOK NAME: into $work/NAME. Nothing is written into the book.
build() {
    MDBOOK_BUILD__CREATE_MISSING=false mdbook build "$1" --dest-dir "$work/$2" >"$work/log" 2>&1 ||
        { echo "the book cannot be built ($2):"; cat "$work/log"; exit 2; } >&2
}

compare() {
    local book=$1 what=$2
    build "$book" without
    rm -f "$work/called"
    MDBOOK_PREPROCESSOR__QED="{\"command\":\"$work/traced\",\"after\":[\"links\"]}" build "$book" with
    [ -e "$work/called" ] || { echo "mdbook did not call mdbook-qed" >&2; exit 2; }
    printf '%s: %s files, %s bytes: ' "$what" "$(find "$work/with" -type f | wc -l)" "$(du -sb "$work/with" | cut -f1)"
    if diff -rq "$work/without" "$work/with"; then echo the same; else exit 1; fi
    rm -r "$work/without" "$work/with"
}

compare "$book" html
MDBOOK_OUTPUT__MARKDOWN='{}' compare "$book" "with Markdown"
mkdir "$work/crlf"
cp -r "$book/." "$work/crlf"
find "$work/crlf" -name '*.md' -type f -exec sed -i 's/\r$//; s/$/\r/' {} +
compare "$work/crlf" "with CRLF"
MDBOOK_OUTPUT__MARKDOWN='{}' compare "$work/crlf" "with CRLF, Markdown"
