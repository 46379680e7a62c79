//! A small book of made-up evidence, and the real mdBook to build it with.
//!
//! The machines are named `guest:test-…`: nothing here is shown to anybody as measured.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use qed_evidence::document::*;
use qed_evidence::value::{Address, Datum, Integer, Value};
pub use qed_layers::note_skipped;

/// The investigation of the test book.
pub const INVESTIGATION: &str = r#"
[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }

[[experiment.probe]]
function = "outer"
reads = [{ at = "exit", name = "state", path = "return->state" }]

[[experiment.probe]]
function = "inner"

[[experiment.probe]]
function = "absent"
optional = true
"#;

/// A chapter that shows one value, what the workload printed, in every place where a value may stand.
pub const PLACES: &str = "# Hostile\n\nprose {{qed create.outcome.stdout}} end\n\n- {{qed create.outcome.stdout}}\n\n> {{qed create.outcome.stdout}}\n\n\
    code `a {{qed create.outcome.stdout}} b` end\n\n| a | b |\n|---|---|\n| {{qed create.outcome.stdout}} | `{{qed create.outcome.stdout}}` |\n\n\
    ```text\n{{qed create.outcome.stdout}}\nx {{qed create.outcome.stdout}} y\n```\n\n    {{qed create.outcome.stdout}}\n\n\
    [link](https://example.org/{{qed create.outcome.stdout}}) [{{qed create.outcome.stdout}}](x \"{{qed create.outcome.stdout}}\") ![{{qed create.outcome.stdout}}](y.png)\n\n\
    <b title=\"{{qed create.outcome.stdout}}\" data-x='{{qed create.outcome.stdout}}'>t</b> <a href=\"{{qed create.outcome.stdout}}\">u</a>\n\n\
    <div>\n{{qed create.outcome.stdout}}\n<svg><text y=\"20\">{{qed create.outcome.stdout}}</text></svg>\n<!-- {{qed create.outcome.stdout}} -->\n</div>\n\n\
    ```qed-exhibit table\ncreate.outcome.stdout\n```\n\n```qed-claim c\ncreate.outcome.stdout != \"\"\n```\n\n# End\n";

/// Values that are out to break the page.
pub const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "</span></p></div><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "a|b|c",
    "`x` ``y`` ```",
    "```\n\n# heading\n\n<b>x</b>\n",
    "~~~\nx",
    "line\n\nline\n- list\n1. one\n",
    "\u{202e}\u{2066}right to left\u{200f}",
    "{{qed kaslr.slide}} \\{{qed x}}",
    "{{#include /etc/passwd}}",
    "--> <!-- x",
    "]](( ]: x \\",
    "&lt;b&gt; &#60;b&#62;",
    "\u{0}\u{1b}[31m\u{7f}",
    "*a* _b_ ~~c~~ **d**",
    "+ 1. # > = - :",
];

fn digest(text: &str) -> String {
    qed_evidence::investigation::parse("t.toml", text)
        .unwrap()
        .digest
}

/// The digest of the eBPF object of the collector that the program under test finds, if there is one.
pub fn object_digest() -> String {
    let beside = Path::new(env!("CARGO_BIN_EXE_mdbook-qed")).with_file_name("qed-collector");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("qed-collector"))
        .chain([beside])
        .find(|candidate| candidate.is_file())
        .and_then(|collector| mdbook_qed::evidence::local_files::object(&collector).ok())
        .unwrap_or_else(|| "00".repeat(32))
}

