#!/usr/bin/env bash
# Guess: `perf trace` of the kernel's own release prints the arguments that the call was made with: three for write(2).
# Seen:  it prints four: `write(fd: 1, buf: , count: 3, __buf_val: 438)`. It takes each field of the event's format for
#        an argument and reads the next register. Since 7.0 the format ends with a copy of the caller's memory,
#        `__buf_val`, that no register holds; 438 is 0666, the mode that the shell passed to openat before, left in the
#        fourth argument's register. The content, "hi", is in the event and is not shown. Where the register is 0,
#        nothing is printed, so the argument comes and goes. On 6.18 the same perf prints three.
# Where: perf 7.3.4 on Linux 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: the number of fields in a format is not the number of arguments of a call; a tool that reads registers by
#        the format reports a value that the call never had.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state backports trixie-backports trixie
unpack backports "$WORK/old" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack backports "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program backports "$WORK/perf" linux-perf=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
export HOME=/tmp
echo 'echo hi > /tmp/file' > /tmp/commands
perf trace -e openat,write sh /tmp/commands 2>&1 | grep -oE '(openat.*mode|write).*\)' |
	sed -E 's/filename: [^,]*/filename: NAME/; s/ +/ /g'
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/perf"
opened="openat(dfd: CWD, filename: NAME, flags: CREAT|TRUNC|WRONLY, mode: IRUGO|IWUGO)"
seen() { GUEST_MIB=2048 guest "$1" "$WORK/initrd"; }
expect "6.18.15" "$opened
write(fd: 1, buf: , count: 3)" "$(seen "$WORK"/old/boot/vmlinuz-*)"
expect "7.3.4" "$opened
write(fd: 1, buf: , count: 3, __buf_val: 438)" "$(seen "$WORK"/new/usr/lib/modules/*/vmlinuz)"
finish
