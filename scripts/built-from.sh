#!/usr/bin/env bash
# Prints where anybody can get what is built here, as "URL COMMIT"; nothing if no remote repository is known to have this
# commit. `make install` builds it into mdbook-qed, and `mdbook-qed init` writes it into a new book's workflow.
#
#   scripts/built-from.sh [CHECKOUT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# A copy inside of another repository is none of its commits.
[ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ] || exit 0
commit=$(git rev-parse --verify --quiet HEAD) || exit 0
# A branch of a remote that holds it, or a tag of it.
remote=$(git for-each-ref --contains HEAD --format='%(refname:lstrip=2)' refs/remotes | sed 's,/.*,,;q')
if [ -z "$remote" ] && [ -n "$(git tag --points-at HEAD)" ]; then
    remote=origin
fi
url=$(git remote get-url "${remote:-none}" 2>/dev/null) || exit 0
# What needs a key has a public form; a name and a password in it are nobody's business.
url=$(sed -E 's,^(ssh://)?git@([^/:]+)[:/],https://\2/,; s,^https://[^/@]*@,https://,' <<<"$url")
case $url in
    https://*) printf '%s %s\n' "$url" "$commit" ;;
esac
