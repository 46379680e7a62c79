#!/usr/bin/env bash
# Guess: a uprobe puts a breakpoint over an instruction of the process while it is on; when it is off, text and mappings
#        are what they were before.
# Seen:  a probe on a long no-op becomes a call after its first hit, to a page that the kernel maps into the process,
#        `[uprobes-trampoline]`, and it does not go away. On 6.18 the five-byte no-op is still `e8 …`, a call into that
#        page, when the probe is off, and each pass makes the system call for nothing. On 7.3 the five-byte no-op stays a
#        breakpoint and is restored; instead a ten-byte one is turned into `lea -0x80(%rsp),%rsp; call …`, and only its
#        first half is put back: it is a no-op again, but with the call's bytes as its operand, unlike the file.
#        6.18 refuses to probe that ten-byte no-op at all (error 524).
# Where: Linux 6.18.15 and 7.3.4 (Debian's cloud flavour) in QEMU, a static program without threads.
# Why it matters: comparing a process's text with its file shows a difference long after the tracing; a disassembly of it shows
#        a call that no compiler made; and which no-op a static tracepoint should have depends on the release.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc nm

busybox
apt_state backports trixie-backports
unpack backports "$WORK/old" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack backports "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/probed.c" <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#define PROBED(name, nop) \
	__asm__(".globl " #name "\n.balign 64\n" #name ": .byte " nop "\nlea 1(%rdi), %eax\nret"); \
	int name(int n);
PROBED(five, "0x0f,0x1f,0x44,0x00,0x00")
PROBED(ten, "0x66,0x2e,0x0f,0x1f,0x84,0x00,0x00,0x00,0x00,0x00")
static void show(const char *when, const void *text, int size)
{
	unsigned char bytes[10];
	char line[400];
	int pages = 0;
	memcpy(bytes, text, sizeof bytes);
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, maps))
		pages += strstr(line, "[uprobes-trampoline]") != NULL;
	fclose(maps);
	printf("%s:", when);
	for (int i = 0; i < size; i++)
		printf(" %02x", bytes[i]);
	printf(", pages %d\n", pages);
	fflush(stdout);
}
static void meet(const char *own, const char *other)
{
	close(creat(own, 0600));
	while (access(other, F_OK))
		usleep(10000);
}
int main(int argc, char **argv)
{
	int is_ten = argc > 1 && !strcmp(argv[1], "ten"), size = is_ten ? 10 : 5;
	int (*call)(int) = is_ten ? ten : five;
	show("before", call, size);
	meet("/tmp/ready", "/tmp/on");
	show("on", call, size);
	for (int i = 0; i < 5; i++)
		call(i);
	show("hit", call, size);
	meet("/tmp/done", "/tmp/off");
	for (int i = 0; i < 5; i++)
		call(i);
	show("off", call, size);
	return 0;
}
C
mkdir -p "$WORK/files/usr/bin"
gcc -O1 -static -no-pie -fcf-protection=none "$WORK/probed.c" -o "$WORK/files/usr/bin/probed"
offset() { printf '0x%x' $((16#$(nm "$WORK/files/usr/bin/probed" | awk -v n="$1" '$3 == n { print $1 }') - 0x400000)); }
cat >"$WORK/script" <<GUEST
cd /sys/kernel/tracing
try() {
	rm -f /tmp/ready /tmp/on /tmp/done /tmp/off
	echo "== \$1"
	probed \$1 &
	while [ ! -e /tmp/ready ]; do usleep 10000; done
	echo "p:u/t /bin/probed:\$2" > uprobe_events
	echo 1 > events/u/t/enable || echo refused
	touch /tmp/on
	while [ ! -e /tmp/done ]; do usleep 10000; done
	awk '{ print "hits", \$3 }' uprobe_profile
	echo 0 > events/u/t/enable
	echo > uprobe_events
	touch /tmp/off
	wait
}
try five $(offset five)
try ten $(offset ten)
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"

# The displacement of the call depends on the program's layout.
seen() { guest "$1" "$WORK/initrd" 2>/dev/null | sed -E 's/e8( [0-9a-f]{2}){4}/e8 REL32/' | grep -v 'write error'; }
five=$(printf '== five\nbefore: 0f 1f 44 00 00, pages 0\non: cc 1f 44 00 00, pages 0')
nop="66 2e 0f 1f 84 00 00 00 00 00"
expect "6.18.15" "$five
hit: e8 REL32, pages 1
hits 5
off: e8 REL32, pages 1
== ten
before: $nop, pages 0
refused
on: $nop, pages 0
hit: $nop, pages 0
hits 0
off: $nop, pages 0" "$(seen "$WORK"/old/boot/vmlinuz-*)"
expect "7.3.4" "$five
hit: cc 1f 44 00 00, pages 0
hits 5
off: 0f 1f 44 00 00, pages 0
== ten
before: $nop, pages 0
on: cc ${nop#66 }, pages 0
hit: 48 8d 64 24 80 e8 REL32, pages 1
hits 5
off: 66 2e 0f 1f 84 e8 REL32, pages 1" "$(seen "$WORK"/new/usr/lib/modules/*/vmlinuz)"
finish
