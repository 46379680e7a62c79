//! Commands that were run, as evidence.

use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::document::{CommandRun, Evidence, Reader};
use qed_evidence::investigation;
use qed_evidence::value::{Datum, Value};

use crate::reason::Reason;
use crate::session::raw::RawCommand;

/// The beginning of a reason why a text is not kept in the evidence.
const WITHHELD: &str = "not written down";

/// True of the reason of a value that was not kept in the evidence for privacy.
pub fn is_withheld_output(reason: &str) -> bool {
    reason.starts_with(WITHHELD)
}

/// The reason why a text is not kept in the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKeptReason {
    /// A command printed it on a live machine.
    #[error(
        "{WITHHELD}: this machine lives on, and what a command prints there may tell who or where it is"
    )]
    LivesOn,
    /// It has a word of the machine that made the evidence.
    #[error("{WITHHELD}: it names the machine that made the evidence, or a folder of it")]
    NamesBuilder,
}

/// The parts of commands' output that may be kept.
pub struct TextPolicy<'a> {
    /// The captured machine is gone afterwards.
    pub ephemeral: bool,
    /// Texts that the evidence holds anyway.
    pub known: BTreeSet<String>,
    /// Words that tell which machine the builder is: its name, its user, folders.
    pub private: &'a [String],
    /// The words of these that an image of the builder's own may hold: the kernel says who compiled it, and where.
    pub in_image: Vec<&'a str>,
}

impl<'a> TextPolicy<'a> {
    /// Decide what may be kept beside `evidence`.
    pub fn new(evidence: &Evidence, private: &'a [String]) -> Self {
        let kernel = &evidence.kernel;
        let mut known = BTreeSet::from([kernel.release.clone(), kernel.version.clone()]);
        let data = [&kernel.build_id, &kernel.lockdown, &kernel.lsm];
        for datum in data.into_iter().chain(kernel.config.values()) {
            if let Some(Value::Text { value }) = datum.value() {
                known.insert(value.clone());
            }
        }
        TextPolicy {
            ephemeral: evidence.machine.ephemeral,
            known,
            private,
            in_image: words_in_image(evidence, private),
        }
    }

    fn check_text(&self, by: Reader, text: &str) -> Result<(), NotKeptReason> {
        // A throwaway guest knows nothing of the builder but by its kernel.
        let names = match by {
            Reader::Builder => self.private.iter().any(|name| holds_word(text, name)),
            Reader::Machine => self.in_image.iter().any(|name| holds_word(text, name)),
        };
        if names {
            return Err(NotKeptReason::NamesBuilder);
        }
        if self.ephemeral || self.known.contains(text.trim_end()) {
            return Ok(());
        }
        Err(NotKeptReason::LivesOn)
    }
}

/// The `private` words that the kernel image can hold: all but folders, and none where a distribution made the image.
pub(super) fn words_in_image<'a>(evidence: &Evidence, private: &'a [String]) -> Vec<&'a str> {
    let own = evidence.machine.ephemeral && evidence.kernel.package.is_none();
    let words = private.iter().map(String::as_str);
    let words = words.filter(|word| own && !word.starts_with('/'));
    words.collect()
}

/// True if `text` holds `word` in capitals or small letters, and not only as a piece of a longer one.
pub(super) fn holds_word(text: &str, word: &str) -> bool {
    let (text, word) = (&text.to_ascii_lowercase(), &word.to_ascii_lowercase());
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(word.as_str()).any(|(at, _)| {
        !inside(text[..at].chars().next_back()) && !inside(text[at + word.len()..].chars().next())
    })
}

/// Make the evidence of one command.
pub fn assemble_command(
    planned: &investigation::PlannedCommand,
    raw: &RawCommand,
    keep: &TextPolicy<'_>,
) -> CommandRun {
    let exit: Datum = match &raw.ended {
        Ok(status) => Value::int(*status).into(),
        Err(reason) => Datum::unavailable(reason.clone()),
    };
    let output = match command_output(raw) {
        Ok(value) => {
            let (Value::Text { value: text } | Value::CutText { value: text, .. }) = &value else {
                unreachable!("an output is text")
            };
            match keep.check_text(planned.on, text) {
                Ok(()) => value.into(),
                Err(error) => Datum::unavailable(error.to_string()),
            }
        }
        Err(reason) => Datum::unavailable(reason),
    };
    let found = |wanted: &investigation::CommandValue| -> Result<Value, Reason> {
        match &raw.ended {
            Ok(0) => {}
            Ok(status) => return Err(format!("the command ended with status {status}").into()),
            Err(reason) => return Err(reason.clone()),
        }
        let printed = command_output(raw)?;
        let Value::Text { value: text } = &printed else {
            return Err(format!(
                "its output was {}, and what was cut off could match, too: let it print less, or raise its `max-output`",
                printed.describe_cut().unwrap_or_default()
            ).into());
        };
        let value = wanted.find(text).map_err(Reason::from_error)?;
        if let Value::Text { value } = &value {
            keep.check_text(planned.on, value)
                .map_err(Reason::from_error)?;
        }
        Ok(value)
    };
    let values = planned.values.iter().map(|wanted| {
        let datum = match found(wanted) {
            Ok(value) => value.into(),
            Err(reason) => Datum::unavailable(reason),
        };
        (wanted.name.clone(), datum)
    });
    CommandRun {
        by: planned.on,
        argv: raw.argv.clone(),
        files: Vec::new(),
        exit,
        output,
        values: values.collect::<BTreeMap<_, _>>(),
    }
}

