//! Exhibits: views of evidence by name.

mod bytes;
mod calltree;
mod claims;
mod derivation;
mod disassembly;
mod evidence;
mod history;
mod ledger;
mod linkage;
mod log;
mod machines;
mod shown;
mod slides;
mod slot;
mod space;
mod steps;
mod table;
mod thread;
mod trace;
pub mod trace_record;
mod tree;

use std::ops::Range;

use qed_evidence::diagnostic::{Diagnostic, nearest};
use qed_evidence::document::Experiment;
use qed_evidence::{Path, Value};

use crate::claims::judged::Claims;
use crate::evidence::book_data::{Facts, What, sound};
use crate::evidence::format::{As, describe};
use crate::evidence::names::Glossary;
use crate::evidence::provenance::Use;
use crate::markdown::chapter::Chapter;
use crate::markdown::structure::Block;
use crate::markdown::syntax::{Spanned, SyntaxError, Words, only_options, words};
use crate::render::fill::{Rendered, Target, note};

/// What an exhibit is asked for.
pub struct Request<'a, 'f> {
    /// Its options.
    pub words: &'a Words,
    /// The place of the info string.
    pub info: Range<usize>,
    /// The lines of its body that are not blank, with their places in the chapter.
    pub body: &'a [(String, Range<usize>)],
    /// The chapter's text, for places in it.
    pub source: &'a str,
    /// The chapter's path relative to `src`.
    pub chapter: &'a str,
    /// The chapter.
    pub page: &'a Chapter,
    /// The evidence.
    pub facts: &'a Facts<'f>,
    /// The book's claims.
    pub claims: &'a Claims,
    /// The terms that the book defines.
    pub glossary: &'a Glossary,
    /// What the page becomes.
    pub target: Target,
}

/// Something that [`Request`]s are made to.
struct Exhibit {
    name: &'static str,
    options: &'static [&'static str],
    takes_body: bool,
    render: fn(&Request<'_, '_>) -> Result<Rendered, SyntaxError>,
}

/// All exhibits.
const EXHIBITS: &[Exhibit] = &[
    Exhibit {
        name: "bytes",
        options: &["machine"],
        takes_body: true,
        render: bytes::render,
    },
    Exhibit {
        name: "calltree",
        options: &["experiment", "machine"],
        takes_body: false,
        render: calltree::render,
    },
    Exhibit {
        name: "claims",
        options: &[],
        takes_body: false,
        render: claims::render,
    },
    Exhibit {
        name: "derivation",
        options: &[],
        takes_body: false,
        render: derivation::render,
    },
    Exhibit {
        name: "evidence",
        options: &["machine"],
        takes_body: false,
        render: evidence::render,
    },
    Exhibit {
        name: "disassembly",
        options: &["experiment", "machine"],
        takes_body: false,
        render: disassembly::render,
    },
    Exhibit {
        name: "history",
        options: &[],
        takes_body: false,
        render: history::render,
    },
    Exhibit {
        name: "ledger",
        options: &["experiment", "machine"],
        takes_body: false,
        render: ledger::render,
    },
    Exhibit {
        name: "linkage",
        options: &["machine", "title"],
        takes_body: true,
        render: linkage::render,
    },
    Exhibit {
        name: "log",
        options: &["machine"],
        takes_body: true,
        render: log::render,
    },
    Exhibit {
        name: "machines",
        options: &[],
        takes_body: false,
        render: machines::render,
    },
    Exhibit {
        name: "slides",
        options: &["machine"],
        takes_body: false,
        render: slides::render,
    },
    Exhibit {
        name: "slot",
        options: &["machine"],
        takes_body: true,
        render: slot::render,
    },
    Exhibit {
        name: "space",
        options: &["machine", "from", "to"],
        takes_body: true,
        render: space::render,
    },
    Exhibit {
        name: "steps",
        options: &["machine"],
        takes_body: true,
        render: steps::render,
    },
    Exhibit {
        name: "table",
        options: &["machine"],
        takes_body: true,
        render: table::render,
    },
    Exhibit {
        name: "thread",
        options: &["machine"],
        takes_body: true,
        render: thread::render,
    },
    Exhibit {
        name: "trace",
        options: &["experiment", "machine"],
        takes_body: true,
        render: trace::render,
    },
];

