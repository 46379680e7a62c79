#!/usr/bin/env bash
# Records evidence of the guest kernels in recorded/, and writes there what it is of.
set -euo pipefail
cd "$(dirname "$0")/.."

machines=(guest:debian-6.1 guest:debian-6.12 guest:debian-7.3 guest:debian-7.3-arm64)
for machine in "${machines[@]}"; do
    # In a folder of its own first: a capture that fails leaves what was recorded before.
    qed-collector capture --on "$machine" -o ".qed/record/${machine/:/-}.json"
done
# What `mdbook-qed init --recorded` shows.
qed-collector capture --investigation preprocessor/templates/init/first.toml --on guest:debian-6.1 -o .qed/record/first.json

# Writes evidence on one line, because nobody reads it line by line, and prints a row about it.
compact() {
    .tools/workflows/bin/python -c 'import json, sys
document = json.load(open(sys.argv[1]))
with open(sys.argv[2], "w") as out:
    json.dump(document, out, separators=(",", ":"), ensure_ascii=False)
    out.write("\n")
print("| {} | Linux {} ({}) | {} |".format(document["machine"]["name"], document["kernel"]["release"],
    document["kernel"].get("package", "no package"), document["run"]["time"]))' "$1" "$2"
}
compact .qed/record/first.json preprocessor/templates/init/guest-debian-6.1.json >/dev/null
rm -f recorded/guest-*.json
{
    cat << 'END'
# Recorded evidence

Evidence of real captures in guests, for books that are built on machines that cannot capture. A file here is named like
one in `.qed/evidence/` and is used when that is missing; every page that shows it says so, and how old it is. `make
record` records anew; a test holds these files to the present schema and investigation.

| machine | kernel | recorded |
| --- | --- | --- |
END
    for machine in "${machines[@]}"; do
        file=${machine/:/-}.json
        compact ".qed/record/$file" "recorded/$file"
    done
} > recorded/README.md
rm -rf .qed/record
cat recorded/README.md
