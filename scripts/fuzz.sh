#!/usr/bin/env bash
# Runs the coverage-guided fuzz targets, each for a bounded time, as many at once as there are processors.
#
#   scripts/fuzz.sh                   all targets, 20 seconds each
#   scripts/fuzz.sh 600 claim path    these, 10 minutes each
#
# What is found is kept between runs, beside what is compiled: target/fuzz/TARGET. An input that crashes a target is
# kept in fuzz/artifacts; the last lines say how to run it again. Seeds, committed, are in fuzz/seeds/TARGET.
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
    local target=$1 seconds=$2 found=target/fuzz/$1 log=target/fuzz/$1.log
    mkdir -p "$found" fuzz/artifacts
    local seeds=("fuzz/seeds/$target")
    # The documents of the unit tests are the best seeds for what reads such documents.
    case $target in evidence | investigation) seeds+=(evidence/testdata) ;; esac
    local options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1
        -artifact_prefix="fuzz/artifacts/$target-")
    [ -f "fuzz/dictionaries/$target.dict" ] && options+=(-dict="fuzz/dictionaries/$target.dict")
    local status=0
    "$RELEASE/fuzz-$target" "${options[@]}" "$found" "${seeds[@]}" >"$log" 2>&1 || status=$?
    local tried edges
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2 || true)
    if [ "$status" -ne 0 ]; then
        grep -v '^#' "$log" | tail -n 30 >&2
        local kept
        kept=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        echo "fuzz: $target failed (status $status). Again: $RELEASE/fuzz-$target ${kept:-(see $log)}" >&2
        return 1
    fi
    echo "fuzz: $target: ${tried:-?} inputs in $seconds s, ${edges:-?} edges reached, none crashed it"
    # An empty run is no good sign: it means that nothing was instrumented or that no seed was read.
    [ "${tried:-0}" -gt 200 ] && [ "${edges:-0}" -gt 100 ] || {
        echo "fuzz: $target tried too little to say anything; its log is $log" >&2
        return 1
    }
}

if [ "${1:-}" = --one ]; then
    run_target "$2" "$3"
    exit
fi

seconds=${1:-20}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for seeds in fuzz/seeds/*/; do targets+=("$(basename "$seeds")"); done
fi
instrumented build --release --locked
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I TARGET "$0" --one TARGET "$seconds"
