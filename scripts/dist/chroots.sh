#!/usr/bin/env bash
# Tries the release in dist/ as a stranger would, in fresh root file systems of Debian 12 and 13: the archive with install.sh, as an
# ordinary user, and the package with apt. Prints how long it takes from the archive to a built book, with a capture in a guest
# and with recorded evidence. Needs root, mmdebstrap and a mirror: no part of `make test`.
#
#   scripts/dist/chroots.sh [--against-clone] [SUITE…]
#
# With --against-clone, `make book` is then run in a fresh clone of the last commit, without built tools, and each time is printed
# against it. The clone is built on this machine, on which it works (Debian 12, with Rust): Debian packages, crates and kernels that
# are here are not fetched again, so a stranger would wait longer for it.
#
# DIST is the folder of another release. CHROOT_CACHE keeps the plain root file systems (SUITE.tar) for the next run.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { printf 'chroots: %s\n' "$*" >&2; exit 3; }
[ "$(id -u)" -eq 0 ] || fail "changing the root folder takes root"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing: apt-get install mmdebstrap"
dist=${DIST:-dist}
[ -f "$dist/SHA256SUMS" ] || fail "there is no release in $dist/: run \`make dist\`"
cache=${CHROOT_CACHE:-$(mktemp -d)}
work=$(mktemp -d)
mounted=()
clean() {
    # Lazily: QEMU may not have let go yet. What stays mounted is not entered by `rm`.
    for folder in "${mounted[@]}"; do umount --recursive --lazy "$folder" || true; done
    rm -rf --one-file-system "$work"
    [ -n "${CHROOT_CACHE:-}" ] || rm -rf "$cache"
}
trap clean EXIT
# mdBook is no part of the release: the one that `make tools` built stands in for one that a user has.
mdbook=$(command -v mdbook || echo .tools/bin/mdbook)
status=0
names=() times=()
check() { # NAME LIMIT SECONDS
    local verdict=met
    names+=("$1") times+=("$3")
    awk -v took="$3" -v limit="$2" 'BEGIN { exit !(took > limit) }' && verdict=MISSED && status=1
    printf '%s\t%s s\tat most %s s\t%s\n' "$1" "$3" "$2" "$verdict"
}
seconds_since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }
against_clone() {
    local start took path index
    # Nothing of what is built here may help: neither on PATH, nor what `make` hands on.
    path=$(tr : '\n' <<<"$PATH" | grep -vxF -e "$PWD" | grep -vF "$PWD/" | paste -sd :)
    start=$(date +%s.%N)
    git -c safe.directory='*' clone --quiet . "$work/clone"
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u CARGO_TARGET_DIR -u CARGO_BUILD_TARGET_DIR PATH="$path" \
        make -C "$work/clone" book >"$work/log" 2>&1 || { tail -n 50 "$work/log"; fail "the book was not built from a clone"; }
    took=$(seconds_since "$start")
    [ -n "$(find "$work/clone/site" -name index.html -print -quit)" ] || fail "\`make book\` in a clone built no site"
    printf 'clone: git clone to book\t%s s\n' "$took"
    for index in "${!names[@]}"; do
        printf '%s\t%s s\t%s times as fast as from a clone\n' "${names[index]}" "${times[index]}" \
            "$(awk -v clone="$took" -v one="${times[index]}" 'BEGIN { printf "%.0f", clone / one }')"
    done
}

clone=''
if [ "${1:-}" = --against-clone ]; then
    clone=yes
    shift
