#!/bin/bash
# Compares the speed of this checkout with that of another revision, on this machine, in one run.
#
#     scripts/bench-against.sh REVISION [ROUNDS]
#
# Builds the benches and the programs of REVISION in a worktree of its own, captures the book's evidence with each side's
# own collector, and runs each bench that both have in turn. Prints the ratio of each time that a bench prints: this
# checkout's median over that of REVISION. Ends with status 1 if one is above LIMIT (1.05). Wants a quiet machine. Each side
# has its own book, so a bench that works on the book's evidence may have more to do here: the line below its ratio says so.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: scripts/bench-against.sh REVISION [ROUNDS]" >&2
    exit 2
fi
rounds=${2:-5}
commit=$(git rev-parse --verify --quiet "$1^{commit}") || {
    echo "error: cannot compare with $1: this repository has no such commit" >&2
    exit 2
}
here=$PWD
there=$here/target/bench-against/$commit

# The worktree stays, so that the next comparison need not compile it again.
if [ ! -e "$there/.git" ]; then
    git worktree prune
    mkdir -p "$(dirname "$there")"
    git worktree add --detach "$there" "$commit"
fi
[ -e "$there/.tools" ] || ln -s "$here/.tools" "$there/.tools"

# Builds one side, captures its evidence and writes the list of its benches: name, folder of the package, program.
prepare() {
    cd "$1"
    local programs=target/x86_64-unknown-linux-gnu/release
    cargo build --release --locked --workspace --bins
    PATH=$PWD/$programs:$PWD/.tools/bin:$PATH qed-collector capture --book book.toml
    cargo bench --locked --workspace --no-run --message-format json | "$here/scripts/bench-ratios.py" list > "$2"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(unset CARGO_TARGET_DIR && prepare "$there" "$work/before")
(unset CARGO_TARGET_DIR && prepare "$here" "$work/after")
PATH=$here/.tools/bin:$PATH scripts/bench-ratios.py compare "$work/before" "$work/after" \
    --rounds "$rounds" --limit "${LIMIT:-1.05}"
