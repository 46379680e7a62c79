#!/usr/bin/env bash
# Guess: a kretprobe and an fprobe on the return of one function each see the true caller and the true stack, whichever
#        was set first: the unwinder knows the kernel's own trampolines and puts the real return address back.
# Seen:  on 6.12 both do. On 7.3 the fprobe sits on the function graph tracer, which replaces the return address after
#        the kretprobe's rethook did and so returns first. The kretprobe then says that the function returns to
#        `return_to_handler`, and its stack trace has that one frame and nothing else. The
#        fprobe's own caller and stack are right.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: fprobe is what kprobe.multi programs use. One such tool on a live machine silently cuts every stack
#        that another one takes in a return probe; a "caller" from a kretprobe has to be refused when it is a trampoline.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo > /tmp/file
report() {
	echo > trace
	echo 1 > tracing_on
	cat /tmp/file
	echo 0 > tracing_on
	# The first hit of cat's own open(2): the caller that the event names, and the frames of its stack.
	grep -v '^#' trace | awk -v want="$2" -v label="$1" '
		/: <stack trace>/ { next }
		/^ => / { if (on) frames = frames " " $2; next }
		{ if (on) { print label ": " caller " |" frames; done = 1; exit } }
		$0 ~ "cat-.*: " want ": " { on = 1; caller = $0; sub(/^.*\(/, "", caller); sub(/\)$/, "", caller); gsub(/\+0x[0-9a-f\/x]*/, "", caller) }
		END { if (on && !done) print label ": " caller " |" frames }'
}
echo 1 > options/stacktrace
echo 'r:alone do_sys_openat2' > kprobe_events
echo 1 > events/kprobes/enable
report alone alone
echo 0 > events/kprobes/enable
echo 'r:with_fprobe do_sys_openat2' > kprobe_events
echo 'f:exit do_sys_openat2%return' >> dynamic_events
echo 1 > events/kprobes/enable
echo 1 > events/fprobes/enable
report with_fprobe with_fprobe
report fprobe exit
GUEST
initramfs "$WORK/initrd" "$WORK/script"
old=$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")
new=$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")
line() { grep "^$2:" <<<"$1" || true; }

full='__x64_sys_openat <- do_sys_openat2 | __x64_sys_openat do_syscall_64 entry_SYSCALL_64_after_hwframe'
expect "6.12, the kretprobe alone" "alone: $full" "$(line "$old" alone)"
expect "6.12, the kretprobe with an fprobe" "with_fprobe: $full" "$(line "$old" with_fprobe)"
expect "6.12, the fprobe" "fprobe: $full" "$(line "$old" fprobe)"
expect "7.3, the kretprobe alone" "alone: $full" "$(line "$new" alone)"
expect "7.3, the kretprobe with an fprobe" "with_fprobe: return_to_handler <- do_sys_openat2 | return_to_handler" \
	"$(line "$new" with_fprobe)"
expect "7.3, the fprobe" "fprobe: $full" "$(line "$new" fprobe)"
finish
