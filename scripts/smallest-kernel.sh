#!/usr/bin/env bash
# Build the smallest kernel that QED captures on, in FOLDER, from Debian's source package: guide/src/kernel.config on top of
# `make tinyconfig`. By hand, to see that the list is true; takes half an hour on two processors and 5 GB.
# Then: qed-collector capture --on guest:smallest=FOLDER/arch/x86/boot/bzImage
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 FOLDER (missing or empty; the kernel is built there)" >&2; exit 2; }
folder=$(realpath -m "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
source=linux-source-6.12

for tool in flex bison bc pahole make gcc apt-get dpkg; do
	command -v "$tool" >/dev/null || {
		echo "$0: $tool is missing: apt-get install flex bison bc dwarves make gcc libelf-dev libssl-dev" >&2
		exit 3
	}
done
if [ ! -e "$folder/Makefile" ]; then
	mkdir -p "$folder"
	package=$(mktemp -d)
	trap 'rm -rf "$package"' EXIT
	(cd "$package" && apt-get -qq download "$source" && dpkg -x ./*.deb .)
	tar -xJf "$package/usr/src/$source.tar.xz" -C "$folder" --strip-components=1
fi
cd "$folder"
make -s tinyconfig
scripts/kconfig/merge_config.sh -m .config "$here/guide/src/kernel.config" >/dev/null
make -s olddefconfig
missing=$(grep -E '^CONFIG_' "$here/guide/src/kernel.config" | grep -vxF -f .config || true)
if [ -n "$missing" ]; then
	printf '%s: this source does not take:\n%s\n' "$0" "$missing" >&2
	exit 1
fi
make -s -j"$(nproc)" bzImage vmlinux
echo "$folder/arch/x86/boot/bzImage"
