#!/usr/bin/env bash
# Guess: a file of tracefs gives all its text to whoever reads until the end of the file, in whatever pieces.
# Seen:  events/header_page, events/header_event and the filter of every subsystem give what the first read takes and then the
#        end of the file: 16 bytes to a reader of 16 bytes. The shell's `read`, which asks for one byte at a time, finds
#        an empty line in a file whose first line has 50 bytes. The format and the filter of a single event are whole.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour), BusyBox 1.35.
# Why it matters: header_page says where a record's time and length lie. A reader with a small buffer, or one that looks at the
#        first bytes before the rest, takes half of it for the whole, and nothing reports an error.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing/events
bytes() { dd if=$1 bs=$2 2>/dev/null | wc -c; }
for file in header_page header_event sched/filter sched/sched_switch/filter sched/sched_switch/format; do
	whole=$(bytes $file 65536)
	small=$(bytes $file 16)
	[ $whole -eq $small ] && echo "$file: whole" || echo "$file: $small of more bytes"
done
line=$(head -n 1 header_page)
read -r first < header_page || true
echo "header_page: a first line of ${#line} bytes, ${#first} read by the shell"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="header_page: 16 of more bytes
header_event: 16 of more bytes
sched/filter: 16 of more bytes
sched/sched_switch/filter: whole
sched/sched_switch/format: whole
header_page: a first line of 50 bytes, 0 read by the shell"
expect "6.12.117" "$seen" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
