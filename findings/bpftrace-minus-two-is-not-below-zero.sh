#!/usr/bin/env bash
# Guess: in bpftrace, a return value that prints as -2 is below zero; whether a kretprobe or fexit delivered it makes no difference.
# Seen:  the `retval` of a kretprobe on a function that returns int prints with %d as -2 and is not `< 0`: it is the register, as a
#        number without a sign, so a filter /retval < 0/ never matches and max() is 4294967294 or 18446744073709551614.
#        Whether it is `== -2` depends on the kernel's compiler: on 6.12 yes, on 7.3, whose upper half of the register is
#        zero, no. With fexit on the same return all is right, and so it is after `(int32)retval`. An int argument,
#        arg0 of a kprobe, behaves in the same way. There is a warning for `==`, and none for `<`, for the filter or for max().
# Where: bpftrace 0.27.1 on Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: "no call failed" is what the filter then reports. One who checks it by printing sees the number he expects.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

cat >"$WORK/script" <<'GUEST'
cat > /tmp/program.bt <<'BT'
kprobe:do_sys_openat2 /comm == "cat"/ {
	printf("kprobe arg0: %%d %d, %%ld %ld, < 0: %d\n", arg0, arg0, arg0 < 0);
}
kretprobe:do_sys_openat2 /comm == "cat"/ {
	printf("kretprobe retval: %%d %d, %%ld %ld, < 0: %d, == -2: %d, cast < 0: %d\n", retval, retval,
		retval < 0, retval == -2, (int32)retval < 0);
	@kretprobe_max = max(retval);
}
kretprobe:do_sys_openat2 /comm == "cat" && retval < 0/ { @kretprobe_filtered = count(); }
fexit:do_sys_openat2 /comm == "cat"/ {
	printf("fexit retval: %%d %d, %%ld %ld, < 0: %d, == -2: %d\n", retval, retval, retval < 0, retval == -2);
	@fexit_max = max(retval);
}
fexit:do_sys_openat2 /comm == "cat" && retval < 0/ { @fexit_filtered = count(); }
BT
bpftrace -q /tmp/program.bt -c '/applets/cat /nowhere' 2> /tmp/errors | grep . | sort > /tmp/answer
cat /tmp/answer
echo "warned of: $(sed -nE 's/^.*program.bt:([0-9]+):([0-9]+)-([0-9]+): WARNING.*/\1 \2/p' /tmp/errors | while read line column; do
	sed -n "${line}p" /tmp/program.bt | cut -c$column- | cut -d, -f1
done)"
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace"
old='@fexit_filtered: 1
@fexit_max: -2
@kretprobe_max: 18446744073709551614
fexit retval: %d -2, %ld -2, < 0: 1, == -2: 1
kprobe arg0: %d -100, %ld 4294967196, < 0: 0
kretprobe retval: %d -2, %ld -2, < 0: 0, == -2: 1, cast < 0: 1
warned of: retval == -2'
new='@fexit_filtered: 1
@fexit_max: -2
@kretprobe_max: 4294967294
fexit retval: %d -2, %ld -2, < 0: 1, == -2: 1
kprobe arg0: %d -100, %ld 4294967196, < 0: 0
kretprobe retval: %d -2, %ld 4294967294, < 0: 0, == -2: 0, cast < 0: 1
warned of: retval == -2'
GUEST_MIB=2048 GUEST_SECONDS=400
expect "6.12.117" "$old" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$new" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
