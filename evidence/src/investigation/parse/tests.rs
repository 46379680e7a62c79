use super::*;
use crate::document::Target;
use crate::investigation::*;

const GOOD: &str = r#"
symbols = ["_text"]

[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }

[[experiment.probe]]
function = "sock_alloc"
reads = [{ at = "exit", name = "state", path = "return->state" }]

[[experiment.probe]]
tracepoint = "kmem_cache_alloc"
name = "allocation"
within = "sock_alloc"

[[experiment]]
name = "exhausted"
inherit = "create"
limits = { nofile = 3 }

[[experiment.probe]]
function = "sock_alloc"
return = false
"#;

/// Check that the form that the design shows is understood, spans point at the expressions, and
/// inherited probes are replaced by name.
#[test]
fn good() {
    let investigation = parse("good.toml", GOOD).unwrap();
    let create = investigation.experiment("create").unwrap();
    assert!(matches!(&create.workload.action,
        Action::Syscall { name, args, returns: Returns::Fd, .. } if name == "socket" && args.len() == 3));
    let read = &create.probe("sock_alloc").unwrap().exit[0];
    assert_eq!(&GOOD[read.span.clone()], "return->state");
    assert!(!create.probe("allocation").unwrap().watch_return);
    let exhausted = investigation.experiment("exhausted").unwrap();
    assert_eq!(exhausted.workload.limits, [("nofile".to_owned(), 3)]);
    assert_eq!(exhausted.probes.len(), 2);
    assert!(!exhausted.probe("sock_alloc").unwrap().watch_return);
}

