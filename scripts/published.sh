#!/usr/bin/env bash
# Fetches what was published last: its history to .qed/history.json, which the next book continues, and its evidence to
# .qed/published/, for the drift since. Each file has to have the digest that the published manifest gives.
#
# Where: $PUBLISHED_URL, else the Pages site of $GITHUB_REPOSITORY. That nothing was published yet is not an error; a site
# that is there without a history is one, because a new history would forget all.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'published: %s\n' "$*" >&2; exit 1; }

url=${PUBLISHED_URL:-}
if [ -z "$url" ]; then
    [ -n "${GITHUB_REPOSITORY:-}" ] || fail "say where the last site is: PUBLISHED_URL=https://…"
    url=https://${GITHUB_REPOSITORY%%/*}.github.io/${GITHUB_REPOSITORY#*/}
fi
url=${url%/}
rm -rf .qed/published .qed/history.json
mkdir -p .qed/published
[ -e .qed/.gitignore ] || echo '*' > .qed/.gitignore

# Whether there is such a file; any other failure ends the script. A file:// that is missing is exit 37.
is_there() {
    local status=0 code
    code=$(curl --silent --location --max-time 60 --output /dev/null --write-out '%{http_code}' "$1") || status=$?
    case "$status/$code" in
        0/200 | 0/000) return 0 ;;
        0/404 | 37/*) return 1 ;;
        *) fail "$1 cannot be looked for: curl ended with $status, the answer was $code" ;;
    esac
}

get() {
    curl --silent --show-error --fail --location --max-time 60 --max-filesize 67108864 --output "$2" "$1" ||
        fail "$1 cannot be fetched"
}

manifest=.qed/published/manifest.json
if ! is_there "$url/qed/manifest.json"; then
    is_there "$url/index.html" && fail "there is a site at $url, but nothing to continue: it has no qed/manifest.json"
    echo "nothing was published at $url yet"
    exit 0
fi
get "$url/qed/manifest.json" "$manifest"
# One line for each file: "qed/evidence/host.json": "64 hexadecimal digits",
sed -nE 's#^ *"(qed/(history|evidence/[A-Za-z0-9.-]+)\.json)": "([0-9a-f]{64})",?$#\1 \3#p' "$manifest" |
    while read -r name digest; do
        file=.qed/published/$(basename "$name")
        get "$url/$name" "$file"
        echo "$digest  $file" | sha256sum --check --quiet || fail "$url/$name is not what its manifest says"
        echo "fetched $name"
    done
[ -e .qed/published/history.json ] || fail "the site at $url has no history"
mv .qed/published/history.json .qed/history.json
