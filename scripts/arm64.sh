#!/usr/bin/env bash
# Builds qed-collector for arm64, static: the first process of guests for arm64. It goes where cargo puts it, and there the qed-collector of
# this machine finds it (target/aarch64-unknown-linux-gnu/PROFILE).
#
#   scripts/arm64.sh [PROFILE]     cargo's profile, `release` if you say nothing
#
# The standard library for arm64 is that of the Rust on PATH, or what rustup adds to it. Where there is neither, or with
# ARM64_LIBRARY=debian, Debian's rustc-web compiles, and its library for arm64 is unpacked into .tools/arm64: the two must be of exactly
# the same version, so no package is installed for another architecture.
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
profile=${1:-release}
say() { printf '\033[1marm64: %s\033[0m\n' "$*" >&2; }
fail() { printf 'arm64: %s\n' "$*" >&2; exit 1; }

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# ARM64_RUSTFLAGS: more of them, for a release.
flags="-C target-feature=+crt-static ${ARM64_RUSTFLAGS:-}"
# Flags for this machine's programs.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET

has_library() {
    local library
    library=$(rustc --print target-libdir --target $target 2>/dev/null) && ls "$library"/libstd-*.rlib >/dev/null 2>&1
}

# Unpacks Debian's standard library for arm64, in the version of the compiler that is installed here.
unpack_library() { # FOLDER
    local version state options package
    version=$(dpkg-query -W -f '${Version}' libstd-rust-web-dev 2>/dev/null) || fail "Debian's rustc-web is missing: run \`make tools\`"
    [ "$(cat "$1/version" 2>/dev/null)" != "$version" ] || return 0
    say "unpacking the standard library $version for arm64"
    rm -rf "$1"
    state=$PWD/$1/apt
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    # A state of our own, with the sources and keys of this machine.
    options=(-o "Dir::State::Lists=$state/lists" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root
        -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Acquire::Languages=none)
    apt-get "${options[@]}" update -qq >&2 || fail "the lists of packages for arm64 could not be fetched: the messages of apt are above"
    for package in libstd-rust-web-dev "libstd-rust-web-$(sed -E 's/^([0-9]+\.[0-9]+).*/\1/' <<<"$version")"; do
        (cd "$state" && apt-get "${options[@]}" download -qq "$package=$version" >&2) ||
            fail "$package $version for arm64 could not be fetched: the messages of apt are above"
    done
    for package in "$state"/*.deb; do dpkg -x "$package" "$1"; done
    rm -rf "$state"
    printf '%s\n' "$version" >"$1/version"
}

if [ "${ARM64_LIBRARY:-}" != debian ] && { has_library || { command -v rustup >/dev/null && rustup target add $target; }; }; then
    :
else
    unpack_library .tools/arm64
    export RUSTC=/usr/bin/rustc
    flags="$flags -L $PWD/.tools/arm64/usr/lib/rustlib/$target/lib"
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=$flags
bins=(--bin qed-collector)
# The tests have guests with a first process of their own.
[ "$profile" != tested ] || bins+=(--bin qed-test-guest)
cargo build --locked --profile "$profile" --target $target -p qed-collector "${bins[@]}"
case $profile in dev) folder=debug ;; *) folder=$profile ;; esac
say "${CARGO_TARGET_DIR:-target}/$target/$folder/qed-collector"
