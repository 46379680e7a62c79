#!/usr/bin/env bash
# Guess: a tool built for CO-RE works on a newer kernel, or fails to load or to attach and says so: that is what CO-RE is for.
# Seen:  on 7.3 `filelife` starts, waits and prints no file, and `cachestat` counts 0 hits and 0 misses, both without a
#        warning, while vfs_unlink was called three times and folio_mark_accessed thousands of times. On 6.12
#        the same programs report every file, and some hits.
#        filelife tells the signature of vfs_unlink from another structure: has `renamedata` a member new_mnt_idmap?
#        In 7.3 that member is mnt_idmap, so the tool takes the directory for the file. cachestat attaches to
#        mark_page_accessed, which is still there and is hardly called any more.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU, libbpf-tools 0.37.0.
# Why it matters: CO-RE moves members, not the meaning of a function's arguments. A probe that is attached and fires proves
#        little about a count of 0; there has to be a positive control on the same kernel.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/tools" libbpf-tools=0.37.0+ds-8

cat >"$WORK/script" <<'GUEST'
work() {
	for i in 1 2 3; do
		dd if=/dev/zero of=/tmp/life bs=64k count=8 2>/dev/null
		cat /tmp/life > /dev/null
		rm /tmp/life
	done
}
run() {
	tool=$1
	timeout -s INT 120 $tool-libbpf > /tmp/out 2> /tmp/errors &
	sleep 10
	work
	sleep 2
	kill -INT $!
	wait $!
	echo "$tool: exit status $?, errors $(grep -c . /tmp/errors)"
}
run filelife
echo "filelife: files $(grep -c ' life$' /tmp/out)"
run cachestat
echo "cachestat: $(awk '$1 + $2 > 0 && $1 ~ /^[0-9]+$/ { some = 1 } END { print some ? "some" : "no" }' /tmp/out) hits or misses"
cd /sys/kernel/tracing
echo 'p:unlink vfs_unlink' > kprobe_events
echo 'p:page folio_mark_accessed' >> kprobe_events
echo 1 > events/kprobes/enable
work
awk '$1 == "unlink" { print "kernel: files " $2 }
	$1 == "page" { print "kernel: " ($2 > 100 ? "hundreds" : $2) " of pages accessed" }' kprobe_profile
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/tools"
kernel="kernel: files 3
kernel: hundreds of pages accessed"
expect "6.12.117" "filelife: exit status 0, errors 0
filelife: files 3
cachestat: exit status 0, errors 0
cachestat: some hits or misses
$kernel" "$(GUEST_MIB=2048 guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "filelife: exit status 0, errors 0
filelife: files 0
cachestat: exit status 0, errors 0
cachestat: no hits or misses
$kernel" "$(GUEST_MIB=2048 guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
