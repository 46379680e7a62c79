#!/usr/bin/env bash
# Guess: `state` of struct socket is SS_CONNECTED (3) for a socket that is connected, of whatever family, and /proc/net/unix prints it in
#        its column St.
# Seen:  up to 6.18 so it is. On 7.3 a connected stream, datagram or seqpacket socket of the family unix is SS_UNCONNECTED (1), whether it
#        came from socketpair, connect or accept, and it sends and receives all the same. A TCP socket is still 3. The column St
#        says 03 as before: it is worked out from another field.
# Where: Linux 6.12.117, 6.18.15 and 7.3.4 (Debian's cloud flavours) in QEMU.
# Why it matters: a probe with `state == 3`, a debugger's list of connected sockets and a dump read by field have no unix socket in them any
#        more; no field moved and no type changed, so that nothing fails.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"
need gcc

busybox
apt_state trixie trixie trixie-backports
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/middle" linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1

mkdir -p "$WORK/program/usr/bin"
gcc -O1 -static -o "$WORK/program/usr/bin/connected" -x c - <<'C'
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Send a byte from one end to the other, under a name that the probe shows. */
static void say(const char *name, int from, int to)
{
	char byte = 0;

	prctl(PR_SET_NAME, name);
	if (send(from, "x", 1, 0) != 1 || recv(to, &byte, 1, 0) != 1 || byte != 'x')
		printf("%s: not connected\n", name);
}

static void pair(const char *name, int type)
{
	int ends[2];

	if (socketpair(AF_UNIX, type, 0, ends))
		printf("%s: no pair\n", name);
	say(name, ends[0], ends[1]);
}

static void server(const char *there, const char *back, struct sockaddr *address, socklen_t length)
{
	int listener = socket(address->sa_family, SOCK_STREAM, 0), client = socket(address->sa_family, SOCK_STREAM, 0), accepted;

	if (bind(listener, address, length) || listen(listener, 1) || connect(client, address, length))
		printf("%s: no connection\n", there);
	accepted = accept(listener, NULL, NULL);
	say(there, client, accepted);
	say(back, accepted, client);
}

int main(void)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/tmp/socket" };
	struct sockaddr_in port = { .sin_family = AF_INET, .sin_port = htons(99), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char line[4096];
	FILE *list;

	pair("pair_stream", SOCK_STREAM);
	pair("pair_dgram", SOCK_DGRAM);
	pair("pair_seqpacket", SOCK_SEQPACKET);
	server("unix_connect", "unix_accept", (struct sockaddr *)&path, sizeof(path));
	server("tcp_connect", "tcp_accept", (struct sockaddr *)&port, sizeof(port));
	list = fopen("/proc/net/unix", "r");
	while (fgets(line, sizeof(line), list))
		fputs(line, stdout);
	return 0;
}
C

cat >"$WORK/script" <<'GUEST'
cd /sys/kernel/tracing
ip link set lo up
for function in unix_stream_sendmsg unix_dgram_sendmsg unix_seqpacket_sendmsg inet_sendmsg; do
	echo "p:$function $function state=+0(\$arg1):s32 type=+4(\$arg1):s16 name=\$comm" >> kprobe_events
done
echo 1 > events/kprobes/enable
connected > /tmp/list
echo 0 > events/kprobes/enable
grep 'connected$' /tmp/list
# A seqpacket socket sends with the function of datagrams: the first of the two hits is enough.
sed -nE 's/^.* (state=[0-9]+) (type=[0-9]+) name="(.*)"$/\3: \1 \2/p' trace | uniq
states=$(awk 'NR > 1 && $4 == "00000000" { print $6 }' /tmp/list | sort | uniq -c)
echo "St of those with two ends: $(echo "$states" | awk '{ print $1 " times " $2 }')"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/program"
seen_on() { guest "$1" "$WORK/initrd"; }
recorded() {
	echo "pair_stream: state=$1 type=1
pair_dgram: state=$1 type=2
pair_seqpacket: state=$1 type=5
unix_connect: state=$1 type=1
unix_accept: state=$1 type=1
tcp_connect: state=3 type=1
tcp_accept: state=3 type=1
St of those with two ends: 8 times 03"
}
expect "6.12.117" "$(recorded 3)" "$(seen_on "$WORK"/old/boot/vmlinuz-*)"
expect "6.18.15" "$(recorded 3)" "$(seen_on "$WORK"/middle/boot/vmlinuz-*)"
expect "7.3.4" "$(recorded 1)" "$(seen_on "$WORK"/new/usr/lib/modules/*/vmlinuz)"
finish
