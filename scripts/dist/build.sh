#!/usr/bin/env bash
# Builds and packs a release into dist/, from this checkout: `make dist`.
#
#   scripts/dist/build.sh [OUT]
#
# Two checkouts of one commit give the same bytes, wherever they are, with the same compiler: no folder and no time of the
# build is in any file, nor the host of a mirror of the registry. DIST_TARGET is where cargo builds (default: target/dist).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-dist}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# The time of the commit is the time of the release.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory='*' log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
target=${DIST_TARGET:-target/dist}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
# Told to mdbook-qed, for the workflow of a new book.
QED_BUILT_FROM=${QED_BUILT_FROM-$(scripts/built-from.sh)}
export QED_BUILT_FROM
host=x86_64-unknown-linux-gnu

# Joined with the flags of .cargo/config.toml, which make the programs static. Variables would replace those.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
flags="\"--remap-path-prefix=$PWD=/qed\", \"--remap-path-prefix=$cargo_home=/cargo\""
arm64_flags="--remap-path-prefix=$PWD=/qed --remap-path-prefix=$cargo_home=/cargo"
# For the little C that is in: an allocator.
export CFLAGS="-ffile-prefix-map=$PWD=/qed -ffile-prefix-map=$cargo_home=/cargo"
# The folder of a registry is named after its host. It is there once something was fetched. Of several prefixes that match, the last
# one counts.
cargo fetch --locked --target "$host"
for registry in "$cargo_home"/registry/src/*/; do
    [ -d "$registry" ] || continue
    registry=${registry%/}
    flags+=", \"--remap-path-prefix=$registry=/cargo/registry\""
    arm64_flags+=" --remap-path-prefix=$registry=/cargo/registry"
    CFLAGS+=" -ffile-prefix-map=$registry=/cargo/registry"
done
cargo build --release --locked --target-dir "$target" --config "target.$host.rustflags = [$flags]" \
    -p qed-collector -p mdbook-qed -p xtask --bin qed-collector --bin mdbook-qed --bin xtask

built=$target/$host/release
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
"$built/xtask" pages "$pages"
# The first process of guests for arm64, where it can be built: `make arm64` installs what that takes.
rm -f "$built/qed-collector-aarch64"
licences=(python3 scripts/dist/licences.py)
if command -v aarch64-linux-gnu-gcc >/dev/null; then
    ARM64_RUSTFLAGS=$arm64_flags CARGO_TARGET_DIR=$target scripts/arm64.sh release
    install -m 755 "$target/aarch64-unknown-linux-gnu/release/qed-collector" "$built/qed-collector-aarch64"
    licences+=(--arm64)
else
    echo "dist: without qed-collector for arm64, because aarch64-linux-gnu-gcc is missing: \`make arm64\` installs it" >&2
fi
"${licences[@]}" "$pages/THIRD-PARTY-LICENSES"
scripts/dist/pack.sh "$built" "$pages" "$out" "$version"
ls -l "$out"
