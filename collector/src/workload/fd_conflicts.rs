//! System calls that change or use the descriptors through which a workload talks to the collector.

/// True if the call, `words[0]` followed by its arguments, may close, replace or change descriptor 0, 1 or 2, or read from 0. A
/// call that writes to 1 or 2 only adds to the output.
pub(super) fn endangers_link(words: &[i64; 7]) -> bool {
    // The kernel takes descriptors as 32-bit numbers.
    let is_standard = |word: i64| (word as u32) <= 2;
    match words[0] {
        libc::SYS_close
        | libc::SYS_close_range
        | libc::SYS_fcntl
        | libc::SYS_ioctl
        | libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_preadv2
        | libc::SYS_splice
        | libc::SYS_tee
        | libc::SYS_vmsplice => is_standard(words[1]),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_dup2 => is_standard(words[2]),
        libc::SYS_dup3 => is_standard(words[2]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that calls on descriptors 0 to 2 are found, and those on others, or with such numbers for something else,
    /// are not.
    #[test]
    fn calls() {
        let call = |number, one, two| endangers_link(&[number, one, two, 0, 0, 0, 0]);
        let all = i64::from(u32::MAX);
        assert!(call(libc::SYS_close_range, 0, all) && call(libc::SYS_close_range, 2, all));
        assert!(!call(libc::SYS_close_range, 3, all));
        assert!(call(libc::SYS_close, 1 << 32, 0) && !call(libc::SYS_close, 3, 0));
        assert!(call(libc::SYS_dup3, 3, 1) && !call(libc::SYS_dup3, 1, 3));
        assert!(call(libc::SYS_read, 0, 0) && !call(libc::SYS_socket, 2, 1));
    }
}