/// The names of all exhibits.
pub fn names() -> impl Iterator<Item = &'static str> {
    EXHIBITS.iter().map(|exhibit| exhibit.name)
}

/// Renders the exhibit in `block`; what is wrong with it goes to `problems`.
pub fn render(
    chapter: &Chapter,
    block: &Block,
    book: (&Facts<'_>, &Claims, &Glossary),
    target: Target,
    problems: &mut Vec<Diagnostic>,
) -> Option<Rendered> {
    match try_render(chapter, block, book, target) {
        Ok(rendered) => Some(rendered),
        Err(error) => {
            note(problems, chapter, error);
            None
        }
    }
}

fn try_render(
    chapter: &Chapter,
    block: &Block,
    (facts, claims, glossary): (&Facts<'_>, &Claims, &Glossary),
    target: Target,
) -> Result<Rendered, SyntaxError> {
    let source = chapter.source.text.as_str();
    let words = words(source, block.info.clone())?;
    let name = match &words.words[..] {
        [name] => name,
        _ => {
            let list: Vec<&str> = names().collect();
            return Err(SyntaxError::new(
                block.info.clone(),
                "an exhibit has one name",
                Some(format!("there is {}", list.join(", "))),
            ));
        }
    };
    let Some(exhibit) = EXHIBITS.iter().find(|e| e.name == name.text) else {
        let list: Vec<&str> = names().collect();
        let help = match nearest(&name.text, list.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is {}", list.join(", ")),
        };
        return Err(SyntaxError::new(
            name.span.clone(),
            format!("no exhibit `{}`", name.text),
            Some(help),
        ));
    };
    only_options(&words, exhibit.options)?;
    let body: Vec<(String, Range<usize>)> = block
        .body
        .iter()
        .flat_map(|piece| {
            let text = &source[piece.clone()];
            text.split_inclusive('\n').scan(piece.start, |at, line| {
                let start = *at;
                *at += line.len();
                let trimmed = line.trim();
                let lead = line.len() - line.trim_start().len();
                Some((
                    trimmed.to_owned(),
                    start + lead..start + lead + trimmed.len(),
                ))
            })
        })
        .filter(|(line, _)| !line.is_empty())
        .collect();
    if let (false, Some((_, span))) = (exhibit.takes_body, body.first()) {
        let message = format!(
            "exhibit `{}` takes nothing between its fences",
            exhibit.name
        );
        return Err(SyntaxError::new(span.clone(), message, None));
    }
    // A machine of this book that has no evidence here shows nothing, as in a placeholder; the rest of the book stands.
    if let Some(option) = words.option("machine")
        && facts.named(&option.value.text) == Ok(None)
    {
        return Ok(absent(facts, &option.value.text));
    }
    (exhibit.render)(&Request {
        words: &words,
        info: block.info.clone(),
        body: &body,
        source,
        chapter: &chapter.source.name,
        page: chapter,
        facts,
        claims,
        glossary,
        target,
    })
}

impl<'f> Request<'_, 'f> {
    /// The machine that the option `machine` names; `None` if it does not.
    fn machine(&self) -> Result<Option<usize>, SyntaxError> {
        let Some(option) = self.words.option("machine") else {
            return Ok(None);
        };
        let span = option.value.span.clone();
        match self.facts.named(&option.value.text) {
            Ok(Some(index)) => Ok(Some(index)),
            Ok(None) => {
                let message = format!("there is no evidence of `{}` yet", option.value.text);
                let help =
                    crate::evidence::loader::capture_line(self.facts.config, &option.value.text);
                Err(SyntaxError::new(
                    span,
                    message,
                    Some(format!("capture: {help}")),
                ))
            }
            Err(message) => Err(SyntaxError::new(span, message, None)),
        }
    }

    /// Shows the experiment that the option `experiment` names, on the machine that the author or else the book
    /// prefers. `show` gets the machine, the experiment's name and the experiment, and gives back what there is to see
    /// or why there is nothing; an experiment that is not sound there is never shown.
    fn show_experiment(
        &self,
        show: impl FnOnce(usize, &'f str, &'f Experiment) -> Result<Rendered, String>,
    ) -> Result<Rendered, SyntaxError> {
        let planned = &self.facts.catalog.investigation.experiments;
        let Some(option) = self.words.option("experiment") else {
            return Err(SyntaxError::new(
                self.info.clone(),
                "the exhibit needs an experiment",
                Some("write experiment=\"…\"".to_owned()),
            ));
        };
        let wanted = option.value.text.as_str();
        let Some(found) = planned.iter().find(|e| e.name == wanted) else {
            let near = nearest(wanted, planned.iter().map(|e| e.name.as_str()));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("no experiment `{wanted}` in the investigation");
            return Err(SyntaxError::new(option.value.span.clone(), message, help));
        };
        let machine = self
            .machine()?
            .unwrap_or_else(|| self.facts.default_machine(&found.name));
        let shown = sound(&self.facts.loaded[machine].evidence, &found.name)
            .and_then(|experiment| show(machine, &found.name, experiment));
        Ok(shown.unwrap_or_else(|why| nothing(self.facts, machine, &why)))
    }
}

/// A value that an exhibit shows.
pub struct Looked {
    /// The value as it is in the evidence; `None` if there is none, or it must not be believed.
    pub value: Option<Value>,
    /// What stands in the page: the value as text, or the gap with its reason.
    pub used: Use,
    /// There is no value to show.
    pub missing: bool,
}

impl Request<'_, '_> {
    /// The value of a path that stands in the body: on `machine`, or on the one that the reader is shown.
    fn look(
        &self,
        name: &Spanned,
        machine: Option<usize>,
        style: (Option<As>, Option<&str>),
    ) -> Result<Looked, SyntaxError> {
        let path: Path = name
            .text
            .parse()
            .map_err(|m: String| SyntaxError::new(name.span.clone(), m, None))?;
        let shown = self.facts.show(&path, machine);
        let shown = shown.as_ref().as_ref().map_err(|error| {
            let near = error.nearest.as_ref();
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown path: {}", error.message);
            SyntaxError::new(name.span.clone(), message, help)
        })?;
        let (text, note, missing) = match &shown.what {
            What::Value(value, _) => match crate::evidence::format::format(value, style.0) {
                Ok(text) => (text, describe(value), false),
                Err(reason) => {
                    let message = format!("`{path}` cannot be shown so: {reason}");
                    return Err(SyntaxError::new(name.span.clone(), message, None));
                }
            },
            What::Missing(why) => {
                let (word, reason) = self.facts.gap(&path, shown.machine, why, style.0);
                (format!("{word} ({reason})"), word.into(), true)
            }
            What::Broken(why) => (format!("ERROR ({why})"), "ERROR".into(), true),
        };
        Ok(Looked {
            value: match &shown.what {
                What::Value(value, _) => Some(value.clone()),
                _ => None,
            },
            used: Use {
                path: path.to_string(),
                machine: shown.machine,
                style: style.1.map(str::to_owned),
                text,
                note,
                listed: false,
            },
            missing,
        })
    }
}

/// An exhibit of a machine that there is no evidence of.
fn absent(facts: &Facts<'_>, machine: &str) -> Rendered {
    let known = facts.absent.iter().find(|(name, _)| name == machine);
    let why = known.map_or("there is no evidence of it", |(_, why)| why.as_str());
    unverified(format!("UNVERIFIED on {machine}: {why}"), Vec::new())
}

/// An exhibit that has nothing to show, and why.
fn nothing(facts: &Facts<'_>, machine: usize, why: &str) -> Rendered {
    let name = &facts.loaded[machine].machine;
    unverified(format!("UNVERIFIED on {name}: {why}"), vec![machine])
}

fn unverified(text: String, machines: Vec<usize>) -> Rendered {
    let html = crate::markdown::escape::html(&crate::markdown::escape::visible(&text));
    Rendered {
        html: format!("<div class=\"qed-exhibit qed-unverified\"><p>{html}</p></div>"),
        text,
        machines,
        ..Rendered::default()
    }
}

/// The caption of an exhibit.
fn caption(facts: &Facts<'_>, machine: usize, what: &str) -> String {
    format!("{what} — {}", facts.origin(machine))
}
