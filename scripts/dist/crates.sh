#!/usr/bin/env bash
# Installs both programs from the packages that would be published, as a stranger's cargo would: with an empty CARGO_HOME, from
# files alone, and without an eBPF toolchain; then captures a new book with them. Asks the registry whether they could be published.
# Compiles everything twice: no part of `make test`.
#
#   scripts/dist/crates.sh
#
# CRATES_PROFILE is cargo's profile, `release` if you say nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { printf 'crates: %s\n' "$*" >&2; exit 1; }
crates=(qed-evidence qed-programs qed-collector-ebpf qed-collector mdbook-qed)
profile=${CRATES_PROFILE:-release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All that a registry would ask of them, up to the upload. They are compiled below.
cargo publish --dry-run --no-verify --allow-dirty --quiet --target-dir "$work/published" "${crates[@]/#/-p}" ||
    fail "the packages could not be published"
cargo package --no-verify --allow-dirty --quiet --target-dir "$work/packed" "${crates[@]/#/-p}"
# What the registry has of others comes from this machine's cache, ours from the packages.
cargo vendor --quiet --locked --versioned-dirs "$work/registry" >/dev/null
for crate in "${crates[@]}"; do
    packed=$(echo "$work/packed/package/$crate"-[0-9]*.crate)
    tar -xzf "$packed" -C "$work/registry"
    name=$(basename "$packed" .crate)
    printf '{"files":{},"package":"%s"}' "$(sha256sum <"$packed" | cut -d ' ' -f 1)" >"$work/registry/$name/.cargo-checksum.json"
done
mkdir "$work/home"
cat >"$work/home/config.toml" <<CONFIG
[source.crates-io]
replace-with = "files"
[source.files]
directory = "$work/registry"
[net]
offline = true
CONFIG

# The programs of this machine without those that compile or link eBPF programs.
mkdir "$work/bin"
for folder in /usr/bin /usr/local/bin; do
    for program in "$folder"/*; do
        case $(basename "$program") in
            rustc* | cargo* | rustup* | llvm* | clang* | bpf-linker) ;;
            *) ln -sf "$program" "$work/bin/" ;;
        esac
    done
done
cargo=$(rustup which cargo 2>/dev/null || command -v cargo)
ln -s "$cargo" "$work/bin/cargo"
ln -s "$(rustup which rustc 2>/dev/null || command -v rustc)" "$work/bin/rustc"
stranger() { (cd "$work" && env -i PATH="$work/root/bin:$work/bin" HOME="$HOME" CARGO_HOME="$work/home" CARGO_PROFILE_DEV_DEBUG=0 "$@"); }
# Without a C compiler nothing can be linked, and the message has to say what is missing.
mkdir "$work/no-compiler"
for program in "$work"/bin/*; do
    case $(basename "$program") in
        cc | c[0-9]* | gcc* | g++* | c++* | *-gcc* | *-g++* | *-cpp* | tcc) ;;
        *) ln -s "$(readlink "$program")" "$work/no-compiler/" ;;
    esac
done
for program in qed-collector mdbook-qed; do
    if stranger PATH="$work/no-compiler" cargo install --locked --quiet --root "$work/none" --target-dir "$work/none" "$program" 2>"$work/log"; then
        fail "$program was installed without a C compiler: the guide says that this takes one"
    fi
    grep -q 'linker `cc` not found' "$work/log" || { cat "$work/log"; fail "without a C compiler, the message does not name it"; }
done
for program in qed-collector mdbook-qed; do
    stranger cargo install --locked --quiet --profile "$profile" --root "$work/root" --target-dir "$work/target" "$program" ||
        fail "cargo cannot install $program from its package"
done
[ "$(ls "$work/root/bin")" = $'mdbook-qed\nqed-collector' ] || fail "other programs were installed: $(ls "$work/root/bin")"
digest=$(sha256sum <collector/ebpf/qed-ebpf.o | cut -d ' ' -f 1)
stranger qed-collector --version | grep -F "$digest" || fail "the installed collector has another eBPF object than $digest"
# Without the settings of the checkout it is linked dynamically, and takes its libraries into the guest.
libraries=$(readelf -d "$work/root/bin/qed-collector" | grep -c NEEDED || true)
install -m 755 "$(command -v mdbook || echo .tools/bin/mdbook)" "$work/bin/mdbook.real" && ln -sf mdbook.real "$work/bin/mdbook"
stranger mdbook-qed init book >/dev/null
stranger mdbook build book
grep -q '✔ PASS' "$work/book/site/first.html" || fail "no claim of the new book passed"
echo "crates: ${#crates[@]} packages; both programs installed from them, without an eBPF toolchain ($libraries shared libraries), and a book captured"
