//! `init`: creates a new live book, or adds the missing parts to an existing one.

mod guest_arch;
mod release;
mod settings;
mod workflow;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use qed_evidence::diagnostic::Diagnostic;

use crate::cli::common::{Document, GOOD, find_repository, print, report_bad_input, schema_text};
use crate::evidence::cache::DerivedCache;
use crate::evidence::capture::{forget_attempts, refresh};
use crate::evidence::freshness::LocalMachine;
use crate::evidence::local_files;
use crate::mdbook::load;
use crate::util::parallel::Parallelism;
use crate::util::report;
pub use guest_arch::GuestArch;
pub use release::{Release, ReleaseError};
use settings::{
    ExistingSettings, added_settings, arch_problem, new_settings, read_existing_settings,
};
use workflow::render_workflow;
pub use workflow::{ActionRef, WorkflowSource, is_in_registry};

/// A file of a new book; a book that is there has its own of these, or lacks none.
struct InitFile {
    path: &'static str,
    text: &'static str,
}

const FILES: &[InitFile] = &[
    InitFile {
        path: ".gitignore",
        text: include_str!("../../templates/init/gitignore"),
    },
    InitFile {
        path: "book/SUMMARY.md",
        text: include_str!("../../templates/init/SUMMARY.md"),
    },
    InitFile {
        path: "book/first.md",
        text: include_str!("../../templates/init/first.md"),
    },
    // The style sheet of values is in the pages.
    InitFile {
        path: "theme/live.css",
        text: include_str!("../../templates/init/live.css"),
    },
];

const INVESTIGATION: &str = "investigations/first.toml";
/// The schemas that the files name, for editors.
const SCHEMAS: &[(&str, Document)] = &[
    ("schema/investigation.json", Document::Investigation),
    ("schema/book.json", Document::Book),
];
/// Evidence of the new book, captured in a guest when this version was made: `make record`.
const RECORDED: &str = include_str!("../../templates/init/guest-debian-6.1.json");
const WORKFLOW: &str = ".github/workflows/book.yml";

/// Run the command.
pub fn run(dir: &Path, new: NewBook<'_>) -> u8 {
    let recorded = new.recorded;
    let existing = match read_existing_settings(dir) {
        Ok(existing) => existing,
        Err(error) => {
            let message = error.to_string();
            return report_bad_input(&[Diagnostic::error_without_place(message.trim_end())
                .help("mend it, or name another folder; nothing was changed")]);
        }
    };
    if recorded && existing.as_ref().is_some_and(|book| book.has_investigation) {
        let message = format!(
            "the book in {} has an investigation of its own, and what is recorded is of a new book's",
            dir.display()
        );
        return report_bad_input(&[Diagnostic::error_without_place(message)
            .help("name another folder, or leave out --recorded: then what the book asks for is captured; nothing was changed")]);
    }
    if let Some(problem) = arch_problem(dir, existing.as_ref(), new.arch, recorded) {
        return report_bad_input(&[problem]);
    }
    let new = NewBook {
        captures: new.captures && existing.is_none() && local_files::find_collector().is_some(),
        ..new
    };
    let within = find_repository(dir).filter(|(_, inside)| inside.components().next().is_some());
    match write_missing_files(dir, existing.as_ref(), new, within.as_ref()) {
        Ok(()) => {
            if !recorded {
                print(&run_doctor(dir));
            }
            if new.captures {
                // The book is written, whatever becomes of its first capture.
                report::print_diagnostics(&capture(dir));
            }
            GOOD
        }
        Err((path, error)) => {
            let message = format!("{} cannot be written: {error}", path.display());
            report_bad_input(&[Diagnostic::error_without_place(message).help(
                "name a folder of your own; what is listed as created is there, and stays as it is when you run this again",
            )])
        }
    }
}

/// The choices for a new book.
#[derive(Clone, Copy)]
pub struct NewBook<'a> {
    /// Where this program came from.
    pub source: WorkflowSource<'a>,
    /// The reason why the release that it may have come from is not named in `source`.
    pub no_release: Option<&'a ReleaseError>,
    /// The architecture of its guest, if one is asked for.
    pub arch: Option<GuestArch>,
    /// True if it shows evidence that comes along, and captures nothing.
    pub recorded: bool,
    /// True if what it shows is captured at once, where it is a new book.
    pub captures: bool,
}

