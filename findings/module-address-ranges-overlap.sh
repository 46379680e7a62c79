#!/usr/bin/env bash
# Guess: /proc/modules gives each module's address and size, so an address belongs to the one module whose range
#        [address, address + size) holds it; the module's data is in there as well.
# Seen:  the address is the text's, the size is that of text, data and read-only data together, and since these were put
#        into separate places the range is nobody's. On 6.12 the modules' texts lie so far apart that the ranges happen
#        to be disjoint. On 6.18 and 7.3 the texts are packed page by page into one large page, and of five modules loaded
#        in a row every two overlap: raid6_pq's range holds three whole modules and the start of bridge, so br_add_bridge
#        is in two ranges, and the first that fits names raid6_pq. raid6_pq's own .data and .rodata are outside its range.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU, five modules loaded in one order.
# Why it matters: `lsmod`'s sizes, crash reports and symbolizers that hold one (address, size) for each module name the
#        wrong module for text and none for data. /proc/kallsyms names the module in each line; an end has to come from
#        the next text's start (perf does that) or from /sys/module/NAME/sections.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need python3

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/k612" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/k618" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/k73" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1 \
	linux-modules-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
for module in raid6_pq tcp_bbr llc stp bridge; do insmod /usr/lib/tried/$module.ko.xz || echo "no $module"; done
awk '{ print "module", $1, $2, $6 }' /proc/modules
awk '$3 == "br_add_bridge" { print "function", $4, "0x" $1 }' /proc/kallsyms
for section in .data .rodata; do
	[ -e /sys/module/raid6_pq/sections/$section ] && echo "section $section $(cat /sys/module/raid6_pq/sections/$section)"
done
GUEST

# What the addresses of the guest with the kernel and the modules below FOLDER say.
ranges() {
	local module seen files=$WORK/files-${1##*/}
	mkdir -p "$files/usr/lib/tried"
	for module in raid6_pq tcp_bbr llc stp bridge; do
		find "$1" -name "$module.ko.xz" -exec cp {} "$files/usr/lib/tried/" \;
	done
	initramfs "$WORK/initrd" "$WORK/script" "$files"
	seen=$(guest "$2" "$WORK/initrd")
	python3 - "$seen" <<-'PYTHON'
		import sys
		words = [line.split() for line in sys.argv[1].splitlines()]
		modules = sorted((int(w[3], 16), int(w[2]), w[1]) for w in words if w[0] == "module")
		pairs = [(a[2], b[2]) for a in modules for b in modules if a[0] < b[0] < a[0] + a[1]]
		name, address = next((w[1], int(w[2], 16)) for w in words if w[0] == "function")
		holders = [m[2] for m in modules if m[0] <= address < m[0] + m[1]]
		raid6 = next(m for m in modules if m[2] == "raid6_pq")
		outside = [w[1] for w in words if w[0] == "section" and not raid6[0] <= int(w[2], 16) < raid6[0] + raid6[1]]
		print("%d modules, %d overlaps; br_add_bridge of %s is in %s; outside: %s" % (
		    len(modules), len(pairs), name, " and ".join(holders), " ".join(outside) or "nothing"))
	PYTHON
}
expect "6.12.117" "5 modules, 0 overlaps; br_add_bridge of [bridge] is in bridge; outside: nothing" \
	"$(ranges "$WORK/k612" "$WORK"/k612/boot/vmlinuz-*)"
packed="5 modules, 10 overlaps; br_add_bridge of [bridge] is in raid6_pq and bridge; outside: .data .rodata"
expect "6.18.15" "$packed" "$(ranges "$WORK/k618" "$WORK"/k618/boot/vmlinuz-*)"
expect "7.3.4" "$packed" "$(ranges "$WORK/k73" "$WORK"/k73/usr/lib/modules/*/vmlinuz)"
finish
