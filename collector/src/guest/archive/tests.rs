use super::*;

fn served(name: &str, version: &str, depends: &[&str]) -> ServedPackage {
    ServedPackage {
        name: name.into(),
        version: version.into(),
        size: 1,
        sha256: "0".repeat(64),
        depends: depends.iter().map(|&name| name.into()).collect(),
        origins: Vec::new(),
    }
}

/// Packages of each generation, with the metapackages, flavours and release candidates beside them.
fn archive() -> Vec<ServedPackage> {
    vec![
        served(
            "linux-image-6.1.0-56-cloud-amd64-unsigned",
            "6.1.192-2",
            &["kmod"],
        ),
        served("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2", &["kmod"]),
        served("linux-image-6.1.0-56-cloud-amd64-dbg", "6.1.192-2", &[]),
        served(
            "linux-image-6.1.0-56-rt-amd64-unsigned",
            "6.1.192-2",
            &["kmod"],
        ),
        served("linux-image-6.1.0-9-cloud-amd64", "6.1.27-1", &["kmod"]),
        served(
            "linux-image-6.12-cloud-amd64",
            "6.12.117-1",
            &["linux-image-6.12.117+deb12-cloud-amd64"],
        ),
        served(
            "linux-image-6.12.117+deb12-cloud-amd64",
            "6.12.117-1",
            &["kmod"],
        ),
        served(
            "linux-image-cloud-amd64",
            "7.0.13-1",
            &["linux-image-7.0.13+deb13-cloud-amd64"],
        ),
        served(
            "linux-image-7.0.13+deb13-cloud-amd64",
            "7.0.13-1~bpo13+1",
            &[
                "linux-base-7.0.13+deb13-cloud-amd64",
                "linux-binary-7.0.13+deb13-cloud-amd64",
            ],
        ),
        served(
            "linux-binary-7.0.13+deb13-cloud-amd64",
            "7.0.13-1~bpo13+1",
            &[],
        ),
        served(
            "linux-base-7.0.13+deb13-cloud-amd64",
            "7.0.13-1~bpo13+1",
            &[],
        ),
        served(
            "linux-binary-7.3.4+deb13-cloud-amd64",
            "7.3.4-1~bpo13+1",
            &[],
        ),
        served(
            "linux-binary-unsigned-7.3.4+deb13-cloud-amd64",
            "7.3.4-1~bpo13+1",
            &[],
        ),
        served("linux-base-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", &[]),
        served(
            "linux-image-7.3.4+deb13-cloud-amd64-dbg",
            "7.3.4-1~bpo13+1",
            &[],
        ),
        served("linux-binary-7.4-cloud-amd64", "7.4~rc2-1~exp1", &[]),
        served(
            "linux-headers-7.3.4+deb13-cloud-amd64",
            "7.3.4-1~bpo13+1",
            &[],
        ),
        served("linux-base", "4.12", &[]),
    ]
}

fn find(text: &str) -> Option<(String, String, bool, bool)> {
    let all = find_kernels(&archive());
    select(&all, text.parse().unwrap()).map(|kernel| {
        (
            kernel.release.clone(),
            kernel.image.name.clone(),
            kernel.base.is_some(),
            kernel.debug.is_some(),
        )
    })
}

/// Check that each generation of packages is one kernel, that unsigned images go first, and that neither metapackages nor
/// other flavours nor release candidates are kernels.
#[test]
fn generations() {
    let all = find_kernels(&archive());
    let releases: Vec<&str> = all.iter().map(|kernel| kernel.release.as_str()).collect();
    assert_eq!(
        releases,
        [
            "6.1.0-9-cloud-amd64",
            "6.1.0-56-cloud-amd64",
            "6.12.117+deb12-cloud-amd64",
            "7.0.13+deb13-cloud-amd64",
            "7.3.4+deb13-cloud-amd64",
        ]
    );
    let row =
        |release: &str, image: &str, base, debug| Some((release.into(), image.into(), base, debug));
    assert_eq!(
        find("6.1"),
        row(
            "6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64-unsigned",
            false,
            true
        )
    );
    assert_eq!(
        find("6.1.27"),
        row(
            "6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            false,
            false
        )
    );
    assert_eq!(
        find("7.0"),
        row(
            "7.0.13+deb13-cloud-amd64",
            "linux-binary-7.0.13+deb13-cloud-amd64",
            true,
            false
        )
    );
    let newest = row(
        "7.3.4+deb13-cloud-amd64",
        "linux-binary-unsigned-7.3.4+deb13-cloud-amd64",
        true,
        true,
    );
    assert_eq!(find("newest"), newest);
    assert_eq!(find("7.3.4"), newest);
    assert_eq!(find("7.4"), None);
}

