#!/usr/bin/env bash
# Guess: on x86-64 the function of system call NAME is `__x64_sys_NAME`: a tracer makes the probe's name from the call's
#        name, and finds that name in the events.
# Seen:  not for calls without arguments (getpid, fork, vfork, sync, pause, sched_yield …): there `__x64_sys_NAME`,
#        `__ia32_sys_NAME` and a local `__do_sys_NAME` are one function, and only the last, which kallsyms lists first,
#        is the name that the kernel uses. available_filter_functions and BTF have `__do_sys_getpid` alone, and bpftrace
#        0.27.1 refuses `kprobe:__x64_sys_getpid` and `fentry:__x64_sys_getpid`. A kprobe event accepts each of the
#        three names, and trace, enabled_functions and kprobes/list then say `__do_sys_getpid`. An fprobe event on
#        `__x64_sys_getpid` is refused by 6.12 and accepted by 7.3.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU, bpftrace 0.27.1.
# Why it matters: probing "all system calls" by the prefix leaves these out, and looking for one's own probe by the name
#        one asked for finds nothing. Compare addresses, not names.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

cat >"$WORK/call.c" <<'C'
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { return syscall(SYS_getpid) < 0; }
C
mkdir -p "$WORK/files/usr/bin"
gcc -static "$WORK/call.c" -o "$WORK/files/usr/bin/call"
cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo "kallsyms:" $(awk '$3 ~ /^__(x64|ia32|do)_sys_getpid$/ { print $3 }' /proc/kallsyms)
echo "filter:" $(grep -E '^__(x64|ia32|do)_sys_getpid$' available_filter_functions)
echo "calls: $(grep -c '^__do_sys_' available_filter_functions | awk '{ print ($1 > 10) ? "more than 10" : $1 }')"
for kind in p f; do
	if echo "$kind:tried/$kind __x64_sys_getpid" >> dynamic_events 2>/dev/null; then echo "$kind: accepted"; else echo "$kind: refused"; fi
done
echo 1 > events/tried/enable
echo 1 > tracing_on
call
echo "trace:" $(grep -o 'p: (__[a-z0-9_]*' trace | sort -u)
echo "list:" $(grep -o '__[a-z0-9_]*getpid' /sys/kernel/debug/kprobes/list)
echo > trace
echo 0 > events/tried/enable
echo > dynamic_events
[ -e /usr/bin/bpftrace ] || exit 0
for probe in kprobe:__x64_sys_getpid fentry:__x64_sys_getpid fentry:__do_sys_getpid kprobe:__x64_sys_getpgid; do
	if bpftrace -e "$probe { @ = count(); }" -c call >/dev/null 2>&1; then echo "$probe: attached"; else echo "$probe: refused"; fi
done
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
initramfs "$WORK/initrd-bpftrace" "$WORK/script" "$WORK/files" "$WORK/bpftrace"
common() {
	printf '%s\n' "kallsyms: __do_sys_getpid __ia32_sys_getpid __x64_sys_getpid" "filter: __do_sys_getpid" \
		"calls: more than 10" "p: accepted" "f: $1" "trace: p: (__do_sys_getpid" "list: __do_sys_getpid"
}
expect "6.12.117" "$(common refused)" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$(common accepted)
kprobe:__x64_sys_getpid: refused
fentry:__x64_sys_getpid: refused
fentry:__do_sys_getpid: attached
kprobe:__x64_sys_getpgid: attached" "$(GUEST_MIB=2048 guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd-bpftrace")"
finish
