#!/usr/bin/env bash
# Guess: `p:beyond vfs_open+OFFSET` is refused when the function is shorter than that: the kernel knows where functions end, and
#        refuses an offset that is inside of an instruction, or a return probe that is not at an entry.
# Seen:  any offset is taken at which some instruction begins, in whatever function lies there. With the distance to vfs_write the event
#        is hit by every write and never by an open, tracefs still lists it as vfs_open+…, and the same offset is even good for a
#        return probe, of vfs_write. Only the record itself names the function. The middle of an instruction is refused.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: an offset that was taken from another build's disassembly is accepted on a kernel where the function has become
#        shorter, and counts something else under its name.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
address() { sed -nE "s/^([0-9a-f]+) T $1\$/\1/p" /proc/kallsyms; }
distance=$((0x$(address vfs_write) - 0x$(address vfs_open)))
for event in 'p:inside vfs_open+1' "p:beyond vfs_open+$distance" "r:result vfs_open+$distance"; do
	echo "$event" 2>/dev/null >> dynamic_events && what=accepted || what=refused
	echo "$what: $event" | sed "s/$distance/DISTANCE/"
done
cut -d ' ' -f 2 dynamic_events | sed "s/$distance/DISTANCE/"
echo 1 > events/kprobes/enable
: < /script
echo text > /tmp/file
echo 0 > events/kprobes/enable
for event in beyond result; do
	grep " $event: " trace | sed -E "s/.* ($event: )/\1/; s,[+]0x[0-9a-f]+/0x[0-9a-f]+,,g" | sort -u
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="refused: p:inside vfs_open+1
accepted: p:beyond vfs_open+DISTANCE
accepted: r:result vfs_open+DISTANCE
vfs_open+DISTANCE
vfs_open+DISTANCE
beyond: (vfs_write)
result: (ksys_write <- vfs_write)"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