/// Check that every problem of a bad file is reported in one run, each with its line.
#[test]
fn all_problems_at_once() {
    let text = r#"
[[experiment]]
name = "kaslr"
workload = { syscall = "socket", command = ["true"] }

[[experiment]]
name = "two"
workload = { syscall = "socket", returns = "pointer" }

[[experiment]]
name = "three"
inherit = "thre"
workload = { command = ["true"] }
[[experiment.probe]]
function = "foo-isra-0"
[[experiment.probe]]
function = "b"
tracepoint = "c"
[[experiment.probe]]
tracepoint = "t"
return = true
deny = "EWHAT"
"#;
    let problems = parse("bad.toml", text).unwrap_err();
    let lines: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {}", p.line_column().unwrap().0, p.message))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Check that functions with capital letters and with dots, as compilers name their copies, can be probed under names that
/// paths can have.
#[test]
fn names_of_functions() {
    let text = r#"
[[experiment]]
name = "e"
workload = { syscall = "pause" }
[[experiment.probe]]
function = "I_BDEV"
[[experiment.probe]]
function = "walk.part.0.constprop.0"
[[experiment.probe]]
function = "foo.isra.0"
name = "foo"
"#;
    let probes = &parse("i.toml", text).unwrap().experiments[0].probes;
    let names: Vec<&str> = probes.iter().map(|probe| &*probe.name).collect();
    assert_eq!(names, ["i_bdev", "walk_part_0_constprop_0", "foo"]);
    assert_eq!(
        probes[1].target,
        Target::Function("walk.part.0.constprop.0".into())
    );
}

/// Check that each way to say where in a function a probe sits is understood, that a probe inside of it watches no
/// return, and that names of constants, threads and the time to settle arrive.
#[test]
fn inside_of_functions() {
    let text = r#"
[[experiment]]
name = "e"
workload = { syscall = "pause", threads = 12 }
settle-ms = 400
[[experiment.probe]]
function = "f"
names = { family = "AF" }
reads = [{ at = "entry", name = "x", path = "regs->di", names = "SOCK" }]
[[experiment.probe]]
function = "f"
name = "third"
instruction = 3
[[experiment.probe]]
function = "f"
name = "at"
offset = 7
[[experiment.probe]]
function = "f"
name = "before"
before-call = "g"
[[experiment.probe]]
function = "f"
name = "after"
after-call = "g"
[[experiment.probe]]
function = "f"
name = "inner"
body = true
"#;
    let parsed = parse("e.toml", text).unwrap();
    let experiment = &parsed.experiments[0];
    assert_eq!(
        (experiment.workload.threads, experiment.settle_ms),
        (12, 400)
    );
    let probes = &experiment.probes;
    let positions: Vec<&Position> = probes.iter().map(|p| &p.position).collect();
    assert_eq!(
        positions,
        [
            &Position::Entry,
            &Position::Instruction(3),
            &Position::Offset(7),
            &Position::BeforeCall("g".into()),
            &Position::AfterCall("g".into()),
            &Position::Body
        ]
    );
    let watched: Vec<bool> = probes.iter().map(|p| p.watch_return).collect();
    assert_eq!(watched, [true, false, false, false, false, false]);
    assert_eq!(probes[0].names["family"], "AF");
    assert_eq!(probes[0].entry[0].names.as_deref(), Some("SOCK"));
}

/// Check what is said of places inside of functions, sets of constants and threads that make no sense.
#[test]
fn inside_of_functions_refused() {
    let text = r#"
[[experiment]]
name = "e"
workload = { syscall = "pause", threads = 0 }
settle-ms = 99999999
[[experiment.probe]]
function = "f"
offset = 3
instruction = 3
[[experiment.probe]]
function = "g"
instruction = 0
[[experiment.probe]]
function = "h"
before-call = "g"
return = true
[[experiment.probe]]
tracepoint = "t"
after-call = "g"
[[experiment.probe]]
function = "i"
names = { family = "AFF" }
reads = [{ at = "entry", name = "x", path = "regs->di", kind = "size", names = "AF" }]
"#;
    let problems = parse("e.toml", text).unwrap_err();
    let lines: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {}", p.line_column().unwrap().0, p.message))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    4: a system call is made in 1 to 64 threads, and a command in its own
    5: settle-ms must be at most 60000
    9: a probe has at most one of `offset`, `instruction`, `before-call`, `after-call` and `body`
    12: instructions are counted from 1
    16: the return is watched from the entry: this probe sits inside of the function
    19: only a function can be probed inside of it
    22: there is no set of constants `AFF`
    23: beside `names`, the `kind` can only be `flags`
    ");
}

/// Check that a `kind` that there is not is refused with what to write instead: of a misspelt one the right one.
#[test]
fn kinds_of_reads() {
    let with = |kind: &str| {
        let text = format!(
            "[[experiment]]\nname = \"a\"\nworkload = {{ syscall = \"getpid\" }}\n[[experiment.probe]]\nfunction = \"f\"\n\
             reads = [{{ at = \"exit\", name = \"x\", path = \"return\", kind = \"{kind}\" }}]"
        );
        let problem = parse("e.toml", &text).err()?.remove(0);
        Some(format!(
            "{}; {}",
            problem.message,
            problem.help.unwrap_or_default()
        ))
    };
    for kind in [
        "fd", "size", "offset", "flags", "errno", "pid", "address", "text",
    ] {
        assert_eq!(with(kind), None, "{kind}");
    }
    for (kind, help) in [
        ("string", "did you mean `text`?"),
        ("bytes", "its C type tells that"),
        ("sizes", "did you mean `size`?"),
        ("", "there is fd, size, offset, flags, errno, pid, address"),
    ] {
        let complaint = with(kind).unwrap_or_default();
        assert!(
            complaint.starts_with(&format!("unknown kind `{kind}` of value; ")),
            "{complaint}"
        );
        assert!(complaint.contains(help), "{complaint}");
    }
}

/// Check that longer reads and outputs can be asked for, within limits.
#[test]
fn longer() {
    let with = |read: &str, output: &str| {
        let text = format!(
            "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"pause\" }}\n{output}\n[[experiment.probe]]\n\
             function = \"f\"\nreads = [{{ at = \"entry\", name = \"x\", path = \"a->b[0]\", {read} }}]\n\
             [[experiment]]\nname = \"child\"\ninherit = \"e\"\n"
        );
        parse("e.toml", &text)
    };
    let parsed = with("max = 256, elements = \"a->n\"", "max-output = 1048576").unwrap();
    let experiment = &parsed.experiments[1];
    assert_eq!(experiment.max_output, 1 << 20);
    let read = &experiment.probes[0].entry[0];
    assert_eq!(
        (read.max, read.elements.as_deref()),
        (Some(256), Some("a->n"))
    );
    let silent = with("kind = \"size\"", "").unwrap();
    assert_eq!(silent.experiments[1].max_output, OUTPUT_OF_WORKLOAD);
    for (read, output, expected) in [
        ("max = 0", "", "1 to 1024 bytes"),
        ("max = 1025", "", "1 to 1024 bytes"),
        ("max = 64", "max-output = 0", "1 to 1048576 bytes"),
        ("max = 64", "max-output = 1048577", "1 to 1048576 bytes"),
    ] {
        let problems = with(read, output).unwrap_err();
        assert!(problems[0].message.contains(expected), "{problems:?}");
    }
}

/// Check that a probe at an address is understood, and what is wrong with one is said at its place.
#[test]
fn addresses() {
    let with = |rest: &str| parse("a.toml", &format!("{GOOD}[[experiment.probe]]\n{rest}\n"));
    let good = with("name = \"there\"\naddress = \"static:sock_alloc\"").unwrap();
    let probe = good.experiment("exhausted").unwrap().probe("there");
    let target = Target::Address("static:sock_alloc".into());
    assert_eq!(probe.unwrap().target, target);
    assert!(!probe.unwrap().watch_return);
    for (wrong, expected) in [
        ("address = \"static:sock_alloc\"", "give the probe a `name`"),
        (
            "name = \"x\"\naddress = \"sock_alloc\"",
            "is not an address",
        ),
        (
            "name = \"x\"\naddress = \"live:_text\"\nreturn = true",
            "only functions have a `return`",
        ),
        (
            "name = \"x\"\naddress = \"live:_text\"\nreads = [{ at = \"exit\", name = \"a\", path = \"regs->ax\" }]",
            "does not watch the return",
        ),
    ] {
        let problems = with(wrong).unwrap_err();
        assert!(
            problems.iter().any(|p| p.message.contains(expected)),
            "{wrong}: {problems:?}"
        );
    }
}

/// Check that a value of the wrong kind is told with what would be right, and not with the name of a type of ours.
#[test]
fn tables() {
    let command = "[[experiment]]\nname = \"a\"\nworkload = { command = [\"x\"]";
    for (wrong, right) in [
        (", stdin = \"x\" }", "{ text = \"TEXT\" }"),
        (", files = [\"x\"] }", "{ from = \"PATH\""),
        ("}\nprobe = [1]", "[[experiment.probe]]"),
        ("}\nexcuse = [1]", "{ within = \"FUNCTION\""),
    ] {
        let problems = parse("a.toml", &format!("{command}{wrong}\n")).unwrap_err();
        let message = &problems[0].message;
        assert!(
            message.contains(right) && !message.contains("Raw"),
            "{message}"
        );
    }
}

/// Check that the number of boots is read, is none if it is not said, and is bounded.
#[test]
fn boots() {
    assert_eq!(parse("good.toml", GOOD).unwrap().boots, 0);
    let with = |number: &str| parse("boots.toml", &format!("boots = {number}\n{GOOD}"));
    assert_eq!(with("16").unwrap().boots, 16);
    for wrong in ["257", "-1", "\"16\""] {
        let problems = with(wrong).unwrap_err();
        assert_eq!(problems[0].line_column().unwrap().0, 1, "{wrong}");
    }
}

/// Check that text which is not an investigation is refused with a place, whatever it is.
#[test]
fn malformed() {
    for text in [
        "[[experiment",
        "",
        "experiment = 3",
        "[[experiment]]\nname = \"a\"\nnmae = 1\n",
    ] {
        let problems = parse("x.toml", text).unwrap_err();
        assert!(
            !problems.is_empty() && problems[0].place.is_some(),
            "{text}"
        );
    }
}

/// Check that one workload that is refused gives one error, and none at the experiments that inherit from it, directly or not.
#[test]
fn heirs_of_refused_experiments() {
    let probe = "[[experiment.probe]]\nfunction = \"f\"\n";
    let heir = |name: &str, of: &str| {
        format!("[[experiment]]\nname = \"{name}\"\ninherit = \"{of}\"\n{probe}")
    };
    let text = format!(
        "[[experiment]]\nname = \"a\"\nworkload = {{ syscall = \"getpid\", command = [\"x\"] }}\n{probe}{}{}{}",
        heir("b", "a"),
        heir("c", "b"),
        heir("d", "a")
    );
    let problems = parse("i.toml", &text).unwrap_err();
    let [one] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert_eq!(one.line_column().map(|(line, _)| line), Some(3), "{one}");
    let unknown = text.replace(", command = [\"x\"]", "") + &heir("e", "nobody");
    let problems = parse("i.toml", &unknown).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("`nobody`"), "{problems:?}");
}

