//! `bisect`: narrows down the turns of a claim among all available releases, with as few captures as possible.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use qed_evidence::claim::Judgement;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::{Evidence, reader};
use serde::Serialize;

use crate::claims::bisect::{Bisection, ReleaseVersion, unserved_releases};
use crate::claims::judged::JudgedClaim;
use crate::claims::sweep::operand_values;
use crate::claims::timeline::{Answer, find_turns, summarize};
use crate::cli::common::Format;
use crate::cli::common::{CANNOT, GOOD, format_table, print, report_bad_input};
use crate::cli::swept_book::SweptBook;
use crate::config::evidence_file_name;
use crate::evidence::collector::{self, BootableKernel, Collector};
use crate::util::report;

/// The folder of the evidence that a search makes, relative to the book's root.
const FOLDER: &str = ".qed/evidence/bisect";

/// The part of a machine's name before the version of Debian's kernel.
const DEBIAN: &str = "guest:debian-";

/// The request to the command.
#[derive(Clone, Copy)]
pub struct BisectRequest<'a> {
    /// The claim.
    pub id: &'a str,
    /// The folder of the sweep's evidence, relative to the book's.
    pub from: &'a Path,
    /// `auto` or `none`: whether to fetch debug information.
    pub debuginfo: &'a str,
    /// The form of the output.
    pub format: Format,
}

/// The reason why nothing was searched.
enum BisectError {
    /// The book, the sweep or the claim is wrong.
    Input(Vec<Diagnostic>),
    /// This machine cannot do it.
    Cannot(Diagnostic),
}

/// Run the command on the book in `root`.
pub fn run(root: &Path, request: BisectRequest<'_>) -> u8 {
    match bisect(root, request) {
        Ok(text) => {
            print(&text);
            GOOD
        }
        Err(BisectError::Input(problems)) => report_bad_input(&problems),
        Err(BisectError::Cannot(problem)) => {
            report::print_diagnostics(&[problem]);
            CANNOT
        }
    }
}

fn bisect(root: &Path, request: BisectRequest<'_>) -> Result<String, BisectError> {
    let swept = SweptBook::read(root, request.from).map_err(BisectError::Input)?;
    let claim = swept
        .claim(request.id)
        .map_err(|problem| BisectError::Input(vec![problem]))?;
    let answers: Vec<Answer> = claim
        .judgements
        .iter()
        .map(Answer::from_judgement)
        .collect();
    let columns = swept.releases();
    let turns = find_turns(&answers, &columns);
    let mut found = Vec::new();
    if !turns.is_empty() {
        let cannot = |error: collector::CollectorError| {
            BisectError::Cannot(Diagnostic::error_without_place(format!(
                "`{}` cannot be narrowed down: {error}",
                request.id
            )))
        };
        let collector = Collector::find().map_err(cannot)?;
        // A turn is between two kernels for one architecture.
        let mut kernels_of = BTreeMap::new();
        for turn in turns {
            let arch = columns[turn.before].arch;
            let kernels = match kernels_of.entry(arch) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(collector.kernels(debian_name(arch)).map_err(cannot)?)
                }
            };
            let ends = [turn.before, turn.after];
            let asker = KernelTester {
                root,
                request,
                investigation: &swept.investigation,
                collector: &collector,
                ends: ends.map(|at| &swept.evidence_set.loaded[at].evidence),
            };
            let ends = ends.map(|at| JudgedKernel::from_sweep(&swept, claim, at, kernels));
            found.push(asker.narrow(ends, kernels)?);
        }
    }
    Ok(match request.format {
        Format::Json => render_json(claim, &found),
        Format::Text => render_text(claim, &summarize(&answers, &columns), &found),
    })
}

/// A kernel on which the claim was judged.
#[derive(Clone)]
struct JudgedKernel {
    machine: String,
    release: String,
    version: ReleaseVersion,
    judgement: Judgement,
}

