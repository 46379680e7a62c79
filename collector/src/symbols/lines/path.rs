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
/// Distributions build in a folder below the source, and then name headers with `../../..`. A path outside of the folder where
/// the compiler ran is cut to what stands in the kernel's source, or to the file's name: folders above tell who built the kernel.
/// One in a folder that every system has is given as it is, without `.` and `..`.
pub fn normalise(path: &str, comp_dir: &str) -> String {
    let comp = resolve_components(comp_dir, &[]);
    let mut parts = resolve_components(path, &[]);
    if !path.starts_with('/') && !parts.starts_with(&comp) {
        parts = resolve_components(path, &comp);
    }
    let shared = parts.iter().zip(&comp).take_while(|(a, b)| a == b).count();
    if let (true, 0, Some(first)) = (path.starts_with('/'), shared, parts.first())
        && SYSTEM.contains(first)
    {
        return format!("/{}", parts.join("/"));
    }
    let own = &parts[shared.min(parts.len().saturating_sub(1))..];
    let below = shared == comp.len();
    let skip = match own {
        [first, ..] if TOP.contains(first) => 0,
        // The source may be in a folder beside the one in which the compiler ran, or below it.
        _ => match find_source_start(own) {
            Some(begin) => begin,
            None if below && !comp.is_empty() => 0,
            None => own.len().saturating_sub(1),
        },
    };
    own[skip..].join("/")
}

/// Folders of every system, in which headers of compilers are.
const SYSTEM: [&str; 2] = ["lib", "usr"];

/// The position at which the path within the kernel's source begins: after a folder with a name like that of a kernel's source,
/// or else at the first folder that every kernel's source has.
fn find_source_start(parts: &[&str]) -> Option<usize> {
    let folders = parts.len().saturating_sub(1);
    let is_top = |at: &usize| TOP.contains(&parts[*at]);
    let is_named = |at: &usize| *at > 0 && parts[at - 1].starts_with("linux");
    let mut named = (0..folders).filter(is_top).filter(is_named);
    named.next().or_else(|| (0..folders).find(is_top))
}

/// The components of `path` from `base` on, `.` and `..` resolved by name.
fn resolve_components<'a>(path: &'a str, base: &[&'a str]) -> Vec<&'a str> {
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
            (
                "/usr/lib/gcc/x86_64-linux-gnu/12/include/stdarg.h",
                "/home/u/linux",
                "/usr/lib/gcc/x86_64-linux-gnu/12/include/stdarg.h",
            ),
            // Built elsewhere: no folder of its builder's is left.
            (
                "/home/u/src/linux-6.12/net/socket.c",
                "/home/u/out/6.12",
                "net/socket.c",
            ),
            ("/home/u/linux/net/socket.c", "/build/x", "net/socket.c"),
            (
                "/srv/u/kernel/linux-next/kernel/irq/chip.c",
                "/build/x",
                "kernel/irq/chip.c",
            ),
            (
                "/srv/u/tree/arch/x86/kernel/irq.c",
                "/build/x",
                "arch/x86/kernel/irq.c",
            ),
            (
                "../../src/linux/net/socket.c",
                "/home/u/out/6.12",
                "net/socket.c",
            ),
            ("/home/u/generated.c", "/build/x", "generated.c"),
            ("/home/u/mine/deep/x.c", "/home/u/mine", "deep/x.c"),
            ("/home/u/other/deep/x.c", "/home/u/mine", "x.c"),
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
