#!/usr/bin/env bash
# Guess: the letter t or T in /proc/kallsyms, System.map and nm says that a symbol is code, and d or D that it is data; so
#        a list of all functions is what has a t.
# Seen:  on 6.18 and 7.3 every symbol between _sdata and _edata has t or T, jiffies and init_task among them, and not one
#        has d. On 6.12 all have d. The letter comes from the section's flags, and the .data of the newer images is marked
#        as executable, although the segment that it is loaded with is not. A kprobe event on such a variable is refused.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU.
# Why it matters: whoever asks kallsyms whether a function exists, or counts functions, is told of over ten
#        thousand variables. Between _sdata and _edata is data, whatever the letter.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/k612" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/k618" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/k73" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
# Addresses have one length, so that they compare as texts.
start=$(awk '$3 == "_sdata" { print $1 }' /proc/kallsyms)
end=$(awk '$3 == "_edata" { print $1 }' /proc/kallsyms)
awk -v start="x$start" -v end="x$end" '
	function share(part) { return part == 0 ? "none" : part == all ? "all" : "some" }
	{ at = "x" $1 }
	NF == 3 && at >= start && at < end && all <= 100000 {
		all++
		if ($2 ~ /[tT]/) code++
		if ($2 ~ /[dD]/) data++
	}
	END { print "of .data: " share(code + 0) " t, " share(data + 0) " d, " (all > 10000 ? "over ten thousand" : "few") }
' /proc/kallsyms
for name in jiffies init_task sock_alloc; do awk -v name=$name '$3 == name { print name ": " $2; exit }' /proc/kallsyms; done
cd /sys/kernel/tracing
echo 'p:variable init_task' > kprobe_events 2>/dev/null && echo "kprobe on init_task: taken" || echo "kprobe on init_task: refused"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
code="of .data: all t, none d, over ten thousand
jiffies: T
init_task: T
sock_alloc: T
kprobe on init_task: refused"
data="of .data: none t, all d, over ten thousand
jiffies: D
init_task: D
sock_alloc: T
kprobe on init_task: refused"
expect "6.12.117" "$data" "$(guest "$WORK"/k612/boot/vmlinuz-* "$WORK/initrd")"
expect "6.18.15" "$code" "$(guest "$WORK"/k618/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$code" "$(guest "$WORK"/k73/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