impl JudgedKernel {
    /// The kernel of a sweep.
    fn from_sweep(
        swept: &SweptBook,
        claim: &JudgedClaim,
        at: usize,
        kernels: &[BootableKernel],
    ) -> Self {
        let evidence = &swept.evidence_set.loaded[at].evidence;
        let release = evidence.kernel.release.clone();
        // The release of a package says the patch release in some series only: `6.1.0-56` is 6.1.192.
        let package = evidence.kernel.package.as_ref();
        let listed = kernels
            .iter()
            .find(|kernel| package.is_some() && kernel.package.as_ref() == package)
            .and_then(guest_version);
        let from_package =
            package.and_then(|package| ReleaseVersion::parse(package.split(' ').nth(1)?));
        let version = listed
            .or(from_package)
            .or_else(|| ReleaseVersion::parse(&release));
        Self {
            machine: evidence.machine.name.clone(),
            // A sweep has versions that can be ordered, or is refused.
            version: version.unwrap_or(ReleaseVersion {
                major: 0,
                minor: 0,
                patch: 0,
            }),
            release,
            judgement: claim.judgements[at].clone(),
        }
    }
}

/// The name of an architecture in Debian, by that of `uname -m`.
fn debian_name(arch: &str) -> &'static str {
    match arch {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

/// The version in the name of a guest.
fn guest_version(kernel: &BootableKernel) -> Option<ReleaseVersion> {
    ReleaseVersion::parse(kernel.machine.strip_prefix(DEBIAN)?)
}

/// A turn, as far as it could be narrowed down.
struct NarrowedTurn {
    before: JudgedKernel,
    after: JudgedKernel,
    /// The releases that were judged during the search, in that order.
    judged: Vec<(String, Answer)>,
    /// The releases that could not be captured, or have no answer, with the reason.
    not_had: Vec<(String, String)>,
    /// Releases between the two that are not served.
    not_served: Vec<String>,
}

/// The outcome of testing one kernel.
enum TestOutcome {
    /// Its release, and the judgement on it.
    Judged(String, Box<Judgement>),
    /// The reason why there is no evidence of it.
    NotHad(String),
}

/// The means to judge the claim on a kernel.
struct KernelTester<'a> {
    root: &'a Path,
    request: BisectRequest<'a>,
    investigation: &'a Path,
    collector: &'a Collector,
    /// The evidence on both sides of the turn. A claim with `holds` is judged beside it: outside of its interval it says nothing
    /// unless another kernel shows it to be true inside.
    ends: [&'a Evidence; 2],
}

impl KernelTester<'_> {
    /// Narrow down the turn between two kernels.
    fn narrow(
        &self,
        [before, after]: [JudgedKernel; 2],
        kernels: &[BootableKernel],
    ) -> Result<NarrowedTurn, BisectError> {
        let between = kernels_between(before.version, after.version, kernels);
        let holds = Answer::from_judgement(&before.judgement) == Answer::True;
        let mut search = Bisection::new(between.len(), holds);
        let mut points: Vec<Option<JudgedKernel>> = vec![None; between.len() + 2];
        let last = between.len() + 1;
        (points[0], points[last]) = (Some(before), Some(after));
        let (mut judged, mut not_had) = (Vec::new(), Vec::new());
        while let Some(index) = search.next_release() {
            let (kernel_version, kernel) = &between[index - 1];
            let machine = &kernel.machine;
            let left = search.remaining_steps();
            let _ = writeln!(
                std::io::stderr(),
                "mdbook-qed: asking {machine} (at most {left} to ask)"
            );
            match self.test_kernel(machine)? {
                TestOutcome::NotHad(reason) => {
                    not_had.push((machine.clone(), reason));
                    search.record_answer(index, None);
                }
                TestOutcome::Judged(release, judgement) => {
                    let answer = Answer::from_judgement(&judgement);
                    search.record_answer(index, Some(answer));
                    if let Answer::Gap(verdict) = answer {
                        let reason = judgement.reason.clone().unwrap_or_default();
                        not_had.push((machine.clone(), format!("{}: {reason}", verdict.name())));
                        continue;
                    }
                    judged.push((machine.clone(), answer));
                    points[index] = Some(JudgedKernel {
                        machine: machine.clone(),
                        release,
                        version: *kernel_version,
                        judgement: *judgement,
                    });
                }
            }
        }
        let (before, after) = search.bounds();
        match (points[before].take(), points[after].take()) {
            (Some(before), Some(after)) => Ok(NarrowedTurn {
                not_served: find_missing_releases(&before, &after, &not_had),
                before,
                after,
                judged,
                not_had,
            }),
            // Both bounds have an answer.
            _ => Err(BisectError::Cannot(Diagnostic::error_without_place(
                "the search lost one of its ends",
            ))),
        }
    }

    /// The judgement on one kernel.
    fn test_kernel(&self, machine: &str) -> Result<TestOutcome, BisectError> {
        let file = PathBuf::from(FOLDER).join(evidence_file_name(machine));
        let path = self.root.join(&file);
        if let Some(earlier) =
            read_capture(&path, machine).and_then(|evidence| self.judge_evidence(evidence).ok())
        {
            return Ok(earlier);
        }
        let captured = self.collector.capture(collector::CaptureRequest {
            root: self.root,
            investigation: self.investigation,
            machine,
            file: &file,
            debuginfo: self.request.debuginfo,
        });
        match captured {
            Err(collector::CollectorError::Failed { status }) => Ok(TestOutcome::NotHad(format!(
                "its capture ended with {status}"
            ))),
            Err(error) => Err(BisectError::Cannot(Diagnostic::error_without_place(
                error.to_string(),
            ))),
            Ok(()) => match read_capture(&path, machine) {
                None => Ok(TestOutcome::NotHad(
                    "its capture left no evidence that can be read".into(),
                )),
                Some(evidence) => self.judge_evidence(evidence).map_err(BisectError::Input),
            },
        }
    }

    fn judge_evidence(&self, evidence: Evidence) -> Result<TestOutcome, Vec<Diagnostic>> {
        let release = evidence.kernel.release.clone();
        let mut kernels = vec![evidence];
        let ends = self.ends.iter();
        let others = ends.filter(|end| end.machine.name != kernels[0].machine.name);
        let others: Vec<Evidence> = others.map(|end| (*end).clone()).collect();
        kernels.extend(others);
        let judged = SweptBook::judge(self.root, kernels)?;
        // The judgements have the order of the kernels.
        let claim = judged
            .claim(self.request.id)
            .map_err(|problem| vec![problem])?;
        let judgement = claim.judgements.first().cloned().ok_or_else(|| {
            vec![Diagnostic::error_without_place(
                "the claim was judged on no kernel",
            )]
        })?;
        Ok(TestOutcome::Judged(release, Box::new(judgement)))
    }
}

