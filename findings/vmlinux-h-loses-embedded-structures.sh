#!/usr/bin/env bash
# Guess: the vmlinux.h that bpftool makes from a kernel's BTF gives every structure the size that the BTF states; at
#        worst it does not compile.
# Seen:  for 7.3 it compiles without an error, and 17 structures have another size, with bpftool of the kernel's own
#        version: `struct net` 4704 bytes in place of 4864, `user_namespace` 800 for 960, `linux_binprm` 432 for 472,
#        `slab` 48 for 64, `sockfs_inode` 64 for 768. Since the kernel is built with -fms-extensions, its
#        structures embed others without a name (`struct slab { … struct freelist_counters; … }`). The header repeats
#        that, and to a compiler without -fms-extensions such a line declares nothing: a warning that every user of
#        vmlinux.h turns off. Members after it move up. With -fms-extensions all are right, but
#        nothing in the header asks for it. On 6.12 none is wrong.
# Where: bpftool 7.8.0 and Linux 6.12.117 and 7.3.4 (Debian), gcc of Debian 12.
# Why it matters: CO-RE relocates the members that are there, but sizeof, arrays, per-CPU copies and every program that
#        is built without relocations read the wrong bytes; and a BTF reader has to descend into an unnamed member
#        whose type has a name, not only into anonymous structures.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc objcopy readelf python3 zstd

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

# Structures of BTF file FILE whose size differs in the header that bpftool makes of it; further arguments go to gcc.
wrong_sizes() {
	local btf=$1
	shift
	bpftool btf dump file "$btf" >"$WORK/raw" 2>/dev/null
	bpftool btf dump file "$btf" format c >"$WORK/vmlinux.h" 2>/dev/null
	python3 - "$WORK" "$@" <<-'PYTHON'
		import collections, re, struct, subprocess, sys
		work, flags = sys.argv[1], sys.argv[2:]
		found = re.findall(r"^\[\d+\] STRUCT '(\w+)' size=(\d+)", open(work + "/raw").read(), re.M)
		times = collections.Counter(name for name, _ in found)
		defined = set(re.findall(r"^struct (\w+) \{", open(work + "/vmlinux.h").read(), re.M))
		sizes = {n: int(s) for n, s in found if times[n] == 1 and n in defined}
		with open(work + "/t.c", "w") as c:
		    c.write('#include "vmlinux.h"\n')
		    c.write("unsigned long sizes[] = {%s};\n" % ",".join("sizeof(struct %s)" % n for n in sizes))
		subprocess.run(["gcc", "-w", *flags, "-c", "t.c", "-o", "t.o"], cwd=work, check=True)
		subprocess.run(["objcopy", "-O", "binary", "-j", ".data", "t.o", "t.bin"], cwd=work, check=True)
		compiled = struct.unpack("<%dQ" % len(sizes), open(work + "/t.bin", "rb").read())
		wrong = ["%s %d/%d" % (n, c, s) for (n, s), c in zip(sizes.items(), compiled) if s != c]
		print("%d: %s" % (len(wrong), ", ".join(sorted(wrong))))
	PYTHON
}

btf_of "$WORK"/old/boot/vmlinuz-* "$WORK/btf-6.12"
btf_of "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/btf-7.3"
expect "6.12.117, compiled/stated" "0: " "$(wrong_sizes "$WORK/btf-6.12")"
expect "7.3.4, compiled/stated" "17: aes_key 240/496, aes_xts_key 496/752, cgroup_namespace 224/384, filename 168/192, \
ipc_namespace 1376/1536, linux_binprm 432/472, mnt_namespace 288/448, net 4704/4864, ns_common 160/320, \
pid_namespace 480/640, pidfs_attr 24/56, pipe_inode_info 216/224, slab 48/64, sockfs_inode 64/768, \
time_namespace 288/448, user_namespace 800/960, uts_namespace 608/768" "$(wrong_sizes "$WORK/btf-7.3")"
expect "7.3.4 with -fms-extensions" "0: " "$(wrong_sizes "$WORK/btf-7.3" -fms-extensions)"
finish