/// Check that two probes of one function are refused, but for those that only read and have different conditions.
#[test]
fn one_function_twice() {
    let report = |first: &str, second: &str| {
        let text = format!(
            "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"getpid\" }}\n\
             [[experiment.probe]]\nfunction = \"f\"\n{first}\n\
             [[experiment.probe]]\nfunction = \"f\"\nname = \"g\"\n{second}\n"
        );
        match parse("i.toml", &text) {
            Ok(_) => String::new(),
            Err(problems) => problems[0].to_string(),
        }
    };
    let (a, b) = ("within = \"a\"", "within = \"b\"");
    assert_eq!(report(a, b), "");
    assert_eq!(report("", b), "");
    for (first, second, wanted) in [
        ("", "", "or give the probes different `within`"),
        (a, a, "or give the probes different `within`"),
        (a, "within = \"b\"\nallocates = \"x\"", "can only read"),
        (
            "within = \"a\"\nsignal = { name = \"SIGKILL\", at = \"entry\" }",
            b,
            "can only read",
        ),
    ] {
        let report = report(first, second);
        assert!(
            report.contains("watch the same function") && report.contains(wanted),
            "{report}"
        );
    }
}

/// Check that a read can have several paths, each with its place, and that none, the same twice and another value are refused.
#[test]
fn several_paths() {
    let with = |path: &str| {
        format!(
            "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"getpid\" }}\n[[experiment.probe]]\n\
             function = \"f\"\nreads = [{{ at = \"entry\", name = \"x\", path = {path} }}]\n"
        )
    };
    let text = with("[\"a->b\", \"a->c\"]");
    let investigation = parse("i.toml", &text).unwrap();
    let read = &investigation.experiments[0].probes[0].entry[0];
    let paths: Vec<(&str, &str)> = read
        .paths()
        .map(|(path, span)| (path, &text[span.clone()]))
        .collect();
    assert_eq!(paths, [("a->b", "a->b"), ("a->c", "a->c")]);
    assert_eq!(read.text(), "a->b, or a->c");
    for (path, wanted) in [
        ("[]", "without a path"),
        ("[\"a\", \"a\"]", "twice"),
        ("7", "a path, or a list of paths"),
        ("[7]", "expected a string"),
    ] {
        let problems = parse("i.toml", &with(path)).unwrap_err();
        assert!(problems[0].message.contains(wanted), "{path}: {problems:?}");
    }
}

