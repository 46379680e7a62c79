#!/usr/bin/env bash
# Runs the coverage-guided fuzz targets, each for a bounded time, as many at once as there are processors.
#
#   scripts/fuzz.sh                   all targets, 20 seconds each
#   scripts/fuzz.sh 600 claim path    these, 10 minutes each
#   scripts/fuzz.sh same              all targets, from the seeds and by the same random numbers every time: a test of
#                                     a change must not fail by the luck of a draw that the change has no part in
#
# What is found is kept between runs, beside what is compiled: target/fuzz/TARGET. An input that crashes a target is
# kept in fuzz/artifacts and printed; the last lines say how to run it again. One that was mended becomes a seed.
# Seeds, committed, are in fuzz/seeds/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
RELEASE=target/x86_64-unknown-linux-gnu/release

# What `cargo fuzz` passes, on a stable compiler: counters for libFuzzer at each edge, and the operands of comparisons.
# Not the address sanitizer, which needs a nightly: the crates under test have no unsafe code. The flags replace those of
# .cargo/config.toml, because libFuzzer looks functions up while it runs and so cannot be linked statically.
instrumented() {
    local flags=(--cfg fuzzing -Cpasses=sancov-module)
    for flag in level=4 inline-8bit-counters pc-table trace-compares; do
        flags+=("-Cllvm-args=-sanitizer-coverage-$flag")
    done
    (cd fuzz && RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR=../target cargo "$@")
}

run_target() {
    local target=$1 limit=$2 found=target/fuzz/$1 log=target/fuzz/$1.log
    local options=(-max_total_time="$limit")
    if [ "$limit" = same ]; then
        # So many that a processor has some 20 seconds of it; the time is for one that is very slow.
        local -A inputs=([claim]=25000 [evidence]=150000 [fill]=7000 [investigation]=120000 [packages]=600000 [path]=70000)
        options=(-seed=1 -runs="${inputs[$target]:-10000}" -max_total_time=60)
        found=$found.same
        rm -rf "$found"
    fi
    mkdir -p "$found" fuzz/artifacts
    local seeds=("fuzz/seeds/$target")
    # The documents of the unit tests are the best seeds for what reads such documents.
    case $target in evidence | investigation) seeds+=(evidence/testdata) ;; esac
    options+=(-timeout=10 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 -print_funcs=0
        -artifact_prefix="fuzz/artifacts/$target-")
    [ -f "fuzz/dictionaries/$target.dict" ] && options+=(-dict="fuzz/dictionaries/$target.dict")
    local status=0
    "$RELEASE/fuzz-$target" "${options[@]}" "$found" "${seeds[@]}" >"$log" 2>&1 || status=$?
    local tried edges
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2 || true)
    if [ "$status" -ne 0 ]; then
        # What the target said of it comes first, before libFuzzer's own account.
        grep -v '^#' "$log" | grep -a -A 20 'panicked at' | cut -c 1-2000 >&2 || true
        grep -v '^#' "$log" | tail -n 10 | cut -c 1-2000 >&2
        local kept
        kept=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        # Where the file does not outlive the machine, this does.
        [ -f "$kept" ] && { echo "fuzz: the input, in base64:" && base64 "$kept"; } >&2
        echo "fuzz: $target failed (status $status). Again: $RELEASE/fuzz-$target ${kept:-(see $log)}" >&2
        return 1
    fi
    local seconds
    seconds=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "$log")
    echo "fuzz: $target: ${tried:-?} inputs in ${seconds:-?} s, ${edges:-?} edges reached, none crashed it"
    # An empty run is a bad sign: it means that nothing was instrumented or that no seed was read.
    [ "${tried:-0}" -gt 200 ] && [ "${edges:-0}" -gt 100 ] || {
        echo "fuzz: $target tried too little to say anything; its log is $log" >&2
        return 1
    }
}

if [ "${1:-}" = --one ]; then
    run_target "$2" "$3"
    exit
fi

limit=${1:-20}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for seeds in fuzz/seeds/*/; do targets+=("$(basename "$seeds")"); done
fi
instrumented build --release --locked
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I TARGET "$0" --one TARGET "$limit"
