#!/usr/bin/env bash
# Guess: for the address of a kernel variable `addr2line -f` gives the variable's name or `??`, as it does with a function's.
# Seen:  the file and the line are those of the variable and the name is another's: `rtnl_mutex` is "__bss_start" at
#        net/core/rtnetlink.c:76, and linux_banner is "BSWAP_SHUFB_CTL" at init/version.c:53. For a name, GNU addr2line takes the
#        last symbol before the address that has no type, such as a label of an assembly file or of the linker
#        script, and never one that is a variable. A kernel has many such labels. elfutils and LLVM give the
#        variable's own name, and no line. A variable without line is put where the label is, `wakeup_64.o:?`.
# Where: addr2line of binutils 2.40 and 2.47.50, eu-addr2line 0.196 and llvm-addr2line 22.1.8 on the vmlinux of Linux 7.3.4
#        (Debian's cloud flavour).
# Why it matters: locks, lists and tables appear in traces by their addresses. A wrong name beside a right line is believed:
#        nothing shows that only functions are looked for.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need chroot nm

apt_state bookworm bookworm
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack_program bookworm "$WORK/old" binutils=2.40-2
unpack_program sid "$WORK/new" binutils=2.47.50.20261021-1
unpack_program sid "$WORK/new" elfutils=0.196-1
unpack_program sid "$WORK/new" llvm-22=1:22.1.8-3
(cd "$WORK" && APT_CONFIG=$WORK/apt-trixie/apt.conf \
	apt-get -qq download linux-image-7.3.4+deb13-cloud-amd64-dbg=7.3.4-1~bpo13+1) >&2 || cannot "the debug package is not served any more"
dpkg --fsys-tarfile "$WORK"/*.deb | tar -xO ./usr/lib/debug/lib/modules/7.3.4+deb13-cloud-amd64/vmlinux >"$WORK/new/vmlinux"
ln "$WORK/new/vmlinux" "$WORK/old/vmlinux"
for root in old new; do
	for name in lib lib64; do [ -e "$WORK/$root/$name" ] || ln -s "usr/$name" "$WORK/$root/$name"; done
done

variables="rtnl_mutex event_mutex linux_banner inet_stream_ops tcp_prot init_task start_kernel"
nm "$WORK/new/vmlinux" >"$WORK/symbols"
for name in $variables; do awk -v name="$name" '$3 == name { print "0x" $1 }' "$WORK/symbols"; done >"$WORK/addresses"
# What the tool at PATH below ROOT says of each.
ask() {
	chroot "$WORK/$1" "$2" -f -e /vmlinux <"$WORK/addresses" | sed -E 's#debian/build/[^/]*/##; s/ \(discriminator.*//; s/:([0-9]+):[0-9]+$/:\1/' |
		paste -d ' ' - - | paste -d ' ' <(printf '%s:\n' $variables) -
}
gnu="rtnl_mutex: __bss_start net/core/rtnetlink.c:76
event_mutex: __bss_start kernel/trace/trace_events.c:38
linux_banner: BSWAP_SHUFB_CTL init/version.c:53
inet_stream_ops: BSWAP_SHUFB_CTL net/ipv4/af_inet.c:1060
tcp_prot: saved_rsp wakeup_64.o:?
init_task: __end_init_stack ??:?
start_kernel: start_kernel init/main.c:988"
expect "addr2line 2.40" "$gnu" "$(ask old /usr/bin/addr2line)"
expect "addr2line 2.47.50" "$gnu" "$(ask new /usr/bin/addr2line)"
other="event_mutex: event_mutex ??:0
linux_banner: linux_banner ??:0
inet_stream_ops: inet_stream_ops ??:0
tcp_prot: tcp_prot ??:0
init_task: init_task ??:0
start_kernel: start_kernel init/main.c:988"
expect "eu-addr2line 0.196" "rtnl_mutex: rtnl_mutex ??:0
$other" "$(ask new /usr/bin/eu-addr2line)"
expect "llvm-addr2line 22.1.8" "rtnl_mutex: rtnl_mutex rtnetlink.c:0
$other" "$(ask new /usr/bin/llvm-addr2line-22)"
finish