/// Check that modules arrive as the kernel calls them, each once, that an experiment without some inherits its parent's, and that what
/// cannot be a module is refused.
#[test]
fn modules() {
    let with = |modules: &str, child: &str| {
        let text = format!(
            "[[experiment]]\nname = \"a\"\n{modules}\nworkload = {{ syscall = \"getpid\" }}\n[[experiment.probe]]\n\
             function = \"f\"\n[[experiment]]\nname = \"b\"\ninherit = \"a\"\n{child}\n"
        );
        parse("m.toml", &text)
    };
    let parsed = with("modules = [\"inet-diag\", \"8021q\"]", "").unwrap();
    assert_eq!(parsed.experiments[1].modules, ["inet_diag", "8021q"]);
    let parsed = with("modules = [\"tun\"]", "modules = [\"tun\", \"tap\"]").unwrap();
    assert_eq!(parsed.modules().collect::<Vec<_>>(), ["tun", "tap"]);
    let parsed = with("modules = [\"tun\"]", "modules = []").unwrap();
    assert!(parsed.experiments[1].modules.is_empty());
    for (modules, expected) in [
        ("[\"net/tun\"]", "`net/tun` cannot be a module"),
        ("[\"tun.ko\"]", "`tun.ko` cannot be a module"),
        ("[\"\"]", "`` cannot be a module"),
        ("[\"../tun\"]", "cannot be a module"),
        ("[\"a-b\", \"a_b\"]", "the module `a_b` is there twice"),
    ] {
        let problems = with(&format!("modules = {modules}"), "").unwrap_err();
        assert!(
            problems[0].message.contains(expected),
            "{}",
            problems[0].message
        );
    }
    let long = format!("modules = [\"{}\"]", "m".repeat(56));
    assert!(with(&long, "").is_err());
}

