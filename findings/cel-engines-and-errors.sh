#!/usr/bin/env bash
# Guess: engines of CEL differ at the edges of their numbers, not in what is true, false or an error for small ones: the
#        language has a specification and tests of conformance.
# Seen:  `[0, 1].exists(x, 1 / x == 1)` is true in three engines; in Rust's it is an error, but true for [1, 0]: there an error is
#        forgiven only behind the answer. cel-js 0.8.2 lets an error on the left decide `… && false`.
#        `1 != "1"` is true in three, an error in two; `1u == 1` likewise. int("0x10") is 16 in two, an error in three.
#        `-7 / 2` is -3.5 in cel-js. NaN equals NaN in cel-python. `has` of a member that is null is true in two, false in
#        one, an error in two.
# Where: cel-js 0.8.2, @marcbachmann/cel-js 8.0.0, @bufbuild/cel 0.6.1 (npm), cel-python 0.5.0, common-expression-language
#        0.10.0 (PyPI, Rust's).
# Why it matters: a claim that two engines judged alike yesterday turns from true to an error with the order of a list, and `!=`
#        between kinds passes for nothing. A second engine is a check only on operands of one kind.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need node npm python3

(cd "$WORK" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund \
	cel-js@0.8.2 @marcbachmann/cel-js@8.0.0 @bufbuild/cel@0.6.1 >&2) || cannot "the npm packages could not be installed"
{ python3 -m venv "$WORK/py" && "$WORK/py/bin/pip" install --quiet --disable-pip-version-check \
	cel-python==0.5.0 common-expression-language==0.10.0 >&2; } || cannot "the PyPI packages could not be installed"

cat >"$WORK/run.mjs" <<'JS'
import { evaluate as js } from 'cel-js';
import { evaluate as marc } from '@marcbachmann/cel-js';
import { run } from '@bufbuild/cel';
// An engine either throws its errors or returns an object for them: only a plain value counts as an answer.
function answer(engine) {
  try {
    const value = engine(process.argv[2]);
    return ['boolean', 'number', 'bigint'].includes(typeof value) ? String(value) : 'error';
  } catch {
    return 'error';
  }
}
console.log(`cel-js ${answer(js)}, marcbachmann ${answer(marc)}, bufbuild ${answer(run)}`);
JS
cat >"$WORK/run.py" <<'PY'
import sys, cel, celpy
environment = celpy.Environment()
engines = {
    "cel-python": lambda text: environment.program(environment.compile(text)).evaluate({}),
    "rust": cel.evaluate,
}
answers = []
for name, engine in engines.items():
    try:
        answers.append(f"{name} {engine(sys.argv[1])}".lower())
    except Exception:
        answers.append(f"{name} error")
print(", ".join(answers))
PY
row() {
	expect "$1" "cel-js $2, marcbachmann $3, bufbuild $4, cel-python $5, rust $6" \
		"$(cd "$WORK" && node run.mjs "$1"), $("$WORK/py/bin/python" "$WORK/run.py" "$1" 2>/dev/null)"
}
row '[1, 0].exists(x, 1 / x == 1)' error true true true true
row '[0, 1].exists(x, 1 / x == 1)' error true true true error
row '(1 / 0 == 1) && false' error false false false false
row '1 != "1"' true error true error true
row '1u == 1' true error true error true
row 'int("0x10")' error error 16 16 error
row '-7 / 2' -3.5 -3 -3 -3 -3
row '0.0 / 0.0 == 0.0 / 0.0' error false false true false
row 'has({"a": null}.a)' error error false true true
finish
