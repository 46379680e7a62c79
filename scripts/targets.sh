#!/usr/bin/env bash
# Holds what renders a book (mdbook-qed, and the crates that it consists of) to the systems that authors have, as far as one Debian
# machine on x86-64 can:
#
#   aarch64-unknown-linux-gnu                  built; its tests run in qemu-aarch64; makes the same book as this machine's program
#   x86_64-pc-windows-gnu                      built; makes the same book under wine
#   aarch64-apple-darwin, x86_64-apple-darwin  checked by the compiler; nothing here can link for them or run them
#
#   scripts/targets.sh [TARGET…]
#
# The standard libraries of these targets come from rustup; `mdbook` and this machine's `mdbook-qed` are those on PATH. TARGETS_PROFILE
# is cargo's profile, `tested` if you say nothing. QED's own book is made from what is in recorded/ alone.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { printf 'targets: %s\n' "$*" >&2; exit 1; }
say() { printf '\033[1mtargets: %s\033[0m\n' "$*" >&2; }
crates=(-p qed-evidence -p qed-programs -p mdbook-qed)
profile=${TARGETS_PROFILE:-tested}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(aarch64-unknown-linux-gnu x86_64-pc-windows-gnu aarch64-apple-darwin x86_64-apple-darwin)
work=$(mktemp -d)
clean() {
    # It may still write into its folder.
    [ ! -d "$work/wine" ] || "$(dirname "$(realpath "$wine")")/wineserver" --kill --wait || true
    rm -rf "$work"
}
trap clean EXIT

# Static, so that nothing of an arm64 system has to be here.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-feature=+crt-static'
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
# One dependency, of mdBook too, has a few lines of assembler, which clang translates for any system.
export CC_aarch64_apple_darwin=clang CC_x86_64_apple_darwin=clang AR_aarch64_apple_darwin=llvm-ar AR_x86_64_apple_darwin=llvm-ar
wine=$(command -v wine64 || command -v wine || echo /usr/lib/wine/wine64)
# A system of its own, without windows.
export WINEPREFIX=$work/wine WINEDEBUG=-all DISPLAY=
# Flags for this machine's programs.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET

add_target() {
    local library
    library=$(rustc --print target-libdir --target "$1")
    ls "$library"/libstd-*.rlib >/dev/null 2>&1 && return
    command -v rustup >/dev/null || fail "there is no standard library for $1: install Rust by rustup, or the library in $library"
    rustup target add "$1" || fail "rustup cannot install the standard library for $1"
}

# Makes both books with a command, as it would stand in book.toml: a new one, and QED's own. No collector may be found: a program of
# another system finds none either.
books() { # FOLDER COMMAND
    mkdir "$1"
    git ls-files -z --cached --others --exclude-standard -- book.toml book investigations recorded theme qed.lock |
        tar --null --files-from=- -cf - --ignore-failed-read | tar -xf - -C "$1"
    for book in "$1" "$1/new"; do
        # Paths in a page would be those of the folder.
        [ "$book" = "$1" ] || cp -r "$work/new" "$book"
        MDBOOK_PREPROCESSOR__QED__CAPTURE=never MDBOOK_PREPROCESSOR__QED__COMMAND="$2" mdbook build "$book" 2>"$work/log" ||
            { cat "$work/log"; fail "\`$2\` made no book"; }
    done
    grep -q '✔ PASS' "$1/new/site/first.html" || fail "no claim of the new book passed with \`$2\`"
}

# Leaves out what pages say of programs that evidence could not be compared with, and with it the search index: Windows has no `grep`,
# and the pages say so.
without_notices() { # FOLDER
    find "$1" -name 'searchindex-*.js' -delete
    find "$1" -type f \( -name '*.html' -o -name '*.js' \) -exec sed -i -E \
        's#<div class="qed-notice">Not compared: .*</div>##; s/searchindex-[0-9a-f]+/searchindex/g' {} +
}

# What a program of a target makes has to be the same, byte for byte. Pages say how many hours old recorded evidence is: so this machine's
# books are made right before, and both once more if an hour began in between.
same_books() { # TARGET COMMAND
    local site attempt differ
    for attempt in 1 2; do
        rm -rf "$work/expected" "${work:?}/$1"
        books "$work/expected" "$work/bin/mdbook-qed"
        books "$work/$1" "$2"
        [ "$1" != x86_64-pc-windows-gnu ] || for site in "$work/expected/site" "$work/$1/site"; do without_notices "$site"; done
        differ=
        for site in site new/site; do
            diff -r "$work/expected/$site" "$work/$1/$site" >"$work/differ" || { differ=yes; break; }
        done
        [ -n "$differ" ] || break
    done
    [ -z "$differ" ] || { cat "$work/differ"; fail "$1 makes another book"; }
    say "$1: the same books, $(find "$work/$1/site" "$work/$1/new/site" -type f | wc -l) files"
}