/// An experiment with this workload.
fn with_workload(workload: &str) -> String {
    format!(
        "[[experiment]]\nname = \"e\"\nworkload = {{ {workload} }}\n[[experiment.probe]]\nfunction = \"f\"\n"
    )
}

/// Check that an integer of an earlier call's buffer is an argument, and is shown as it is written.
#[test]
fn integers_of_buffers() {
    let text = with_workload(
        "calls = [{ syscall = \"pipe2\", args = [{ buffer = \"fds\", ints = 2 }, 0] }, \
         { syscall = \"read\", args = [\"$fds[0]\", { struct = \"x\", fd = \"$fds[1]\" }] }]",
    );
    let investigation = parse("e.toml", &text).unwrap();
    let text = investigation.experiments[0].workload_text();
    assert!(
        text.contains("read($fds[0], &(x){.fd = $fds[1]})"),
        "{text}"
    );
}

/// Check that calls before the watched one and values in structures are read, and shown in the order of the file.
#[test]
fn calls_and_structures() {
    let text = with_workload(
        r#"syscall = "connect", args = ["$s", { struct = "sockaddr_in", sin_port = 1, a = [1, { b.c = "X" }], buffer = "out" }, { sizeof = "sockaddr_in" }, { bytes = "0a ff" }],
           before = [{ syscall = "socket", args = [2], result = "s" }, { syscall = "listen", args = ["$s", { buffer = "in", size = 8 }] }]"#
            .replace('\n', "")
            .as_str(),
    );
    let investigation = parse("e.toml", &text).unwrap();
    let experiment = &investigation.experiments[0];
    assert_eq!(
        experiment.workload_text(),
        "connect($s, &(sockaddr_in){.sin_port = 1, .a = {1, {.b = {.c = X}}}}, sizeof(sockaddr_in), \
         {0x0a, 0xff}), after $s = socket(2), listen($s, in)"
    );
    let buffers: Vec<_> = experiment.workload.buffers();
    let bytes = crate::investigation::BufferElements::Bytes;
    assert_eq!(buffers, [("in", bytes), ("out", bytes)]);
}

