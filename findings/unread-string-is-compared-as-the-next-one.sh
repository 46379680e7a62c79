#!/usr/bin/env bash
# Guess: a string argument that could not be read is printed as (fault), so `== "(fault)"` selects it, or else `== ""` or `~ "*"`; a
#        filter for some other text does not let it through. An empty string is "".
# Seen:  it is compared as the string argument behind it: `unread == "/script"` and `unread ~ "/scr*"` select the record that
#        prints as unread=(fault) name="/script". It is not "(fault)", not "", and does not match `"*"`, which every string
#        that was read matches, so that `!(unread ~ "*")` is what selects it. On 6.12 an empty string of a program is such
#        an argument too: empty=(fault), and equal to "script", the argument behind it.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour), a kprobe event on do_sys_openat2.
# Why it matters: a filter for one path finds records of which that argument was never read, and "all but this one" leaves
#        records out by what another argument says.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
# Of one call: what no string is (the descriptor, -100), the file's name, the end of that name (an empty string), and the name from its
# second letter on.
echo 'p:opened do_sys_openat2 unread=+0($arg1):string name=+0($arg2):string empty=+7($arg2):string rest=+1($arg2):string' > dynamic_events
event=events/kprobes/opened
try() {
	echo "$1" > $event/filter
	echo > trace
	echo 1 > $event/enable
	: < /script
	echo 0 > $event/enable
	grep -q 'name="/script"' trace && echo "$1"
}
for field in unread name empty; do
	echo "$field:" $(for filter in '== "/script"' '== "script"' '== ""' '== "(fault)"' '~ "*"' '~ "*cr*"' '~ "/scr*"'; do
		try "$field $filter"
	done | sed "s/$field //; s/$/;/")
done
try '!(unread ~ "*")'
grep -o 'unread=.*script.*' trace
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen() {
	echo "unread: == \"/script\"; ~ \"*cr*\"; ~ \"/scr*\";
name: == \"/script\"; ~ \"*\"; ~ \"*cr*\"; ~ \"/scr*\";
empty: $1
!(unread ~ \"*\")
unread=(fault) name=\"/script\" empty=$2 rest=\"script\""
}
expect "6.12.117" "$(seen '== "script"; ~ "*cr*";' '(fault)')" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$(seen '== ""; ~ "*";' '""')" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
