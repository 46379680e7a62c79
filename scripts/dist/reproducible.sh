#!/usr/bin/env bash
# Builds the release of the last commit twice, in two folders, and compares all files byte for byte; the files are then in
# dist/. Takes two release builds: no part of `make test`.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/qed-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Whoever owns the checkout: in a container that is somebody else.
git() { command git -c safe.directory='*' "$@"; }
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
QED_BUILT_FROM=$(scripts/built-from.sh)
export SOURCE_DATE_EPOCH QED_BUILT_FROM
for folder in one a/longer/folder; do
    mkdir -p "$work/$folder"
    git archive HEAD | tar -x -C "$work/$folder"
    # The tools that build the eBPF programs.
    [ ! -e .tools ] || ln -s "$PWD/.tools" "$work/$folder/.tools"
    DIST_TARGET=$work/target-${folder%%/*} "$work/$folder/scripts/dist/build.sh" "$work/$folder/dist" >&2
    rm -rf "$work/target-${folder%%/*}"
done
diff -r "$work/one/dist" "$work/a/longer/folder/dist"
mkdir -p dist
# Everything in dist/ with such a name is published.
rm -f dist/qed-*-x86_64-linux.tar.gz dist/qed_*_amd64.deb dist/install.sh dist/SHA256SUMS dist/NOTES.md
cp -a "$work/one/dist/." dist/
echo "reproducible: two builds in two folders gave the same $(find "$work/one/dist" -type f | wc -l) files"
cat "$work/one/dist/SHA256SUMS"
