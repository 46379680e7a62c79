#!/usr/bin/env bash
# Guess: the address of a kernel function, from /proc/kallsyms, read in /proc/kcore gives that function's instructions;
#        where the kernel gave its initialization code back, there is an error.
# Seen:  start_kernel and the other functions of .init.text stay in /proc/kallsyms as text, and their addresses stay
#        readable. Soon after boot they hold 0xcc, the byte of a breakpoint. Once memory gets scarce they hold what the
#        memory was given out for: after one program wrote its pattern to all but 100 MiB, the pages from __init_begin
#        to __init_end had the program's bytes. Where no module is, the same file gives zeros. None of these reads
#        fails.
# Where: Linux 7.3.4 (Debian's cloud flavour) in QEMU with 1 GiB, in each of ten boots. On 6.12.117, not tried here,
#        it was so in some boots; in others few of the pages were given out again.
# Why it matters: "bytes at a kernel text symbol" can be anybody's data, a leak if they are published, and 0xcc there
#        is no probe. Text is what lies between _stext and _etext; a symbol in .init.text has no bytes after boot.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state backports trixie-backports
unpack backports "$WORK/kernel" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

cat >"$WORK/pages.c" <<'C'
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static const char pattern[16] = "PATTERN-OF-A-PRG";
static char page[4096];
static int is_all(int byte)
{
	for (int i = 0; i < 4096; i++)
		if ((unsigned char)page[i] != byte)
			return 0;
	return 1;
}
/* Arguments: name, first and last address, MiB to fill before. */
int main(int argc, char **argv)
{
	unsigned long first = strtoul(argv[2], 0, 16), last = strtoul(argv[3], 0, 16), pages = 0;
	unsigned long breakpoints = 0, zeros = 0, patterns = 0, failed = 0;
	for (long mib = atol(argv[4]); mib > 0; mib--) {
		char *memory = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(memory, 1 << 20, MADV_NOHUGEPAGE);
		for (long at = 0; at < 1 << 20; at += sizeof pattern)
			memcpy(memory + at, pattern, sizeof pattern);
	}
	int core = open("/proc/kcore", O_RDONLY);
	Elf64_Ehdr header;
	pread(core, &header, sizeof header, 0);
	for (int i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr part;
		pread(core, &part, sizeof part, header.e_phoff + i * sizeof part);
		if (part.p_type != PT_LOAD || first < part.p_vaddr || first >= part.p_vaddr + part.p_memsz)
			continue;
		for (unsigned long at = first; at < last; at += 4096, pages++) {
			if (pread(core, page, 4096, part.p_offset + at - part.p_vaddr) != 4096)
				failed++;
			else if (memmem(page, 4096, pattern, sizeof pattern))
				patterns++;
			else
				breakpoints += is_all(0xcc), zeros += is_all(0);
		}
	}
	const char *all = pages == breakpoints ? "0xcc" : pages == zeros ? "zero" : "mixed";
	if (patterns > pages / 2)
		all = "the program's";
	printf("%s: %s, %lu reads failed\n", argv[1], pages ? all : "not mapped", failed);
	return 0;
}
C
mkdir -p "$WORK/files/usr/bin"
gcc -O1 -static -w "$WORK/pages.c" -o "$WORK/files/usr/bin/pages"
cat >"$WORK/script" <<'GUEST'
at() { awk -v name="$1" '$3 == name { print $1; exit }' /proc/kallsyms; }
awk '$3 == "start_kernel" { print "kallsyms:", $2, $3 }' /proc/kallsyms
pages "after boot" $(at __init_begin) $(at __init_end) 0
pages "memory scarce" $(at __init_begin) $(at __init_end) \
	$(awk '$1 == "MemFree:" { print int($2 / 1024) - 100 }' /proc/meminfo)
pages "no module" ffffffffe0000000 ffffffffe0100000 0
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
expect "7.3.4" "kallsyms: T start_kernel
after boot: 0xcc, 0 reads failed
memory scarce: the program's, 0 reads failed
no module: zero, 0 reads failed" "$(guest "$WORK"/kernel/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
