#!/usr/bin/env bash
# Guess: a process that only computes, and makes no system call, has an empty call graph with funcgraph-irqs off; with it on, what
#        interrupts did stands between the arrows ==========> and <==========.
# Seen:  with the option off there are hundreds of functions a second at the process's top level: irq_enter_rcu, then idle_cpu, of
#        which the caller irq_exit_rcu is left out, handle_softirqs, schedule, the checks before the return to user mode, and
#        on 7.3 the programming of the next tick. Only what runs while the hard interrupt is counted is left out, and an
#        interrupt's entry and exit, its softirqs and a preemption are not. With the option on there is no arrow at all,
#        since the function at which the arrow would be drawn is one that is not traced.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU, an endless loop of BusyBox's shell.
# Why it matters: in the graph of a system call these stand inside the function that was interrupted, unmarked, as if it had
#        called them; they are there on one run and not on the next.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/6.12" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/6.18" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/7.3" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 0 > tracing_on
echo 8192 > buffer_size_kb
sh -c 'while :; do :; done' &
loop=$!
sleep 1
echo $loop > set_ftrace_pid
record() {
	echo > trace
	echo 1 > tracing_on
	sleep 3
	echo 0 > tracing_on
}
echo sys_enter > set_event
echo common_pid == $loop > events/raw_syscalls/sys_enter/filter
record
echo "system calls: $(grep -c sys_enter: trace)"
echo > set_event
echo function_graph > current_tracer
for irqs in 1 0; do
	echo $irqs > options/funcgraph-irqs
	record
	# The functions of the top level that occur at least five times.
	grep -v '^#' trace | sed -nE 's/^.*\|  ([a-z_0-9A-Z]+)\(\).*/\1/p' | sort | uniq -c | awk '$1 >= 5 { print $2 }' > /tmp/top
	echo "funcgraph-irqs $irqs: arrows $(grep -c ==== trace);" $(grep -xE \
		'__sysvec_apic_timer_interrupt|__hrtimer_rearm_deferred|fpregs_assert_state_consistent|handle_softirqs|idle_cpu|irq_(enter|exit)_rcu|schedule' /tmp/top)
done
kill $loop
GUEST
initramfs "$WORK/initrd" "$WORK/script"
old="system calls: 0
funcgraph-irqs 1: arrows 0; __sysvec_apic_timer_interrupt fpregs_assert_state_consistent irq_enter_rcu irq_exit_rcu schedule
funcgraph-irqs 0: arrows 0; fpregs_assert_state_consistent handle_softirqs idle_cpu irq_enter_rcu schedule"
new="system calls: 0
funcgraph-irqs 1: arrows 0; __hrtimer_rearm_deferred __sysvec_apic_timer_interrupt fpregs_assert_state_consistent irq_enter_rcu irq_exit_rcu schedule
funcgraph-irqs 0: arrows 0; __hrtimer_rearm_deferred fpregs_assert_state_consistent handle_softirqs idle_cpu irq_enter_rcu schedule"
expect "6.12.117" "$old" "$(guest "$WORK"/6.12/boot/vmlinuz-* "$WORK/initrd")"
expect "6.18.15" "$old" "$(guest "$WORK"/6.18/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$new" "$(guest "$WORK"/7.3/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
