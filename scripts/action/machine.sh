#!/usr/bin/env bash
# A step of action.yml: QEMU, and the right to use KVM where the runner has it. Neither stops a book that shows recorded
# evidence: build.sh goes on without guests where there is no QEMU.
#
# BOOK is the book's folder: one that names a guest for arm64 needs QEMU for that, too.
set -euo pipefail
. "${BASH_SOURCE[0]%/*}/qemu.sh"
mapfile -t packages < <(missing_qemu)
if [ ${#packages[@]} -gt 0 ]; then
    if command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
        sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
            echo "::warning title=qed::QEMU (${packages[*]}) cannot be installed on this runner: guests cannot be captured, and books build from recorded evidence"
    else
        echo "::warning title=qed::this runner has no QEMU (${packages[*]}) and no way to install it: guests cannot be captured, and books build from recorded evidence"
    fi
fi
if [ -e /dev/kvm ] && ! [ -w /dev/kvm ]; then
    sudo -n chmod a+rw /dev/kvm 2>/dev/null || echo "::notice title=qed::/dev/kvm may not be opened here: guests are emulated, which is slower"
fi
