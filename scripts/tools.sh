#!/usr/bin/env bash
# Installs what is missing, and only that: Debian packages (needs root), and bpf-linker, mdbook and, for tests, a Python
# environment into .tools/ of this checkout. Safe to run again at any time, also after an interruption.
#
#   scripts/tools.sh book    what `make book` needs
#   scripts/tools.sh render  what rendering a book needs: neither eBPF nor QEMU
#   scripts/tools.sh test    what `make test` needs besides: a browser, a C++ compiler for the fuzzer, and a second
#                            implementation of CEL in .tools/cel
#   scripts/tools.sh dist    what packing a release needs besides
#   scripts/tools.sh arm64   what guests for arm64, and building the collector for them, need besides
#   scripts/tools.sh targets what building for other systems, and running that, needs besides rendering
#   scripts/tools.sh workflows  what checks and rehearses the workflows, in .tools/workflows
#
# With `packages` behind it, only the Debian packages of the set.
set -euo pipefail
cd "$(dirname "$0")/.."

BPF_LINKER=0.13.0
MDBOOK=0.5.4
LLVM=22

say() { printf '\033[1m%s\033[0m\n' "tools: $*" >&2; }
fail() { printf 'tools: %s\n' "$*" >&2; exit 3; }

# The eBPF programs are compiled by Debian's rustc-web with its precompiled core library; bpf-linker links
# them with LLVM. QEMU runs the guests.
packages=(ca-certificates gcc libc6-dev make)
ebpf=(rustc-web libstd-rust-web-dev-bpf "llvm-$LLVM-dev" libzstd-dev zlib1g-dev qemu-system-x86)
case "${1:-book}" in
    book) packages+=("${ebpf[@]}") ;;
    render) ;;
    dist) packages=(binutils dpkg python3) ;;
    # clang and llvm-ar only for assembler for Apple's systems.
    targets) packages+=(clang gcc-aarch64-linux-gnu gcc-mingw-w64-x86-64 git libc6-dev-arm64-cross llvm python3 qemu-user wine64) ;;
    arm64) packages+=("${ebpf[@]}" gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm) ;;
    workflows) packages=(ca-certificates curl git python3-venv) ;;
    test)
        # libxml2-utils has xmllint, which holds reports to their schema. pahole prints structures, to compare ours with. neovim is an
        # editor for the language server. qemu-user runs the collector for arm64.
        packages+=("${ebpf[@]}" chromium g++ libxml2-utils neovim pahole python3-venv qemu-user)
        # Any node from version 18 on will do, wherever it came from.
        command -v node >/dev/null || packages+=(nodejs)
        command -v npm >/dev/null || packages+=(npm)
        ;;
    *) fail "unknown set \`$1\`: say \`book\`, \`render\`, \`test\`, \`dist\`, \`arm64\`, \`targets\` or \`workflows\`" ;;
esac

install_packages() {
    local missing=() package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing Debian packages: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] ||
        fail "these Debian packages are missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # The downloaded files are not kept: half a gigabyte that nobody needs again.
    apt-get install -y -qq --no-install-recommends -o APT::Keep-Downloaded-Packages=false "${missing[@]}" >&2 ||
        fail "apt-get could not install: ${missing[*]}. Its messages are above."
}

# A cargo program of exactly this version in .tools/bin. cargo install replaces the file in one step, so an
# interrupted run leaves the old one or none. What was built is kept in the user's cache for other checkouts: the folder names all
# that it was built from.
install_program() {
    local name=$1 version=$2 cache
    shift 2
    is_version ".tools/bin/$name" "$version" && return
    cache=${XDG_CACHE_HOME:-${HOME:-$PWD/.tools}/.cache}/qed/tools/$(tr -cs 'a-z0-9_.\n' '-' <<<"$name-$version-$(uname -m)${*:+ $*}")
    if is_version "$cache/$name" "$version"; then
        install -D -t .tools/bin "$cache/$name"
        return
    fi
    say "building $name $version (about two minutes, once)"
    cargo install --quiet --locked --root .tools --force "$name" --version "$version" "$@"
    # Complete or not at all, as another checkout may look.
    install -D ".tools/bin/$name" "$cache/$name.$$" && mv "$cache/$name.$$" "$cache/$name" ||
        say "$cache cannot be written: another checkout will build $name again"
}

is_version() { [ -x "$1" ] && "$1" --version 2>/dev/null | grep -qF "$2"; }

install_packages
[ "${2:-}" != packages ] || exit 0
case "${1:-book}" in book | render | test | arm64)
    command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs, then run this again"
    # The variable is needed: without it the linker's build looks in the wrong library folder.
    [ "${1:-book}" = render ] ||
        LLVM_PREFIX=/usr/lib/llvm-$LLVM install_program bpf-linker $BPF_LINKER --no-default-features --features llvm-$LLVM
    install_program mdbook $MDBOOK
    ;;
esac
# The second opinion of the mutation test, in a virtual environment of its own. The list of what is installed is put
# beside it last, so that an interrupted run is noticed.
install_python() {
    local folder=$1 wanted=$2
    if cmp -s "$wanted" "$folder/installed.txt"; then
        return
    fi
    say "installing $(head -n 1 "$wanted") into $folder"
    rm -rf "$folder"
    python3 -m venv "$folder" || fail "python3 could not make a virtual environment in $folder. Its message is above."
    "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted" ||
        fail "pip could not install what $wanted names. Its messages are above."
    cp "$wanted" "$folder/installed.txt"
}
if [ "${1:-book}" = workflows ]; then
    install_python .tools/workflows scripts/workflows/requirements.txt
fi
if [ "${1:-book}" = test ]; then
    install_python .tools/cel preprocessor/tests/second_opinion/requirements.txt
    if ! [ browser/node_modules/.package-lock.json -nt browser/package-lock.json ]; then
        say "installing what the browser tests need"
        # No script of a package is run.
        npm ci --prefix browser --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    fi
fi
