use super::*;
use crate::kaslr::compare::StaticTable;
use crate::kaslr::compare::tests::tables;
use crate::kaslr::config::KernelConfig;
use crate::kaslr::report::ImageBase;
use crate::kaslr::vmcoreinfo::Vmcoreinfo;
use crate::symbols::Kallsyms;
use crate::symbols::system_map::SystemMap;

const SLIDE: u64 = 0x1b20_0000;
const NAMES: &[&str] = &["_text", "function_1", "helper", "absent"];

/// All sources of one kernel; each test changes one of them.
struct Scene {
    map: String,
    live: String,
    map_build: Option<&'static str>,
    vmcoreinfo: Result<Vmcoreinfo, KaslrSourceError>,
    console: Result<ConsoleOffset, KaslrSourceError>,
    config: String,
    command_line: &'static str,
    image: Result<ImageBase, KaslrSourceError>,
}

fn scene(slide: u64) -> Scene {
    let (map, live) = tables(60, slide);
    Scene {
        map,
        live,
        map_build: Some("aabb"),
        vmcoreinfo: Ok(Vmcoreinfo { kernel_offset: Some(slide), build_id: "aabb".parse().ok(), ..Vmcoreinfo::default() }),
        console: Err(KaslrSourceError::Unavailable("no panic".into())),
        config: "CONFIG_RANDOMIZE_BASE=y\nCONFIG_PHYSICAL_ALIGN=0x200000\nCONFIG_PHYSICAL_START=0x1000000\n".into(),
        command_line: "console=ttyS0 -- nokaslr",
        image: Err(KaslrSourceError::Unavailable("not given".into())),
    }
}

fn run(scene: &Scene) -> KaslrReport {
    let map = SystemMap::parse(scene.map.clone().into_bytes());
    let live = Kallsyms::parse(scene.live.clone(), Some("0"));
    let config = KernelConfig::parse(&scene.config).map_err(crate::reason::Reason::from_error);
    let table = match &map {
        Ok(map) => {
            StaticTable::from_system_map(map).map_err(|e| KaslrSourceError::Broken(e.to_string()))
        }
        Err(error) => Err(KaslrSourceError::Unavailable(error.to_string())),
    };
    judge(&KaslrInputs {
        arch: crate::arch::Arch::X86_64,
        build_id: Ok("aabb".parse().unwrap()),
        live: live
            .as_ref()
            .map_err(|e| KaslrSourceError::Unavailable(e.to_string())),
        statics: vec![StaticSource {
            name: "kallsyms-systemmap",
            build_id: scene.map_build.map(|id| id.parse().unwrap()),
            table,
        }],
        image: scene.image.clone(),
        vmcoreinfo: scene.vmcoreinfo.clone(),
        console: scene.console.clone(),
        config: config.as_ref().map_err(Clone::clone),
        command_line: Some(scene.command_line),
        names: NAMES,
    })
}

fn error(report: &KaslrReport) -> &str {
    assert_eq!(
        (report.slide, report.agree, report.symbols.len()),
        (None, false, 0),
        "{report:?}"
    );
    match &report.status {
        KaslrStatus::Error { why } => why,
        other => panic!("expected an error, got {other:?}"),
    }
}

/// Check that a measured and a stated slide that are equal agree, with every rule kept and every symbol told.
#[test]
fn agree() {
    let report = run(&scene(SLIDE));
    assert_eq!(
        (&report.status, report.slide, report.agree),
        (&KaslrStatus::Randomized { slide: SLIDE }, Some(SLIDE), true)
    );
    assert!(
        report.checks.iter().all(|check| check.holds == Ok(true)) && report.checks.len() == 4,
        "{:?}",
        report.checks
    );
    let slides = report
        .symbols
        .iter()
        .map(|s| s.fixed.as_ref().unwrap().slide);
    assert!(slides.into_iter().all(|slide| slide == SLIDE));
    assert_eq!(
        report
            .symbols
            .iter()
            .map(|s| s.name.as_str())
            .collect::<Vec<_>>(),
        ["_text", "function_1"]
    );
    assert_eq!(report.missing_symbols.len(), 2);
    assert!(
        report.missing_symbols[0].1.contains("20 live, 20 static"),
        "{:?}",
        report.missing_symbols
    );
}

/// Check that live addresses are told without a static table of this build, whose side alone is missing, and that a per-CPU
/// variable and a symbol of a module are not called unknown.
#[test]
fn live_alone() {
    let mut scene = scene(SLIDE);
    scene.map_build = Some("ccdd");
    scene.live += "0000000000019d80 A absent\n";
    let report = run(&scene);
    let text = report.symbols.iter().find(|s| s.name == "_text").unwrap();
    assert_eq!(text.live, 0xffff_ffff_8100_0000 + SLIDE);
    let why = text.fixed.as_ref().unwrap_err();
    assert!(why.contains("no static symbol table"), "{why}");
    let missing = |report: &KaslrReport, name: &str| {
        let missing = report.missing_symbols.iter();
        let found = missing.clone().find(|(missing, _)| missing == name);
        found.map(|(_, why)| why.to_string()).unwrap()
    };
    assert!(missing(&report, "absent").contains("per-CPU"));
    assert!(missing(&report, "helper").contains("20 live)"));
    scene.live = scene
        .live
        .replace("19d80 A absent", "19d80 t absent\t[some]");
    assert!(missing(&run(&scene), "absent").contains("of a module"));
}

