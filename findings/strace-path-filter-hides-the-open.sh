#!/usr/bin/env bash
# Guess: `strace -P /etc/file` shows every call on that file, by whatever name the program opens it.
# Seen:  names in calls are compared as text and descriptors as files. Of a program that opens it by a relative name, by a link or
#        as /etc/../etc/file the reads and the close are shown, and the call that opened it is missing; rm with a relative name
#        shows nothing at all. A relative name for -P adds that one spelling to the absolute one and no other: ./file stays
#        hidden.
# Where: strace 7.2 on Linux 7.3.4 (Debian's cloud flavour).
# Why it matters: "who opens or removes this file?" is answered by "nobody", while the reads are there and make the filter look
#        complete.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/strace" strace=7.2+ds-1+b1

cat >"$WORK/script" <<'GUEST'
mkdir -p /tmp/d
cd /tmp/d
show() {
	what=$1; shift
	echo text > file; ln -sf file link
	strace -f -o /tmp/out "$@" > /dev/null 2>&1
	echo "$what: $(sed -nE 's/^[0-9]+ +([a-z0-9]+)\(.*/\1/p' /tmp/out | grep -vx sendfile | uniq | tr '\n' ' ')$(grep -q sendfile /tmp/out && echo reads)"
}
show "-P absolute, cat absolute" -P /tmp/d/file cat /tmp/d/file
show "-P absolute, cat relative" -P /tmp/d/file cat file
show "-P absolute, cat with .." -P /tmp/d/file cat /tmp/d/../d/file
show "-P absolute, cat by a link" -P /tmp/d/file cat link
show "-P absolute, rm absolute" -P /tmp/d/file rm /tmp/d/file
show "-P absolute, rm relative" -P /tmp/d/file rm file
show "-P relative, cat relative" -P file cat file
show "-P relative, cat absolute" -P file cat /tmp/d/file
show "-P relative, cat ./file" -P file cat ./file
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/strace"
expect "calls shown" "-P absolute, cat absolute: openat close reads
-P absolute, cat relative: close reads
-P absolute, cat with ..: close reads
-P absolute, cat by a link: close reads
-P absolute, rm absolute: newfstatat access unlink
-P absolute, rm relative:
-P relative, cat relative: openat close reads
-P relative, cat absolute: openat close reads
-P relative, cat ./file: close reads" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd" | sed 's/ *$//')"
finish
