#!/usr/bin/env bash
# Guess: kernel text in memory differs from the image's at ftrace sites, alternatives, static calls and jump labels; an
#        address that an instruction holds is the image's plus the slide.
# Seen:  173 instructions of 7.3.4's text (125 of 6.12.117's) hold 0x0123456789abcdef in the image, in the debug package's
#        vmlinux as well. They are "runtime constants": the kernel writes the real value over each while it boots: the
#        end of user addresses in most, elsewhere the address of an allocated table (names, files, futexes). Of the first
#        100 none is left in memory, 13 hold a pointer to heap memory, 87 a number, and none the image's address plus the
#        slide.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour): the images, and 7.3.4 in QEMU.
# Why it matters: a disassembly of vmlinux shows an address that never existed, and a check of live text against the file
#        fails in functions that nobody traced; published text bytes of those functions hold heap addresses, a leak that
#        redacting the slide does not cover.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need python3 readelf zstd

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

# The offsets from _text at which the text of compressed image IMAGE holds the placeholder.
offsets() {
	python3 - "$1" "$WORK/vmlinux" <<-'PYTHON'
		import subprocess, sys
		image = open(sys.argv[1], "rb").read()
		start = image.index(b"\x28\xb5\x2f\xfd")
		# The size that follows the stream makes zstd complain after it has written all of it.
		elf = subprocess.run(["zstd", "-dcq"], input=image[start:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
		assert elf[:4] == b"\x7fELF", "the image does not hold a zstd-compressed ELF file"
		open(sys.argv[2], "wb").write(elf)
	PYTHON
	local begin size
	read -r begin size < <(readelf -SW "$WORK/vmlinux" | sed 's/^ *\[ *[0-9]*\] *//' | awk '$1 == ".text" { print $4, $5 }')
	python3 - "$WORK/vmlinux" "$begin" "$size" <<-'PYTHON'
		import re, sys
		begin, size = (int(n, 16) for n in sys.argv[2:])
		text = open(sys.argv[1], "rb").read()[begin:begin + size]
		for found in re.finditer((0x0123456789abcdef).to_bytes(8, "little"), text):
		    print(hex(found.start()))
	PYTHON
}
offsets "$WORK"/old/boot/vmlinuz-* >"$WORK/offsets-old"
offsets "$WORK"/new/usr/lib/modules/*/vmlinuz >"$WORK/offsets-new"

# A kprobe event that reads 100 of those places of the running kernel.
{
	echo "cd /sys/kernel/tracing"
	echo "echo 'p:read vfs_open $(head -100 "$WORK/offsets-new" | awk '{ printf "v%d=@_text+%s:x64 ", NR, $1 }')' > kprobe_events"
	cat <<-'GUEST'
		echo 1 > events/kprobes/read/enable
		echo > /tmp/file
		echo 0 > events/kprobes/read/enable
		grep ': read: ' trace | head -1 | grep -o 'v[0-9]*=0x[0-9a-f]*' | sed 's/.*=0x//' > /tmp/values
		echo "text: $(grep ' _text$' /proc/kallsyms | cut -c1-16)"
		sed 's/^/value: /' /tmp/values
	GUEST
} >"$WORK/script"
initramfs "$WORK/initrd" "$WORK/script"
seen=$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")
summary=$(python3 - <<-PYTHON
	said = """$seen""".split("\n")
	text = int(next(l for l in said if l.startswith("text: "))[6:], 16)
	values = [int(l[7:], 16) for l in said if l.startswith("value: ")]
	image = [v for v in values if text <= v < text + (1 << 30)]
	heap = [v for v in values if v >> 60 == 15 and v not in image]
	print(len(values), values.count(0x0123456789abcdef), len(image), len(heap), len(values) - len(image) - len(heap))
PYTHON
)
expect "6.12.117, places" 125 "$(wc -l <"$WORK/offsets-old")"
expect "7.3.4, places" 173 "$(wc -l <"$WORK/offsets-new")"
expect "7.3.4 in memory: read, still the placeholder, in the image, in the heap, other numbers" "100 0 0 13 87" "$summary"
finish
