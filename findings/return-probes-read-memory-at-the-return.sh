#!/usr/bin/env bash
# Guess: `$arg4` in a return probe is the argument as it was at the entry, and so is what it points to: `pos=+0($arg4):s64` in
#        `r:… vfs_read` is the position before the read, as it is in a probe at the entry.
# Seen:  only the register is kept from the entry. The memory behind it is read at the return: 100 where the entry had 0, for a
#        kretprobe and for an fprobe. The record has values of two moments and marks neither.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: whoever takes arguments and result in one event, to save the second probe, gets what the function left behind: changed
#        positions and lengths, and for a function that frees its argument memory that is no longer that object.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:entry vfs_read count=$arg3:u64 pos=+0($arg4):s64' > dynamic_events
echo 'r:return vfs_read count=$arg3:u64 pos=+0($arg4):s64' >> dynamic_events
echo 'f:fprobe vfs_read%return count=$arg3:u64 pos=+0($arg4):s64' >> dynamic_events
for event in kprobes/entry kprobes/return fprobes/fprobe; do
	echo 'comm == "dd" && count == 100' > events/$event/filter
	echo 1 > events/$event/enable
done
dd if=/script of=/dev/null bs=100 count=2 2>/dev/null
for event in entry return fprobe; do
	echo "$event:" $(grep -E " $event: " trace | sed -E 's/.*\) //')
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="entry: count=100 pos=0 count=100 pos=100
return: count=100 pos=100 count=100 pos=200
fprobe: count=100 pos=100 count=100 pos=200"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