/// Made-up evidence of `machine`; `slide` makes machines differ; `message` is what the workload printed.
pub fn evidence(machine: &str, slide: u64, message: &str) -> Evidence {
    let offset = |n: u64| {
        Datum::Value(Value::Offset {
            value: Integer::from(n),
        })
    };
    let none = || Datum::unavailable("the test measures nothing");
    // Somewhere in the image, each function elsewhere.
    let place = |function: &str| {
        let sum: u64 = function.bytes().map(u64::from).sum();
        Address(0xffff_ffff_8100_0000 + slide + sum * 16)
    };
    let hit = |order: u64, back: u64, value: Datum| Hit {
        order: Some(order),
        time_ns: Some(order * 1_000),
        return_order: Some(back),
        return_time_ns: Some(back * 1_000),
        task: Task {
            pid: 7,
            tid: 7,
            name: "test".into(),
        },
        cpu: 0,
        context: Some(Context::Task),
        args: BTreeMap::from([("fd".to_owned(), Datum::Value(Value::Fd { value: 3 }))]),
        entry: BTreeMap::new(),
        exit: BTreeMap::new(),
        return_value: Some(value),
        instance: None,
        returns_to: None,
        caller: None,
        site: None,
        stack: None,
    };
    let probe = |function: &str, hits: Vec<Hit>| Probe {
        target: Target::Function(function.into()),
        optional: false,
        backend: Some(Backend::Kprobe),
        unavailable: None,
        attach_errno: None,
        parameters: vec![Parameter {
            name: "fd".into(),
            type_name: "int".into(),
        }],
        returns: Some("long".into()),
        address: None,
        watched: vec![place(function)],
        file: None,
        within: None,
        definition: None,
        instruction: None,
        listed: None,
        refused_reads: Reads::default(),
        members: Members::default(),
        widths: [
            ("args.fd", 32, true),
            ("exit.state", 32, false),
            ("return", 64, true),
        ]
        .map(|(place, bits, signed)| (place.to_owned(), Width { bits, signed }))
        .into(),
        public: Vec::new(),
        retyped: Vec::new(),
        skipped: Some(0),
        hits,
    };
    let pointer = Value::Address {
        value: Address(0xffff_8881_0000_0000 + slide),
        type_name: Some("struct thing *".into()),
        symbol: None,
    };
    let mut outer = hit(1, 4, Datum::Value(pointer));
    outer.exit.insert(
        "state".into(),
        Datum::Value(Value::Enum {
            value: Integer::from(1_i64),
            type_name: "state".into(),
            name: Some("SS_ON".into()),
        }),
    );
    let outer = Probe {
        returns: Some("struct thing *".into()),
        ..probe("outer", vec![outer])
    };
    let absent = Probe {
        optional: true,
        backend: None,
        unavailable: Some("no such function in this kernel's BTF".into()),
        parameters: vec![],
        skipped: None,
        ..probe("absent", vec![])
    };
    Evidence {
        schema: SCHEMA_VERSION,
        run: Run {
            id: "00112233445566778899aabbccddeeff".into(),
            time: "2026-01-02T03:04:05Z".into(),
            investigation: "test.toml".into(),
            investigation_digest: digest(INVESTIGATION),
            collector: env!("CARGO_PKG_VERSION").into(),
            // That of the collector that would capture here, so that nothing is out of date.
            object_digest: object_digest(),
            marks_cuts: true,
        },
        machine: Machine {
            name: machine.into(),
            kind: if machine == "host" {
                MachineKind::Host
            } else {
                MachineKind::Guest
            },
            ephemeral: machine != "host",
            boot_id: "00000000-0000-4000-8000-000000000000".into(),
            cpu_model: "Test CPU".into(),
            cpus: 1,
            accelerator: None,
            resumed: None,
        },
        kernel: Kernel {
            arch: Some("x86_64".into()),
            release: "0.0.1-test".into(),
            version: "#1".into(),
            package: None,
            build_id: none(),
            image_digest: None,
            modules: BTreeMap::new(),
            btf_digest: "00".repeat(32),
            config: BTreeMap::new(),
            lockdown: none(),
            lsm: none(),
            command_line: None,
            debuginfo: none(),
        },
        kaslr: Kaslr {
            status: Datum::Value(Value::text("randomized")),
            slide: offset(slide),
            agree: Datum::Value(Value::Bool { value: true }),
            sources: ["kallsyms_vmlinux", "vmcoreinfo"]
                .map(|name| (name.to_owned(), offset(slide)))
                .into(),
            symbols: BTreeMap::new(),
            checked: none(),
            differing: none(),
            physical_start: none(),
            physical_align: none(),
            live_physical_start: none(),
            readings: vec![],
        },
        boots: vec![],
        commands: BTreeMap::new(),
        // Each has one copy, which its probe watches.
        instances: ["outer", "inner"]
            .map(|function| {
                let copies =
                    [serde_json::json!({ "symbol": function, "address": place(function) })];
                let one = serde_json::json!({ "copies": copies, "inlined": [], "count": 1 });
                (function.to_owned(), serde_json::from_value(one).unwrap())
            })
            .into(),
        facts: None,
        names: qed_evidence::names::Names {
            symbols: vec![],
            enums: BTreeMap::from([(
                "state".to_owned(),
                BTreeMap::from([
                    ("SS_OFF".to_owned(), Integer::from(0_i64)),
                    ("SS_ON".to_owned(), Integer::from(1_i64)),
                ]),
            )]),
            integers: BTreeMap::new(),
            flags: BTreeMap::new(),
        },
        experiments: BTreeMap::from([(
            "create".to_owned(),
            // Through JSON, so that a field that a capture may leave out need not be named here.
            serde_json::from_value(serde_json::json!({
                "workload": "socket(AF_INET, SOCK_STREAM, 0)",
                "outcome": Outcome {
                    returned: Datum::Value(Value::Fd { value: 3 }),
                    errno: Datum::Value(Value::Errno { value: 0, name: "OK".into() }),
                    exit: Datum::Value(Value::int(0)),
                    signal: Datum::unavailable("no signal ended it"),
                    stdout: Datum::Value(Value::text(message)),
                    stderr: None,
                    results: BTreeMap::new(),
                    buffers: BTreeMap::new(),
                },
                "quality": { "events": 4, "lost": 0, "missed": 0, "marked": true, "threads_running": 0, "until_user_space": true, "compat_calls": 0, "attempts": 1,
                             "descendants": { "started": 0, "followed": 0 } },
                "probes": {
                    "outer": outer,
                    "inner": probe("inner", vec![hit(2, 3, Datum::Value(Value::int(-5)))]),
                    "absent": absent,
                },
            }))
            .unwrap(),
        )]),
    }
}

