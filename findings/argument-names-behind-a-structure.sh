#!/usr/bin/env bash
# Guess: a probe event that names its arguments by BTF (`optlen`, `$arg*`) prints that argument, or is refused where the
#        kernel cannot tell which register holds it.
# Seen:  the N-th name is taken for the N-th register, and every argument behind a structure that is passed by value is
#        another one, with no warning, for kprobe and fprobe events alike. setsockopt(…, "cubic", 5) arrives at
#        tcp_setsockopt with optlen=0: the second half of `sockptr_t optval` (16 bytes, two registers). do_pages_move
#        has a structure of 128 bytes, passed on the stack: task_nodes=0x3 is nr_pages, nr_pages is an address. The function
#        tracer's func-args of the same kernel counts two registers and prints optlen=0x5, but takes the large structure to
#        be in registers and shows no argument behind it. A BPF fentry program gets 5.
# Where: Linux 6.12.117 and 7.3.4 (Debian's cloud flavour) in QEMU, bpftrace 0.27.1. About 150 functions of 7.3.4 have an
#        argument behind a structure of more than 8 bytes.
# Why it matters: an argument's number in BTF is its register only when all before it are scalars. A reader of BTF that maps
#        names to registers has to classify each type as the ABI does, or refuse.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

mkdir -p "$WORK/files/usr/bin"
cat >"$WORK/calls.c" <<'C'
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	int socket_fd = socket(AF_INET, SOCK_STREAM, 0), nodes[3] = {0}, status[3];
	void *pages[3];
	for (int i = 0; i < 3; i++)
		*(char *)(pages[i] = aligned_alloc(4096, 4096)) = 1;
	int failed = setsockopt(socket_fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	return failed || syscall(SYS_move_pages, 0, 3ul, pages, nodes, status, 2);
}
C
gcc -O1 -static "$WORK/calls.c" -o "$WORK/files/usr/bin/calls"

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
record() {
	echo > trace
	echo 1 > tracing_on
	calls || echo "failed"
	echo 0 > tracing_on
	grep -E "$1" trace | sed -E "s/^.*(kprobe: |fprobe: |move: |(tcp_setsockopt|do_pages_move)\()/\1/; s/\([a-z_]*\+0x[^)]*\) //; s/0x[0-9a-f]{6,}/ADDRESS/g; s/[0-9]{13,}/ADDRESS/g; s/ <-.*//; s/^/$2/"
}
echo 'p:t/kprobe tcp_setsockopt level optname optlen' >> dynamic_events
echo 'f:t/fprobe tcp_setsockopt level optname optlen' >> dynamic_events
echo 'p:t/move do_pages_move $arg*' >> dynamic_events
echo 1 > events/t/enable
record '(kprobe|fprobe|move): ' ""
echo 0 > events/t/enable
if [ -e options/func-args ]; then
	echo tcp_setsockopt do_pages_move > set_ftrace_filter
	echo function > current_tracer
	echo 1 > options/func-args
	record '(tcp_setsockopt|do_pages_move)\(' "tracer: "
	echo nop > current_tracer
fi
[ -e /usr/bin/bpftrace ] && bpftrace -e 'fentry:tcp_setsockopt { printf("fentry: optlen=%d\n", args.optlen); }' -c /usr/bin/calls
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/files"
initramfs "$WORK/initrd-bpftrace" "$WORK/script" "$WORK/files" "$WORK/bpftrace"
old=$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")
new=$(GUEST_MIB=2048 guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd-bpftrace")

line() { grep "^$2" <<<"$1" || true; }
for release in "6.12.117 $old" "7.3.4 $new"; do
	name=${release%% *} seen=${release#* }
	expect "$name, kprobe" "kprobe: level=6 optname=13 optlen=0" "$(line "$seen" kprobe:)"
	expect "$name, fprobe" "fprobe: level=6 optname=13 optlen=0" "$(line "$seen" fprobe:)"
	expect "$name, kprobe behind 128 bytes" \
		"move: mm=ADDRESS task_nodes=0x3 nr_pages=ADDRESS pages=ADDRESS nodes=ADDRESS status=0x2 flags=1" \
		"$(line "$seen" move:)"
done
expect "7.3.4, function tracer" \
	"tracer: tcp_setsockopt(sk=ADDRESS, level=6, optname=13, optval=(STRUCT)[ADDRESS:0x0], optlen=0x5)" \
	"$(line "$new" 'tracer: tcp_setsockopt')"
expect "7.3.4, function tracer behind 128 bytes" \
	"tracer: do_pages_move(mm=ADDRESS, task_nodes=(STRUCT)[0x3:ADDRESS:ADDRESS:ADDRESS:0x2:...])" \
	"$(line "$new" 'tracer: do_pages_move')"
expect "7.3.4, fentry" "fentry: optlen=5" "$(line "$new" fentry:)"
finish
