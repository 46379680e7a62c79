#!/usr/bin/env bash
# A step of action.yml: captures if the workflow says so, judges with annotations at file and line, and builds the book.
#
# BOOK is its folder, CAPTURE `true` or `false`.
set -euo pipefail
case $CAPTURE in
    true) (cd "$BOOK" && qed-collector capture --book book.toml) ;;
    false) ;;
    *) echo "::error title=qed::\`capture\` is \`true\` or \`false\`, not \`$CAPTURE\`"; exit 2 ;;
esac
command -v mdbook >/dev/null || { echo "::error title=qed::there is no mdbook on PATH: install mdBook 0.5 in a step before this one"; exit 3; }
mdbook-qed check "$BOOK" --format github
# What was captured is all there is: a build captures nothing more.
MDBOOK_PREPROCESSOR__QED__CAPTURE=never mdbook build "$BOOK"