/// Capture what the new book in `dir` shows. Return why that could not be.
fn capture(dir: &Path) -> Vec<Diagnostic> {
    let book = match load::load(dir, Parallelism::default()) {
        Ok(book) => book,
        Err(problem) => return vec![problem],
    };
    let here = LocalMachine::read();
    let root = &book.paths.root;
    let (problems, _) = refresh(root, &book.config, &here, &DerivedCache::default());
    // The first build tries again: until then somebody may have installed what is missing.
    forget_attempts(root, &book.config);
    problems
}

/// Run `qed-collector doctor` in the folder of the book, whose machines it looks at, and return its complaints about this machine.
fn run_doctor(dir: &Path) -> String {
    let Some(program) = local_files::find_collector() else {
        return "\nThere is no qed-collector in PATH or beside this program, and so nothing is captured here: install it, or show what \
                was recorded with --recorded.\n"
            .into();
    };
    let run = Command::new(program)
        .arg("doctor")
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) => return format!("\n`qed-collector doctor` cannot be started: {error}\n"),
    };
    let printed = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = printed
        .lines()
        // What works, and what nothing here needs.
        .filter(|line| {
            !["ok ", "-- "]
                .iter()
                .any(|word| line.trim_start().starts_with(word))
        })
        .collect();
    format!(
        "\nThis machine, as `qed-collector doctor` sees it. Captures would be faster or richer with what it marks \"no\":\n  {}\n",
        lines.join("\n  ")
    )
}

/// Write the missing files and list them. The error is the file that could not be written, with the reason.
fn write_missing_files(
    dir: &Path,
    existing: Option<&ExistingSettings>,
    new: NewBook<'_>,
    within: Option<&(PathBuf, PathBuf)>,
) -> Result<(), (PathBuf, std::io::Error)> {
    let NewBook {
        source, recorded, ..
    } = new;
    let arch = new.arch.unwrap_or_default();
    create_file(
        dir,
        "book.toml",
        new_settings(recorded, arch).into(),
        existing.is_none(),
    )?;
    for file in FILES {
        create_file(dir, file.path, file.text.into(), existing.is_none())?;
    }
    let lacks = existing.is_none_or(|book| !book.has_investigation);
    let text = include_str!("../../templates/init/first.toml");
    create_file(dir, INVESTIGATION, text.into(), lacks)?;
    for (path, document) in SCHEMAS {
        let wanted = existing.is_none() || (lacks && *document == Document::Investigation);
        create_file(dir, path, schema_text(*document).into(), wanted)?;
    }
    if recorded {
        create_file(dir, "recorded/guest-debian-6.1.json", RECORDED.into(), true)?;
    }
    let site = existing.map_or("site", |book| book.build_dir.as_str());
    let inside = within.map_or(Cow::default(), |(_, inside)| inside.to_string_lossy());
    let is_new = !dir.join(WORKFLOW).exists();
    create_file(
        dir,
        WORKFLOW,
        render_workflow(source, arch, site, &inside).into(),
        true,
    )?;
    if let Some(book) = existing.filter(|book| !book.has_table) {
        let path = dir.join("book.toml");
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| {
                let added = added_settings(book, recorded, arch);
                std::io::Write::write_all(&mut file, added.as_bytes())
            })
            .map_err(|error| (path, error))?;
        let added = indent(&added_settings(book, recorded, arch));
        print(&format!("added    to book.toml:\n{added}"));
        if !book.watches {
            print(
                "\nFor `mdbook serve` to show a new capture, add to [build] in book.toml:\n    \
                 extra-watch-dirs = [\".qed/evidence\", \"investigations\"]\n",
            );
        }
    }
    print(&next_steps(existing.is_some(), dir, new));
    if is_new {
        print(&workflow_instructions(
            new,
            within.map(|(top, _)| top.as_path()),
        ));
    }
    Ok(())
}

