#!/usr/bin/env bash
# Packs built programs, manual pages and completions for release: the same bytes from the same files, whenever and wherever.
#
#   scripts/dist/pack.sh PROGRAMS PAGES OUT VERSION
#
# PROGRAMS holds `qed-collector` and `mdbook-qed`, and if it was built the collector for guests for arm64, `qed-collector-aarch64`; PAGES what `xtask pages` wrote, and THIRD-PARTY-LICENSES by licences.py. OUT gets
# qed-VERSION-x86_64-linux.tar.gz, qed_VERSION_amd64.deb, install.sh and SHA256SUMS of them, in the place of those of earlier
# releases; other files in it stay. The times in both are SOURCE_DATE_EPOCH.
set -euo pipefail
fail() { printf 'dist: %s\n' "$*" >&2; exit 2; }
[ $# -eq 4 ] || fail "usage: scripts/dist/pack.sh PROGRAMS PAGES OUT VERSION"
: "${SOURCE_DATE_EPOCH:?dist: say the time of the release in SOURCE_DATE_EPOCH, in seconds}"
programs=$(realpath "$1") pages=$(realpath "$2") version=$4
mkdir -p "$3"
out=$(realpath "$3")
top=$(realpath "$(dirname "$0")/../..")
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || fail "\`$version\` is not a version: write it as in 1.2.3"
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

command -v readelf >/dev/null || fail "readelf is missing: install binutils"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The first process of guests for arm64. It goes where the collector looks for it.
twin=qed-collector-aarch64
static=(qed-collector mdbook-qed)
[ ! -f "$programs/$twin" ] || static+=("$twin")
for program in "${static[@]}"; do
    [ -f "$programs/$program" ] || fail "$programs/$program is missing: build it first"
    # In a guest the collector is all there is, and on a reader's machine nothing is known about libraries.
    # `readelf -d` prints "There is no dynamic section" for a static program, and nothing for what it cannot read.
    readelf -h "$programs/$program" >/dev/null 2>&1 || fail "$programs/$program is not an ELF program: build it again"
    if readelf -d "$programs/$program" | grep -q 'NEEDED'; then
        fail "$programs/$program needs shared libraries: a release is static"
    fi
done

if [ -f "$programs/$twin" ]; then
    # What the two send each other has a form that only the same sources share.
    sources() { grep -aom1 'qed-collector sources sha256:[0-9a-f]*' "$programs/$1" | head -1; }
    [ -n "$(sources qed-collector)" ] && [ "$(sources qed-collector)" = "$(sources $twin)" ] ||
        fail "$programs/$twin was not made from the sources of qed-collector beside it: build both again"
    readelf -h "$programs/$twin" | grep -q 'Machine: *AArch64' || fail "$programs/$twin is no program for arm64: build it again"
fi

[ -s "$pages/THIRD-PARTY-LICENSES" ] || fail "$pages/THIRD-PARTY-LICENSES is missing: scripts/dist/licences.py writes it"

# Where things go below the prefix of an installation, alike in the archive and in the package.
stage() {
    local root=$1 zsh=$2
    install -D -m 755 -t "$root/bin" "$programs/qed-collector" "$programs/mdbook-qed"
    [ ! -f "$programs/$twin" ] || install -D -m 755 -t "$root/lib/qed" "$programs/$twin"
    install -D -m 644 -t "$root/share/man/man1" "$pages"/man/man1/*.1
    for program in qed-collector mdbook-qed; do
        install -D -m 644 "$pages/completions/bash/$program.bash" "$root/share/bash-completion/completions/$program"
        install -D -m 644 "$pages/completions/zsh/_$program" "$root/share/zsh/$zsh/_$program"
        install -D -m 644 "$pages/completions/fish/$program.fish" "$root/share/fish/vendor_completions.d/$program.fish"
    done
}

name=qed-$version-x86_64-linux
stage "$work/$name" site-functions
install -m 755 "$top/scripts/dist/install.sh" "$work/$name/install.sh"
install -D -m 644 -t "$work/$name/share/doc/qed" "$top"/README.md "$top"/CHANGELOG.md "$top"/LICENSE-* \
    "$pages/THIRD-PARTY-LICENSES"
(cd "$work/$name" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum >SHA256SUMS)
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w --format=ustar \
    -C "$work" -cf - "$name" | gzip -9n >"$work/$name.tar.gz"

deb=$work/deb
stage "$deb/usr" vendor-completions
# What install.sh writes on an installation: the archive has the same programs.
mkdir -p "$deb/usr/share/qed"
printf 'archive %s\nversion %s\nsha256 %s\nmdbook-qed %s\n' "$name.tar.gz" "$version" \
    "$(sha256sum <"$work/$name.tar.gz" | cut -d ' ' -f 1)" "$(sha256sum <"$programs/mdbook-qed" | cut -d ' ' -f 1)" >"$deb/usr/share/qed/release"
gzip -9n "$deb"/usr/share/man/man1/*.1
install -D -m 644 "$top/CHANGELOG.md" "$deb/usr/share/doc/qed/changelog"
gzip -9n "$deb/usr/share/doc/qed/changelog"
install -m 644 "$top/README.md" "$pages/THIRD-PARTY-LICENSES" "$deb/usr/share/doc/qed/"
gzip -9n "$deb/usr/share/doc/qed/THIRD-PARTY-LICENSES"
{
    echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    echo
    echo "Files: *"
    echo "Copyright: the contributors of QED"
    echo "License: MIT or Apache-2.0"
    echo "Comment: All programs are static: /usr/share/doc/qed/THIRD-PARTY-LICENSES.gz lists what they are linked from,"
    echo " with the licences of each part."
    echo
    echo "License: MIT"
    sed -e 's/^$/./' -e 's/^/ /' "$top/LICENSE-MIT"
    echo
    echo "License: Apache-2.0"
    echo " On Debian systems, the text is in /usr/share/common-licenses/Apache-2.0."
} >"$deb/usr/share/doc/qed/copyright"
mkdir -p "$deb/DEBIAN"
# A pre-release sorts before its release with `~`.
deb_version=${version/-/\~}
# Nothing is needed: both programs are static. Guests take QEMU, and apt and dpkg-deb to fetch their kernels; dpkg is on
# every Debian.
cat >"$deb/DEBIAN/control" <<CONTROL
Package: qed
Version: $deb_version
Architecture: amd64
Maintainer: The QED contributors <noreply@example.invalid>
Installed-Size: $(find "$deb/usr" -type f -printf '%k\n' | awk '{ sum += $1 } END { print sum }')
Recommends: qemu-system-x86, apt, ca-certificates
Suggests: qemu-system-arm
Section: doc
Priority: optional
Description: documentation of kernels that proves itself
 A collector runs a workload under eBPF probes, on this machine or in a guest
 with a stock kernel of Debian, and writes typed evidence. A preprocessor of
 mdBook fills chapters from it, evaluates the claims that they make, and fails
 the build when one is false.
CONTROL
(cd "$deb" && find usr -type f -printf '%P\0' | sort -z | xargs -0 -I{} md5sum usr/{} >DEBIAN/md5sums)
chmod -R u+rwX,go+rX,go-w "$deb"
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$deb" "$work/qed_${deb_version}_amd64.deb" >/dev/null

# OUT is the caller's: only files of releases go.
rm -f "$out"/qed-*-x86_64-linux.tar.gz "$out"/qed_*_amd64.deb "$out/install.sh" "$out/SHA256SUMS" "$out/NOTES.md"
install -m 644 -t "$out" "$work/$name.tar.gz" "$work/qed_${deb_version}_amd64.deb"
install -m 755 "$top/scripts/dist/install.sh" "$out/install.sh"
(cd "$out" && sha256sum install.sh "$name.tar.gz" "qed_${deb_version}_amd64.deb" >SHA256SUMS)