/// Evidence of a machine that an earlier search left, or this one.
fn read_capture(path: &Path, machine: &str) -> Option<Evidence> {
    let evidence = reader::read(&std::fs::read(path).ok()?).ok()?;
    (evidence.machine.name == machine).then_some(evidence)
}

/// The kernels between two versions, the oldest first, each once.
fn kernels_between(
    before: ReleaseVersion,
    after: ReleaseVersion,
    kernels: &[BootableKernel],
) -> Vec<(ReleaseVersion, &BootableKernel)> {
    let mut found: Vec<(ReleaseVersion, &BootableKernel)> = kernels
        .iter()
        .filter_map(|kernel| Some((guest_version(kernel)?, kernel)))
        .filter(|(version, _)| before < *version && *version < after)
        .collect();
    found.sort_by_key(|(version, _)| *version);
    found.dedup_by_key(|(version, _)| *version);
    found
}

/// The releases between the ends of a turn that are neither served nor told as not had.
fn find_missing_releases(
    before: &JudgedKernel,
    after: &JudgedKernel,
    not_had: &[(String, String)],
) -> Vec<String> {
    let mut ends = vec![before.version];
    ends.extend(
        not_had
            .iter()
            .filter_map(|(machine, _)| ReleaseVersion::parse(machine.strip_prefix(DEBIAN)?))
            .filter(|version| before.version < *version && *version < after.version),
    );
    ends.push(after.version);
    ends.sort();
    ends.windows(2)
        .flat_map(|two| unserved_releases(two[0], two[1]))
        .collect()
}