/// Create a file if it is `wanted`, unless it is there.
fn create_file(
    dir: &Path,
    name: &str,
    text: Cow<'_, str>,
    wanted: bool,
) -> Result<(), (PathBuf, std::io::Error)> {
    let path = dir.join(name);
    if path.exists() {
        print(&format!("kept     {name}\n"));
        return Ok(());
    }
    if wanted {
        path.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text.as_bytes()))
            .map_err(|error| (path, error))?;
        print(&format!("created  {name}\n"));
    }
    Ok(())
}

fn indent(text: &str) -> String {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("    {line}\n"))
        .collect()
}

/// The next steps for the author.
fn next_steps(existing: bool, dir: &Path, new: NewBook<'_>) -> String {
    let chapter = if existing {
        "write a value into a chapter, {{qed first.outcome.returned}}, and "
    } else {
        ""
    };
    let dir = shell_quote(&dir.to_string_lossy());
    let captures = match (new.recorded, new.captures) {
        (true, _) => {
            "It shows what was recorded; `capture = \"if-stale\"` in book.toml captures here."
        }
        (false, true) => {
            "What it shows is captured in a small guest machine (QEMU, no root): now, and when a build finds it out of date."
        }
        (false, false) => "The first build captures in a small guest machine (QEMU, no root).",
    };
    format!(
        "\nNext: {chapter}build the book. {captures}\n  mdbook build {dir}\n  mdbook-qed paths --book {dir}\n"
    )
}

/// A word of a command line.
fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/+:@%".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Instructions for the workflow. `top` is that of the repository, if the book is deeper in it.
fn workflow_instructions(new: NewBook<'_>, top: Option<&Path>) -> String {
    let evidence = match new.recorded {
        true => "Commit recorded/, too: it is shown where nothing can be captured.",
        false => {
            "What GitHub's runners cannot capture, such as `host`: `mdbook-qed redact recorded` writes it in the book's folder; commit it."
        }
    };
    let mut text = format!(
        "\n{WORKFLOW} captures, checks and builds the book on GitHub, and publishes it on Pages:\n  \
         In the settings of the repository, under Pages, choose \"GitHub Actions\" as the source.\n  {evidence}\n"
    );
    if !matches!(new.source, WorkflowSource::Release { .. }) {
        let why = new.no_release.map_or_else(
            || "this program was not installed from the archive of a release".to_owned(),
            |error| {
                format!("it is not known which release this program was installed from: {error}")
            },
        );
        text.push_str(&format!("  It compiles QED with cargo, because {why}.\n"));
        if let Some(GuestArch::Arm64) = new.arch {
            text.push_str(
                "  It has no qed-collector for arm64 then, which the book's guest needs: copy what is captured here,\n  \
                 .qed/evidence/guest-debian-6.1-arm64.json, to recorded/, and commit it.\n",
            );
        }
    }
    text.push_str(&match new.source {
        WorkflowSource::Release {
            action: Some(_),
            version,
            ..
        } => format!("  It installs the release {version} of QED, by the digest of its archive.\n"),
        WorkflowSource::Release { version, .. } => format!(
            "  It installs the release {version} of QED, by the digest of its archive, and does not know where that is:\n  \
             replace {}, twice, by QED's repository on GitHub, and the zeros by the commit of the release.\n",
            ActionRef::UNKNOWN.repository
        ),
        WorkflowSource::Unknown => {
            "  It does not know where QED comes from: write that into the lines QED_REPOSITORY and QED_COMMIT.\n".to_owned()
        }
        WorkflowSource::Git { .. } | WorkflowSource::Registry => String::new(),
    });
    if let Some(top) = top {
        let top = top.join(".github/workflows");
        text.push_str(&format!(
            "  GitHub looks for it in {} alone: move it there.\n",
            top.display()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a folder is told as a shell reads it.
    #[test]
    fn shell() {
        assert_eq!(shell_quote("docs/my-book"), "docs/my-book");
        assert_eq!(shell_quote("a book"), "'a book'");
        assert_eq!(shell_quote("it's"), "'it'\\''s'");
    }
}