/// Its output, complete or truncated, or the reason why it cannot be used.
fn command_output(raw: &RawCommand) -> Result<Value, Reason> {
    if let Err(reason) = &raw.ended {
        return Err(reason.clone());
    }
    super::outcome::decode_output(&raw.stdout, raw.printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(values: &str) -> investigation::PlannedCommand {
        let text = format!(
            "[[command]]\nname = \"c\"\nrun = [\"x\"]\nvalues = [{values}]\n[[experiment]]\nname = \"e\"\n\
             workload = {{ syscall = \"pause\" }}\n[[experiment.probe]]\nfunction = \"f\"\n"
        );
        let parsed = investigation::parse("c.toml", &text);
        parsed
            .unwrap_or_else(|e| panic!("{e:?}"))
            .commands
            .remove(0)
    }

    fn raw(ended: Result<i32, &str>, stdout: &[u8]) -> RawCommand {
        RawCommand {
            argv: vec!["x".into()],
            ended: ended.map_err(Into::into),
            stdout: stdout.to_vec(),
            printed: Some(stdout.len() as u64),
            stderr: Vec::new(),
        }
    }

    fn keep(ephemeral: bool, private: &[String]) -> TextPolicy<'_> {
        TextPolicy {
            ephemeral,
            known: ["6.1.0".to_owned()].into(),
            private,
            in_image: Vec::new(),
        }
    }

    fn show(datum: &Datum) -> String {
        match datum {
            Datum::Value(value) => value.to_string(),
            Datum::Missing(why) => format!("none: {}", why),
        }
    }

    const VALUES: &str = r#"{ name = "at", pattern = '^([0-9a-f]+) T', kind = "address" }, { name = "who", pattern = 'of (\S+)' }, { name = "release", pattern = '\d\.\S+' }"#;
    const PRINTED: &[u8] = b"ffffffff81000000 T _text of sam 6.1.0\n";

    /// Check that all output of a throwaway machine is kept, of a live machine only typed values and facts that are known
    /// anyway, and nothing that names the builder.
    #[test]
    fn what_is_kept() {
        let mut planned = planned(VALUES);
        assert_eq!(planned.on, Reader::Machine);
        let removed = assemble_command(&planned, &raw(Ok(0), PRINTED), &keep(true, &[]));
        assert_eq!(show(&removed.output).as_bytes(), PRINTED);
        assert_eq!(show(&removed.values["who"]), "sam");
        let live = assemble_command(&planned, &raw(Ok(0), PRINTED), &keep(false, &[]));
        assert!(show(&live.output).starts_with("none: not written down"));
        assert!(show(&live.values["who"]).starts_with("none: not written down"));
        assert_eq!(show(&live.values["release"]), "6.1.0");
        assert_eq!(show(&live.values["at"]), "0xffffffff81000000");
        let release = assemble_command(&planned, &raw(Ok(0), b"6.1.0\n"), &keep(false, &[]));
        assert_eq!(show(&release.output), "6.1.0\n");
        let private = ["sam".to_owned()];
        let guest = assemble_command(&planned, &raw(Ok(0), PRINTED), &keep(true, &private));
        assert_eq!(show(&guest.values["who"]), "sam");
        let mut own = keep(true, &private);
        own.in_image = vec!["sam"];
        let own = assemble_command(&planned, &raw(Ok(0), PRINTED), &own);
        assert!(show(&own.output).contains("names the machine"));
        planned.on = Reader::Builder;
        let builder = assemble_command(&planned, &raw(Ok(0), PRINTED), &keep(true, &private));
        assert!(show(&builder.output).contains("names the machine"));
        assert!(show(&builder.values["who"]).contains("names the machine"));
        assert!(!holds_word("/usr/sample", "sam") && holds_word("/home/sam/x", "sam"));
        assert!(holds_word("SAM-PC", "sam") && holds_word("of sam.", "Sam"));
    }

    /// Check that a command that fails, ends too late, prints too much or no text gives no value, and that its status is
    /// reported if it has one.
    #[test]
    fn what_failed() {
        let planned = planned(VALUES);
        for (raw, exit, why) in [
            (raw(Ok(1), PRINTED), "1", "status 1"),
            (raw(Err("it was late"), b""), "none: it was late", "late"),
            (raw(Ok(0), b"\xff\xfe"), "0", "not text"),
            (raw(Ok(0), b""), "0", "nothing in its output"),
        ] {
            let made = assemble_command(&planned, &raw, &keep(true, &[]));
            assert_eq!(show(&made.exit), exit);
            let at = show(&made.values["at"]);
            assert!(at.starts_with("none: ") && at.contains(why), "{at}");
        }
        // If a command printed more than the limit, the beginning is kept, and patterns are not searched for in it.
        for printed in [Some(99), None] {
            let cut = RawCommand {
                printed,
                ..raw(Ok(0), PRINTED)
            };
            let made = assemble_command(&planned, &cut, &keep(true, &[]));
            assert!(
                made.output
                    .value()
                    .is_some_and(|value| value.describe_cut().is_some())
            );
            let at = show(&made.values["at"]);
            assert!(
                at.starts_with("none: ") && at.contains("max-output"),
                "{at}"
            );
        }
    }
}
