# Sourced by steps of action.yml. BOOK is the book's folder.

# Print Debian's packages of the QEMUs that the guests of the book need and this runner lacks, one per line.
missing_qemu() {
    command -v qemu-system-x86_64 >/dev/null || echo qemu-system-x86
    if grep -qs -- '-arm64"' "$BOOK/book.toml" && ! command -v qemu-system-aarch64 >/dev/null; then
        echo qemu-system-arm
    fi
}
