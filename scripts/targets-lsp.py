"""Speaks with a program's language server, as an editor does: types a placeholder into the chapter of a new book, hovers over it, and asks
where its probe is. Prints what is wrong.

  targets-lsp.py BOOK ROOT COMMAND…

ROOT is the address of the folder BOOK where the program runs, `file:///Z:/…` under wine."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

book, root, command = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
chapter = (book / "book/first.md").read_text()
# Not saved.
line = chapter.count("\n")
chapter += "{{qed first.do_pipe2.return}}\n"
uri = f"{root}/book/first.md"
place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": len("{{qed first.do_p")}}
document = {"uri": uri, "languageId": "markdown", "version": 1, "text": chapter}
messages = [
    {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": root, "capabilities": {}}},
    {"method": "initialized", "params": {}},
    {"method": "textDocument/didOpen", "params": {"textDocument": document}},
    {"id": 2, "method": "textDocument/hover", "params": place},
    {"id": 3, "method": "textDocument/definition", "params": place},
    {"id": 4, "method": "shutdown"},
    {"method": "exit"},
]
sent = b""
for message in messages:
    body = json.dumps({"jsonrpc": "2.0"} | message).encode()
    sent += b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
ended = subprocess.run([*command, "lsp"], input=sent, stdout=subprocess.PIPE, check=False, timeout=120)
answers, rest = {}, ended.stdout
while rest:
    head, _, rest = rest.partition(b"\r\n\r\n")
    length = int(head.split(b":")[1])
    answer = json.loads(rest[:length])
    answers[answer.get("id")] = answer.get("result")
    rest = rest[length:]
hover, found = json.dumps(answers.get(2), ensure_ascii=False), json.dumps(answers.get(3))
problems = []
if ended.returncode:
    problems.append(f"it ended with {ended.returncode}")
if "guest:debian-6.1" not in hover:
    problems.append(f"hover says {hover}")
if f"{root}/investigations/first.toml" not in unquote(found):
    problems.append(f"the probe is at {found}")
print("\n".join(problems), end="")
sys.exit(bool(problems))
