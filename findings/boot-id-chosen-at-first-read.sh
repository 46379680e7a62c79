#!/usr/bin/env bash
# Guess: /proc/sys/kernel/random/boot_id names one boot of one kernel: it is fixed when the kernel starts, so two machines
#        resumed from one snapshot share it.
# Seen:  the kernel draws it when it is read for the first time. Two machines resumed from one snapshot, in which nothing
#        had read it, have two boot_ids; where something had, both have the same one, although the kernel knew of the
#        copy: each said "crng reseeded due to virtual machine fork" (a VM generation ID device) and gave different
#        random UUIDs. So the same snapshot gives one boot identity or two, by whether a program once looked.
# Where: Linux 7.3.4 (Debian's cloud flavour), QEMU with q35 and vmgenid, migration to a file and two resumes of it.
# Why it matters: evidence of a warm guest that names its boot by boot_id names either no boot or several.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need python3 qemu-system-x86_64

busybox
apt_state backports trixie-backports
unpack backports "$WORK/kernel" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/warm.py" <<'PY'
"""Boot a guest, save it at its line READY, resume it twice; print what each copy said of itself."""
import json, os, socket, subprocess, sys, time
folder, kernel, initramfs = sys.argv[1:]

def start(*more):
    path = folder + "/qmp"
    if os.path.exists(path):
        os.unlink(path)
    qemu = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-M", "q35", "-m", "512", "-nodefaults", "-no-reboot",
         "-display", "none", "-device", "vmgenid,guid=auto", "-kernel", kernel, "-initrd", initramfs,
         "-append", "console=ttyS0 quiet no_timer_check panic=-1", "-serial", "stdio",
         "-qmp", "unix:%s,server=on,wait=off" % path, *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    channel = socket.socket(socket.AF_UNIX)
    while True:
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
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                sys.exit(str(answer))
    ask("qmp_capabilities")
    return qemu, ask

def lines(qemu, last):
    said = []
    for line in qemu.stdout:
        said.append(line.decode(errors="replace").strip())
        if last in said[-1]:
            return said
    sys.exit("the guest ended before " + last)

qemu, ask = start()
lines(qemu, "READY")
time.sleep(1)
ask("stop")
ask("migrate", uri="exec:cat > %s/state" % folder)
while ask("query-migrate")["status"] not in ("completed", "failed"):
    time.sleep(0.1)
qemu.kill()
copies = []
for _ in range(2):
    qemu, ask = start("-incoming", "exec:cat %s/state" % folder)
    while ask("query-status")["status"] == "inmigrate":
        time.sleep(0.1)
    ask("cont")
    qemu.stdin.write(b"\n")
    qemu.stdin.flush()
    said = lines(qemu, "guest: end")
    copies.append(dict(line.split("=") for line in said if line.startswith(("boot_id=", "uuid=", "forked="))))
    qemu.kill()
first, second = copies
print("forked %s %s, uuid %s, boot_id %s" % (
    first["forked"], second["forked"],
    "same" if first["uuid"] == second["uuid"] else "differs",
    "same" if first["boot_id"] == second["boot_id"] else "differs"))
PY

snapshot() {
	cat >"$WORK/script" <<-GUEST
		$1
		echo READY
		read go </dev/ttyS0
		usleep 500000
		echo "forked=\$(dmesg | grep -c 'crng reseeded due to virtual machine fork')"
		echo "uuid=\$(cat /proc/sys/kernel/random/uuid)"
		echo "boot_id=\$(cat /proc/sys/kernel/random/boot_id)"
	GUEST
	initramfs "$WORK/initrd" "$WORK/script"
	timeout 550 python3 "$WORK/warm.py" "$WORK" "$WORK"/kernel/usr/lib/modules/*/vmlinuz "$WORK/initrd" ||
		cannot "the guest could not be saved and resumed"
}
expect "never read before the snapshot" "forked 1 1, uuid differs, boot_id differs" "$(snapshot :)"
expect "read before the snapshot" "forked 1 1, uuid differs, boot_id same" \
	"$(snapshot 'cat /proc/sys/kernel/random/boot_id >/dev/null')"
finish
