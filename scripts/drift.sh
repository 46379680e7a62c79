#!/usr/bin/env bash
# Says what changed since the evidence that was published last (scripts/published.sh), machine by machine: to the summary
# of the job, or where there is none to standard output. Drift is news, no fault.
set -euo pipefail
cd "$(dirname "$0")/.."
to=${GITHUB_STEP_SUMMARY:-/dev/stdout}

said=
for new in site/qed/evidence/*.json; do
    old=.qed/published/$(basename "$new")
    [ -e "$old" ] || continue
    said=yes
    printf '## Drift of %s\n\n' "$(basename "$new" .json)" >> "$to"
    status=0
    mdbook-qed diff "$old" "$new" --book . --format markdown >> "$to" || status=$?
    [ "$status" -le 1 ] || exit "$status"
    printf '\n' >> "$to"
done
[ -n "$said" ] || printf 'Nothing was published before: there is no drift to tell.\n' >> "$to"