/// Check that sources which disagree give an error and no value (negative control of `agree`).
#[test]
fn disagree() {
    let mut other = scene(SLIDE);
    other.vmcoreinfo.as_mut().unwrap().kernel_offset = Some(SLIDE + 0x20_0000);
    assert!(error(&run(&other)).contains("disagree"));
    let mut other = scene(SLIDE);
    other.console = Ok(ConsoleOffset::Disabled);
    assert!(error(&run(&other)).contains("console 0x0"));
}

/// Check that two statements of the kernel are one group: no agreement without a measurement.
#[test]
fn one_group_does_not_agree() {
    let mut stated = scene(SLIDE);
    stated.live = stated
        .live
        .lines()
        .map(|l| format!("{}{}\n", "0".repeat(16), &l[16..]))
        .collect();
    stated.console = Ok(ConsoleOffset::Offset {
        slide: SLIDE,
        from: 0xffff_ffff_8100_0000,
    });
    let report = run(&stated);
    assert_eq!(
        (&report.status, report.agree),
        (&KaslrStatus::Randomized { slide: SLIDE }, false)
    );
    let Err(KaslrSourceError::Unavailable(why)) = &report.sources[0].slide else {
        panic!("{:?}", report.sources[0])
    };
    assert!(why.contains("CAP_SYSLOG"), "{why}");
}

/// Check that a stub, a differing build and no source at all leave the slide unknown, each with its own reason.
#[test]
fn unknown() {
    let mut none = scene(SLIDE);
    none.vmcoreinfo = Err(KaslrSourceError::Unavailable("no /proc/kcore".into()));
    none.map =
        "ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n"
            .into();
    let KaslrStatus::Unknown { why } = run(&none).status else {
        panic!()
    };
    assert!(
        why.contains("stub") && why.contains("no /proc/kcore") && why.contains("no panic"),
        "{why}"
    );
    let mut foreign = scene(SLIDE);
    foreign.map_build = Some("ccdd");
    let report = run(&foreign);
    assert!(
        report.sources[0]
            .slide
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("build id is ccdd")
    );
    assert!(!report.agree);
    // Of the static side nothing is known.
    assert!(report.symbols.iter().all(|symbol| symbol.fixed.is_err()));
}

/// Check that a map of unknown build counts only when every symbol fits.
#[test]
fn unknown_build() {
    let mut map = scene(SLIDE);
    map.map_build = None;
    assert!(run(&map).agree);
    map.map = map.map.replace("t function_1\n", "t renamed\n");
    let report = run(&map);
    assert!(!report.agree && report.sources[0].slide.is_err());
}

/// Check that one symbol with another slide, in a table of the same build, is an error.
#[test]
fn one_symbol_differs() {
    let mut moved = scene(SLIDE);
    moved.live = moved
        .live
        .replace("9c200200 t function_1\n", "9c200210 t function_1\n");
    assert!(error(&run(&moved)).contains("function_1"));
}

/// Check that nokaslr, the configuration and a slide of 0 are told apart.
#[test]
fn disabled() {
    let why = |scene: &Scene| match run(scene).status {
        KaslrStatus::Disabled { why } => why,
        other => panic!("{other:?}"),
    };
    let mut still = scene(0);
    assert!(why(&still).contains("slide is 0"));
    assert_eq!((run(&still).slide, run(&still).agree), (Some(0), true));
    still.command_line = "quiet nokaslr";
    assert!(why(&still).contains("nokaslr"));
    still.config = "CONFIG_PHYSICAL_ALIGN=0x200000\n".into();
    assert!(why(&still).contains("CONFIG_RANDOMIZE_BASE"));
    let mut contradiction = scene(SLIDE);
    contradiction.command_line = "nokaslr";
    assert!(error(&run(&contradiction)).contains("although"));
}

/// Check that a slide which is not aligned, or out of range, is an error even where all sources agree.
#[test]
fn rules() {
    assert!(error(&run(&scene(SLIDE + 0x1000))).contains("alignment"));
    assert!(error(&run(&scene(0x3e00_0000))).contains("range"));
    let mut base = scene(SLIDE);
    base.config = base.config.replace("0x1000000", "0x2000000");
    assert!(error(&run(&base)).contains("static_base"));
}

/// Check that VMCOREINFO of another build is an error.
#[test]
fn vmcoreinfo_of_another_build() {
    let mut other = scene(SLIDE);
    other.vmcoreinfo.as_mut().unwrap().build_id = "ccdd".parse().ok();
    assert!(error(&run(&other)).contains("ccdd"));
}

/// Check that the kernel image alone measures a slide where no static table is at hand, and only that of its own build.
#[test]
fn image_without_debug_info() {
    let image = |id: &str, base| {
        Ok(ImageBase {
            build_id: id.parse().unwrap(),
            base,
        })
    };
    let mut bare = scene(SLIDE);
    bare.map = "ffffffffffffffff B The real map is elsewhere\n".into();
    bare.image = image("aabb", 0xffff_ffff_8100_0000);
    let report = run(&bare);
    assert_eq!((report.slide, report.agree), (Some(SLIDE), true));
    bare.image = image("ccdd", 0xffff_ffff_8100_0000);
    assert!(!run(&bare).agree);
    bare.image = image("aabb", 0xffff_ffff_8120_0000);
    assert!(error(&run(&bare)).contains("disagree"));
}
