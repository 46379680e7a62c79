#!/usr/bin/env bash
# Guess: a filter `prev_comm ~ "*loop"` selects the tasks whose name ends in "loop", as `"main*"` selects those whose name begins so.
# Seen:  it selects none of them. The end is looked for at the end of the field of 16 bytes and not at that of the name, so that
#        only a name of exactly 15 characters can match: "kernel-mainloop" does and "mainloop" does not. `"*m*loop"` and
#        `"*loop*"` match both, and so does `"*loop"` in a probe event, whose string has no fixed length. The filter is
#        accepted, and the plain `comm` that every event has behaves like the field.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour): sched_switch, sys_enter_exit_group, a kprobe event.
# Why it matters: the trace of "all programs that end in -worker" is empty, which reads as if they had not run.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:probed do_group_exit who=$comm' > dynamic_events
try() {
	echo "$2 ~ \"$3\"" > events/$1/filter
	echo > trace
	echo 1 > events/$1/enable
	sh -c 'printf '$name' > /proc/$$/comm; sleep 0.1; exit 0'
	echo 0 > events/$1/enable
	grep -qE '(sched_switch|sys_exit_group|probed)[:(]' trace && echo "$3" || echo "none"
}
for name in mainloop kernel-mainloop; do
	for field in 'sched/sched_switch prev_comm' 'syscalls/sys_enter_exit_group comm' 'kprobes/probed who'; do
		echo "$name: ${field##*/}:" $(for glob in 'main*' '*main*' '*m*loop' '*loop'; do try $field "$glob"; done)
	done
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="mainloop: sched_switch prev_comm: main* *main* *m*loop none
mainloop: sys_enter_exit_group comm: main* *main* *m*loop none
mainloop: probed who: main* *main* *m*loop *loop
kernel-mainloop: sched_switch prev_comm: none *main* *m*loop *loop
kernel-mainloop: sys_enter_exit_group comm: none *main* *m*loop *loop
kernel-mainloop: probed who: none *main* *m*loop *loop"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
