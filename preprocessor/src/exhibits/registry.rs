//! The exhibits by name.

use qed_evidence::diagnostic::{Diagnostic, nearest};

use crate::claims::collect::Claims;
use crate::evidence::book_data::BookData;
use crate::evidence::names::Glossary;
use crate::exhibits::block::{RenderedBlock, Target, report};
use crate::exhibits::request::{ExhibitRequest, render_without_evidence};
use crate::exhibits::{
    bytes, calltree, claims, coverage, derivation, disassembly, evidence, graph, history, layout,
    ledger, linkage, log, machines, slides, slot, space, steps, table, thread, timeline, trace,
};
use crate::markdown::chapter::Chapter;
use crate::markdown::structure::Block;
use crate::markdown::syntax::{SyntaxError, refuse_unknown_options, split_words};

/// One exhibit: its name, the options that it accepts, whether it has a body, and the function that renders it.
struct Exhibit {
    name: &'static str,
    options: &'static [&'static str],
    takes_body: bool,
    render: fn(&ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError>,
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
        name: "coverage",
        options: &["experiment", "machine", "scope", "untold"],
        takes_body: true,
        render: coverage::render,
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
        name: "graph",
        options: &["experiment", "machine", "below", "levels"],
        takes_body: false,
        render: graph::render,
    },
    Exhibit {
        name: "history",
        options: &[],
        takes_body: false,
        render: history::render,
    },
    Exhibit {
        name: "layout",
        options: &["type", "machine", "beside"],
        takes_body: false,
        render: layout::render,
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
        name: "timeline",
        options: &["only"],
        takes_body: true,
        render: timeline::render,
    },
    Exhibit {
        name: "trace",
        options: &["experiment", "machine", "form"],
        takes_body: true,
        render: trace::render,
    },
];

/// The names of all exhibits.
pub fn names() -> impl Iterator<Item = &'static str> {
    EXHIBITS.iter().map(|exhibit| exhibit.name)
}

/// The options of the exhibit of this name.
pub fn options(name: &str) -> Option<&'static [&'static str]> {
    let exhibit = EXHIBITS.iter().find(|exhibit| exhibit.name == name)?;
    Some(exhibit.options)
}

/// Render the exhibit in `block`; what is wrong with it goes to `problems`.
pub fn render(
    chapter: &Chapter,
    block: &Block,
    book: (&BookData<'_>, &Claims, &Glossary),
    target: Target,
    problems: &mut Vec<Diagnostic>,
) -> Option<RenderedBlock> {
    match try_render(chapter, block, book, target) {
        Ok(rendered) => Some(rendered),
        Err(error) => {
            report(problems, chapter, error);
            None
        }
    }
}

fn try_render(
    chapter: &Chapter,
    block: &Block,
    (book_data, claims, glossary): (&BookData<'_>, &Claims, &Glossary),
    target: Target,
) -> Result<RenderedBlock, SyntaxError> {
    let source = chapter.source.text.as_str();
    let words = split_words(source, block.info.clone())?;
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
    refuse_unknown_options(&words, exhibit.options)?;
    let body = block.lines(source);
    if let (false, Some((_, span))) = (exhibit.takes_body, body.first()) {
        let message = format!(
            "exhibit `{}` takes nothing between its fences",
            exhibit.name
        );
        return Err(SyntaxError::new(span.clone(), message, None));
    }
    // A machine of this book that has no evidence here shows nothing, as in a placeholder; the rest of the book stands.
    if let Some(option) = words.option("machine")
        && book_data.find_machine(&option.value.text) == Ok(None)
    {
        return Ok(render_without_evidence(book_data, &option.value.text));
    }
    (exhibit.render)(&ExhibitRequest {
        words: &words,
        info: block.info.clone(),
        body: &body,
        source,
        chapter: &chapter.source.name,
        page: chapter,
        book_data,
        claims,
        glossary,
        target,
    })
}
