#!/usr/bin/env bash
# Guess: `bt` in a gdb that knows arm64 and has the kernel's debug information goes from a breakpoint to the system call, with QEMU's stub
#        as with a real debugger: it takes the signature off a return address, as the unwind information asks for.
# Seen:  with QEMU 7.2 it ends after the first return address that was signed: frame #2 is 0xb6ff80008059f5d4 in ?? (), the next one a
#        pointer to data, and then gdb says that the stack is corrupt or that it has not enough registers. gdb asks the stub for the masks
#        of the signature, which QEMU offers from later versions on (10.0: whole, each such frame marked `[PAC]`), and says no word of
#        them when they are missing. With pointer authentication off (`-cpu max,pauth=off`, or arm64.nopauth for the kernel) the backtrace
#        is whole.
# Where: gdb-multiarch 18.1, QEMU 7.2 and 10.0, Linux 7.3.4 (Debian's cloud flavour) for arm64.
# Why it matters: the two true frames in front make the rest look like a broken stack. And a script that takes the function as the word
#        behind `in` after an address finds no frame where there is a `[PAC]`.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need chroot timeout

arm64
apt_state trixie trixie
apt_state sid sid
APT_ARCH=arm64 apt_state arm64 trixie-backports
unpack_program sid "$WORK/tools" gdb-multiarch=18.1-3
unpack_program trixie "$WORK/qemu10" qemu-system-arm=1:10.0.13+ds-0+deb13u1
unpack arm64 "$WORK/new" linux-binary-7.3.4+deb13-cloud-arm64=7.3.4-1~bpo13+1
(cd "$WORK" && APT_CONFIG=$WORK/apt-arm64/apt.conf \
	apt-get -qq download linux-image-7.3.4+deb13-cloud-arm64-dbg=7.3.4-1~bpo13+1) >&2 || cannot "the debug package is not served any more"
dpkg --fsys-tarfile "$WORK"/*.deb | tar -xO ./usr/lib/debug/lib/modules/7.3.4+deb13-cloud-arm64/vmlinux >"$WORK/tools/vmlinux"
for name in lib lib64; do [ -e "$WORK/tools/$name" ] || ln -s "usr/$name" "$WORK/tools/$name"; done
mkdir -p "$WORK/tools/run"

# Reads of one file for ever, by the shell itself.
cat >"$WORK/script" <<'GUEST'
echo ready
while :; do read -r line < /script; done
GUEST
GUEST_ARCH=arm64 initramfs "$WORK/initrd" "$WORK/script"
cat >"$WORK/tools/commands" <<'GDB'
set pagination off
set print frame-arguments none
target remote /run/stub
hbreak rw_verify_area if count == 4096 || count == 1
continue
bt 9
GDB

# What the backtrace says under QEMU (a command) with the processor CPU: one function a frame, those that were expanded inline left out.
backtrace() {
	local cpu=$1 machine
	shift
	rm -f "$WORK/tools/run/stub" "$WORK/console"
	"$@" -M virt -accel tcg -cpu "$cpu" -nodefaults -no-reboot -display none -m 512 -kernel "$WORK"/new/usr/lib/modules/*/vmlinuz \
		-initrd "$WORK/initrd" -append "console=ttyAMA0 quiet nokaslr panic=-1" -serial "file:$WORK/console" \
		-gdb "unix:$WORK/tools/run/stub,server=on,wait=off" </dev/null >&2 &
	machine=$!
	for _ in $(seq 120); do
		! grep -q ready "$WORK/console" 2>/dev/null || break
		sleep 1
	done
	timeout 200 chroot "$WORK/tools" /usr/bin/gdb-multiarch -q -nx -batch -x /commands /vmlinux >"$WORK/said" 2>&1 || true
	kill $machine
	wait $machine 2>/dev/null || true
	cat "$WORK/said" >&2
	sed -nE 's/^#0 +([a-z_]+) .*/\1/p; s/^#[0-9]+ +0x[0-9a-f]+ (\[PAC\] )?in ([?a-z_0-9]+).*/\1\2/p' "$WORK/said" | tr '\n' ' '
}
whole="vfs_read ksys_read __se_sys_read __invoke_syscall el0_svc_common do_el0_svc"
seen=$(backtrace max,pauth-impdef=on "$WORK/qemu/usr/bin/qemu-system-aarch64")
expect "QEMU 7.2, the first three frames" "rw_verify_area vfs_read ??" "$(cut -d' ' -f1-3 <<<"$seen")"
expect "QEMU 7.2, functions in the frames behind" "" "$(cut -d' ' -f4- <<<"$seen" | tr -d '? ')"
signed=$(sed -nE 's/^#2 +(0x[0-9a-f]+) in \?\? .*/\1/p' "$WORK/said")
plain=$(chroot "$WORK/tools" /usr/bin/gdb-multiarch -q -nx -batch \
	-ex 'print/x (long)ksys_read' /vmlinux 2>/dev/null | sed -nE 's/.*= (0x[0-9a-f]+)$/\1/p')
# The call is within the first 512 bytes.
offset=$(((signed & 0xffffffffffff) - (plain & 0xffffffffffff)))
expect "the third frame is in ksys_read, by its low 48 bits" yes "$([ $offset -gt 0 ] && [ $offset -lt 512 ] && echo yes || echo no)"
expect "the third frame is an address of the kernel" no "$([ $((signed >> 48 & 0xffff)) = 65535 ] && echo yes || echo no)"
expect "QEMU 7.2, pointer authentication off" "rw_verify_area $whole " \
	"$(backtrace max,pauth=off "$WORK/qemu/usr/bin/qemu-system-aarch64")"
libraries=$WORK/qemu10/usr/lib/x86_64-linux-gnu
expect "QEMU 10.0" \
	"rw_verify_area vfs_read [PAC] ksys_read [PAC] __se_sys_read [PAC] __invoke_syscall [PAC] el0_svc_common [PAC] do_el0_svc " \
	"$(backtrace max,pauth-impdef=on "$WORK/qemu10/usr/lib64/ld-linux-x86-64.so.2" --library-path "$libraries:$libraries/pulseaudio" \
		"$WORK/qemu10/usr/bin/qemu-system-aarch64")"
finish
