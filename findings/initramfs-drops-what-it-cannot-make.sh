#!/usr/bin/env bash
# Guess: an initramfs with a member that cannot be made (a file below a file, or without its folder) stops the kernel or at least leaves
#        "Initramfs unpacking failed" in its log, as cpio says "Not a directory" and ends with an error.
# Seen:  the kernel drops the member without a word and goes on: a file below a file, a file without its folder, and a file in the place of a
#        folder that is not empty. A file in the place of an empty folder takes its place, though, and a link in that of a file. The
#        log has nothing of any of them.
# Where: Linux 7.3.4 (Debian's cloud flavour), busybox 1.35 for cpio.
# Why it matters: a test machine whose files are given in an initramfs starts without one of them, and its first program that misses it
#        complains of something else, or says nothing.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need python3

busybox
apt_state backports trixie-backports
unpack backports "$WORK/kernel" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/members.py" <<'PY'
"""Write an archive of the format newc whose members are these, in this order."""
import sys
DIRECTORY, FILE, LINK = 0o40755, 0o100644, 0o120777
members = [
    ("given", DIRECTORY, ""), ("given/file", FILE, "first\n"), ("given/file/below", FILE, "below a file\n"),
    ("given/folder", DIRECTORY, ""), ("given/folder/inside", FILE, "inside\n"), ("given/folder", FILE, "for a folder\n"),
    ("given/empty", DIRECTORY, ""), ("given/empty", FILE, "for an empty folder\n"), ("missing/file", FILE, "no folder\n"),
    ("given/turned", FILE, "a file\n"), ("given/turned", LINK, "file"), ("given/last", FILE, "last\n"),
]
out = b""
for number, (name, mode, text) in enumerate([*members, ("TRAILER!!!", 0, "")], 1):
    data, name = text.encode(), name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
    out += b"\0" * (-len(out) % 4) + data
    out += b"\0" * (-len(out) % 4)
sys.stdout.buffer.write(out + b"\0" * (-len(out) % 512))
PY
python3 "$WORK/members.py" >"$WORK/more.cpio"

cat >"$WORK/show" <<'SH'
cd /
for name in given/file given/file/below given/folder/inside given/folder given/empty missing/file given/turned given/last; do
	if [ -f $name ]; then echo "$name: $(cat $name)"; elif [ -d $name ]; then echo "$name: a folder"; else echo "$name: absent"; fi
done
echo "lines in the log: $(dmesg | grep -v 'Trying to unpack' | grep -ciE 'unpack|cpio|given|missing/')"
SH
initramfs "$WORK/base.cpio" "$WORK/show"
python3 - "$WORK" <<'PY'
import sys
folder = sys.argv[1]
base = open(folder + "/base.cpio", "rb").read()
with open(folder + "/whole.cpio", "wb") as out:
    out.write(base + b"\0" * (-len(base) % 512) + open(folder + "/more.cpio", "rb").read())
PY
expect "what became of the members" "given/file: first
given/file/below: absent
given/folder/inside: inside
given/folder: a folder
given/empty: for an empty folder
missing/file: absent
given/turned: first
given/last: last
lines in the log: 0" "$(guest "$WORK"/kernel/usr/lib/modules/*/vmlinuz "$WORK/whole.cpio")"
mkdir "$WORK/unpacked"
complaint=$(cd "$WORK/unpacked" && "$WORK/busybox" cpio -i <"$WORK/more.cpio" 2>&1 >"/dev/null") && status=0 || status=$?
expect "cpio's status and complaint" "1 Not a directory" "$status $(printf '%s\n' "$complaint" | grep -o 'Not a directory' | head -n 1)"
finish
