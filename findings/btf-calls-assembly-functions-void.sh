#!/usr/bin/env bash
# Guess: a function that the kernel's BTF describes has the parameters that it says; of one written in assembly, of which
#        nothing tells them, BTF says nothing.
# Seen:  BTF describes memcpy, memmove, memset, __put_user_4 and rep_movs_alternative, and each of them as `void f(void)`,
#        just as it describes schedule(), which really is one. The assembler's debug information names these functions
#        without any type, and that becomes a prototype without parameters and result.
# Where: Linux 6.12.117 and 7.3.4 (Debian), read with bpftool 7.8.0.
# Why it matters: whoever asks BTF for the arguments of memcpy is told for certain that it has none. Of a function that BTF
#        calls `void f(void)`, it is not known what it takes and returns.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need readelf python3 zstd

apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/bpftool" bpftool=7.8.0+7.3.4-1~bpo13+1

bpftool() {
	local root=$WORK/bpftool/usr
	"$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/lib/x86_64-linux-gnu" "$root/sbin/bpftool" "$@"
}

# The .BTF section of the compressed kernel image IMAGE, as FILE.
btf_of() {
	python3 - "$1" "$WORK/vmlinux" <<-'PYTHON'
		import subprocess, sys
		image = open(sys.argv[1], "rb").read()
		start = image.index(b"\x28\xb5\x2f\xfd")
		# The size that follows the stream makes zstd complain after it has written all of it.
		elf = subprocess.run(["zstd", "-dcq"], input=image[start:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
		assert elf[:4] == b"\x7fELF", "the image does not hold a zstd-compressed ELF file"
		open(sys.argv[2], "wb").write(elf)
	PYTHON
	local offset size
	read -r offset size < <(readelf -SW "$WORK/vmlinux" | sed 's/^ *\[ *[0-9]*\] *//' | awk '$1 == ".BTF" { print $4, $5 }')
	tail -c +$((16#$offset + 1)) "$WORK/vmlinux" | head -c $((16#$size)) >"$2" || true
}

# Which of some functions BTF file FILE describes without parameters and result, and which otherwise.
prototypes() {
	bpftool btf dump file "$1" >"$WORK/raw" 2>/dev/null
	python3 - "$WORK/raw" <<-'PYTHON'
		import re, sys
		text = open(sys.argv[1]).read()
		bare = set(re.findall(r"^\[(\d+)\] FUNC_PROTO '\(anon\)' ret_type_id=0 vlen=0$", text, re.M))
		functions = dict(re.findall(r"^\[\d+\] FUNC '([^']+)' type_id=(\d+)", text, re.M))
		names = ["memcpy", "memmove", "memset", "__put_user_4", "rep_movs_alternative", "schedule", "vfs_write"]
		kind = lambda name: "absent" if name not in functions else "void(void)" if functions[name] in bare else "other"
		print(", ".join("%s %s" % (name, kind(name)) for name in names))
	PYTHON
}

seen="memcpy void(void), memmove void(void), memset void(void), __put_user_4 void(void), \
rep_movs_alternative void(void), schedule void(void), vfs_write other"
btf_of "$WORK"/old/boot/vmlinuz-* "$WORK/btf-6.12"
btf_of "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/btf-7.3"
expect "6.12.117" "$seen" "$(prototypes "$WORK/btf-6.12")"
expect "7.3.4" "$seen" "$(prototypes "$WORK/btf-7.3")"
finish