/// A book in a folder of its own.
pub struct Book {
    /// Its folder.
    pub dir: tempfile::TempDir,
}

impl Book {
    /// A book of these chapters (name, text), with evidence of two made-up guests. `more` goes to the table of
    /// the preprocessor, `output` to the end of `book.toml`.
    pub fn new(chapters: &[(&str, &str)], more: &str, output: &str) -> Self {
        let book = Book {
            dir: tempfile::tempdir().unwrap(),
        };
        let command = env!("CARGO_BIN_EXE_mdbook-qed");
        book.write("book.toml", &format!(
            "[book]\ntitle = \"T\"\n[preprocessor.qed]\ncommand = \"{command}\"\nafter = [\"links\"]\n\
             investigation = \"test.toml\"\nmachines = [\"guest:test-1\", \"guest:test-2\"]\n{more}\n{output}\n"
        ));
        book.write("test.toml", INVESTIGATION);
        book.evidence(&evidence("guest:test-1", 0x1e00_0000, "said\n"));
        book.evidence(&evidence("guest:test-2", 0x0a20_0000, "said\n"));
        let mut summary = String::from("# Summary\n\n");
        for (name, text) in chapters {
            summary.push_str(&format!(
                "- [{}]({name})\n",
                name.trim_end_matches(".md").replace('/', " ")
            ));
            book.write(&format!("src/{name}"), text);
        }
        book.write("src/SUMMARY.md", &summary);
        book
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Write a file.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Put evidence where captures put it.
    pub fn evidence(&self, evidence: &Evidence) {
        let name = mdbook_qed::config::evidence_file_name(&evidence.machine.name);
        self.write(
            &format!(".qed/evidence/{name}"),
            &qed_evidence::reader::write(evidence).unwrap(),
        );
    }

    /// Read a file of the built book.
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Run mdBook in the book.
    pub fn mdbook(&self, arguments: &[&str]) -> Output {
        Command::new(mdbook())
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// Build it.
    ///
    /// # Panics
    /// If the build fails.
    pub fn build(&self) {
        let output = self.mdbook(&["build"]);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// Run our own program in the book.
    pub fn qed(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }
}

/// The verdicts on a book as `check` prints them. The freshness of evidence depends on where it is looked at.
pub fn verdicts(book: &Book) -> String {
    let printed = stdout(&book.qed(&["check"]));
    let fresh =
        |line: &&str| !line.contains(": out of date, ") && !line.contains(": not compared, ");
    printed
        .lines()
        .filter(fresh)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Write a program that anybody may run.
pub fn executable(path: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// A run that ended well; what it printed.
///
/// # Panics
/// If it did not, with all that it said.
#[track_caller]
pub fn good(output: &Output) -> String {
    let printed = stdout(output);
    assert!(output.status.success(), "{printed}{}", stderr(output));
    printed
}

/// The standard error of a program.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The standard output of a program.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The real mdBook: from `MDBOOK`, the tools folder of the checkout, or `PATH`.
pub fn mdbook() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/mdbook");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::var_os("MDBOOK")
        .map(PathBuf::from)
        .into_iter()
        .chain([tools])
        .chain(std::env::split_paths(&path).map(|folder| folder.join("mdbook")));
    candidates.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("these tests need the real mdbook 0.5: run `make tools`, or say where it is in MDBOOK")
    })
}