/// Check that arguments and calls that cannot be are refused, each with its reason.
#[test]
fn wrong_calls_and_structures() {
    let call = |args: &str| format!("syscall = \"connect\", args = [{args}]");
    let after_pipe = |args: &str| {
        let buffers = "{ buffer = \"fds\", ints = 2 }, { buffer = \"raw\", size = 8 }";
        let pipe = format!("{{ syscall = \"pipe2\", args = [{buffers}] }}");
        format!("before = [{pipe}], {}", call(args))
    };
    for (workload, reason) in [
        (call("\"$s\""), "there is no result `s`: no call before this one has a `result`"),
        (
            format!("before = [{{ syscall = \"socket\", result = \"t\" }}], {}", call("\"$s\"")),
            "there is no result `s`: the calls before this one have t",
        ),
        (
            "before = [{ syscall = \"listen\", args = [\"$s\"] }, { syscall = \"socket\", result = \"s\" }], syscall = \"x\"".into(),
            "there is no result `s`",
        ),
        (
            "before = [{ syscall = \"a\", result = \"s\" }, { syscall = \"b\", result = \"s\" }], syscall = \"x\"".into(),
            "two calls have a result named `s`",
        ),
        (
            "before = [{ syscall = \"a\", result = \"S 1\" }], syscall = \"x\"".into(),
            "result name `S 1` does not match",
        ),
        (
            "before = [{ syscall = \"a\" }], command = [\"true\"]".into(),
            "only a system call has calls before it",
        ),
        (
            call("\"$s[0]\""),
            "there is no buffer `s` of integers: no call before this one has a buffer of `ints`",
        ),
        (
            after_pipe("\"$t[0]\""),
            "there is no buffer `t` of integers: the calls before this one have fds",
        ),
        (after_pipe("\"$raw[0]\""), "there is no buffer `raw` of integers"),
        (after_pipe("\"$fds[2]\""), "`fds` has 2 integers, from 0: there is none at 2"),
        (after_pipe("\"$fds[-1]\""), "an integer of `fds` is written `$fds[0]`"),
        (after_pipe("\"$fds[+1]\""), "an integer of `fds` is written `$fds[0]`"),
        (after_pipe("\"$fds[1\""), "an integer of `fds` is written `$fds[0]`"),
        (after_pipe("\"$fds\""), "there is no result `fds`"),
        (call("[1]"), "a list is the value of an array in a structure"),
        (call("{ text = \"a\\u0000\" }"), "ends at its first NUL"),
        (call("{ text = \"a\", size = 1 }"), "an argument is a number"),
        (call("{ bytes = \"0\" }"), "two for each byte"),
        (call("{ bytes = \"\" }"), "`bytes` are 1 to 4096, not 0"),
        (call("{ buffer = \"b\" }"), "either `size` (bytes) or `ints`"),
        (call("{ buffer = \"b\", size = -1 }"), "1 to 4096 bytes, not -1"),
        (
            call("{ buffer = \"b\", size = 8 }, { struct = \"x\", buffer = \"b\" }"),
            "two buffers are named `b`",
        ),
        (call("{ struct = 1 }"), "`struct` is the name of a structure"),
        (call("{ struct = \"x\", a = [\"$s\"] }"), "there is no result `s`"),
        (call("1, 2, 3, 4, 5, 6, 7"), "at most six arguments"),
        (
            "before = [{ syscall = \"a\", args = [1, 2, 3, 4, 5, 6, 7] }], syscall = \"x\"".into(),
            "at most six arguments",
        ),
    ] {
        let problems = parse("e.toml", &with_workload(&workload)).unwrap_err();
        let messages: Vec<&str> = problems.iter().map(|one| one.message.as_str()).collect();
        assert!(messages.iter().any(|one| one.contains(reason)), "{workload}: {messages:?}");
    }
}

