#!/usr/bin/env bash
# Guess: TOML's integers have 64 bits with a sign, so a kernel address written as a bare number is refused by every reader.
# Seen:  in decimal six readers return it whole, four refuse it, and @iarna/toml 3.0.0 wraps it silently: 0xffffffff81000000 becomes
#        -2130706432 and 0xffffffffffffffff becomes -1. smol-toml 1.9.1 and toml 5.0.1 refuse far less than 64 bits
#        (anything above 2^53), although TOML asks for 64. pytoml 0.1.21 takes the address in decimal and refuses it in
#        hexadecimal.
# Where: tomllib of Python 3.11, rtoml 0.14.0, pytomlpp 1.1.0, tomlkit 0.15.2, toml 0.10.2, qtoml 0.3.1, pytoml 0.1.21 (PyPI);
#        smol-toml 1.9.1, @iarna/toml 3.0.0, toml 5.0.1, @ltd/j-toml 1.38.0 (npm).
# Why it matters: a configuration with an address works in one language and not in the next, or addresses something
#        else. Addresses belong in strings here too.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need node npm python3

(cd "$WORK" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund \
	smol-toml@1.9.1 @iarna/toml@3.0.0 toml@5.0.1 @ltd/j-toml@1.38.0 >&2) || cannot "the npm packages could not be installed"
{ python3 -m venv "$WORK/py" && "$WORK/py/bin/pip" install --quiet --disable-pip-version-check rtoml==0.14.0 \
	pytomlpp==1.1.0 tomlkit==0.15.2 toml==0.10.2 qtoml==0.3.1 pytoml==0.1.21 >&2; } ||
	cannot "the PyPI packages could not be installed"

cat >"$WORK/run.mjs" <<'JS'
const answers = [];
for (const name of ['smol-toml', '@iarna/toml', 'toml', '@ltd/j-toml']) {
  const reader = await import(name);
  const parse = reader.parse ?? reader.default.parse;
  try {
    answers.push(`${name} ${parse(`at = ${process.argv[2]}\n`).at}`);
  } catch {
    answers.push(`${name} refused`);
  }
}
console.log(answers.join(', '));
JS
cat >"$WORK/run.py" <<'PY'
import importlib, sys
answers = []
for name in ["tomllib", "rtoml", "pytomlpp", "tomlkit", "toml", "qtoml", "pytoml"]:
    reader = importlib.import_module(name)
    try:
        answers.append(f"{name} {int(reader.loads(f'at = {sys.argv[1]}' + chr(10))['at'])}")
    except Exception:
        answers.append(f"{name} refused")
print(", ".join(answers))
PY
row() {
	expect "$1, Python" "$2" "$("$WORK/py/bin/python" "$WORK/run.py" "$1" 2>/dev/null)"
	expect "$1, JavaScript" "$3" "$(cd "$WORK" && node run.mjs "$1")"
}
# ADDRESS, whether pytomlpp and pytoml take it, and what @iarna/toml makes of it.
python() { echo "tomllib $1, rtoml $1, pytomlpp $2, tomlkit $1, toml $1, qtoml $1, pytoml $3"; }
javascript() { echo "smol-toml refused, @iarna/toml $1, toml refused, @ltd/j-toml $2"; }
address=18446744071578845184
row 9007199254740993 "$(python 9007199254740993 9007199254740993 9007199254740993)" \
	"$(javascript 9007199254740993 9007199254740993)"
row $address "$(python $address refused $address)" "$(javascript -2130706432 refused)"
row 0xffffffff81000000 "$(python $address refused refused)" "$(javascript -2130706432 refused)"
row 0xffffffffffffffff "$(python 18446744073709551615 refused refused)" "$(javascript -1 refused)"
finish
