#!/usr/bin/env bash
# Guess: crash reads a memory dump of a Debian kernel with that kernel's own debug information, or says what it does not understand.
# Seen:  for a machine that has been up for 20 s its first lines say UPTIME 00:03:50: 225 s and a quarter of the true time. The
#        rate of the clock tick is in no debug information; Debian's kernels run at 250 Hz and do not carry their
#        configuration, and crash then takes 1000. By the same number every timer that waits is minutes overdue. No
#        warning is given. On 7.3, moreover, the date is that of 1970, and timers expire before the machine was started.
# Where: crash 9.0.2 on dumps that QEMU made of Linux 6.12.117 and 7.3.4 (Debian's cloud flavour, HZ=250).
# Why it matters: "up for four minutes" makes a crash look like a failure of booting. A machine that ran for ten days is said to
#        have run for two and a half. Take the time from the last line of the kernel's log instead.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need qemu-system-x86_64 chroot

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/crash" crash=9.0.2+~16.3-1
for name in lib lib64; do [ -e "$WORK/crash/$name" ] || ln -s "usr/$name" "$WORK/crash/$name"; done
mkdir -p "$WORK/crash/tmp" "$WORK/crash/dev" "$WORK/crash/in"

cat >"$WORK/script" <<'GUEST'
while true; do
	echo "up $(cut -d. -f1 /proc/uptime)"
	sleep 1
done
GUEST
initramfs "$WORK/initrd" "$WORK/script"

# What crash says of a dump of KERNEL, taken after some 20 s, with the file PATH of the debug package PACKAGE=VERSION.
read_dump() {
	local kernel=$1 path=$2 package=$3 serial=$WORK/serial dump=$WORK/crash/in/dump out=$WORK/answer turn
	rm -f "$serial" "$dump" "$WORK"/*.deb
	(cd "$WORK" && APT_CONFIG=$WORK/apt-trixie/apt.conf apt-get -qq download "$package") >&2 ||
		cannot "not served any more: $package"
	dpkg --fsys-tarfile "$WORK"/*.deb | tar -xO "./usr/lib/debug/$path" >"$WORK/crash/in/vmlinux"
	{
		for turn in $(seq 200); do
			[ "$(cat "$serial" 2>/dev/null | grep -c ^up)" -ge 18 ] && break
			sleep 1
		done
		echo "dump-guest-memory $dump"
		echo quit
	} | timeout 300 qemu-system-x86_64 -accel tcg -cpu max -nodefaults -no-reboot -display none -m 256 -kernel "$kernel" \
		-initrd "$WORK/initrd" -append "console=ttyS0 quiet no_timer_check" -serial "file:$serial" -monitor stdio >/dev/null
	[ -s "$dump" ] || cannot "QEMU made no dump"
	# crash makes /dev/null if there is none, and stumbles over it the next time.
	rm -f "$WORK/crash/dev/null"
	printf 'sys\ntimer -r\nquit\n' >"$WORK/crash/in/commands"
	chroot "$WORK/crash" /usr/bin/crash --no_scroll -s --kaslr=auto -i /in/commands /in/vmlinux /in/dump >"$out" 2>&1 || true
	grep -q UPTIME "$out" || cat "$out" >&2
	awk -v true="$(tr -d '\r' <"$serial" | sed -n 's/^up //p' | tail -n 1)" -v now="$(date -u +%Y)" '
		/^ +DATE:/ { date = $NF == now ? "date: this year" : "date: " $NF }
		/^ +UPTIME:/ { split($2, t, ":"); off = t[1] * 3600 + t[2] * 60 + t[3] - 225 - true / 4
			uptime = off > -2 && off < 2 && true > 15 && true < 200 ? "225 s and a quarter of the time" : $2 " for " true " s" }
		/ <[a-z_]+> *$/ { timers++; later += $2 >= $1 }
		/tick_nohz_handler/ { tick = $3 < -150000000000 ? "minutes overdue" : "in time" }
		END { print "uptime: " uptime "\n" date
			print "the next tick: " tick
			print "timers with an expiry not before their earliest time: " (later == timers ? "all" : later + 0) }' "$out"
}
uptime="uptime: 225 s and a quarter of the time"
expect "6.12.117" "$uptime
date: this year
the next tick: minutes overdue
timers with an expiry not before their earliest time: all" \
	"$(read_dump "$WORK"/old/boot/vmlinuz-* boot/vmlinux-6.12.117+deb13-cloud-amd64 \
		linux-image-6.12.117+deb13-cloud-amd64-dbg=6.12.117-1)"
expect "7.3.4" "$uptime
date: 1970
the next tick: minutes overdue
timers with an expiry not before their earliest time: 0" \
	"$(read_dump "$WORK"/new/usr/lib/modules/*/vmlinuz lib/modules/7.3.4+deb13-cloud-amd64/vmlinux \
		linux-image-7.3.4+deb13-cloud-amd64-dbg=7.3.4-1~bpo13+1)"
finish
