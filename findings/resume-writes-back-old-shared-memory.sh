#!/usr/bin/env bash
# Guess: the memory of an `ivshmem-plain` device is a file of the host's, shared on purpose. A machine that is saved to a file (migration)
#        and resumed finds in it what the host wrote there in between, as it does on a disk.
# Seen:  saving is refused at first ("Migration is disabled when using feature 'peer mode'"), though the device has neither peers nor
#        interrupts. With `master=on` it works, the state then has the shared memory's contents in it, and resuming writes
#        them back into the host's file over what has been written since. Only the capability `x-ignore-shared`, set on both
#        sides, leaves the file alone; it does not lift the refusal.
# Where: QEMU 7.2 (Debian 12), q35, no guest code: the processor is never started.
# Why it matters: one who answers a warm machine's question through shared memory and resumes it twice finds the first
#        run's bytes, or none, where the new ones were put before the start.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need python3 qemu-system-x86_64
qemu-system-x86_64 --version | sed -n 1p

cat >"$WORK/shared.py" <<'PY'
import json, os, socket, subprocess, sys, time
folder = sys.argv[1]
shared = folder + "/shared"

def start(role, ignore, *more):
    path = folder + "/qmp"
    if os.path.exists(path):
        os.unlink(path)
    qemu = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-m", "64", "-nodefaults", "-display", "none", "-S",
         "-object", "memory-backend-file,id=m,size=1M,share=on,mem-path=" + shared,
         "-device", "ivshmem-plain,memdev=m" + role, "-qmp", "unix:%s,server=on,wait=off" % path, *more])
    channel = socket.socket(socket.AF_UNIX)
    for _ in range(300):
        try:
            channel.connect(path)
            break
        except OSError:
            time.sleep(0.1)
    stream = channel.makefile("rw")
    stream.readline()
    def ask(command, **arguments):
        stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        stream.flush()
        while True:
            answer = json.loads(stream.readline())
            if "return" in answer or "error" in answer:
                return answer
    ask("qmp_capabilities")
    if ignore:
        ask("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
    return qemu, ask

def settle(ask, command, busy):
    while (status := ask(command)["return"].get("status")) in busy:
        time.sleep(0.1)
    return status

def write(text):
    with open(shared, "r+b") as file:
        file.write(text)

def text():
    with open(shared, "rb") as file:
        return file.read(6).decode()

for role in "", ",master=on":
    for ignore in False, True:
        what = "ivshmem-plain%s%s:" % (role, " with x-ignore-shared" if ignore else "")
        with open(shared, "wb") as file:
            file.truncate(1 << 20)
        write(b"before")
        qemu, ask = start(role, ignore)
        answer = ask("migrate", uri="exec:cat > %s/state" % folder)
        if "error" in answer:
            print(what, "peer mode" if "'peer mode'" in answer["error"]["desc"] else answer["error"]["desc"])
        else:
            saved = settle(ask, "query-migrate", (None, "setup", "active", "device"))
        qemu.kill()
        qemu.wait()
        if "error" in answer:
            continue
        write(b"after.")
        qemu, ask = start(role, ignore, "-incoming", "defer")
        started = text()
        ask("migrate-incoming", uri="exec:cat %s/state" % folder)
        settle(ask, "query-status", ("inmigrate",))
        print(what, saved, "- started:", started, "resumed:", text())
        qemu.kill()
        qemu.wait()
PY
expect "the file's text, written before the state was saved and after" "ivshmem-plain: peer mode
ivshmem-plain with x-ignore-shared: peer mode
ivshmem-plain,master=on: completed - started: after. resumed: before
ivshmem-plain,master=on with x-ignore-shared: completed - started: after. resumed: after." \
	"$(timeout 200 python3 "$WORK/shared.py" "$WORK")"
finish
