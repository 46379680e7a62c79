#!/usr/bin/env bash
# Guess: bpftrace's kstack(2) is the two innermost functions of the kernel: a histogram over it tells a function's callers apart,
#        with any kind of probe.
# Seen:  with fentry and fexit the limit is used up by the program's own frame and its trampoline's: kstack(2) holds no function of
#        the kernel at all, and three callers of alloc_empty_file make one group, where a kprobe shows three. In kstack(3)
#        of an fexit, 6.12 has the function itself next, so that still all are one; 7.3 leaves it out and goes on with
#        the caller. Of a kprobe the first frame is the function.
# Where: bpftrace 0.27.1 on Linux 6.12.117 and 7.3.4 (Debian's cloud flavour).
# Why it matters: replacing kprobe by the cheaper fentry, which looks like the same measurement, merges what was apart or shifts
#        every stack by two frames; and two recordings of one fexit on two kernels differ by a frame that
#        has nothing to do with the callers.
set -euo pipefail
. "$(dirname "$0")/lib/common.bash"

busybox
apt_state trixie trixie trixie-backports
apt_state sid sid
unpack trixie "$WORK/old" linux-image-6.12.117+deb13-cloud-amd64-unsigned=6.12.117-1
unpack trixie "$WORK/new" linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1
unpack_program sid "$WORK/bpftrace" bpftrace=0.27.1-1

cat >"$WORK/script" <<'GUEST'
echo 'read line < /script; : | :' > /tmp/opener
stacks() {
	bpftrace -q -e "$1" -c '/applets/sh /tmp/opener' 2>/dev/null | grep . |
		sed -E 's/^ +//; s/\+[0-9]+$//; s/bpf_(prog|trampoline)_.*/(BPF)/; s/]: [0-9]+$/]/' | tr '\n' ' ' |
		sed 's/ @/\n@/g; s/ *\] *$/ ]/; s/ *\] *\n/ ]\n/g' | sort
}
for kind in kprobe fentry fexit; do
	stacks "$kind:alloc_empty_file /comm == \"sh\"/ { @${kind}_2[kstack(2)] = count(); @${kind}_3[kstack(3)] = count(); }"
done
GUEST
initramfs "$WORK/initrd" "$WORK/script" "$WORK/bpftrace"
old='@kprobe_2[ alloc_empty_file alloc_file_clone ]
@kprobe_2[ alloc_empty_file alloc_file_pseudo ]
@kprobe_2[ alloc_empty_file path_openat ]
@kprobe_3[ alloc_empty_file alloc_file_clone create_pipe_files ]
@kprobe_3[ alloc_empty_file alloc_file_pseudo create_pipe_files ]
@kprobe_3[ alloc_empty_file path_openat do_filp_open ]
@fentry_2[ (BPF) (BPF) ]
@fentry_3[ (BPF) (BPF) alloc_empty_file ]
@fexit_2[ (BPF) (BPF) ]
@fexit_3[ (BPF) (BPF) alloc_empty_file ]'
new='@kprobe_2[ alloc_empty_file alloc_file_clone ]
@kprobe_2[ alloc_empty_file alloc_file_pseudo ]
@kprobe_2[ alloc_empty_file path_openat ]
@kprobe_3[ alloc_empty_file alloc_file_clone create_pipe_files ]
@kprobe_3[ alloc_empty_file alloc_file_pseudo create_pipe_files ]
@kprobe_3[ alloc_empty_file path_openat do_file_open ]
@fentry_2[ (BPF) (BPF) ]
@fentry_3[ (BPF) (BPF) alloc_empty_file ]
@fexit_2[ (BPF) (BPF) ]
@fexit_3[ (BPF) (BPF) alloc_file_clone ]
@fexit_3[ (BPF) (BPF) alloc_file_pseudo ]
@fexit_3[ (BPF) (BPF) path_openat ]'
GUEST_MIB=2048 GUEST_SECONDS=400
expect "6.12.117" "$old" "$(guest "$WORK"/old/boot/vmlinuz-* "$WORK/initrd")"
expect "7.3.4" "$new" "$(guest "$WORK"/new/usr/lib/modules/*/vmlinuz "$WORK/initrd")"
finish