/// Check that comments, spaces, and the way in which a text or number is written leave the digest as it is, and that every
/// key, value and their order are in it.
#[test]
fn digest_of_what_it_says() {
    let digest = |text: &str| parse("e.toml", text).unwrap().digest;
    let text = "[[experiment]]\nname = \"e\"\nworkload = { syscall = \"socket\", args = [2, \"SOCK_STREAM\"] }\n\
                [[experiment.probe]]\nfunction = \"f\"\n[[experiment.probe]]\nfunction = \"g\"\n";
    for same in [
        text.replace("\n[[", "\n\n# A comment.\n[["),
        text.replace("[2, ", "[ 0x2 ,\n  "),
        text.replace("\"f\"", "'f' # here"),
    ] {
        assert_ne!(same, text);
        assert_eq!(digest(&same), digest(text), "{same}");
    }
    let swapped = text
        .replace("\"f\"", "\"x\"")
        .replace("\"g\"", "\"f\"")
        .replace("\"x\"", "\"g\"");
    for other in [
        text.replace("[2, ", "[3, "),
        text.replace("[2, ", "[\"2\", "),
        text.replace("SOCK_STREAM", "SOCK_DGRAM"),
        text.replace("function = \"f\"\n", "function = \"f\"\noptional = true\n"),
        swapped,
    ] {
        assert_ne!(digest(&other), digest(text), "{other}");
    }
}

/// Check that calls in sequence are read with the results that they hand on, shown as they are made, and that results have the
/// names under which evidence keeps them.
#[test]
fn calls_in_sequence() {
    let text = format!(
        "[[experiment]]\nname = \"e\"\nworkload = {{ {} }}\n[[experiment.probe]]\nfunction = \"f\"\n",
        r#"before = [{ syscall = "getpid", result = "me" }], calls = [
            { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "sock" },
            { syscall = "listen", args = ["$sock", "$me"] },
            { syscall = "close", args = ["$sock"], result = "closed", returns = "int" },
        ]"#
    );
    let investigation = parse("e.toml", &text).unwrap();
    let experiment = &investigation.experiments[0];
    assert_eq!(
        experiment.workload_text(),
        "$sock = socket(AF_INET, SOCK_STREAM, 0); listen($sock, $me); $closed = close($sock), after $me = getpid()"
    );
    let workload = &experiment.workload;
    assert_eq!(workload.call_count(), 3);
    assert_eq!(
        workload.named_results().collect::<Vec<_>>(),
        [(0, "sock", Returns::Fd), (2, "closed", Returns::Int)]
    );
    assert_eq!(workload.argument_texts(), None);
}

/// Check that a sequence which cannot be made, or would not be told apart, is refused with the reason.
#[test]
fn sequences_that_cannot_be() {
    let refused = |workload: &str, rest: &str| {
        let text = format!(
            "[[experiment]]\nname = \"e\"\n{rest}\nworkload = {{ {workload} }}\n[[experiment.probe]]\nfunction = \"f\"\n"
        );
        let problems = parse("e.toml", &text).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<String>()
    };
    for (workload, rest, reason) in [
        ("calls = []", "", "`calls` is empty"),
        (
            r#"calls = [{ syscall = "a" }], syscall = "b""#,
            "",
            "one of `syscall`, `calls` and `command`",
        ),
        (
            r#"calls = [{ syscall = "a" }], args = [1]"#,
            "",
            "belong to one call",
        ),
        (
            r#"calls = [{ syscall = "exit" }, { syscall = "b" }]"#,
            "",
            "nothing comes after `exit`",
        ),
        (
            r#"calls = [{ syscall = "b" }, { syscall = "fork" }]"#,
            "",
            "`fork` returns in a new process",
        ),
        (
            r#"calls = [{ syscall = "a" }, { syscall = "b" }], threads = 2"#,
            "",
            "one of `threads` and `calls` has to go",
        ),
        (
            r#"calls = [{ syscall = "a" }, { syscall = "b" }]"#,
            "graph = true",
            "makes several in sequence",
        ),
        (
            r#"calls = [{ syscall = "a", args = ["$b"] }, { syscall = "b", result = "b" }]"#,
            "",
            "there is no result `b`",
        ),
        (
            r#"before = [{ syscall = "a", result = "x" }], calls = [{ syscall = "b", result = "x" }]"#,
            "",
            "two calls have a result named `x`",
        ),
        (
            r#"calls = [{ syscall = "a", returns = "x" }]"#,
            "",
            "\"fd\" or \"int\", not \"x\"",
        ),
    ] {
        let message = refused(workload, rest);
        assert!(message.contains(reason), "{workload}: {message}");
    }
}