fn render_text(claim: &JudgedClaim, summary: &str, found: &[NarrowedTurn]) -> String {
    let mut out = format!("claim {} in {}\n\n", claim.claim.id, claim.chapter_name);
    for line in claim.claim.expression.text().trim().lines() {
        out.push_str(&format!("    {line}\n"));
    }
    if found.is_empty() {
        out.push_str(&format!("\n{summary}: there is no turn to narrow down\n"));
    }
    for turn in found {
        let (before, after) = (&turn.before, &turn.after);
        out.push_str(&format!(
            "\nturned between {} and {}: {} on {}, {} on {}\n\n",
            before.version,
            after.version,
            Answer::from_judgement(&before.judgement).as_str(),
            before.machine,
            Answer::from_judgement(&after.judgement).as_str(),
            after.machine,
        ));
        let mut rows = vec![vec![
            String::new(),
            before.release.clone(),
            after.release.clone(),
        ]];
        for (text, old, new) in turn_operands(turn) {
            rows.push(vec![format!("  {text}"), old, new]);
        }
        out.push_str(&format_table(&rows));
        let asked: Vec<String> = turn
            .judged
            .iter()
            .map(|(machine, answer)| format!("{machine} ({})", answer.as_str()))
            .collect();
        if !asked.is_empty() {
            out.push_str(&format!("\nasked: {}\n", asked.join(", ")));
        }
        for (machine, reason) in &turn.not_had {
            out.push_str(&format!("no answer from {machine}: {reason}\n"));
        }
        if !turn.not_served.is_empty() {
            let all = turn.not_served.join("; ");
            out.push_str(&format!("not served, so not asked: {all}\n"));
        }
    }
    out
}

/// The operands of a claim with their values on both sides of a turn.
fn turn_operands(turn: &NarrowedTurn) -> Vec<(&str, String, String)> {
    operand_values(&turn.before.judgement)
        .zip(operand_values(&turn.after.judgement))
        .map(|((text, old), (_, new))| (text, old, new))
        .collect()
}

#[derive(Serialize)]
struct BisectDocument<'a> {
    id: &'a str,
    expression: &'a str,
    turns: Vec<BisectTurn<'a>>,
}

#[derive(Serialize)]
struct BisectTurn<'a> {
    before: JsonPoint<'a>,
    after: JsonPoint<'a>,
    operands: Vec<JsonOperand<'a>>,
    asked: Vec<JsonAsked<'a>>,
    not_had: Vec<JsonNotHad<'a>>,
    not_served: &'a [String],
}

#[derive(Serialize)]
struct JsonPoint<'a> {
    machine: &'a str,
    release: &'a str,
    answer: &'static str,
}

#[derive(Serialize)]
struct JsonOperand<'a> {
    text: &'a str,
    before: String,
    after: String,
}

#[derive(Serialize)]
struct JsonAsked<'a> {
    machine: &'a str,
    answer: &'static str,
}

#[derive(Serialize)]
struct JsonNotHad<'a> {
    machine: &'a str,
    reason: &'a str,
}

fn render_json(claim: &JudgedClaim, found: &[NarrowedTurn]) -> String {
    fn point(point: &JudgedKernel) -> JsonPoint<'_> {
        JsonPoint {
            machine: &point.machine,
            release: &point.release,
            answer: Answer::from_judgement(&point.judgement).as_str(),
        }
    }
    let turns = found.iter().map(|turn| BisectTurn {
        before: point(&turn.before),
        after: point(&turn.after),
        operands: turn_operands(turn)
            .into_iter()
            .map(|(text, before, after)| JsonOperand {
                text,
                before,
                after,
            })
            .collect(),
        asked: turn
            .judged
            .iter()
            .map(|(machine, answer)| JsonAsked {
                machine,
                answer: answer.as_str(),
            })
            .collect(),
        not_had: turn
            .not_had
            .iter()
            .map(|(machine, reason)| JsonNotHad { machine, reason })
            .collect(),
        not_served: &turn.not_served,
    });
    let document = BisectDocument {
        id: &claim.claim.id,
        expression: claim.claim.expression.text(),
        turns: turns.collect(),
    };
    let mut text = serde_json::to_string_pretty(&document)
        .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    text.push('\n');
    text
}
