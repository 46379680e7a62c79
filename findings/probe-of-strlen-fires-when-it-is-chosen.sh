#!/usr/bin/env bash
# Guess: `uprobe:libc.so.6:strlen` is hit each time the program calls strlen, as it is for regcomp, and `uretprobe` has the length.
# Seen:  of a program that calls each of its functions 100 times, regcomp and realpath have 100 hits, strlen and strcmp 2, time 1
#        and memcpy none. The 65 names of that kind in glibc (strings, memory, time, gettimeofday) are not the functions, but
#        choose one for the processor while the program is linked at its start: the probe sees the choice, and the calls go to a function
#        of another name. The value of the uretprobe is that function's address and not a length. Beside the memcpy of
#        today there is one of an old version in glibc, an ordinary function that nothing built today calls. No warning.
# Where: glibc 2.43 and bpftrace 0.27.1 on Linux 7.3.4 (Debian's cloud flavour).
# Why it matters: a few hits look like a working probe, and "the program calls it twice" like an answer. In `nm -D` the letter of such a
#        name is i and not T or W.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc nm

busybox
apt_state trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1
unpack sid "$WORK/bpftrace" libc6=2.43-7

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/calls.c" <<'C'
#include <limits.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main(int count, char **words)
{
	char path[PATH_MAX];
	long sum = count;
	for (int turn = 0; turn < 100; turn++) {
		regex_t expression;
		sum += regcomp(&expression, "a", 0);
		regfree(&expression);
		sum += realpath("/", path) != 0;
		sum += strlen(words[0]);
		sum += strcmp(words[0], path);
		sum += time(0);
		memcpy(path, words[0], sum % 4 + 1);
	}
	return sum == 0;
}
C
gcc -O1 -fno-builtin "$WORK/calls.c" -o "$WORK/files/usr/bin/calls"

cat >"$WORK/script" <<'GUEST'
libc=/usr/lib/x86_64-linux-gnu/libc.so.6
probes=
for name in regcomp realpath strlen strcmp time memcpy; do probes="$probes,uprobe:$libc:$name"; done
bpftrace -e "${probes#,} /comm == \"calls\"/ { @[probe] = count() }" -c /usr/bin/calls > /tmp/counts 2>&1
sed -nE 's/^@\[.*:([a-z]+)\]: /\1 /p' /tmp/counts | sort
grep -i warn /tmp/counts
bpftrace -e "uretprobe:$libc:strlen /comm == \"calls\"/ { printf(\"strlen returns %s\n\", retval > 0xffffffff ? \"an address\" : \"a length\") }" \
	-c /usr/bin/calls 2>&1 | grep returns | sort -u
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace" "$WORK/files"
letters() { nm -D "$WORK/bpftrace/usr/lib/x86_64-linux-gnu/libc.so.6" | awk -v name="$1" '{ split($3, n, "@"); if (n[1] == name) print $2, substr($3, length(name) + 1) }' | sort | tr '\n' ';'; }
expect "names with the letter i in glibc" 65 "$(nm -D "$WORK/bpftrace/usr/lib/x86_64-linux-gnu/libc.so.6" | grep -c ' i ')"
expect "regcomp" "W @@GLIBC_2.2.5;" "$(letters regcomp)"
expect "strlen" "i @@GLIBC_2.2.5;" "$(letters strlen)"
expect "memcpy" "T @GLIBC_2.2.5;i @@GLIBC_2.14;" "$(letters memcpy)"
expect "hits of 100 calls" "realpath 100
regcomp 100
strcmp 2
strlen 2
time 1
strlen returns an address" "$(GUEST_MIB=2048 guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
