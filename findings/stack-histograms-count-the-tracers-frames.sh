#!/usr/bin/env bash
# Guess: `hist:keys=common_stacktrace` counts by the stack of the probed code, the one that the option stacktrace puts into `trace`
#        for the same event: one path of calls is one row, whoever else traces.
# Seen:  in `trace` the stack of a kprobe starts at the probed function and that of a kretprobe at its caller. The histogram's rows
#        start with two to four frames of the tracer, another set for each kind of event: for a kprobe aggr_pre_handler,
#        kprobe_ftrace_handler and what called that. On 7.3 it is an address without a name while nobody else traces the function,
#        and arch_ftrace_ops_list_func and ftrace_regs_call as soon as a second tool does: 100 opens by one path are two
#        rows, 50 each. A return has the frames of rethook, or on 7.3 for an fprobe those of function_graph. There `trace` too
#        starts the stack of an fprobe with the tracer, at fentry_trace_func or fexit_trace_func.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: rows of one path are split by what other tools do, rows of two kinds of probe, two boots or two releases can
#        not be joined by their text, and the first name of a row is never what was probed. Cut each stack at the probed
#        function before comparing.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
opens() { turn=0; while [ $turn -lt 50 ]; do : < /etc; turn=$((turn + 1)); done; }
# The frames from the first to vfs_open or path_openat, and the hits, of each row of event $1.
rows() {
	awk '/^[{]/ { frames = ""; taken = 0 }
		/^ +[a-z0-9]/ && !taken { name = $1; sub(/\+.*/, "", name); if (name ~ /^0x/) name = "(no name)"
			frames = frames " " name; taken = name == "vfs_open" || name == "path_openat" }
		/^[}] hitcount/ { sub(/.*hitcount: +/, ""); print frames ": " int($0 / 50) * 50 " hits" }' events/$1/hist | sort | sed "s/^/histogram of $2:/"
}
echo 'p:kprobe vfs_open' > dynamic_events
echo 'r:kretprobe vfs_open' >> dynamic_events
echo 'f:fprobe vfs_open' >> dynamic_events
echo 'f:fprobe_return vfs_open%return' >> dynamic_events
echo 1 > options/stacktrace
for event in kprobes/kprobe kprobes/kretprobe fprobes/fprobe fprobes/fprobe_return; do
	name=${event#*/}
	echo > trace
	echo "hist:keys=common_stacktrace if common_pid == $$" > events/$event/trigger
	echo "common_pid == $$" > events/$event/filter
	echo 1 > events/$event/enable
	opens
	echo 0 > events/$event/enable
	echo "trace of $name:" $(grep -m 1 '^ => ' trace | sed 's/^ => //')
	rows $event $name
	echo "!hist:keys=common_stacktrace" > events/$event/trigger
done
echo "hist:keys=common_stacktrace if common_pid == $$" > events/kprobes/kprobe/trigger
opens
echo 1 > events/fprobes/fprobe/enable
opens
rows kprobes/kprobe "kprobe, before and after another tool"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
# A few opens more come from the script itself: hits are rounded down to 50.
rethook="rethook_trampoline_handler arch_rethook_trampoline_callback arch_rethook_trampoline path_openat"
expect "6.12.117" "trace of kprobe: vfs_open
histogram of kprobe: aggr_pre_handler kprobe_ftrace_handler arch_ftrace_ops_list_func ftrace_regs_call vfs_open: 50 hits
trace of kretprobe: path_openat
histogram of kretprobe: kretprobe_rethook_handler $rethook: 50 hits
trace of fprobe: vfs_open
histogram of fprobe: fprobe_handler arch_ftrace_ops_list_func ftrace_regs_call vfs_open: 50 hits
trace of fprobe_return: path_openat
histogram of fprobe_return: fprobe_exit_handler $rethook: 50 hits
histogram of kprobe, before and after another tool: aggr_pre_handler kprobe_ftrace_handler arch_ftrace_ops_list_func \
ftrace_regs_call vfs_open: 100 hits" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "trace of kprobe: vfs_open
histogram of kprobe: aggr_pre_handler kprobe_ftrace_handler (no name) vfs_open: 50 hits
trace of kretprobe: path_openat
histogram of kretprobe: kretprobe_rethook_handler $rethook: 50 hits
trace of fprobe: fentry_trace_func
histogram of fprobe: fprobe_ftrace_entry (no name) vfs_open: 50 hits
trace of fprobe_return: fexit_trace_func
histogram of fprobe_return: fprobe_return ftrace_return_to_handler return_to_handler path_openat: 50 hits
histogram of kprobe, before and after another tool: aggr_pre_handler kprobe_ftrace_handler (no name) vfs_open: 50 hits
histogram of kprobe, before and after another tool: aggr_pre_handler kprobe_ftrace_handler arch_ftrace_ops_list_func \
ftrace_regs_call vfs_open: 50 hits" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
