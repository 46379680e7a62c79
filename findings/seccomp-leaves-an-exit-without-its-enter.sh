#!/usr/bin/env bash
# Guess: the events sys_enter and sys_exit come in pairs for every call that returns; a call that seccomp denies shows
#        both, or neither.
# Seen:  it shows the exit only: `sys_exit: NR 162 = -42` with no enter before it, as seccomp answers before the tracer
#        is asked; sys_enter_sync records nothing. `perf trace` prints the denied sync as "... [continued]", with the
#        starting time of the prctl before it and the time since then as its duration.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU, perf 7.3.4.
# Why it matters: "the process never called X" cannot be told from enter events under a sandbox (browsers, containers,
#        services of systemd); pairing exits with the last enter of the thread gives a latency of another call.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/perf" linux-perf=7.3.4-1~bpo13+1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/denied.c" <<'C'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 42),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	return syscall(SYS_sync) != -1 || errno != 42 || syscall(SYS_getppid) < 0;
}
C
gcc -O1 -static "$WORK/denied.c" -o "$WORK/files/usr/bin/denied"

cat >"$WORK/script" <<'GUEST'
export HOME=/tmp
cd /sys/kernel/tracing
echo 1 > events/raw_syscalls/enable
echo 1 > events/syscalls/sys_enter_sync/enable
denied || echo "failed"
echo 0 > events/enable
grep 'denied-' trace | grep -oE 'sys_(enter|exit): NR (157|162|110)( = .*)?'
echo "events of sync's own: $(grep -c 'sys_sync(' trace)"
if [ -e /usr/bin/perf ]; then
	perf trace -e prctl,sync,getppid denied 2>&1 | grep 'denied/'
fi
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
initramfs "$WORK/initrd-perf" "$WORK/script" "$WORK/files" "$WORK/perf"
old=$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")
new=$(GUEST_MIB=2048 guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd-perf" | sed 's/\x1b\[[0-9;]*m//g; s/\.\.\. *\[/... [/')

events="sys_enter: NR 157
sys_exit: NR 157 = 0
sys_enter: NR 157
sys_exit: NR 157 = 0
sys_exit: NR 162 = -42
sys_enter: NR 110
sys_exit: NR 110 = N
events of sync's own: 0"
events() { grep -v 'denied/' <<<"$1" | sed -E 's/(110 = )[0-9]+/\1N/'; }
expect "6.12.117" "$events" "$(events "$old")"
expect "7.3.4" "$events" "$(events "$new")"
expect "perf trace" "... [continued]: sync()) = -1 (unknown) (No message of desired type)" \
	"$(grep -oE '\.\.\. \[continued\]: sync.*' <<<"$new" | sed -E 's/ +/ /g')"
starts=$(grep -E 'SET_SECCOMP|: sync' <<<"$new" | awk '{ print $1 }' | sort -u | wc -l)
expect "starting times of prctl and sync, together" "1" "$starts"
finish
