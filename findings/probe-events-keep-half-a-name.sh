#!/usr/bin/env bash
# Guess: a probe event of Linux 7.3 that takes a member by its name, `who=p->comm` or `who=$current->comm`, holds the text: the kernel has
#        the member's type in its BTF, `char[16]`, gives pid its own (`s32`), and `$comm` is text without saying so.
# Seen:  it holds a `u64`, the first eight bytes of the name as a number: "sh" is 0x6873. What stands behind them is lost without a word, so
#        that a histogram has one row for all kworkers, whose names begin alike. Only `:string` makes it text. An array of characters is
#        all that is taken so: it is neither refused nor read as an array, which `:x8[16]` does.
# Where: Linux 7.3.4 (Debian's cloud flavour); older kernels do not have `$current`.
# Why it matters: a histogram or filter by such a field is right for short names, and counts different tasks as one for the others.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
echo 'p:plain vfs_open who=$current->comm pid=$current->pid' > dynamic_events
echo 'p:text vfs_open who=$current->comm:string' >> dynamic_events
echo 'p:array vfs_open who=$current->comm:x8[16]' >> dynamic_events
echo 'p:wake try_to_wake_up who=p->comm whole=p->comm:string' >> dynamic_events
echo 'hist:keys=who' > events/kprobes/wake/trigger
echo 'hist:keys=whole' >> events/kprobes/wake/trigger
echo 1 > events/kprobes/enable
for turn in 1 2 3 4 5; do ls /proc > /dev/null; sleep 0.2; done
echo 0 > events/kprobes/enable
kind() { sed -n "s/.*field:\(.*[] ]\)$2;.*size:\([0-9]*\);.*/\1of \2 bytes/p" events/kprobes/$1/format; }
first() { grep -m 1 "sh-[0-9]* .* $1: " trace | sed -E "s/.* who=//; s/ pid=.*//; s/(,0x0)+/, and zeros/"; }
for event in plain text; do echo "$event: $(kind $event who), $(first $event)"; done
echo "array: $(first array)"
echo "pid: $(kind plain pid)"
# "kworker/" as a number.
rows() { grep -c "$1" events/kprobes/wake/hist; }
echo "rows of kworkers: $(rows '^{ who: 3418906579283441515 }') by who, $([ "$(rows '^{ whole: kworker/')" -ge 2 ] && echo two and more) by whole"
GUEST
initramfs "$WORK/initrd" "$WORK/script"
seen="plain: u64 of 8 bytes, 0x6873
text: __data_loc char[] of 4 bytes, \"sh\"
array: {0x73,0x68, and zeros}
pid: s32 of 4 bytes
rows of kworkers: 1 by who, two and more by whole"
expect "7.3.4" "$seen" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd" 2>/dev/null)"
finish