/// Check that what is not served is told with the nearest and with all that are.
#[test]
fn what_is_not_served() {
    let all = find_kernels(&archive());
    let say = |text: &str| not_served_reason(&all, text.parse().unwrap());
    assert!(
        say("6.1.100").contains("of 6.1 it serves 6.1.27, 6.1.192"),
        "{}",
        say("6.1.100")
    );
    assert!(
        say("7.2").contains("the nearest series is 7.3"),
        "{}",
        say("7.2")
    );
    assert!(say("5.10").ends_with(
        "Series that are served: 6.1 (6.1.192), 6.12 (6.12.117), 7.0 (7.0.13), 7.3 (7.3.4)"
    ));
    assert_eq!(
        not_served_reason(&[], "newest".parse().unwrap()),
        "the package lists name no kernel"
    );
}

/// Check that the newest package of a release wins, by Debian's order of versions.
#[test]
fn newest_version() {
    let name = "linux-image-6.12.117+deb12-cloud-amd64";
    let all = find_kernels(&[
        served(name, "6.12.117-1", &[]),
        served(name, "6.12.117-1~deb12u1", &[]),
    ]);
    assert_eq!(all[0].image.version, "6.12.117-1");
}

/// Check that an answer which is not whole does not make kernels vanish that were known before, and brings what is new.
#[test]
fn incomplete_answers() {
    let before = find_kernels(&archive());
    let new = served("linux-image-6.1.0-57-cloud-amd64", "6.1.193-1", &[]);
    let again = archive()
        .into_iter()
        .filter(|one| one.version.starts_with("6.1.192"));
    let answer = find_kernels(&again.chain([new]).collect::<Vec<_>>());
    let all = merge_previous(answer, before.clone());
    assert_eq!(all.len(), before.len() + 1);
    let newest = select(&all, "6.1".parse().unwrap()).unwrap();
    assert_eq!(newest.patch, 193);
    assert!(select(&all, "7.3.4".parse().unwrap()).is_some());
}

proptest::proptest! {
    /// Check that any names and versions are sorted into kernels without failing, and that each can be selected by its release.
    #[test]
    fn any_packages(
        names in proptest::collection::vec(
            ("linux-(image|binary|binary-unsigned|base)-[0-9][0-9.+a-z-]{0,14}(-cloud-amd64)?(-dbg|-unsigned)?", "[0-9:.~a-z-]{1,12}"),
            0..12,
        )
    ) {
        let served: Vec<ServedPackage> = names.iter().map(|(name, version)| served(name, version, &[])).collect();
        let all = find_kernels(&served);
        for kernel in &all {
            let found = select(&all, format!("{}.{}", kernel.series, kernel.patch).parse().unwrap());
            proptest::prop_assert_eq!(found.map(|k| (k.series, k.patch)), Some((kernel.series, kernel.patch)));
        }
    }
}

/// Check that packages of both architectures are candidates, and those of another one, or of none, are not.
#[test]
fn architectures() {
    for known in [
        "linux-image-6.12.118+deb13-cloud-arm64",
        "linux-binary-7.3.4+deb13-cloud-amd64",
    ] {
        assert!(is_candidate(known), "{known}");
    }
    for unknown in [
        "linux-image-6.1-cloud-",
        "linux-image-6.1-cloud-riscv64",
        "linux-image-6.1-arm64",
    ] {
        assert!(!is_candidate(unknown), "{unknown}");
    }
}
