#!/usr/bin/env bash
# Fails if a source file outside of tests is longer than one can hold in mind: part of `make lint`. Of a Rust file its unit
# tests, which stand at its end, do not count.
set -euo pipefail
cd "$(dirname "$0")/.."
most=500
# Files that may be longer, each with the reason behind it.
allowed=(
)
long=0
while IFS= read -r file; do
    case $file in
        */tests/* | */tests.rs | tests/*) continue ;;
    esac
    [ -f "$file" ] || continue
    lines=$(awk 'before ~ /^#\[cfg\(test\)\]$/ && /^[a-z() ]*mod [a-z_]+ \{$/ { tests = 1 }
        !tests { count++ }
        { before = $0 }
        END { print count + 0 }' "$file")
    if [ "$lines" -gt "$most" ] && ! printf '%s\n' "${allowed[@]-}" | grep -qxF "$file"; then
        printf 'lint: %s has %d lines, and %d is the most: split it, or name it in scripts/long-files.sh with the reason\n' "$file" "$lines" "$most" >&2
        long=1
    fi
done < <(git -c safe.directory='*' ls-files '*.rs' '*.sh' '*.py' '*.mjs' '*.js' '*.css' '*.hbs' Makefile)
exit "$long"
