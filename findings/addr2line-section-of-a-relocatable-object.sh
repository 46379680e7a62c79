#!/usr/bin/env bash
# Guess: `addr2line -j SECTION` reads an address relative to that section, in any ELF file; a tool that cannot tell the
#        sections of an unlinked object apart answers `??`.
# Seen:  in a relocatable object (a kernel module is one, and so is its debug file) the Rust addr2line 0.27 gives
#        .text's function and line for an address in .init.text, with -j and without: all sections start at 0 there,
#        and 0 is what -j adds. It says nothing. On the vsock module of 7.3.4 it finds the names of the functions of .text by
#        the symbol table, `??:0` for their lines, and for .text+0x10 a line of .init.text. GNU addr2line answers
#        right with -j, and .text's without.
# Where: addr2line 0.27.0 (cargo, feature bin), GNU binutils and gcc of Debian 12.
# Why it matters: lines of module code are right only when the sections are laid out first (as the kernel's loader does)
#        or the object is linked; a symbolizer has to refuse ET_REL rather than answer.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need cargo gcc addr2line

cargo install --quiet --locked --root "$WORK/cargo" addr2line@0.27.0 --features bin >&2 ||
	cannot "addr2line 0.27.0 could not be installed"
cat >"$WORK/module.c" <<'C'
static volatile int state;
int __attribute__((section(".init.text"), noinline)) start(int n)
{
	for (int i = 0; i < n; i++)
		state += i;
	return state;
}
int run(int n)
{
	int total = 0;
	for (int i = 0; i < n; i++)
		total += state * i;
	return total;
}
C
(cd "$WORK" && gcc -g -gdwarf-5 -O2 -c module.c -o module.o && gcc -g -gdwarf-5 -O2 -shared -fPIC module.c -o module.so)

ask() { "$@" -f -s 0x0 | sed 's/ (discriminator.*//' | paste -sd' '; }
rust="$WORK/cargo/bin/addr2line -e"
expect "GNU, .text" "run module.c:11" "$(ask addr2line -e "$WORK/module.o" -j .text)"
expect "GNU, .init.text" "start module.c:4" "$(ask addr2line -e "$WORK/module.o" -j .init.text)"
expect "Rust, .text" "run module.c:11" "$(ask $rust "$WORK/module.o" -j .text)"
expect "Rust, .init.text" "run module.c:11" "$(ask $rust "$WORK/module.o" -j .init.text)"
expect "Rust, .init.text after linking" "start module.c:4" "$(ask $rust "$WORK/module.so" -j .init.text)"
finish
