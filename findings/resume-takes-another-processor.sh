#!/usr/bin/env bash
# Guess: a machine that was saved to a file is resumed with the processor that it was saved with; a command line with another one is
#        refused, as one with less or more memory is.
# Seen:  the processor is not in the state but for its registers. Resumed with another `-cpu`, the machine goes on from the next instruction
#        with other features: CPUID's leaf 7 loses AVX2 and BMI1 between two readings of one loop, or all of it under `qemu64`, and
#        QEMU prints no word. A second processor (`-smp 2`) is accepted as well. Other memory is refused ("Size mismatch").
# Where: QEMU 7.2 (Debian 12), `pc` under emulation (TCG), a boot sector that prints CPUID and nothing else.
# Why it matters: a kernel has chosen its copying, checksum and checking code for the features that it found at its boot; a state that is
#        used on another machine, or with another `-cpu`, runs code for instructions that are not there. Who keeps states has to keep
#        the processor's model in their key.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need as ld python3 qemu-system-x86_64
qemu-system-x86_64 --version | sed -n 1p

cat >"$WORK/boot.s" <<'ASM'
	.code16
	.globl _start
_start:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	movw $0x7000, %sp
again:
	movl $7, %eax
	xorl %ecx, %ecx
	cpuid
	movw $8, %cx
digit:
	roll $4, %ebx
	movb %bl, %al
	andb $15, %al
	addb $'0', %al
	cmpb $'9', %al
	jbe print
	addb $39, %al
print:
	movw $0x3f8, %dx
	outb %al, %dx
	loop digit
	movb $'\n', %al
	outb %al, %dx
	movl $0x400000, %ecx
wait:
	decl %ecx
	jnz wait
	jmp again
	.org 510
	.word 0xaa55
ASM
as --32 -o "$WORK/boot.o" "$WORK/boot.s"
ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o "$WORK/boot.bin" "$WORK/boot.o"

cat >"$WORK/resume.py" <<'PY'
"""Save a machine that prints CPUID leaf 7 in a loop, and resume it with other command lines."""
import json, os, queue, socket, subprocess, sys, threading, time
folder = sys.argv[1]

def start(cpu, *more):
    path = folder + "/qmp"
    if os.path.exists(path):
        os.unlink(path)
    qemu = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-M", "pc", "-m", "64", "-nodefaults", "-display", "none",
         "-drive", "file=%s/boot.bin,format=raw,if=floppy,snapshot=on" % folder, "-boot", "a", "-serial", "stdio",
         "-qmp", "unix:%s,server=on,wait=off" % path, *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = queue.Queue()
    threading.Thread(target=lambda: [said.put(line.strip()) for line in qemu.stdout], daemon=True).start()
    channel = socket.socket(socket.AF_UNIX)
    while qemu.poll() is None:
        try:
            channel.connect(path)
            break
        except OSError:
            time.sleep(0.1)
    stream = channel.makefile("rw")
    def ask(command, **arguments):
        stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        stream.flush()
        while True:
            answer = json.loads(stream.readline())
            if "return" in answer or "error" in answer:
                return answer
    try:
        stream.readline()
        ask("qmp_capabilities")
    except (OSError, ValueError):
        ask = None
    return qemu, ask, said

qemu, ask, said = start("max")
print("saved: max", said.get(timeout=120))
said.get(timeout=60)
ask("stop")
ask("migrate", uri="exec:cat > %s/state" % folder)
while ask("query-migrate")["return"].get("status") not in ("completed", "failed"):
    time.sleep(0.1)
qemu.kill()
for cpu, more in ("max", []), ("max,-avx2,-bmi1", []), ("qemu64", []), ("max", ["-smp", "2"]), ("max", ["-m", "128"]):
    qemu, ask, said = start(cpu, *more, "-incoming", "exec:cat %s/state" % folder)
    name = " ".join([cpu, *more])
    try:
        while ask("query-status")["return"]["status"] == "inmigrate":
            time.sleep(0.1)
        ask("cont")
        # The first line may have been begun before.
        said.get(timeout=60)
        print("resumed:", name, said.get(timeout=60))
        qemu.kill()
        print("  complaints:", qemu.communicate()[1].strip() or "none")
    except (OSError, TypeError, ValueError):
        qemu.wait()
        print("refused:", name, "- Size mismatch" if "Size mismatch" in qemu.stderr.read() else "- for another reason")
PY
out=$(python3 "$WORK/resume.py" "$WORK") || cannot "the machine could not be saved"
# The features of `max` depend on QEMU's version: of leaf 7's EBX, whether bits 3 (BMI1) and 5 (AVX2) are there.
expect "the processor before the state was saved and after" "saved: max BMI1 AVX2
resumed: max BMI1 AVX2
  complaints: none
resumed: max,-avx2,-bmi1
  complaints: none
resumed: qemu64
  complaints: none
resumed: max -smp 2 BMI1 AVX2
  complaints: none
refused: max -m 128 - Size mismatch" "$(python3 - "$out" <<'PY'
import re, sys
for line in sys.argv[1].splitlines():
    def features(match):
        number = int(match[1], 16)
        return "".join(name for bit, name in ((3, " BMI1"), (5, " AVX2")) if number >> bit & 1)
    print(re.sub(r" ([0-9a-f]{8})$", features, line))
PY
)"
finish
