#!/usr/bin/env bash
# Guess: an arm64 kernel takes the randomness of its place from `kaslr-seed`, which the firmware or the emulator writes into the device
#        tree. Where that is missing, the kernel runs where it was linked, whatever the processor is.
# Seen:  it runs there only on a processor without instructions for random numbers. With `-cpu max`, which has them (`rng` in
#        /proc/cpuinfo), the kernel is moved and says "KASLR enabled" although there is no seed; with `-cpu cortex-a72` the same kernel
#        and the same machine say "KASLR disabled due to lack of seed".
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavours) for arm64, in QEMU 7.2.
# Why it matters: taking the seed away does not give addresses that repeat, and a missing seed is no evidence that addresses are those of
#        System.map. A script that was written on one emulated processor changes its meaning on another.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

arm64
APT_ARCH=arm64 apt_state arm64 trixie trixie-backports
unpack arm64 "$WORK/old" linux-image-6.12.117+deb13-cloud-arm64-unsigned=6.12.117-1
unpack arm64 "$WORK/new" linux-binary-7.3.4+deb13-cloud-arm64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
grep -q '^ffff800080000000 . _text$' /proc/kallsyms && place="as linked" || place="moved"
log=$(dmesg | sed -n 's/.*\(KASLR [a-z].*\)/\1/p' | head -n 1)
seed=no; [ -e /proc/device-tree/chosen/kaslr-seed ] && seed=yes
rng=no; grep -qw rng /proc/cpuinfo && rng=yes
echo "seed node $seed, rng $rng: _text $place, $log"
GUEST
GUEST_ARCH=arm64 initramfs "$WORK/initrd" "$WORK/script"
export GUEST_ARCH=arm64
for kernel in "$WORK"/old/boot/vmlinuz-* "$WORK"/new/usr/lib/modules/*/vmlinuz; do
	case $kernel in */old/*) release=6.12.117 ;; *) release=7.3.4 ;; esac
	seen() { GUEST_OPTIONS="-machine dtb-randomness=$1 -cpu $2" guest "$kernel" "$WORK/initrd"; }
	expect "$release, max, with a seed" "seed node yes, rng yes: _text moved, KASLR enabled" "$(seen on max,pauth-impdef=on)"
	expect "$release, max, without" "seed node no, rng yes: _text moved, KASLR enabled" "$(seen off max,pauth-impdef=on)"
	expect "$release, cortex-a72, with a seed" "seed node yes, rng no: _text moved, KASLR enabled" "$(seen on cortex-a72)"
	expect "$release, cortex-a72, without" "seed node no, rng no: _text as linked, KASLR disabled due to lack of seed" "$(seen off cortex-a72)"
done
finish
