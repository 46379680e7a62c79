#!/usr/bin/env bash
# Guess: the guard below a thread's stack is a line of its own in /proc/PID/maps, `---p`, and every page of a line `rw-p` can be
#        read through /proc/PID/mem.
# Seen:  with glibc 2.43 that is so on 6.12. On 7.3 the same program has one line `rw-p` for stack and guard together, and
#        the lowest page of it cannot be read: EIO in the middle of memory that maps calls readable. Before it was the other
#        way round: the `---p` page reads well, for a reader of mem is not held to the permissions. That there is a guard
#        somewhere in the line is `gu` among the VmFlags of smaps, and which page it is is only bit 58 of /proc/PID/pagemap.
# Where: glibc 2.43 on Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: who copies a process by its lines in maps meets an error within a line, and who looks for guards, counts
#        stacks or takes the size of a stack from maps finds none on one release and all on the other.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack sid "$WORK/glibc" libc6=2.43-7

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/guard.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <gnu/libc-version.h>
static void line_of(unsigned long address, const char *what)
{
	char line[256], permissions[8];
	unsigned long start, end;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, permissions) == 3 && start <= address && address < end)
			printf("%s: %s, pages of the line: %lu\n", what, permissions, (end - start) / 4096);
	fclose(maps);
}
static void flags_of(unsigned long address, const char *what)
{
	char line[256];
	unsigned long start, end, here = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");
	while (fgets(line, sizeof line, smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= address && address < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			printf("%s: %s", what, line);
	}
	fclose(smaps);
}
static void read_page(unsigned long address, const char *what)
{
	char byte;
	uint64_t entry = 0;
	int memory = open("/proc/self/mem", O_RDONLY), pagemap = open("/proc/self/pagemap", O_RDONLY);
	const char *seen = pread(memory, &byte, 1, address) == 1 ? "read" : strerror(errno);
	if (pread(pagemap, &entry, 8, address / 4096 * 8) != 8)
		perror("pagemap");
	printf("%s: %s, bit 58 of pagemap: %d\n", what, seen, (int)(entry >> 58 & 1));
}
static void *thread(void *unused)
{
	pthread_attr_t attributes;
	void *stack;
	size_t size, guard;
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &size);
	pthread_attr_getguardsize(&attributes, &guard);
	unsigned long lowest = (unsigned long)stack;
	printf("glibc %s: a stack of %zu pages and a guard of %zu\n", gnu_get_libc_version(), size / 4096, guard / 4096);
	line_of(lowest - 4096, "guard");
	line_of(lowest, "stack");
	read_page(lowest - 4096, "page of the guard");
	read_page(lowest, "page of the stack");
	flags_of(lowest - 4096, "guard");
	return unused;
}
int main(void)
{
	pthread_t id;
	return pthread_create(&id, 0, thread, 0) || pthread_join(id, 0);
}
C
gcc -O1 -pthread "$WORK/guard.c" -o "$WORK/files/usr/bin/guard"
echo guard >"$WORK/script"
initramfs "$WORK/initrd" "$WORK/script" "$WORK/glibc" "$WORK/files"
stack="glibc 2.43: a stack of 2048 pages and a guard of 1"
expect "6.12.117" "$stack
guard: ---p, pages of the line: 1
stack: rw-p, pages of the line: 2048
page of the guard: read, bit 58 of pagemap: 0
page of the stack: read, bit 58 of pagemap: 0
guard: VmFlags: mr mw me sd nh " "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$stack
guard: rw-p, pages of the line: 2049
stack: rw-p, pages of the line: 2049
page of the guard: Input/output error, bit 58 of pagemap: 1
page of the stack: read, bit 58 of pagemap: 0
guard: VmFlags: rd wr mr mw me gu ac sd nh " "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
