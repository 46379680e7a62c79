#!/usr/bin/env bash
# Guess: CEL's timestamps and durations have nanoseconds, as protobuf's have, so two that differ by one nanosecond differ.
# Seen:  in cel-python 0.5.0 duration("1ns") < duration("2ns") is false, duration("1ns") == duration("2ns") is true, and
#        timestamps keep microseconds; it accepts the nine digits and drops three. @marcbachmann/cel-js 8.0.0 has exact
#        durations but timestamps to the millisecond. @bufbuild/cel 0.6.1 and Rust's (common-expression-language 0.10.0)
#        keep all nine digits.
# Where: cel-python 0.5.0, common-expression-language 0.10.0 (PyPI), @marcbachmann/cel-js 8.0.0, @bufbuild/cel 0.6.1 (npm).
# Why it matters: tracers measure in nanoseconds. "a happened before b" must be asked of integers, not of timestamps.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need node npm python3

(cd "$WORK" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund \
	@marcbachmann/cel-js@8.0.0 @bufbuild/cel@0.6.1 >&2) || cannot "the npm packages could not be installed"
{ python3 -m venv "$WORK/py" && "$WORK/py/bin/pip" install --quiet --disable-pip-version-check \
	cel-python==0.5.0 common-expression-language==0.10.0 >&2; } || cannot "the PyPI packages could not be installed"

cat >"$WORK/run.mjs" <<'JS'
import { run } from '@bufbuild/cel';
import { evaluate } from '@marcbachmann/cel-js';
console.log(`marcbachmann ${evaluate(process.argv[2])}, bufbuild ${run(process.argv[2])}`);
JS
cat >"$WORK/run.py" <<'PY'
import sys, cel, celpy
environment = celpy.Environment()
program = environment.program(environment.compile(sys.argv[1]))
print(f"cel-python {bool(program.evaluate({}))}, rust {cel.evaluate(sys.argv[1])}".lower())
PY
row() {
	expect "$1" "$2" "$(cd "$WORK" && node run.mjs "$1"), $("$WORK/py/bin/python" "$WORK/run.py" "$1")"
}
first='timestamp("2026-11-27T20:00:00.123456788Z")'
second='timestamp("2026-11-27T20:00:00.123456789Z")'
row 'duration("1ns") < duration("2ns")' "marcbachmann true, bufbuild true, cel-python false, rust true"
row 'duration("1ns") == duration("2ns")' "marcbachmann false, bufbuild false, cel-python true, rust false"
row "$first < $second" "marcbachmann false, bufbuild true, cel-python false, rust true"
row "$first == $second" "marcbachmann true, bufbuild false, cel-python true, rust false"
later='timestamp("2026-11-27T20:00:00.123457Z")'
row "$first < $later" "marcbachmann false, bufbuild true, cel-python true, rust true"
finish
