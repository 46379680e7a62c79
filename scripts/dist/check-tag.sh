#!/usr/bin/env bash
# Holds a release to its tag: the version of every crate, the repository that they name, and a chapter of the changelog with something
# in it.
#
#   scripts/dist/check-tag.sh TAG [NOTES]
#
# NOTES is a file for that chapter. One that is too long for a page of releases has to begin with a summary, above its first heading:
# then NOTES gets that, and the address of the rest. CHECKOUT is another checkout than this one. GITHUB_REPOSITORY, where it is set, has
# to be the repository that the crates name.
set -euo pipefail
cd "${CHECKOUT:-$(dirname "$0")/../..}"
fail() { printf 'release: %s\n' "$*" >&2; exit 1; }
tag=${1:-}
[[ $tag =~ ^v([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?)$ ]] || fail "\`$tag\` is no tag of a release: it has to look like v1.2.3"
version=${BASH_REMATCH[1]}

found=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ "$found" = "$version" ] || fail "the tag is $tag, and the crates are of version $found: mend \`version\` in [workspace.package] of Cargo.toml"
# Our own crates depend on each other by version, too.
while IFS= read -r line; do
    [[ $line == *"version = \"$version\""* ]] || fail "a crate depends on another version of ours than $version: $line"
done < <(grep -E '^qed-[a-z-]+ = \{' Cargo.toml)
while IFS= read -r line; do
    [ "$line" = "version = \"$version\"" ] || fail "Cargo.lock has another version of our crates than $version ($line): run \`cargo build\` and commit it"
done < <(grep -A 1 -E '^name = "(qed-|mdbook-qed|xtask)' Cargo.lock | grep '^version')

# `cargo binstall` takes the archive from there, and the notes lead there.
repository=$(sed -n '/^\[workspace.package\]/,/^\[/s/^repository = "\(.*\)"/\1/p' Cargo.toml)
[[ $repository =~ ^https://[^/]+/.*[^/]$ ]] ||
    fail "the crates name no repository: write \`repository = \"https://github.com/OWNER/REPOSITORY\"\` into [workspace.package] of Cargo.toml"
[ -z "${GITHUB_REPOSITORY:-}" ] || [ "$repository" = "https://github.com/$GITHUB_REPOSITORY" ] ||
    fail "the crates name the repository $repository, and this is $GITHUB_REPOSITORY"
for manifest in */Cargo.toml; do
    grep -q '^publish = false' "$manifest" || grep -q '^repository\.workspace = true' "$manifest" ||
        fail "$manifest does not name the repository: write \`repository.workspace = true\` into its [package]"
done

# From `## 1.2.3 …` to the next chapter.
notes=$(awk -v title="## $version" '
    /^## / { inside = ($0 == title || index($0, title " ") == 1); next }
    inside' CHANGELOG.md)
[ -n "${notes//[$' \n']/}" ] || fail "CHANGELOG.md says nothing about $version: it has no chapter \`## $version\`, or an empty one"
unreleased=$(awk '/^## / { inside = ($0 == "## Unreleased"); next } inside' CHANGELOG.md)
[ -z "${unreleased//[$' \n']/}" ] || fail "CHANGELOG.md has entries under \`## Unreleased\`: they belong to $version"
# As much as a reader of releases looks through, in bytes.
most=8000
if [ "${#notes}" -gt "$most" ]; then
    summary=$(awk '/^### / { exit } { print }' <<<"$notes")
    [ -n "${summary//[$' \n']/}" ] || fail "the chapter of $version in CHANGELOG.md is ${#notes} bytes long: write a summary above its first heading"
    [ "${#summary}" -le "$most" ] || fail "the summary of $version in CHANGELOG.md is ${#summary} bytes long, and $most are the most"
    notes="$summary

All changes: $repository/blob/$tag/CHANGELOG.md"
fi
if [ -n "${2:-}" ]; then
    mkdir -p "$(dirname "$2")"
    printf '%s\n' "$notes" >"$2"
fi
echo "release: $tag is what Cargo.toml, Cargo.lock and CHANGELOG.md say"
