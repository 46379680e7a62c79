#!/usr/bin/env bash
# Guess: the name at the start of a trace line is the task's name when the event happened; a histogram by
#        `common_pid.execname` has one row for each name, or the last one.
# Seen:  for a task that is named first, second and third in turn, every line of the trace says "third", those from before as
#        well, and the only row of the histogram says "first". `$comm` as an argument of the probe is the name at that moment.
#        The line's name is looked up by process id when the trace is read; the row's is kept from its first hit.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: what a shell did between fork and exec is printed as done by the program that it started, and counted for the shell;
#        `grep NAME trace` and a filter on `comm` select different records.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:probed vfs_read who=$comm' > dynamic_events
cat > /tmp/task <<'TASK'
name() { printf $1 > /proc/$$/comm; }
name first
until [ -e /tmp/go ]; do usleep 10000; done
read line < /script
sleep 0.1
name second
read line < /script
sleep 0.1
name third
sleep 0.1
TASK
sh /tmp/task & 
task=$!
echo "common_pid == $task" > events/kprobes/probed/filter
echo "hist:keys=common_pid.execname:vals=hitcount if common_pid == $task" > events/kprobes/probed/trigger
echo 1 > events/kprobes/probed/enable
> /tmp/go
wait $task
echo 0 > events/kprobes/probed/enable
sed -nE 's/^ *(.*)-[0-9]+ +\[.* who="(.*)".*/line: \1, $comm: \2/p' trace | sort -u
sed -nE 's/^[{] common_pid: ([a-z]+) .*/histogram: \1/p' events/kprobes/probed/hist
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="line: third, \$comm: first
line: third, \$comm: second
line: third, \$comm: third
histogram: first"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
