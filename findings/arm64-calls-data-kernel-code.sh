#!/usr/bin/env bash
# Guess: "Kernel code" in /proc/iomem is the kernel's instructions, from _text to _etext, and its read-only data has a line of its own
#        ("Kernel rodata"), or is part of "Kernel data".
# Seen:  so it is on x86-64. On arm64 "Kernel code" goes on to the start of the code for the boot: it holds all read-only data, the table
#        of system calls and the kernel's banner with it, and on 7.3 it is nearly twice as long as the code. There is no line for
#        read-only data, and none for bss, which is in "Kernel data". The code of the boot itself is "reserved", and plain "System RAM" on
#        x86-64.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavours) for arm64, 7.3.4 for x86-64, in QEMU.
# Why it matters: a physical address, in a dump or from a memory error, is called code when it is data; and the ends of the ranges are not
#        those of the symbols, so that an offset that was computed from them is wrong by megabytes.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

arm64
apt_state backports trixie-backports
APT_ARCH=arm64 apt_state arm64 trixie trixie-backports
unpack arm64 "$WORK/old" linux-image-6.12.117+deb13-cloud-arm64-unsigned=6.12.117-1
unpack arm64 "$WORK/arm" linux-binary-7.3.4+deb13-cloud-arm64=7.3.4-1~bpo13+1
unpack backports "$WORK/x86" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
address() { echo "0x$(awk -v name=$1 '$3 == name { print $1; exit }' /proc/kallsyms)"; }
code=$(sed -nE 's/^ +([0-9a-f]+)-([0-9a-f]+) : Kernel code$/0x\1 0x\2/p' /proc/iomem)
first=${code% *}
text=$(address _text)
# The line of /proc/iomem, the innermost one, in which a symbol lies.
for name in vfs_read sys_call_table linux_banner start_kernel init_task __bss_stop; do
	place=$((first + $(address $name) - text))
	[ $name != __bss_stop ] || place=$((place - 1))
	where=
	while read -r range colon rest; do
		[ $place -lt $((0x${range%-*})) ] || [ $place -gt $((0x${range#*-})) ] || where=$rest
	done < /proc/iomem
	echo "$name: $where"
done
beyond=$((${code#* } + 1 - first - ($(address _etext) - text)))
echo "Kernel code beyond _etext: $((beyond >> 20)) MiB"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
GUEST_ARCH=arm64 initramfs "$WORK/initrd-arm" "$WORK/script"
arm="vfs_read: Kernel code
sys_call_table: Kernel code
linux_banner: Kernel code
start_kernel: reserved
init_task: Kernel data
__bss_stop: Kernel data"
expect "6.12.117, arm64" "$arm
Kernel code beyond _etext: 10 MiB" "$(GUEST_ARCH=arm64 guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd-arm")"
expect "7.3.4, arm64" "$arm
Kernel code beyond _etext: 15 MiB" "$(GUEST_ARCH=arm64 guest "$WORK"/arm/usr/lib/modules/*/vmlinuz "$WORK/initrd-arm")"
expect "7.3.4, x86-64" "vfs_read: Kernel code
sys_call_table: Kernel rodata
linux_banner: Kernel rodata
start_kernel: System RAM
init_task: Kernel data
__bss_stop: Kernel bss
Kernel code beyond _etext: 0 MiB" "$(guest "$WORK"/x86/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
