#!/usr/bin/env bash
# Guess: a name that several functions have is refused by fentry and fexit, as a kprobe event on it is, or all are probed.
# Seen:  it attaches to one of them, silently. There are two load_elf_binary, for 64-bit programs and for 32-bit ones; only the
#        first is probed. A 32-bit program is offered to both, and fexit reports -8, "exec format error", for a program that
#        was loaded and ran; the call that loaded it is not seen. bpftrace's kprobe with a wildcard takes one as well; without
#        a wildcard it is refused. An fprobe event takes both. More than a hundred names are such.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour), bpftrace 0.27.1.
# Why it matters: a program that attaches is believed to see every call. Which of the copies it sees is nowhere to be read, and the answers
#        of the wrong one look like those of the right one.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/end.c" <<'C'
void _start(void)
{
	__asm__ volatile("int $0x80" : : "a"(1), "b"(0));
}
C
for bits in 32 64; do
	gcc -m$bits -nostdlib -static -fno-pie -no-pie -fno-stack-protector -O1 "$WORK/end.c" -o "$WORK/files/usr/bin/end$bits"
done

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo "functions: $(grep -c ' t load_elf_binary$' /proc/kallsyms), to be traced: $(grep -cx load_elf_binary available_filter_functions)"
names=$(sort available_filter_functions | sed 's/ .*//' | uniq -d | wc -l)
[ $names -gt 100 ] && names="more than a hundred"
echo "names of several: $names"
echo 'p:probe load_elf_binary' 2>/dev/null > dynamic_events && echo "kprobe event: made" || echo "kprobe event: refused"
echo 'f:probe load_elf_binary' > dynamic_events && echo "fprobe event: made"
echo 1 > events/fprobes/probe/enable
end32
end64
echo 0 > events/fprobes/probe/enable
echo "fprobe event, end32 and end64: $(grep -c ' probe: ' trace) calls"
run() { bpftrace --unsafe -e "$1 BEGIN { system(\"end32; end64\"); } interval:s:1 { exit(); }" 2>&1 | grep -E 'end(32|64)|ERROR: Unable' | sort; }
run 'fentry:load_elf_binary { printf("fentry, %s\n", str(args.bprm->filename)); }'
run 'fexit:load_elf_binary { printf("fexit, %s: %d\n", str(args.bprm->filename), retval); }'
run 'kprobe:load_elf_bin*y { printf("kprobe with a wildcard, %s\n", str(((struct linux_binprm *)arg0)->filename)); }'
run 'kprobe:load_elf_binary { exit(); }' | cut -d. -f1
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace" "$WORK/files"
seen="functions: 2, to be traced: 2
names of several: more than a hundred
kprobe event: refused
fprobe event: made
fprobe event, end32 and end64: 3 calls
fentry, /usr/bin/end32
fentry, /usr/bin/end64
fexit, /usr/bin/end32: -8
fexit, /usr/bin/end64: 0
kprobe with a wildcard, /usr/bin/end32
kprobe with a wildcard, /usr/bin/end64
ERROR: Unable to attach probe: kprobe:load_elf_binary"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
