//! Names of a kernel's files inside packages, and in the cache. No I/O.

/// The name in the cache of a file of a package, if it is one that is kept; `release` is what `uname -r` prints.
///
/// | in the package | series | in the cache |
/// | --- | --- | --- |
/// | `boot/vmlinuz-R`, `boot/config-R` | to 7.1 | the same name |
/// | `usr/lib/modules/R/vmlinuz`, `vmlinuz.unsigned` | from 7.2 | `vmlinuz-R` |
/// | `usr/lib/modules/R/config` | from 7.2 | `config-R` |
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

    proptest::proptest! {
        /// Check that no path of a package becomes a name that leaves the cache's folder.
        #[test]
        fn stays_in_the_folder(path in "[./a-z0-9-]{0,60}", release in "[0-9][a-z0-9.+-]{0,20}") {
            if let Some(name) = cached_name(&path, &release) {
                proptest::prop_assert!(!name.contains('/') && !name.starts_with('.'));
            }
        }
    }
}
