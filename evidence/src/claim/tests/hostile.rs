//! Whatever is thrown at the parser and the evaluation: no panic, no abort, no PASS that was not earned.

use proptest::prelude::*;

use crate::claim::Verdict;
use crate::testing::{claim, evidence, judge_claim};

/// Pieces of expressions, so that many random sequences parse.
const PIECES: &[&str] = &[
    "create.outcome.returned",
    "create.sock_alloc.return",
    "create.sock_alloc.exit.file",
    "create.fd_install.args.file",
    "create.sock_alloc.exit.size",
    "create.sock_alloc.exit.state",
    "create.sock_alloc.exit.name",
    "create.sock_alloc.site",
    "create.sock_alloc.stack",
    "create.sock_alloc.exit.huge",
    "create.sock_alloc.exit.raw",
    "create.sock_alloc.exit.flags",
    "create.update_socket_protocol.return",
    "exhausted.get_fd.return",
    "exhausted.outcome.errno",
    "kaslr.slide",
    "kernel.release",
    "kaslr.agree",
    "create",
    "create.sock_alloc",
    "create.twice.hit1",
    "create.x",
    "EMFILE",
    "AF_INET",
    "SS_UNCONNECTED",
    "0",
    "1",
    "3",
    "0u",
    "7u",
    "9223372036854775807",
    "18446744073709551615u",
    "1.5",
    "'f'",
    "''",
    "b'a'",
    "true",
    "false",
    "null",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "?",
    ":",
    "(",
    ")",
    ",",
    "[",
    "]",
    "{",
    "}",
    ".",
    " in ",
    "aligned(",
    "mask(",
    "delta(",
    "int(",
    "errno(",
    "name(",
    "symbol(",
    "line(",
    "on_stack(",
    "calls(",
    "contains(",
    "length(",
    "version(",
    "kernel_at_least(",
    "fired(",
    "never(",
    "before(",
    "inside(",
    "freed(",
    "has(",
    "é",
    "\u{0}",
    "\n",
    "//",
    "'",
    "\"\"\"",
    "`",
    "0x",
    "@",
    "$",
];

fn soup() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 1..24)
        .prop_map(|pieces| pieces.concat())
}

/// Well-formed expressions of all kinds, most of them nonsense.
fn tree() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(&PIECES[..38]).prop_map(str::to_owned);
    leaf.prop_recursive(6, 48, 3, |inner| {
        let operator = proptest::sample::select(vec![
            "==", "!=", "<", ">=", "&&", "||", "+", "-", "*", "/", "%",
        ]);
        let function = proptest::sample::select(crate::claim::FUNCTIONS);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (function, proptest::collection::vec(inner, 4)).prop_map(|(function, args)| {
                format!(
                    "{}({})",
                    function.name,
                    args[..function.arguments.len()].join(", ")
                )
            }),
        ]
    })
}

/// Parse and judge; whatever comes out must be well-formed.
fn try_out(text: &str) -> Result<(), TestCaseError> {
    match claim(text) {
        Err(errors) => {
            prop_assert!(!errors.is_empty());
            for error in errors {
                error.render(false);
                let (source, range) = error.place.clone().unwrap();
                prop_assert!(
                    range.end <= source.text.len() && source.text.is_char_boundary(range.start),
                    "{range:?}"
                );
            }
        }
        Ok(claim) => {
            let judgement = judge_claim(&claim, &evidence());
            for operand in &judgement.operands {
                prop_assert_eq!(&text[operand.range.clone()], operand.text.as_str());
                prop_assert!(operand.value.is_some() || operand.missing.is_some());
            }
            match judgement.verdict {
                Verdict::Pass => {
                    prop_assert!(judgement.control.is_some());
                    prop_assert!(
                        judgement
                            .operands
                            .iter()
                            .all(|operand| operand.value.is_some())
                    );
                }
                Verdict::Fail => prop_assert!(
                    judgement
                        .operands
                        .iter()
                        .all(|operand| operand.value.is_some())
                ),
                _ => prop_assert!(judgement.reason.is_some()),
            }
            prop_assert_eq!(
                judgement.verdict == Verdict::Error,
                judgement.diagnostic.is_some()
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Check that arbitrary text never panics and always gets an answer.
    #[test]
    fn arbitrary_text(text in "\\PC{0,60}") {
        try_out(&text)?;
    }

    /// Check that sequences of the language's own pieces never panic and always get an answer.
    #[test]
    fn arbitrary_pieces(text in soup()) {
        try_out(&text)?;
    }

    /// Check that arbitrary expressions never panic, and pass only with a control and with every value there.
    #[test]
    fn arbitrary_trees(text in tree()) {
        try_out(&text)?;
    }
}

/// Check that the deepest and longest expressions that the limits allow fit into a small stack.
#[test]
fn small_stacks() {
    let inside = |open: &str, times: usize, text: &str, close: &str| {
        format!("{}{text}{}", open.repeat(times), close.repeat(times))
    };
    let sum = |terms: usize| format!("kaslr.slide{}", "+1".repeat(terms));
    let texts = [
        format!("{}kaslr.agree", "!".repeat(158)),
        format!("{}kaslr.slide > 0", "-".repeat(157)),
        format!("{} > 0", sum(157)),
        format!("kaslr{}", ".a".repeat(159)),
        format!("kaslr.agree{}", ".int()".repeat(52)),
        format!("{}kaslr.agree", "kaslr.agree && ".repeat(52)),
        format!("kaslr.agree{}", "==kaslr.agree".repeat(52)),
        inside("kaslr.agree?", 50, "true", ":false"),
        inside("[", 80, "", "]"),
        inside("(", 11, &sum(130), ")") + " > 0",
        inside("int(", 11, &sum(130), ")") + " > 0",
        inside("1+(", 11, &sum(120), ")") + " > 0",
        inside("!(", 11, &format!("{} > 0", sum(120)), ")"),
        inside("aligned(int(", 5, &sum(130), "),1)"),
        inside("kaslr.agree?(", 11, &format!("{} > 0", sum(80)), "):false"),
    ];
    for text in texts {
        assert!(text.len() <= crate::claim::MAX_BYTES);
        let thread = std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                if let Ok(claim) = claim(&text) {
                    judge_claim(&claim, &evidence());
                }
            });
        thread.unwrap().join().unwrap();
    }
}
