//! Conversion of command-line words to an investigation, and of a traced call to a first investigation for a new chapter. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use qed_evidence::path::{refuse_experiment_name, refuse_probe_name};
use thiserror::Error;
use toml::Value;

use super::call_tree::{ShownTree, pluralize, rows};
use crate::assemble::graph::CallFunctions;
use crate::btf::{Btf, BtfError};
use crate::graph::TracedCall;
use crate::symbols::Kallsyms;
use crate::workload::names::{self, UnknownName};

/// Name of an experiment whose workload has no name that an experiment can have.
const NAMELESS: &str = "traced";

/// Words that do not make a workload.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No words.
    #[error(
        "say what to trace: `qed-collector discover -- socket AF_INET SOCK_STREAM 0`, or --experiment NAME"
    )]
    Nothing,
    /// The first word is neither a system call nor a path.
    #[error("{unknown} (a program is written with its folder, as /bin/{word})")]
    Unknown {
        /// The word.
        word: String,
        /// The reason, with the nearest system call.
        unknown: UnknownName,
    },
    /// A buffer without a size.
    #[error("`{0}`: the size of a buffer is a number of bytes, as in buffer:64")]
    BufferSize(String),
    /// A word in capitals that is not a constant.
    #[error("{unknown} (write its number, or text:{word} if a text is meant)")]
    Constant {
        /// The word.
        word: String,
        /// The reason, with the nearest constant.
        unknown: UnknownName,
    },
}

/// The name of the experiment, and its `name` and `workload` as TOML: a system call where the first word is one, else a command.
///
/// # Errors
/// When the first word is neither a system call nor looks like a program.
pub fn experiment_from_words(words: &[String]) -> Result<(String, String), CallError> {
    let (first, rest) = words.split_first().ok_or(CallError::Nothing)?;
    let name = match refuse_experiment_name(first) {
        None => first.as_str(),
        Some(_) => NAMELESS,
    };
    let workload = match names::syscall_number(first) {
        Ok(_) => {
            let args = rest
                .iter()
                .enumerate()
                .map(|(at, word)| argument_toml(at, word));
            let args = args.collect::<Result<Vec<_>, _>>()?;
            format!(
                "{{ syscall = {}, args = [{}] }}",
                Value::from(first.as_str()),
                args.join(", ")
            )
        }
        Err(_) if first.contains('/') => {
            let words: Vec<String> = words
                .iter()
                .map(|word| Value::from(word.as_str()).to_string())
                .collect();
            format!("{{ command = [{}] }}", words.join(", "))
        }
        Err(unknown) => {
            let word = first.clone();
            return Err(CallError::Unknown { word, unknown });
        }
    };
    let toml = format!("name = {}\nworkload = {workload}\n", Value::from(name));
    Ok((name.to_owned(), toml))
}

/// An argument of a system call as TOML: a number, a constant of the C library, `buffer:SIZE`, or a text.
fn argument_toml(at: usize, word: &str) -> Result<String, CallError> {
    if let Ok(number) = word.parse::<i64>() {
        return Ok(number.to_string());
    }
    let Err(unknown) = names::constant_value(word) else {
        return Ok(Value::from(word).to_string());
    };
    if let Some(size) = word.strip_prefix("buffer:") {
        let size = size.parse::<u32>();
        let size = size.map_err(|_| CallError::BufferSize(word.to_owned()))?;
        return Ok(format!("{{ buffer = \"argument{at}\", size = {size} }}"));
    }
    // A constant that is misspelt, or one that is not known here, must not become a text.
    let like_constant =
        |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '|');
    let text = word.strip_prefix("text:");
    if text.is_none() && !word.is_empty() && word.chars().all(like_constant) {
        let word = word.to_owned();
        return Err(CallError::Constant { word, unknown });
    }
    Ok(format!(
        "{{ text = {} }}",
        Value::from(text.unwrap_or(word))
    ))
}

/// The text of a whole investigation, from which only the workload is used.
pub fn wrap_in_investigation(experiment: &str) -> String {
    format!("[[experiment]]\n{experiment}\n[[experiment.probe]]\ntracepoint = \"sys_exit\"\n")
}

