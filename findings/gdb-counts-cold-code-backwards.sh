#!/usr/bin/env bash
# Guess: an address in the rarely used part of a function, which the compiler has put elsewhere, is `foo.cold+2` to gdb, as it is
#        to the kernel, or `foo+OFFSET` counted from the start of the part.
# Seen:  only the first byte is <foo.cold>. From the next instruction on it is <foo-9541312>: the function's name and the distance
#        back from its entry, five to eleven million bytes, where gdb shows code or a pointer with a symbol. `info symbol` of
#        the same address says foo.cold + 2, or foo[cold] + 2. eu-addr2line -S says foo.cold+0x2.
# Where: gdb 18.1 and eu-addr2line 0.196 on the vmlinux of Linux 7.3.4 (Debian's cloud flavour).
# Why it matters: warnings and the paths of errors are in such parts, and so are the addresses of a crash. A search of what gdb
#        printed for `foo.cold+` or `foo+` misses them, and a script that reads a name and an offset breaks at the minus.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need chroot nm

apt_state trixie trixie trixie-backports
apt_state sid sid
unpack_program sid "$WORK/tools" gdb=18.1-3
unpack_program sid "$WORK/tools" elfutils=0.196-1
(cd "$WORK" && APT_CONFIG=$WORK/apt-trixie/apt.conf \
	apt-get -qq download linux-image-7.3.4+deb13-cloud-amd64-dbg=7.3.4-1~bpo13+1) >&2 || cannot "the debug package is not served any more"
dpkg --fsys-tarfile "$WORK"/*.deb | tar -xO ./usr/lib/debug/lib/modules/7.3.4+deb13-cloud-amd64/vmlinux >"$WORK/tools/vmlinux"
for name in lib lib64; do [ -e "$WORK/tools/$name" ] || ln -s "usr/$name" "$WORK/tools/$name"; done

nm "$WORK/tools/vmlinux" >"$WORK/symbols"
address() { awk -v name="$1" '$3 == name { print "0x" $1 }' "$WORK/symbols"; }
for name in FSE_buildCTable_wksp acpi_memory_device_add init_cache_random_seq; do
	entry=$(address $name)
	cold=$(address $name.cold)
	# The second instruction of the part.
	printf 'x/2i %s\n' "$cold" >"$WORK/tools/commands"
	chroot "$WORK/tools" /usr/bin/gdb -q -nx -batch -x /commands /vmlinux >"$WORK/code" 2>/dev/null
	second=$(sed -nE '2s/^ *(0x[0-9a-f]+) .*/\1/p' "$WORK/code")
	expect "$name, first instruction" "<$name.cold>" "$(sed -nE '1s/.*(<[^>]*>):.*/\1/p' "$WORK/code")"
	expect "$name, second instruction" "<$name-$((entry - second))>" "$(sed -nE '2s/.*(<[^>]*>):.*/\1/p' "$WORK/code")"
	distance=$((entry - second))
	[ $distance -lt 2000000 ] || distance="millions of bytes"
	expect "$name, back from its entry" "millions of bytes" "$distance"
	printf 'info symbol %s\n' "$second" >"$WORK/tools/commands"
	expect "$name, info symbol" "$name.cold + $((second - cold)) in section .text" \
		"$(chroot "$WORK/tools" /usr/bin/gdb -q -nx -batch -x /commands /vmlinux 2>/dev/null | sed "s/^$name\[cold\]/$name.cold/")"
	expect "$name, eu-addr2line" "$name.cold+$(printf '0x%x' $((second - cold)))" \
		"$(chroot "$WORK/tools" /usr/bin/eu-addr2line -S -e /vmlinux "$second" | head -n 1)"
done
finish
