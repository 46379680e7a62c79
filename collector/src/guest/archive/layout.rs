//! Names of a kernel's files inside packages, and in the cache. No I/O.

/// The name in the cache for a file of a package, if the file is needed; `release` is the output of `uname -r`.
///
/// | in the package | series | in the cache |
/// | --- | --- | --- |
/// | `boot/vmlinuz-R`, `boot/config-R` | to 7.1 | the same name |
/// | `usr/lib/modules/R/vmlinuz`, `vmlinuz.unsigned` | from 7.2 | `vmlinuz-R` |
/// | `usr/lib/modules/R/config` | from 7.2 | `config-R` |
/// | `lib/modules/R/modules.builtin`, `usr/lib/…` | all | `modules.builtin-R` |
/// | `usr/lib/debug/boot/vmlinux-R`, `System.map-R` | to 6.18 | the same name |
/// | `usr/lib/debug/lib/modules/R/vmlinux`, `System.map` | from 7.2 | `vmlinux-R`, `System.map-R` |
///
/// The `System.map` beside an image is a stub without symbols, so it is left out.
#[must_use]
pub fn cached_name(path: &str, release: &str) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let (folder, file) = path.rsplit_once('/')?;
    let plain = |kind: &str| file == format!("{kind}-{release}");
    let modules = |base: &str| folder == format!("{base}/{release}");
    let kind = match folder {
        "boot" => ["vmlinuz", "config"].into_iter().find(|kind| plain(kind)),
        "usr/lib/debug/boot" => ["vmlinux", "System.map"]
            .into_iter()
            .find(|kind| plain(kind)),
        _ if modules("usr/lib/modules") || modules("lib/modules") => match file {
            "vmlinuz" | "vmlinuz.unsigned" => Some("vmlinuz"),
            "config" => Some("config"),
            "modules.builtin" => Some("modules.builtin"),
            _ => None,
        },
        _ if modules("usr/lib/debug/lib/modules") || modules("usr/lib/debug/usr/lib/modules") => {
            ["vmlinux", "System.map"]
                .into_iter()
                .find(|kind| file == *kind)
        }
        _ => None,
    };
    kind.map(|kind| format!("{kind}-{release}"))
}

