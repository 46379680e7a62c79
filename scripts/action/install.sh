#!/usr/bin/env bash
# A step of action.yml: fetches the archive of a release, compares it with the digest that the workflow names, installs it,
# and puts it on the PATH of the steps that follow.
#
# ARCHIVE is an address, SHA256 its digest; RUNNER_TEMP and GITHUB_PATH are the runner's.
set -euo pipefail
fail() { printf '::error title=qed::%s\n' "$*"; exit 1; }
[ -n "${SHA256:-}" ] || fail "say the archive's digest in \`sha256\`: it is in SHA256SUMS of the release"
[[ $SHA256 =~ ^[0-9a-f]{64}$ ]] || fail "\`sha256\` has to be 64 digits from 0 to f"
name=${ARCHIVE##*/}
[[ $name =~ ^qed-[0-9A-Za-z.-]+-x86_64-linux\.tar\.gz$ ]] || fail "\`archive\` has to end in qed-VERSION-x86_64-linux.tar.gz"
work=$(mktemp -d "$RUNNER_TEMP/qed.XXXXXX")
curl --fail --silent --show-error --location --retry 3 -o "$work/$name" "$ARCHIVE" || fail "the archive cannot be fetched from $ARCHIVE"
printf '%s  %s\n' "$SHA256" "$name" >"$work/SHA256SUMS"
sh "$(dirname "$0")/../dist/install.sh" "$work/$name" --prefix "$RUNNER_TEMP/qed" ||
    fail "$name was not installed: the line of install.sh above says why"
printf '%s\n' "$RUNNER_TEMP/qed/bin" >>"$GITHUB_PATH"
