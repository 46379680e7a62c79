#!/usr/bin/env bash
# Guess: `trace-cmd report` and `perf script` print the events of a recording as the kernel's own `trace` file does; where they
#        cannot work out a value they say so.
# Seen:  they print values that no event had.
#        - page= of mm_page_alloc: trace-cmd takes the variable vmemmap_base for its own address and adds the page's number
#          unscaled, so the pages of neighbouring frames are one byte apart; perf prints the number itself.
#        - flags= of timer_start: always D|P|I. In `trace` most timers have none.
#        - state= and flags= of writeback_dirty_inode: on 6.12 right; on 6.18 and 7.3, where the names stand in the format as
#          symbols, a dirty inode is 0x10, and a state of 0 (a clean inode) is named I_DIRTY_SYNC.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU, trace-cmd 3.4, perf 7.3.4.
# Why it matters: both use one library to interpret the C expressions in `format`. Raw fields (`trace-cmd report -R`) are right;
#        what the text derives from them has to be checked against `trace` of the same kernel.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/k612" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/k618" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/k73" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program trixie "$WORK/perf" linux-perf=7.3.4-1~bpo13+1
unpack_program sid "$WORK/trace-cmd" trace-cmd=3.4-2

cat >"$WORK/script" <<'GUEST'
export HOME=/tmp
cd /sys/kernel/tracing
echo 0 > options/hash-ptr
cat > /tmp/work <<'WORK'
mkdir /tmp/a; touch /tmp/a/b; rm -r /tmp/a; sleep 0.1
WORK
events="kmem/mm_page_alloc timer/timer_start writeback/writeback_dirty_inode"
for event in $events; do echo 1 > events/$event/enable; done
sh /tmp/work
echo 0 > events/enable
echo 0 > tracing_on
base=$(awk '$3 == "vmemmap_base" { print $1 }' /proc/kallsyms)
# What LABEL's text FILE says: the distance of a page from vmemmap_base's own address or its number, and the sets of the others.
tell() {
	sed -nE '/mm_page_alloc:/s/.*page=(0x)?([0-9a-f]+) pfn=0x([0-9a-f]+) .*/\2 \3/p' $2 | head -n 1 | {
		read -r page number
		case $page in
		$number) echo "$1 page: its number" ;;
		$(printf %x $((0x$base + 0x$number)))) echo "$1 page: the address of vmemmap_base and its number" ;;
		$(printf %x $((0x$start + 64 * 0x$number)))) echo "$1 page: its structure" ;;
		*) echo "$1 page: $page for $number" ;;
		esac
	}
	sed -nE '/timer_start:/s/.*(flags=.*)/\1/p' $2 | sort -u | tr '\n' ' ' | sed "s/^/$1 timer: /; s/ *$/\n/"
	sed -nE '/writeback_dirty_inode:/s/.*(state=.*)/\1/p' $2 | sort -u | tr '\n' ';' | sed "s/^/$1 inode: /; s/;$/\n/"
}
cat trace > /tmp/trace.txt
# The start of the array of pages (64 bytes each), by the first page in the kernel's own text.
start=$(sed -nE 's/.*mm_page_alloc: page=([0-9a-f]+) pfn=0x([0-9a-f]+) .*/\1 \2/p' trace | head -n 1 | { read -r page number; printf %x $((0x$page - 64 * 0x$number)); })
tell kernel /tmp/trace.txt
trace-cmd extract -o /tmp/trace.dat >/dev/null 2>&1
trace-cmd report -i /tmp/trace.dat > /tmp/trace-cmd.txt 2>/dev/null
tell trace-cmd /tmp/trace-cmd.txt
perf record -q -a -o /tmp/perf.dat -e kmem:mm_page_alloc -e timer:timer_start -e writeback:writeback_dirty_inode \
	sh /tmp/work >/dev/null 2>&1
perf script -i /tmp/perf.dat > /tmp/perf.txt 2>/dev/null
tell perf /tmp/perf.txt
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/perf" "$WORK/trace-cmd"
check() {
	local name=$1 inode=$3 seen tool
	seen=$(GUEST_MIB=2048 guest "$2" "$WORK/initrd")
	line() { grep "^$1" <<<"$seen" || true; }
	expect "$name" "kernel page: its structure" "$(line "kernel page")"
	expect "$name" "trace-cmd page: the address of vmemmap_base and its number" "$(line "trace-cmd page")"
	expect "$name" "perf page: its number" "$(line "perf page")"
	expect "$name, the kernel's timers" "some without flags" \
		"$(line "kernel timer" | sed -E 's/.* flags=( .*)?$/some without flags/')"
	for tool in trace-cmd perf; do
		expect "$name" "$tool timer: flags=D|P|I" "$(line "$tool timer")"
	done
	expect "$name, states of the kernel" "state= state=I_DIRTY_SYNC" "$(states "$(line "kernel inode")")"
	expect "$name, states of trace-cmd" "$inode" "$(states "$(line "trace-cmd inode")")"
}
states() { grep -oE 'state=[^ ]*' <<<"$1" | sort -u | tr '\n' ' ' | sed 's/ $//'; }
check 6.12.117 "$WORK"/k612/boot/vmlinuz-* "state= state=I_DIRTY_SYNC"
check 6.18.15 "$WORK"/k618/boot/vmlinuz-* "state=0x10 state=I_DIRTY_SYNC"
check 7.3.4 "$WORK"/k73/usr/lib/modules/*/vmlinuz "state=0x10 state=I_DIRTY_SYNC"
finish