/// The name in the cache of a file of the package with a kernel's modules, if it is a module or the list of those that are a part of
/// the kernel; `release` is what `uname -r` prints. The names of modules are unique in a kernel, so folders are left out.
#[must_use]
pub fn module_name(path: &str, release: &str) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let below = ["lib/modules/", "usr/lib/modules/"]
        .into_iter()
        .find_map(|base| {
            path.strip_prefix(base)?
                .strip_prefix(release)?
                .strip_prefix('/')
        })?;
    let file = below.rsplit('/').next()?;
    let module = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().any(|ending| {
        file.strip_suffix(ending)
            .is_some_and(|stem| !stem.is_empty())
    });
    let retained = (module && !file.starts_with('.')) || below == "modules.builtin";
    retained.then(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check each layout that Debian has used, and that a neighbour's files and the stub of System.map stay out.
    #[test]
    fn layouts() {
        let r = "7.3.4+deb13-cloud-amd64";
        for (path, expected) in [
            (
                "./boot/vmlinuz-7.3.4+deb13-cloud-amd64",
                Some("vmlinuz-7.3.4+deb13-cloud-amd64"),
            ),
            (
                "./boot/config-7.3.4+deb13-cloud-amd64",
                Some("config-7.3.4+deb13-cloud-amd64"),
            ),
            ("./boot/System.map-7.3.4+deb13-cloud-amd64", None),
            (
                "./usr/lib/modules/7.3.4+deb13-cloud-amd64/vmlinuz",
                Some("vmlinuz-7.3.4+deb13-cloud-amd64"),
            ),
            (
                "usr/lib/modules/7.3.4+deb13-cloud-amd64/vmlinuz.unsigned",
                Some("vmlinuz-7.3.4+deb13-cloud-amd64"),
            ),
            (
                "./usr/lib/modules/7.3.4+deb13-cloud-amd64/config",
                Some("config-7.3.4+deb13-cloud-amd64"),
            ),
            ("./usr/lib/modules/7.3.4+deb13-cloud-amd64/System.map", None),
            (
                "./usr/lib/modules/7.3.4+deb13-cloud-amd64/modules.builtin",
                Some("modules.builtin-7.3.4+deb13-cloud-amd64"),
            ),
            (
                "./usr/lib/modules/7.3.4+deb13-cloud-amd64/modules.builtin.modinfo",
                None,
            ),
            (
                "./usr/lib/modules/7.3.4+deb13-cloud-amd64/kernel/x.ko",
                None,
            ),
            (
                "./usr/lib/debug/boot/vmlinux-7.3.4+deb13-cloud-amd64",
                Some("vmlinux-7.3.4+deb13-cloud-amd64"),
            ),
            (
                "./usr/lib/debug/lib/modules/7.3.4+deb13-cloud-amd64/vmlinux",
                Some("vmlinux-7.3.4+deb13-cloud-amd64"),
            ),
            (
                "./usr/lib/debug/lib/modules/7.3.4+deb13-cloud-amd64/System.map",
                Some("System.map-7.3.4+deb13-cloud-amd64"),
            ),
            ("./boot/vmlinuz-7.3.4+deb13-amd64", None),
            ("./usr/lib/modules/other/vmlinuz", None),
            ("vmlinuz", None),
            ("", None),
        ] {
            assert_eq!(cached_name(path, r).as_deref(), expected, "{path}");
        }
    }

    /// Check that modules are kept from where each series has them, and nothing else beside them.
    #[test]
    fn modules() {
        let r = "6.12.118+deb13-cloud-amd64";
        for (path, retained) in [
            (
                "./usr/lib/modules/6.12.118+deb13-cloud-amd64/kernel/net/ipv4/tcp_diag.ko.xz",
                Some("tcp_diag.ko.xz"),
            ),
            (
                "./lib/modules/6.12.118+deb13-cloud-amd64/kernel/a/b.ko",
                Some("b.ko"),
            ),
            (
                "lib/modules/6.12.118+deb13-cloud-amd64/modules.builtin",
                Some("modules.builtin"),
            ),
            (
                "lib/modules/6.12.118+deb13-cloud-amd64/kernel/modules.builtin",
                None,
            ),
            ("lib/modules/6.12.118+deb13-cloud-amd64/modules.order", None),
            ("lib/modules/6.12.117+deb13-cloud-amd64/kernel/a/b.ko", None),
            (
                "lib/modules/6.12.118+deb13-cloud-amd64.old/kernel/a/b.ko",
                None,
            ),
            ("lib/modules/6.12.118+deb13-cloud-amd64/kernel/.ko", None),
            ("boot/b.ko", None),
        ] {
            assert_eq!(module_name(path, r).as_deref(), retained, "{path}");
        }
    }

    /// A path of a package: mostly one in a folder that counts, with a file that counts, and with what could lead out of the cache.
    fn path() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let folder = prop::sample::select(vec![
            "boot/",
            "usr/lib/debug/boot/",
            "lib/modules/R/",
            "usr/lib/modules/R/",
            "usr/lib/debug/lib/modules/R/",
            "usr/lib/modules/R/kernel/net/",
            "usr/lib/modules/R/../R/",
            "../boot/",
            "",
        ]);
        let file = prop::sample::select(vec![
            "vmlinuz",
            "config",
            "vmlinux",
            "System.map",
            "modules.builtin",
            "tun.ko",
            "tun.ko.xz",
            ".ko",
            "..",
            "...ko",
        ]);
        let tail = prop::sample::select(vec![
            "",
            "",
            "",
            "-R",
            "-R",
            "/..",
            "/",
            "-R/x",
            ".unsigned",
        ]);
        let start = prop::sample::select(vec!["", "", "", "./", "/", "../"]);
        (start, folder, file, tail)
            .prop_map(|(start, folder, file, tail)| format!("{start}{folder}{file}{tail}"))
    }

    /// The kinds of files that the cache holds of a kernel.
    const KINDS: &[&str] = &[
        "vmlinuz",
        "config",
        "vmlinux",
        "System.map",
        "modules.builtin",
    ];

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(2000))]

        /// Check that no path of a package becomes the name of a module that leaves the cache's folder, or of another file than one
        /// that a reader of modules looks for.
        #[test]
        fn modules_stay_in_the_folder(path in path(), release in "[0-9][a-z0-9.+-]{0,20}") {
            if let Some(name) = module_name(&path.replace('R', &release), &release) {
                proptest::prop_assert!(!name.contains('/') && !name.starts_with('.'), "{}", name);
                proptest::prop_assert!(name == "modules.builtin" || name.contains(".ko"), "{}", name);
            }
        }

        /// Check that no path of a package becomes a name that leaves the cache's folder: whatever a package holds, its name is that
        /// of a kind of file and the release.
        #[test]
        fn stays_in_the_folder(path in path(), release in "[0-9][a-z0-9.+-]{0,20}") {
            if let Some(name) = cached_name(&path.replace('R', &release), &release) {
                let kind = name.strip_suffix(&format!("-{release}"));
                proptest::prop_assert!(kind.is_some_and(|kind| KINDS.contains(&kind)), "{}", name);
            }
        }
    }

    /// Check that the paths of the properties above are often ones that count: a property of names says nothing about paths that have
    /// none.
    #[test]
    fn paths_that_count() {
        use proptest::strategy::{Strategy as _, ValueTree as _};
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let of = |path: &str| {
            let path = path.replace('R', "6.1");
            (cached_name(&path, "6.1"), module_name(&path, "6.1"))
        };
        let (mut files, mut modules) = (0, 0);
        for _ in 0..2000 {
            let (file, module) = of(&path().new_tree(&mut runner).unwrap().current());
            files += usize::from(file.is_some());
            modules += usize::from(module.is_some());
        }
        assert!(files > 20 && modules > 20, "{files} {modules}");
    }
}
