#!/usr/bin/env bash
# Guess: CEL has a specification with 64-bit integers and a conformance suite, so every engine tells apart two addresses
#        that differ by one, divides integers as integers, and reports an overflow as an error.
# Seen:  cel-js 0.8.2 takes every number for a double: 18446744073709551615u == 18446744073709551614u is true, % 4096u
#        of the first is 0 (4095), -7 / 2 is -3.5, and 0u - 1u is -1. @marcbachmann/cel-js 8.0.0 is exact and reports
#        overflows but one: -9223372036854775808 / -1 is 9223372036854775808, no int at all. The Rust engine behind PyPI's
#        common-expression-language 0.10.0 is exact for integers and says that 9007199254740993 == 9007199254740992.0,
#        where @bufbuild/cel 0.6.1 says false, as the specification does; the other two refuse to compare these kinds.
# Where: cel-js 0.8.2, @marcbachmann/cel-js 8.0.0, @bufbuild/cel 0.6.1 (npm), cel-python 0.5.0 and
#        common-expression-language 0.10.0 (PyPI).
# Why it matters: a claim about kernel addresses that one engine finds true need not be true; a second opinion is worth
#        something only from an engine that keeps 64 bits.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need node npm python3

(cd "$WORK" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund \
	cel-js@0.8.2 @marcbachmann/cel-js@8.0.0 @bufbuild/cel@0.6.1 >&2) || cannot "the npm packages could not be installed"
{ python3 -m venv "$WORK/py" && "$WORK/py/bin/pip" install --quiet --disable-pip-version-check \
	cel-python==0.5.0 common-expression-language==0.10.0 >&2; } || cannot "the PyPI packages could not be installed"

cat >"$WORK/run.mjs" <<'JS'
import * as bufbuild from '@bufbuild/cel';
import * as celjs from 'cel-js';
import * as marcbachmann from '@marcbachmann/cel-js';
const [engine, expression] = process.argv.slice(2);
const evaluate = {
  bufbuild: bufbuild.run, 'cel-js': celjs.evaluate, marcbachmann: marcbachmann.evaluate,
}[engine];
let value;
try { value = evaluate(expression); } catch { value = undefined; }
const error = value === undefined || bufbuild.isCelError(value);
console.log(error ? 'error' : String(value?.value ?? value));
JS
cat >"$WORK/run.py" <<'PY'
import sys
engine, expression = sys.argv[1:]
try:
    if engine == "cel-python":
        import celpy
        environment = celpy.Environment()
        value = environment.program(environment.compile(expression)).evaluate({})
        value = bool(value) if isinstance(value, celpy.celtypes.BoolType) else value
    else:
        import cel
        value = cel.evaluate(expression)
    print(str(value).lower())
except Exception:
    print("error")
PY
row() {
	local expression=$1 recorded=$2 seen="" engine
	for engine in cel-js marcbachmann bufbuild; do
		seen+="$engine $(cd "$WORK" && node run.mjs "$engine" "$expression"), "
	done
	for engine in cel-python rust; do
		seen+="$engine $("$WORK/py/bin/python" "$WORK/run.py" "$engine" "$expression"), "
	done
	expect "$expression" "$recorded" "${seen%, }"
}
row '18446744073709551615u == 18446744073709551614u' \
	"cel-js true, marcbachmann false, bufbuild false, cel-python false, rust false"
row '18446744073709551615u % 4096u' "cel-js 0, marcbachmann 4095, bufbuild 4095, cel-python 4095, rust 4095"
row '-7 / 2' "cel-js -3.5, marcbachmann -3, bufbuild -3, cel-python -3, rust -3"
row '0u - 1u' "cel-js -1, marcbachmann error, bufbuild error, cel-python error, rust error"
row '-9223372036854775808 / -1' \
	"cel-js 9223372036854776000, marcbachmann 9223372036854775808, bufbuild error, cel-python error, rust error"
row '9007199254740993 == 9007199254740992.0' \
	"cel-js true, marcbachmann error, bufbuild false, cel-python error, rust true"
finish
