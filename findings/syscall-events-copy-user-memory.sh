#!/usr/bin/env bash
# Guess: the tracefs event syscalls:sys_enter_write holds what it always held, the three register arguments (fd, the
#        buffer's address, count); nobody's data gets into a trace unless a program goes and reads it.
# Seen:  from 7.0 on the kernel itself copies up to 63 bytes of the caller's memory into the event, by default: the buffers of
#        write, pwrite64 and mq_timedsend as well as path names. `trace`, `trace_pipe`, trace-cmd and perf print it: the
#        words "correct horse" that a shell wrote to a file are in the trace. Three more surprises stand in the same
#        lines: AT_FDCWD is printed as 4294967196, a pointer in decimal by one event and in hexadecimal by another, and
#        none of it is what the event's own `print fmt` says; so text of `trace` and text made from `format` differ.
#        On 6.18 the same event has no such field.
# Where: Linux 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: a recording of system calls used to be free of file contents. On 7.x it has to be redacted, or
#        `syscall_user_buf_size` set to 0 first; a parser of the text must not use one format for all releases.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need awk sed

busybox
apt_state backports trixie-backports
unpack backports "$WORK/old" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack backports "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
record() {
	echo > trace
	echo 1 > events/syscalls/sys_enter_write/enable
	echo 1 > events/syscalls/sys_enter_openat/enable
	echo 1 > tracing_on
	echo "correct horse" > /tmp/secret
	echo 0 > tracing_on
	grep -o 'sys_write(fd: 1.*count: 0*x*e)' trace | sed "s/buf: [0-9a-fx]*/buf: ADDRESS/; s/^/$1: /"
	grep -o 'sys_openat(.*secret.*' trace | sed "s/filename: [0-9]*/filename: ADDRESS/; s/^/$1: /"
}
echo "fields: $(grep -c '__buf_val;' events/syscalls/sys_enter_write/format)"
echo "size: $(cat syscall_user_buf_size 2>/dev/null || echo none)"
grep 'print fmt' events/syscalls/sys_enter_openat/format | grep -o 'dfd: [^ ]*, filename: [^ ,]*' | sed 's/^/format: /'
record default
if [ -e syscall_user_buf_size ]; then
	echo 0 > syscall_user_buf_size
	record limited
fi
GUEST
initramfs "$WORK/initrd" "$WORK/script"

old=$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")
new=$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")
line() { grep "^$2" <<<"$1" || true; }

expect "6.18.15, fields with user data" "fields: 0" "$(line "$old" fields)"
expect "6.18.15, the event" "default: sys_write(fd: 1, buf: ADDRESS, count: 0xe)" "$(line "$old" 'default: sys_write')"
expect "7.3.4, fields with user data" "fields: 1" "$(line "$new" fields)"
expect "7.3.4, bytes copied by default" "size: 63" "$(line "$new" size)"
expect "7.3.4, the event" \
	'default: sys_write(fd: 1, buf: ADDRESS (63:6f:72:72:65:63:74:20:68:6f:72:73:65:0a) "correct horse.", count: 0xe)' \
	"$(line "$new" 'default: sys_write')"
expect "7.3.4, format of openat" 'format: dfd: 0x%08lx, filename: 0x%08lx' "$(line "$new" format)"
expect "7.3.4, text of openat" \
	'default: sys_openat(dfd: 4294967196, filename: ADDRESS "/tmp/secret", flags: O_WRONLY|O_CREAT|O_TRUNC, mode: 0666)' \
	"$(line "$new" 'default: sys_openat')"
expect "7.3.4, the event with a size of 0" "limited: sys_write(fd: 1, buf: ADDRESS (, ...), count: 0xe)" \
	"$(line "$new" 'limited: sys_write')"
finish