fi
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
for suite in "${suites[@]}"; do
    [ -s "$cache/$suite.tar" ] || mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" "$cache/$suite.tar"
    root=$work/$suite
    mkdir "$root"
    tar -xf "$cache/$suite.tar" -C "$root"
    for folder in proc dev; do
        mount --rbind "/$folder" "$root/$folder"
        mount --make-rslave "$root/$folder"
        mounted=("$root/$folder" "${mounted[@]}")
    done
    # The network and the mirror of this machine.
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    cp -r /etc/apt/apt.conf.d "$root/etc/apt/"
    [ ! -d /usr/local/share/ca-certificates ] || cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    mkdir -p "$root/release"
    cp "$dist"/* "$root/release/"
    inside() { chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"; }
    inside useradd -m stranger
    user() { inside su - stranger -c "export PATH=\$HOME/.local/bin:\$PATH; $1"; }
    install -m 755 "$mdbook" "$root/usr/local/bin/mdbook"

    # Recorded: neither QEMU nor a network. The clock runs from the archive on.
    start=$(date +%s.%N)
    user 'sh /release/install.sh /release/qed-*.tar.gz >/dev/null && mdbook-qed init --recorded book >/dev/null && mdbook build book' >"$work/log" 2>&1 ||
        { cat "$work/log"; fail "$suite: the book with recorded evidence was not built"; }
    grep -q '✔ PASS' "$root/home/stranger/book/site/first.html" || fail "$suite: no claim passed"
    check "$suite: archive to book, --recorded" 15 "$(seconds_since "$start")"
    digest=$(sha256sum "$dist"/qed-*.tar.gz | cut -d ' ' -f 1)
    grep -qF "sha256: $digest" "$root/home/stranger/book/.github/workflows/book.yml" ||
        fail "$suite: the workflow of the new book does not install this release"

    # The package alone. Then it is taken off again, without a trace.
    inside apt-get update -qq
    inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /release/qed_*_amd64.deb' >"$work/log" 2>&1 ||
        { cat "$work/log"; fail "$suite: the package does not install"; }
    inside mdbook-qed --version
    inside qed-collector --version | head -n 1
    inside sh -c 'dpkg --verify qed' | grep . && fail "$suite: files of the package are not as they were packed"
    inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq qed' >"$work/log" 2>&1 || { cat "$work/log"; fail "$suite: the package does not go"; }
    [ ! -e "$root/usr/bin/qed-collector" ] || fail "$suite: the package left files behind"
    echo "$suite: the package installs and goes"

    # What Debian serves, asked by an ordinary user whose system has the sources of one suite alone: all suites have to answer the
    # same there.
    user 'qed-collector kernels --newest --refresh' >"$work/$suite.kernels" ||
        fail "$suite: an ordinary user cannot list the kernels"
    cut -d ' ' -f 1 "$work/$suite.kernels" | grep '^guest:' >"$work/served" || fail "$suite: no kernel is served"
    [ -f "$work/first.served" ] || cp "$work/served" "$work/first.served"
    diff "$work/first.served" "$work/served" || fail "$suite: other kernels are served than to ${suites[0]}"
    echo "$suite: an ordinary user sees $(wc -l <"$work/served") series of kernels"

    # With a capture. Kernels come from the cache of this machine: their download is not counted.
    inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86' >"$work/log" 2>&1 ||
        { cat "$work/log"; fail "$suite: QEMU cannot be installed"; }
    user 'rm -rf .local book; mkdir -p .cache'
    cached=${XDG_CACHE_HOME:-$HOME/.cache}/qed/kernels
    if [ -d "$cached" ]; then
        kernels=$root/home/stranger/.cache/qed/kernels
        mkdir -p "$kernels"
        cp -r "$cached"/linux-image-6.1.*-unsigned_*[0-9] "$kernels/" ||
            fail "the kernel of guest:debian-6.1 is not in the cache: \`qed-collector kernels fetch guest:debian-6.1\`"
        # The answer of Debian's archive; without it, it is asked.
        [ ! -f "$cached/served.json" ] || cp "$cached/served.json" "$kernels/"
        inside chown -R stranger: /home/stranger/.cache
    fi
    start=$(date +%s.%N)
    user 'sh /release/install.sh /release/qed-*.tar.gz >/dev/null && mdbook-qed init book >/dev/null && mdbook build book' >"$work/log" 2>&1 ||
        { cat "$work/log"; fail "$suite: the book was not built"; }
    grep -q 'capturing on guest:debian-6.1' "$work/log" || fail "$suite: nothing was captured"
    grep -q '✔ PASS' "$root/home/stranger/book/site/first.html" || fail "$suite: no claim passed"
    check "$suite: archive to book, with a capture" 60 "$(seconds_since "$start")"
done
[ -z "$clone" ] || against_clone
exit $status
