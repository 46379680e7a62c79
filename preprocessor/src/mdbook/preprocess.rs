//! The preprocessor itself: standard input to standard output.

use std::io::{BufWriter, IsTerminal, Read, Write};

use qed_evidence::diagnostic::Diagnostic;

use crate::config;
use crate::config::BookPaths;
use crate::exhibits::block::Target;
use crate::mdbook::build::build;
use crate::mdbook::protocol::{chapters_mut, needs_processing, read_book, read_input};
use crate::mdbook::warning_dedup;
use crate::render::book::parse_all;
use crate::templates;
use crate::util::report;

/// Run once and return the exit status. Only the book is written to standard output.
pub fn run() -> u8 {
    if std::io::stdin().is_terminal() {
        return report_error(
            "without a command this is the preprocessor, which mdbook runs and gives the book to. To look at a book, \
             use `mdbook-qed check`; for all commands, `mdbook-qed --help`"
                .into(),
        );
    }
    let mut input = String::new();
    if let Err(error) = std::io::stdin().lock().read_to_string(&mut input) {
        return report_error(format!("the input from mdBook cannot be read: {error}"));
    }
    let input = match read_input(&input) {
        Ok(input) => input,
        Err(error) => return report_error(error.to_string()),
    };
    let context = input.context;
    let book_toml = crate::util::files::read_text(&context.root.join("book.toml")).ok();
    let config =
        match config::reader::read_from_root(&context.root, &context.table, book_toml.as_deref()) {
            Ok(mut config) => {
                config.serves = context.serves;
                config
            }
            Err(problem) => {
                report::print_diagnostics(&[problem]);
                return 2;
            }
        };
    // A book with `deny` is checked even if it contains no placeholder, claim or exhibit.
    if !needs_processing(input.book) && config.deny.is_empty() {
        return write_book(input.book);
    }
    // They are needed when all chapters are read and all evidence is; until then one processor has less to do.
    std::thread::spawn(templates::parse_built_in);
    let mut book = match read_book(input.book) {
        Ok(book) => book,
        Err(error) => return report_error(error.to_string()),
    };
    let target = if context.renderer == "html" {
        Target::Html
    } else {
        Target::Text
    };
    let mut texts = chapters_mut(&mut book);
    let parsed = parse_all(&texts, context.markdown, config.parallelism);
    let paths = BookPaths {
        root: context.root,
        src: context.src,
        theme: context.theme,
    };
    let print = |problems| {
        let unsaid =
            warning_dedup::drop_printed(&paths.root, &context.outputs, &context.renderer, problems);
        report::print_diagnostics(&unsaid);
    };
    match build(&paths, &config, &parsed, target) {
        Err(report) => {
            let status = report.status();
            print(report.problems);
            status
        }
        Ok(outcome) => {
            let unverified = outcome.report.summary_of_unverified();
            print(outcome.report.problems);
            // Each renderer of a build is given the same claims.
            if context
                .outputs
                .first()
                .is_none_or(|first| *first == context.renderer)
            {
                for line in outcome.claims.summary().into_iter().chain(unverified) {
                    eprintln!("mdbook-qed: {line}");
                }
            }
            for ((_, text), filled) in texts.iter_mut().zip(outcome.texts) {
                **text = filled;
            }
            // Megabytes of JSON need not be in memory at once.
            let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
            let written = serde_json::to_writer(&mut out, &book).map_err(Into::into);
            exit_status(written.and_then(|()| out.flush()))
        }
    }
}

fn report_error(message: String) -> u8 {
    report::print_diagnostics(&[Diagnostic::error_without_place(message)]);
    2
}

fn write_book(json: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    exit_status(out.write_all(json.as_bytes()).and_then(|()| out.flush()))
}

/// The exit status after the book was written.
fn exit_status(written: std::io::Result<()>) -> u8 {
    match written {
        Ok(()) => 0,
        Err(error) => report_error(format!("the book cannot be given back to mdBook: {error}")),
    }
}
