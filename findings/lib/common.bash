# Shared steps of the findings: a temporary folder, pinned Debian packages, a guest, and a comparison.
# Sourced by each script. Exit status: 0 as recorded, 1 changed, 3 cannot be tried on this machine.

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
CHANGED=0
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

cannot() {
	echo "cannot be tried here: $*" >&2
	exit 3
}

need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || cannot "the program '$tool' is missing"
	done
}

# The address from which this system's own sources take SUITE's family (main archive or security archive).
mirror_of() {
	local want=main
	case $1 in *-security) want=security ;; esac
	{ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
		awk -v want="$want" -v code="$(. /etc/os-release && echo "$VERSION_CODENAME")" '
			function offer(uri, suites) {
				if (done || uri == "" || index(suites, code) == 0) return
				if ((suites ~ /-security/) == (want == "security")) { print uri; done = 1 }
			}
			/^deb / { sub(/\[[^]]*\] */, ""); offer($2, $3) }
			/^URIs:/ { uri = $2 }
			/^Suites:/ { suites = $0; offer(uri, suites) }'
}

# A private apt state NAME for SUITES, which leaves the system's lists and its installed packages out of account.
# APT_ARCH is the architecture of the packages.
apt_state() {
	local name=$1 dir="$WORK/apt-$1" suite uri architecture=${APT_ARCH:-amd64}
	shift
	need apt-get dpkg
	[ -r "$KEYRING" ] || cannot "$KEYRING is missing"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	for suite in "$@"; do
		uri=$(mirror_of "$suite")
		[ -n "$uri" ] || cannot "no source of this system serves the archive of $suite"
		echo "deb [signed-by=$KEYRING] $uri $suite main"
	done >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-CONF
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State::Lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		APT::Architecture "$architecture";
		APT::Architectures { "$architecture"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
	CONF
	APT_CONFIG=$dir/apt.conf apt-get -qq update >&2 || cannot "the lists of $* could not be read"
}

# The packages PACKAGE=VERSION… of state NAME, unpacked into FOLDER.
unpack() {
	local name=$1 folder=$2 debs
	shift 2
	debs=$(mktemp -d -p "$WORK")
	(cd "$debs" && APT_CONFIG=$WORK/apt-$name/apt.conf apt-get -qq download "$@") >&2 ||
		cannot "not served any more: $*"
	mkdir -p "$folder"
	for deb in "$debs"/*.deb; do dpkg -x "$deb" "$folder"; done
	rm -rf "$debs"
}

# A program PACKAGE=VERSION of state NAME with all that it depends on, unpacked into FOLDER.
unpack_program() {
	local name=$1 folder=$2 wanted=$3 all
	all=$(APT_CONFIG=$WORK/apt-$name/apt.conf apt-cache depends --recurse --no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces --no-enhances "${wanted%%=*}" |
		grep '^[a-z]' | sort -u | grep -vxE "${wanted%%=*}|gcc-[0-9]+-base|perl.*|debconf.*|dpkg|.*-udeb") || true
	# shellcheck disable=SC2086
	unpack "$name" "$folder" "$wanted" $all
}

# Busybox, static, as $WORK/busybox.
busybox() {
	[ -d "$WORK/apt-bookworm" ] || apt_state bookworm bookworm
	unpack bookworm "$WORK/bb" busybox-static=1:1.35.0-4+deb12u1+b1
	cp "$WORK/bb/bin/busybox" "$WORK/busybox"
}

# What a guest of arm64 needs, for GUEST_ARCH=arm64: QEMU as $WORK/qemu, whose libraries are those of the system's QEMU, and a
# static busybox as $WORK/busybox.arm64.
arm64() {
	busybox
	unpack bookworm "$WORK/qemu" qemu-system-arm=1:7.2+dfsg-7+deb12u18+b3
	need ldd
	! ldd "$WORK/qemu/usr/bin/qemu-system-aarch64" | grep 'not found' >&2 || cannot "libraries of QEMU are missing"
	APT_ARCH=arm64 apt_state bookworm-arm64 bookworm
	unpack bookworm-arm64 "$WORK/bb-arm64" busybox-static=1:1.35.0-4+deb12u1+b1
	cp "$WORK/bb-arm64/bin/busybox" "$WORK/busybox.arm64"
}

# An initramfs FILE that runs SCRIPT on the serial port, with the contents of FOLDERs, for GUEST_ARCH.
initramfs() {
	local file=$1 script=$2 root dir
	shift 2
	root=$(mktemp -d -p "$WORK")
	for dir in bin sbin lib lib64; do
		mkdir -p "$root/usr/$dir"
		ln -s "usr/$dir" "$root/$dir"
	done
	mkdir -p "$root"/{proc,sys,dev,tmp,etc,applets}
	local folder
	for folder in "$@"; do
		# Packages of before the merge of /usr hold real folders at the top: they go below /usr like the rest.
		for dir in bin sbin lib lib64; do
			[ -d "$folder/$dir" ] && [ ! -L "$folder/$dir" ] && cp -a "$folder/$dir/." "$root/usr/$dir/"
		done
		[ -d "$folder/usr" ] && cp -a "$folder/usr/." "$root/usr/"
		[ -d "$folder/etc" ] && cp -a "$folder/etc/." "$root/etc/"
	done
	rm -rf "$root"/usr/share/{doc,man,locale,bash-completion} "$root"/usr/lib/*/gconv
	cp "$WORK/busybox${GUEST_ARCH:+.$GUEST_ARCH}" "$root/bin/busybox"
	cp "$script" "$root/script"
	cat >"$root/init" <<-'INIT'
		#!/bin/busybox sh
		/bin/busybox --install -s /applets
		export PATH=/usr/sbin:/usr/bin:/applets
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		ln -s /proc/self/fd /dev/fd
		mount -t tracefs tracing /sys/kernel/tracing
		mount -t debugfs debug /sys/kernel/debug
		mount -t bpf bpf /sys/fs/bpf
		for port in ttyAMA0 ttyS0; do
			[ ! -c /dev/$port ] || break
		done
		exec >/dev/$port 2>&1
		sh /script
		echo "guest: end"
		poweroff -f
	INIT
	chmod +x "$root/init"
	(cd "$root" && find . | "$WORK/busybox" cpio -o -H newc 2>/dev/null) >"$file"
	rm -rf "$root"
}

# What the guest with KERNEL and INITRAMFS printed, with the console's own lines and carriage returns removed.
# GUEST_APPEND is added to the kernel's command line, GUEST_CPUS is the number of processors. With GUEST_REBOOTS=yes a restart
# boots again, in the same memory. GUEST_ARCH=arm64 (see arm64) is for kernels of that architecture. GUEST_OPTIONS are further ones of
# QEMU, of which the last of a kind counts.
guest() {
	local kernel=$1 initramfs=$2 out reboot=-no-reboot
	local qemu="qemu-system-x86_64 -cpu max" console="ttyS0 no_timer_check"
	[ "${GUEST_REBOOTS:-no}" = no ] || reboot=
	if [ "${GUEST_ARCH:-}" = arm64 ]; then
		qemu="$WORK/qemu/usr/bin/qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on" console=ttyAMA0
	fi
	need "${qemu%% *}" timeout
	# shellcheck disable=SC2086
	out=$(timeout "${GUEST_SECONDS:-300}" $qemu ${GUEST_OPTIONS:-} -accel tcg -nodefaults $reboot -display none \
		-m "${GUEST_MIB:-1024}" -smp "${GUEST_CPUS:-1}" -kernel "$kernel" -initrd "$initramfs" \
		-append "console=$console quiet panic=-1 ${GUEST_APPEND:-}" \
		-serial stdio </dev/null | tr -d '\r' | sed -E '/^\[ *[0-9]+\.[0-9]+\] /d') || true
	case $out in
	*"guest: end"*) printf '%s\n' "$out" | sed '/guest: end/,$d' ;;
	*)
		printf '%s\n' "$out" >&2
		cannot "the guest did not reach its end within ${GUEST_SECONDS:-300} s"
		;;
	esac
}

# Compares what was seen with what was recorded, and prints both when they differ.
expect() {
	local what=$1 recorded=$2 seen=$3
	if [ "$seen" = "$recorded" ]; then
		printf 'as recorded: %s: %s\n' "$what" "$seen"
	else
		printf 'CHANGED: %s\n  recorded: %s\n  seen:     %s\n' "$what" "$recorded" "$seen"
		CHANGED=1
	fi
}

finish() {
	[ "$CHANGED" -eq 0 ] || { echo "the behaviour is not the recorded one any more"; exit 1; }
	echo "all as recorded"
}
