#!/usr/bin/env bash
# Guess: the arguments that the function tracers print (options func-args and funcgraph-args) are those that a probe event prints:
#        both take types from BTF.
# Seen:  an `int` below zero loses its sign and a `long` keeps it: in one trace `can_nice(nice=4294967291)` calls
#        `set_user_nice(nice=-5)`, and AT_FDCWD is dfd=4294967196. A probe event on the same function says -100. An int that is not
#        negative is right, `unsigned int` is hexadecimal, so that nothing points at the mistake.
# Where: Linux 6.18.15 and 7.3.4 (Debian's cloud flavour), tracers function and function_graph.
# Why it matters: descriptors, errors and offsets that are passed on as int read as numbers of four billion, and who filters
#        the text for -100 or -1 finds nothing.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/6.18" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/7.3" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 0 > tracing_on
echo 'p:probed can_nice nice' > dynamic_events
echo 'p:opened do_sys_openat2 dfd' >> dynamic_events
echo can_nice set_user_nice do_sys_openat2 > set_ftrace_filter
echo 1 > options/func-args
echo 1 > options/funcgraph-args
for tracer in function function_graph; do
	echo $tracer > current_tracer
	echo > trace
	echo 1 > events/kprobes/enable
	echo 1 > tracing_on
	renice -n -5 $$
	: < /script
	echo 0 > tracing_on
	renice -n 5 $$
	echo "$tracer:" $(grep -oE '(can_nice|set_user_nice)\(.*nice=[-0-9]+|do_sys_openat2\(dfd=[-0-9]+' trace |
		sed -E 's/\(.*(nice|dfd)=/ \1=/' | sort -u)
	echo "events:" $(grep -oE '(probed|opened): [(][^)]*[)] [a-z]+=[-0-9]+' trace | sed -E 's/: .* / /' | sort -u)
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="function: can_nice nice=4294967291 do_sys_openat2 dfd=4294967196 set_user_nice nice=-5
events: opened dfd=-100 probed nice=-5
function_graph: can_nice nice=4294967291 do_sys_openat2 dfd=4294967196 set_user_nice nice=-5
events: opened dfd=-100 probed nice=-5"
expect "6.18.15" "$seen" "$(guest "$WORK"/6.18/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/7.3/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