/// A first investigation of a call: the functions that are shown and can be probed, each once, except those of interrupts.
/// Functions that cannot be probed are named with the reason.
pub fn starter_investigation(
    experiment: &str,
    machine: &str,
    call: &TracedCall,
    functions: &CallFunctions,
    shown: &ShownTree,
    kallsyms: &Kallsyms,
    btf: &Btf<'_>,
) -> String {
    let mut out = format!(
        "# Written by `qed-collector discover` on {machine}: the functions that the call ran through, {}.\n\
         # Keep those that your chapter is about.\n\n[[experiment]]\n{experiment}",
        extent_text(shown)
    );
    out += "graph = true\n";
    let mut seen = BTreeSet::new();
    let mut left_out = String::new();
    let own = ShownTree {
        interrupts: false,
        ..shown.clone()
    };
    for row in rows(call, functions, &own).unwrap_or_default() {
        let function = functions.of_frame[row.at];
        if !seen.insert(function) {
            continue;
        }
        let name = &functions.table[function].name;
        match prototype(
            name,
            functions.table[function].module.as_deref(),
            kallsyms,
            btf,
        ) {
            Ok(prototype) => {
                let _ = write!(
                    out,
                    "\n# {prototype}; {} below\n[[experiment.probe]]\nfunction = {}\n",
                    pluralize(row.below, "call"),
                    Value::from(name.as_str())
                );
            }
            Err(error) => {
                let _ = writeln!(left_out, "# {name}: {error}");
            }
        }
    }
    if !left_out.is_empty() {
        let _ = write!(
            out,
            "\n# These ran, too, and a probe cannot be put on them by their names:\n{left_out}"
        );
    }
    out
}

/// The part of the tree that is shown, in words.
fn extent_text(shown: &ShownTree) -> String {
    let depth = match shown.depth {
        Some(depth) => format!("{} deep", pluralize(depth as usize, "level")),
        None => "all levels".to_owned(),
    };
    match &shown.below {
        Some(name) => format!("from {name} on, {depth}"),
        None => depth,
    }
}

/// A function that no probe of the written investigation can be put on by its name.
#[derive(Debug, Error)]
enum ProbeError {
    /// The probe would need another name.
    #[error("{0}")]
    Name(String),
    /// A function of a module.
    #[error("it is of the module {0}")]
    Module(String),
    /// One of several functions of this name.
    #[error("several functions have this name")]
    Several,
    /// Its parameters are not known.
    #[error("the kernel's types do not describe one function of this name")]
    Undescribed,
    /// The kernel's types cannot be read.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

/// The prototype of a function as C writes it, if a probe can be put on it by its name.
fn prototype(
    name: &str,
    module: Option<&str>,
    kallsyms: &Kallsyms,
    btf: &Btf<'_>,
) -> Result<String, ProbeError> {
    if let Some(why) = refuse_probe_name(name) {
        return Err(ProbeError::Name(why));
    }
    if let Some(module) = module {
        return Err(ProbeError::Module(module.to_owned()));
    }
    if kallsyms.lookup(name).len() != 1 {
        return Err(ProbeError::Several);
    }
    let functions = btf.functions(name)?;
    let [function] = functions.as_slice() else {
        return Err(ProbeError::Undescribed);
    };
    let signature = &function.signature;
    let parameters = signature
        .parameters
        .iter()
        .enumerate()
        .map(|(at, parameter)| {
            let type_name = btf.type_name(parameter.type_id)?;
            let gap = if type_name.ends_with('*') { "" } else { " " };
            Ok(format!(
                "{type_name}{gap}{}",
                parameter.name_or_position(at)
            ))
        });
    let parameters = parameters.collect::<Result<Vec<_>, BtfError>>()?;
    Ok(format!("{name}({})", parameters.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::investigation::parse;

    fn toml(words: &[&str]) -> Result<(String, String), CallError> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        experiment_from_words(&words)
    }

    /// Check that numbers, constants, texts and buffers are told apart, and that what is written is an investigation.
    #[test]
    fn words() {
        let (name, text) =
            toml(&["openat", "AT_FDCWD", "/a \"b\"", "O_RDONLY|O_CLOEXEC", "0"]).unwrap();
        assert_eq!(name, "openat");
        assert!(
            text.contains(
                "args = [\"AT_FDCWD\", { text = '/a \"b\"' }, \"O_RDONLY|O_CLOEXEC\", 0]"
            ),
            "{text}"
        );
        let (_, with_buffer) = toml(&["pipe2", "buffer:8", "text:O_CLOEXEC"]).unwrap();
        for text in [text, with_buffer] {
            let whole = wrap_in_investigation(&text);
            assert!(parse("d.toml", &whole).is_ok(), "{whole}");
        }
        let (name, text) = toml(&["/bin/true", "-x"]).unwrap();
        assert_eq!(name, "traced");
        assert!(
            parse("d.toml", &wrap_in_investigation(&text)).is_ok(),
            "{text}"
        );
    }

    /// Check that a misspelt system call or constant is told, and does not become a program or a text.
    #[test]
    fn misspelt() {
        assert!(toml(&["sockt", "1"]).unwrap_err().to_string().ends_with(
            "did you mean `socket`? (a program is written with its folder, as /bin/sockt)"
        ));
        assert!(toml(&["socket", "AF_INETT"]).unwrap_err().to_string().ends_with(
            "did you mean `AF_INET`? (write its number, or text:AF_INETT if a text is meant)"
        ));
        assert!(
            toml(&["pipe2", "buffer:x"])
                .unwrap_err()
                .to_string()
                .contains("number of bytes")
        );
        assert!(toml(&[]).is_err());
    }
}
