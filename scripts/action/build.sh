#!/usr/bin/env bash
# A step of action.yml: captures if the workflow says so, judges with annotations at file and line, and builds the book.
#
# BOOK is its folder, CAPTURE `true` or `false`. Where a guest's QEMU is missing, that guest cannot be captured: recorded evidence
# stands in for it, and the step fails if a machine of the book has none.
set -euo pipefail
. "${BASH_SOURCE[0]%/*}/qemu.sh"
capture() {
    local status=0 missing line qemu
    qemu=$(missing_qemu)
    qemu=${qemu//$'\n'/ }
    (cd "$BOOK" && qed-collector capture --book book.toml) || status=$?
    # 3: this machine cannot do it. One with every QEMU of the book should have.
    if [ -z "$qemu" ] || [[ $status != [03] ]]; then
        return "$status"
    fi
    # Of one machine, or of none at all.
    missing=$(mdbook-qed check "$BOOK" 2>&1 |
        grep -E ': not judged, there is no evidence of |^error: there is no evidence of any machine of this book' || true)
    if [ -n "$missing" ]; then
        while read -r line; do
            echo "::error title=qed::this runner has no QEMU ($qemu), and nothing was recorded: ${line#error: }"
        done <<<"$missing"
        return 3
    fi
    [ "$status" -eq 0 ] ||
        echo "::warning title=qed::this runner has no QEMU ($qemu): not every guest was captured, and the book is built from recorded evidence"
}
case $CAPTURE in
    true) capture ;;
    false) ;;
    *) echo "::error title=qed::\`capture\` is \`true\` or \`false\`, not \`$CAPTURE\`"; exit 2 ;;
esac
command -v mdbook >/dev/null || { echo "::error title=qed::there is no mdbook on PATH: install mdBook 0.5 in a step before this one"; exit 3; }
mdbook-qed check "$BOOK" --format github
# What was captured is all there is: a build captures nothing more.
MDBOOK_PREPROCESSOR__QED__CAPTURE=never mdbook build "$BOOK"
