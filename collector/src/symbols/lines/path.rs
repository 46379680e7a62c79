//! Paths as DWARF states them, relative to the root of the kernel's source.

/// Folders at the root of a kernel's source: <https://elixir.bootlin.com/linux/v6.12/source>.
const TOP: [&str; 23] = [
    "Documentation",
    "arch",
    "block",
    "certs",
    "crypto",
    "drivers",
    "fs",
    "include",
    "init",
    "io_uring",
    "ipc",
    "kernel",
    "lib",
    "mm",
    "net",
    "rust",
    "samples",
    "scripts",
    "security",
    "sound",
    "tools",
    "usr",
    "virt",
];

/// A path relative to the root of the kernel's source, such as `net/socket.c`.
///
/// `comp_dir` is where the compiler ran, absolute or not, and a relative `path` may begin with it or be relative to it.
/// Distributions build in a folder below the source, and then name headers with `../../..`. A path that stays outside
/// of any known tree is given as it is, without `.` and `..`.
pub fn normalise(path: &str, comp_dir: &str) -> String {
    let comp = lexical(comp_dir, &[]);
    let mut parts = lexical(path, &[]);
    if !path.starts_with('/') && !parts.starts_with(&comp) {
        parts = lexical(path, &comp);
    }
    let shared = parts.iter().zip(&comp).take_while(|(a, b)| a == b).count();
    let own = &parts[shared.min(parts.len().saturating_sub(1))..];
    // A build tree beside the source tree shares only part of the way: the rest begins with the tree's own name.
    let skip = match own {
        [first, second, ..] if !TOP.contains(first) && TOP.contains(second) => 1,
        _ => 0,
    };
    let relative = own[skip..].join("/");
    if path.starts_with('/') && shared == 0 && skip == 0 {
        format!("/{relative}")
    } else {
        relative
    }
}

/// The components of `path` from `base` on, `.` and `..` resolved by name.
fn lexical<'a>(path: &'a str, base: &[&'a str]) -> Vec<&'a str> {
    let mut parts = if path.starts_with('/') {
        Vec::new()
    } else {
        base.to_vec()
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Check that each way in which distributions name their files gives the path within the source.
    #[test]
    fn kernel_relative() {
        let debian = "debian/build/build_amd64_none_cloud-amd64";
        let absolute =
            "/build/reproducible-path/linux-6.1.192/debian/build/build_amd64_none_cloud-amd64";
        for (path, comp_dir, expected) in [
            (
                "debian/build/build_amd64_none_cloud-amd64/net/socket.c",
                debian,
                "net/socket.c",
            ),
            ("net/socket.c", debian, "net/socket.c"),
            (
                "../../../include/linux/skbuff.h",
                debian,
                "include/linux/skbuff.h",
            ),
            (
                "./arch/x86/include/asm/current.h",
                debian,
                "arch/x86/include/asm/current.h",
            ),
            (
                "/build/reproducible-path/linux-6.1.192/arch/x86/entry/entry_64.S",
                absolute,
                "arch/x86/entry/entry_64.S",
            ),
            (
                "/home/u/linux/net/socket.c",
                "/home/u/linux",
                "net/socket.c",
            ),
            (
                "/home/u/linux/net/socket.c",
                "/home/u/build",
                "net/socket.c",
            ),
            ("net/socket.c", "", "net/socket.c"),
            ("/usr/src/x.c", "/home/u", "/usr/src/x.c"),
        ] {
            assert_eq!(normalise(path, comp_dir), expected, "{path} in {comp_dir}");
        }
    }

    proptest! {
        /// Check that no path panics, and that a normal path inside the tree stays as it is.
        #[test]
        fn never_panics(path in "[./a-z]{0,40}", comp_dir in "[./a-z]{0,40}") {
            prop_assert!(!normalise(&path, &comp_dir).contains("/../"));
        }
    }
}
