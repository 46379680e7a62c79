#!/usr/bin/env bash
# Guess: the stack of a probe at the entry of a function holds the function and then the one that called it, on arm64 as on x86-64, and
#        the stack of a probe on its return begins with the caller.
# Seen:  on arm64 a kprobe's stack goes from the function straight to its caller's caller: vfs_read, __arm64_sys_read, without the
#        ksys_read between them. That one is in the link register alone at that point, which the unwinder of an exception does not
#        ask, and it is missing at instructions behind the entry too, until the frame record is made. The function tracer and an fprobe at
#        the same entry do have it. On the return it is the other way round: the kretprobe's stack has the caller, and the fprobe's
#        leaves it out, though the same line of the trace names it.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavours) for arm64, 7.3.4 for x86-64, in QEMU.
# Why it matters: the stack is complete to the eye. "Who calls this?" is answered by a function that never calls it, hits of different
#        callers fall into one group, and the same question to another kind of probe has another answer.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

arm64
apt_state backports trixie-backports
APT_ARCH=arm64 apt_state arm64 trixie trixie-backports
unpack arm64 "$WORK/old" linux-image-6.12.117+deb13-cloud-arm64-unsigned=6.12.117-1
unpack arm64 "$WORK/new" linux-binary-7.3.4+deb13-cloud-arm64=7.3.4-1~bpo13+1
unpack backports "$WORK/x86" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
# The first hit of one process: what the event says of the caller, and the first frames without those of the tracers.
report() {
	echo > trace
	wc -c < /script > /dev/null
	cat trace > /tmp/trace
	awk -v label="$1" '
		/^ => / { if (on && $2 !~ /dispatcher|fprobe|trace|TRACE|return_to_handler|^0x/ && n++ < 3) frames = frames " " $2; next }
		on && /: <stack trace>/ { next }
		on { exit }
		/wc-/ { on = 1; if (match($0, /\([a-z_]+\+[^ ]+ <- [a-z_]+\)/)) said = " (" substr($0, RSTART + 1, RLENGTH - 2) ")" }
		END { gsub(/\+0x[0-9a-f\/x]+/, "", said); print label said ":" frames }' /tmp/trace
}
echo 1 > options/stacktrace
for probe in 'p:kprobe vfs_read' 'p:behind_the_entry vfs_read+20' 'r:kretprobe vfs_read' \
	'f:fprobe vfs_read' 'f:fprobe_return vfs_read%return'; do
	name=${probe#?:}; name=${name%% *}
	echo "$probe" 2> /dev/null >> dynamic_events || continue
	event=$(echo events/*/$name)
	echo 1 > $event/enable
	report $name
	echo 0 > $event/enable
	echo > dynamic_events
done
echo 0 > options/stacktrace
echo vfs_read > set_ftrace_filter
echo 1 > options/func_stack_trace
echo function > current_tracer
report function
GUEST
initramfs "$WORK/initrd-x86" "$WORK/script"
GUEST_ARCH=arm64 initramfs "$WORK/initrd" "$WORK/script"

kprobes="kprobe: vfs_read __arm64_sys_read invoke_syscall
behind_the_entry: vfs_read __arm64_sys_read invoke_syscall
kretprobe (ksys_read <- vfs_read): ksys_read __arm64_sys_read invoke_syscall"
fprobes="fprobe: vfs_read ksys_read __arm64_sys_read
fprobe_return (ksys_read <- vfs_read): __arm64_sys_read invoke_syscall el0_svc_common.constprop.0"
expect "6.12.117, arm64" "$kprobes
function: vfs_read ksys_read __arm64_sys_read" "$(GUEST_ARCH=arm64 guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4, arm64" "$kprobes
$fprobes
function: vfs_read ksys_read __arm64_sys_read" "$(GUEST_ARCH=arm64 guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
expect "7.3.4, x86-64" "kprobe: vfs_read ksys_read do_syscall_64
kretprobe (ksys_read <- vfs_read): ksys_read do_syscall_64 entry_SYSCALL_64_after_hwframe
fprobe: vfs_read ksys_read do_syscall_64
fprobe_return (ksys_read <- vfs_read): ksys_read do_syscall_64 entry_SYSCALL_64_after_hwframe
function: vfs_read ksys_read do_syscall_64" "$(guest "$WORK"/x86/usr/lib/modules/*/vmlinuz "$WORK/initrd-x86")"
finish
