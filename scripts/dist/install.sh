#!/bin/sh
# Installs QED from an archive of a release, without root.
#
#   sh install.sh qed-VERSION-x86_64-linux.tar.gz [--sums SHA256SUMS] [--prefix FOLDER]
#
# The archive has to be the one that SHA256SUMS names (default: the file beside the archive); take that file from where
# you trust it. FOLDER is ~/.local unless you say another. Nothing is installed when anything is wrong.
set -eu
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
usage="usage: sh install.sh ARCHIVE.tar.gz [--sums SHA256SUMS] [--prefix FOLDER]"

archive='' sums='' prefix=${HOME:-}/.local
while [ $# -gt 0 ]; do
    case $1 in
        --sums | --prefix)
            [ $# -ge 2 ] || fail "$1 needs a value. $usage"
            case $1 in --sums) sums=$2 ;; *) prefix=$2 ;; esac
            shift
            ;;
        -h | --help) printf '%s\n' "$usage"; exit 0 ;;
        -*) fail "unknown option $1. $usage" ;;
        *) [ -z "$archive" ] || fail "one archive at a time. $usage"; archive=$1 ;;
    esac
    shift
done
[ -n "$archive" ] || fail "$usage"
[ "$prefix" != /.local ] || fail "HOME is not set: say where to install with --prefix"
[ -f "$archive" ] || fail "there is no file $archive"
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "these programs are for Linux on x86-64, and this is $(uname -s) on $(uname -m)"
name=$(basename "$archive")
[ -n "$sums" ] || sums=$(dirname "$archive")/SHA256SUMS
[ -f "$sums" ] || fail "there is no $sums: take it from where the release is, and name it with --sums"

# `DIGEST  NAME` or `DIGEST *NAME`, once.
wanted=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1 }' "$sums")
case $wanted in
    '') fail "$sums does not name $name: one of them is of another release" ;;
    *[!0-9a-f]*) fail "$sums names $name more than once, or with something that is no digest" ;;
esac
found=$(sha256sum <"$archive" | cut -d ' ' -f 1)
[ "$found" = "$wanted" ] || fail "$archive is not what was released: its SHA-256 is $found, and $sums says $wanted. Nothing was installed. Download it again"

mkdir -p "$prefix" || fail "$prefix cannot be made: say another with --prefix"
work=$(mktemp -d "$prefix/.qed-install.XXXXXX") || fail "$prefix cannot be written: say another with --prefix"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
tar -xzf "$archive" -C "$work" --no-same-owner || fail "$archive cannot be unpacked. Nothing was installed"
from=$work/${name%.tar.gz}
[ -f "$from/SHA256SUMS" ] || fail "$archive is no archive of a release: it holds no ${name%.tar.gz}/SHA256SUMS"
(cd "$from" && sha256sum --quiet --strict -c SHA256SUMS) || fail "a file in $archive is not what was released. Nothing was installed"

# On the same file system, so each file is replaced in one step.
# A collector for guests for another architecture is in lib, and belongs to that in bin: one of another release does not go with it.
rm -f "$prefix/lib/qed/qed-collector-aarch64"
(cd "$from" && find bin lib share -type f 2>/dev/null) | while IFS= read -r file; do
    mkdir -p "$prefix/$(dirname "$file")"
    mv -f "$from/$file" "$prefix/$file"
done
# Which archive this was. `mdbook-qed init` writes a workflow that installs the same one, if the program is still that of the archive.
version=${name#qed-}
version=${version%-x86_64-linux.tar.gz}
program=$(awk '$2 == "bin/mdbook-qed" { print $1 }' "$from/SHA256SUMS")
mkdir -p "$prefix/share/qed"
printf 'archive %s\nversion %s\nsha256 %s\nmdbook-qed %s\n' "$name" "$version" "$wanted" "$program" >"$work/release"
mv -f "$work/release" "$prefix/share/qed/release"
printf 'installed qed-collector and mdbook-qed in %s/bin\n' "$prefix"
case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) printf 'Put it on your PATH: export PATH="%s/bin:$PATH"\n' "$prefix" ;;
esac
command -v mdbook >/dev/null 2>&1 || printf 'mdBook 0.5 renders the books: https://rust-lang.github.io/mdBook/guide/installation.html\n'
