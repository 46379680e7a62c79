#!/usr/bin/env bash
# Guess: what was written to trace_marker_raw is shown as those bytes, and no others.
# Seen:  a record has no length of its own. Its bytes are rounded up, and behind the written ones there are leftovers of older
#        records in the same place: one byte A is shown as 41 and three more bytes on 6.18 and 7.3, and as 41 and fifteen more
#        on 6.12, where even an id without any data has sixteen, here the text of a marker that had been erased.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour).
# Why it matters: a reader that takes the rest of the record for the data reads made-up bytes, other ones each time and more of
#        them on one kernel than on the next. The length has to be part of the data.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/k612" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/k618" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/k73" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
for data in "" A AAAA AAAAA AAAAAAAAA; do
	# Older text in the buffer's place, then erased.
	printf '%0100d' 0 | tr 0 Z > trace_marker
	echo > trace
	printf "\\001\\000\\000\\000$data" > /tmp/raw
	dd if=/tmp/raw of=trace_marker_raw bs=100 2>/dev/null
	echo "${#data} written, shown: $(sed -n 's/.*# 1 buf://p' trace | tr ' ' '\n' | grep . |
		awk '$1 != "41" { other++ } $1 == "5a" { old++ } END { print NR, (other ? "with others" : "all of them A") (old ? " and Z of the erased text" : "") }')"
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"
expect "6.12.117" "0 written, shown: 16 with others and Z of the erased text
1 written, shown: 16 with others and Z of the erased text
4 written, shown: 16 with others and Z of the erased text
5 written, shown: 16 with others and Z of the erased text
9 written, shown: 16 with others and Z of the erased text" "$(guest "$WORK"/k612/boot/vmlinuz-* "$WORK/initrd")"
seen="0 written, shown: 0 all of them A
1 written, shown: 4 with others
4 written, shown: 4 all of them A
5 written, shown: 8 with others
9 written, shown: 12 with others"
expect "6.18.15" "$seen" "$(guest "$WORK"/k618/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/k73/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
