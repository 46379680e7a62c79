#!/usr/bin/env bash
# Compares every citation with the kernel's source: does the line on record in book/citations.tsv stand at that line of
# that version? Debian's linux-source packages hold it, with Debian's patches. Needs the network and about 2 GB for a
# while. With --write it puts down what it finds there, for new citations.
set -euo pipefail
cd "$(dirname "$0")/.."
record=book/citations.tsv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

links() {
    cat book/*.md book/statements.toml guide/src/*.md |
        grep -oE 'https://elixir\.bootlin\.com/linux/v[0-9.]+/source/[^)" ]+#L[0-9]+' | sort -u
}

# The line of a link, without blanks at its ends.
line_of() {
    local version path
    version=$(sed -E 's|.*/linux/v([0-9]+\.[0-9]+)\.[0-9]+/.*|\1|' <<<"$1")
    path=$(sed -E 's|.*/source/(.*)#L.*|\1|' <<<"$1")
    sed -n "${1##*#L}p" "$folder/linux-source-$version/$path" | tr '\t' ' ' | sed -E 's/^ +//; s/ +$//'
}

for release in $(links | sed -E 's|.*/linux/v([0-9.]+)/.*|\1|' | sort -u); do
    series=${release%.*}
    # The newest Debian build of exactly this release.
    package=$(apt-cache madison "linux-source-$series" | awk -F' *\\| *' -v r="$release-" 'index($2, r) == 1 { print $2; exit }')
    if [ -z "$package" ]; then
        echo "citations: no package linux-source-$series holds $release: cite a release that Debian has" >&2
        exit 3
    fi
    (cd "$folder" && apt-get -qq download "linux-source-$series=$package" 2>/dev/null)
    dpkg-deb --fsys-tarfile "$folder/linux-source-$series"_*.deb |
        tar -xO -f - "./usr/src/linux-source-$series.tar.xz" >"$folder/source.tar.xz"
    links | grep "/v$release/" | sed -E "s|.*/source/(.*)#L.*|linux-source-$series/\1|" | sort -u |
        tar -xf "$folder/source.tar.xz" -C "$folder" -T -
    rm "$folder/source.tar.xz"
done

if [ "${1-}" = --write ]; then
    links | while read -r link; do printf '%s\t%s\n' "$link" "$(line_of "$link")"; done >"$record"
    echo "citations: $(wc -l <"$record") lines on record"
    exit
fi
wrong=0
while IFS=$'\t' read -r link line; do
    found=$(line_of "$link")
    if [ "$found" != "$line" ]; then
        wrong=1
        printf 'citations: %s\n  on record: %s\n  found:     %s\n' "$link" "$line" "$found" >&2
    fi
done <"$record"
[ "$wrong" = 0 ] && echo "citations: all $(wc -l <"$record") lines stand where the book says"
exit "$wrong"
