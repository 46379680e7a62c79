#!/usr/bin/env bash
# Guess: 7.x lists a field `__data_loc char[] __filename_val` in the format of syscalls:sys_enter_openat, so a BPF program
#        on that tracepoint reads the file name there, as it reads any field that the format lists.
# Seen:  the verifier lets it read, and what it gets is not the field. The kernel hands a program a structure of its own
#        that ends with six argument registers; offset 48, where the format puts the length and offset of the name, is
#        the fifth register (r8), which openat(2) does not use and the caller left as it was. bpftrace 0.27.1 compiles
#        `args.__filename_val` without a word into context + (r8 & 0xffff): an address on the kernel's stack.
# Where: Linux 7.3.4 (Debian's cloud flavour) in QEMU, bpftrace 0.27.1.
# Why it matters: a generator that makes a program's context from `format` gets a type-correct, loadable program that
#        reads unrelated memory. Only tracefs and perf see these fields; BPF must follow the pointer in `filename`.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state backports trixie-backports
apt_state sid sid
unpack backports "$WORK/kernel" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1
mkdir -p "$WORK/files/etc"
echo content >"$WORK/files/etc/measured"

cat >"$WORK/script" <<'GUEST'
grep -o '__data_loc char\[\] __filename_val;.offset:[0-9]*' /sys/kernel/tracing/events/syscalls/sys_enter_openat/format
bpftrace -e '
tracepoint:syscalls:sys_enter_openat /comm == "cat" && str(args.filename) == "/etc/measured"/ {
	printf("pointer: %s\n", str(args.filename));
	printf("field: %s\n", str(args.__filename_val));
	printf("value: %lld\n", args.__filename_val);
}' -c "/applets/cat /etc/measured" 2>&1
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace" "$WORK/files"
seen=$(GUEST_MIB=2048 guest "$WORK"/kernel/usr/lib/modules/*/vmlinuz "$WORK/initrd")
line() { grep "^$1" <<<"$seen" | sed 's/ *$//' || true; }
expect "the field of the format" $'__data_loc char[] __filename_val;\toffset:48' "$(line __data_loc)"
expect "the name by the pointer" "pointer: /etc/measured" "$(line pointer)"
expect "the name by the field" "field:" "$(line field)"
expect "the field's value, an address of the kernel" "value: -ADDRESS" "$(line value | sed -E 's/-[0-9]{16,}/-ADDRESS/')"
finish