# The other commands for authors and readers, on the new book.
commands() { # TARGET COMMAND
    local site=$work/$1/new/site
    (cd "$work/$1/new" && $2 check . && $2 publish site && $2 verify site && $2 paths >/dev/null) >"$work/log" 2>&1 ||
        { cat "$work/log"; fail "$1: check, publish, verify or paths failed"; }
    # Whoever verifies it elsewhere agrees.
    "$work/bin/mdbook-qed" verify "$site" >"$work/log" 2>&1 || { cat "$work/log"; fail "$1: what it seals does not verify here"; }
    # Evidence that another machine handed over, as a workflow does.
    rm -rf "$work/merged"
    cp -r "$work/new" "$work/merged"
    rm -r "$work/merged/recorded"
    (cd "$work/merged" && $2 merge "$work/handed" && $2 check .) >"$work/log" 2>&1 || { cat "$work/log"; fail "$1: evidence from elsewhere is not taken over"; }
    grep -q '1 PASS' "$work/log" || { cat "$work/log"; fail "$1: no claim passed on evidence from elsewhere"; }
    # Wine shows the files of this machine as drive Z.
    local root=file://
    [ "$1" != x86_64-pc-windows-gnu ] || root=file:///Z:
   
    python3 scripts/targets-lsp.py "$work/merged" "$root$work/merged" $2 || fail "$1: the language server is wrong"
    say "$1: check, publish, verify, paths, merge and lsp work"
}

# The library of Windows from which Rust takes random numbers, where wine (8.0, of Debian 12) has none.
random_numbers() { # FOLDER
    ! find /usr/lib -path '*/wine/*' -name bcryptprimitives.dll 2>/dev/null | grep -q . || return 0
    cat >"$work/random.c" <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) { return SystemFunction036(data, (ULONG)length); }
C
    x86_64-w64-mingw32-gcc -shared -o "$1/bcryptprimitives.dll" "$work/random.c" -ladvapi32
}

native=$(command -v mdbook-qed) || fail "there is no mdbook-qed on PATH: run \`make targets\`"
mkdir "$work/bin"
cp "$native" "$work/bin/"
PATH=$(tr : '\n' <<<"$PATH" | while IFS= read -r folder; do [ -e "$folder/qed-collector" ] || printf '%s:' "$folder"; done)$work/bin
mkdir "$work/bin/tools"
cp "$(PATH=$PATH:$PWD/.tools/bin command -v mdbook)" "$work/bin/tools/"
PATH=$work/bin/tools:$PATH
mdbook-qed init --recorded "$work/new" >/dev/null
(cd "$work/new" && mdbook-qed redact "$work/handed" >/dev/null)

for target in "${targets[@]}"; do
    add_target "$target"
    built=target/$target/$profile
    case $target in
        *-apple-darwin)
            cargo check --locked --target "$target" "${crates[@]}" --lib --bins
            say "$target: checked; not linked, not run"
            ;;
        x86_64-pc-windows-gnu)
            cargo build --locked --profile "$profile" --target "$target" -p mdbook-qed
            mkdir "$work/windows"
            cp "$built/mdbook-qed.exe" "$work/windows/"
            random_numbers "$work/windows"
            "$wine" "$work/windows/mdbook-qed.exe" --version >/dev/null || fail "wine cannot run it"
            same_books "$target" "$wine $work/windows/mdbook-qed.exe"
            commands "$target" "$wine $work/windows/mdbook-qed.exe"
            ;;
        aarch64-unknown-linux-gnu)
            cargo build --locked --profile "$profile" --target "$target" -p mdbook-qed
            same_books "$target" "qemu-aarch64 $PWD/$built/mdbook-qed"
            commands "$target" "qemu-aarch64 $PWD/$built/mdbook-qed"
            # These two take minutes without an emulator, too.
            skipped=(--skip monotony --skip every_slide --skip every_alignment)
            cargo test --locked --profile "$profile" --target "$target" "${crates[@]}" --lib -- "${skipped[@]}"
            cargo test --locked --profile "$profile" --target "$target" -p qed-evidence --test integration -- "${skipped[@]}"
            say "$target: its tests pass in qemu-aarch64"
            ;;
        *) fail "nothing is known here of $target" ;;
    esac
done
say "${#targets[@]} targets"
