//! A JUnit report: a suite for each machine with a case for each claim, and one for the rest of the book.
//!
//! There is no standard of it. What is written here is what the schema of Jenkins allows
//! (<https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd>).
//!
//! Own code: four elements and two rules of escaping. `quick-junit` drops the characters that XML cannot hold; here they are shown as such.

use std::collections::BTreeMap;

use qed_evidence::claim::{Judgement, Verdict};

use super::finding::{Finding, Weight};
use crate::claims::collect::Claims;
use crate::claims::judged::JudgedClaim;
use crate::evidence::book_data::BookData;

/// The end of a case, as a report names it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Failure,
    Error,
    Skipped,
}

impl Ending {
    fn element(self) -> &'static str {
        match self {
            Ending::Failure => "failure",
            Ending::Error => "error",
            Ending::Skipped => "skipped",
        }
    }
}

/// The end of a case that did not pass.
struct NotPassed {
    ending: Ending,
    kind: String,
    message: String,
    details: String,
}

struct Case {
    name: String,
    class: String,
    /// Nothing: it passed.
    not_passed: Option<NotPassed>,
}

struct Suite {
    name: String,
    cases: Vec<Case>,
    output: String,
}

impl Suite {
    fn count(&self, ending: Ending) -> usize {
        let endings = self
            .cases
            .iter()
            .filter_map(|case| case.not_passed.as_ref());
        endings.filter(|one| one.ending == ending).count()
    }
}

/// The report. What could not be decided, or does not apply, is skipped with the reason: it never counts as passed. Where the
/// chapter shows a claim that its author does not allow to be UNVERIFIED, it is an error.
///
/// `places` is the file and line of each claim, by id; `claims` is nothing where the book could not be loaded.
pub fn render(
    findings: &[Finding],
    claims: Option<(&Claims, &BookData<'_>)>,
    places: &BTreeMap<String, String>,
) -> String {
    let mut suites = Vec::new();
    if let Some((claims, book_data)) = claims {
        for (index, machine) in book_data.evidence_set.loaded.iter().enumerate() {
            let end = |judged: &JudgedClaim| {
                let place = places.get(&judged.claim.id);
                let mut end = not_passed(&judged.judgements[index], place)?;
                if judged.is_shown_on(index) && judged.is_open_against_its_rule() {
                    end.ending = Ending::Error;
                }
                Some(end)
            };
            suites.push(machine_suite(&machine.machine, claims, end));
        }
        for (machine, reason) in &book_data.evidence_set.absent {
            let end = |judged: &JudgedClaim| {
                let is_shown_here = judged.absent().is_some_and(|(name, _)| name == machine);
                let ending = match is_shown_here && judged.is_open_against_its_rule() {
                    true => Ending::Error,
                    false => Ending::Skipped,
                };
                Some(NotPassed {
                    ending,
                    kind: "absent".into(),
                    message: format!("not judged: {reason}"),
                    details: places.get(&judged.claim.id).cloned().unwrap_or_default(),
                })
            };
            suites.push(machine_suite(machine, claims, end));
        }
    }
    suites.push(book_suite(findings));
    render_xml(&suites)
}

/// The suite of one machine.
fn machine_suite(
    machine: &str,
    claims: &Claims,
    end: impl Fn(&JudgedClaim) -> Option<NotPassed>,
) -> Suite {
    let case = |judged: &JudgedClaim| Case {
        name: judged.claim.id.clone(),
        class: judged.chapter_name.clone(),
        not_passed: end(judged),
    };
    Suite {
        name: machine.into(),
        cases: claims.iter_in_book_order().map(case).collect(),
        output: String::new(),
    }
}

/// The complaints that are not verdicts. Warnings go along as output; without an error the one case of the suite passes.
fn book_suite(findings: &[Finding]) -> Suite {
    let (errors, warnings): (Vec<&Finding>, Vec<&Finding>) = findings
        .iter()
        .filter(|finding| !finding.is_verdict())
        .partition(|finding| finding.weight == Weight::Error);
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let mut cases: Vec<Case> = errors
        .iter()
        .map(|finding| Case {
            name: first(&format_with_location(finding)),
            class: finding.rule.into(),
            not_passed: Some(NotPassed {
                ending: Ending::Error,
                kind: finding.rule.into(),
                message: first(&finding.message),
                details: format_with_location(finding),
            }),
        })
        .collect();
    if cases.is_empty() {
        cases.push(Case {
            name: "no other errors".into(),
            class: "book".into(),
            not_passed: None,
        });
    }
    Suite {
        name: "book".into(),
        cases,
        output: warnings
            .iter()
            .map(|finding| format!("warning: {}\n", format_with_location(finding)))
            .collect(),
    }
}

/// The end of a claim on one machine, at its `place`; nothing for a PASS.
fn not_passed(judgement: &Judgement, place: Option<&String>) -> Option<NotPassed> {
    let ending = match judgement.verdict {
        Verdict::Pass => return None,
        Verdict::Fail => Ending::Failure,
        Verdict::Error => Ending::Error,
        Verdict::Unverified | Verdict::NotApplicable => Ending::Skipped,
    };
    let mut message = judgement.verdict.to_string();
    if let Some(diagnostic) = &judgement.diagnostic {
        message.push_str(&format!(": {}", diagnostic.message));
    } else if let Some(reason) = &judgement.reason {
        message.push_str(&format!(": {reason}"));
    }
    let values = judgement.operands.iter().filter_map(|operand| {
        let value = operand.value.as_ref()?;
        Some(format!("{} = {value}", operand.text))
    });
    let lines: Vec<String> = place.cloned().into_iter().chain(values).collect();
    Some(NotPassed {
        ending,
        kind: judgement.verdict.to_string(),
        message,
        details: lines.join("\n"),
    })
}

/// The complaint, preceded by its file and line.
fn format_with_location(finding: &Finding) -> String {
    match finding.location() {
        Some(place) => format!("{place}: {}", finding.message),
        None => finding.message.clone(),
    }
}

fn render_xml(suites: &[Suite]) -> String {
    let counts = |suites: &[Suite]| {
        let sum = |count: &dyn Fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
        format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
            sum(&|suite| suite.cases.len()),
            sum(&|suite| suite.count(Ending::Failure)),
            sum(&|suite| suite.count(Ending::Error)),
        )
    };
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" {}>\n",
        env!("CARGO_PKG_NAME"),
        counts(suites)
    );
    for suite in suites {
        out.push_str(&format!(
            "  <testsuite name=\"{}\" {} skipped=\"{}\">\n",
            escape_attribute(&suite.name),
            counts(std::slice::from_ref(suite)),
            suite.count(Ending::Skipped)
        ));
        for case in &suite.cases {
            let (name, class) = (escape_attribute(&case.name), escape_attribute(&case.class));
            let start = format!("    <testcase name=\"{name}\" classname=\"{class}\"");
            out.push_str(&match &case.not_passed {
                None => format!("{start}/>\n"),
                Some(end) => format!(
                    "{start}>\n      <{element} message=\"{}\" type=\"{}\">{}</{element}>\n    </testcase>\n",
                    escape_attribute(&end.message),
                    escape_attribute(&end.kind),
                    escape_content(&end.details),
                    element = end.ending.element(),
                ),
            });
        }
        if !suite.output.is_empty() {
            out.push_str(&format!(
                "    <system-out>{}</system-out>\n",
                escape_content(&suite.output)
            ));
        }
        out.push_str("  </testsuite>\n");
    }
    out + "</testsuites>\n"
}

/// A text as content of an element. What XML 1.0 cannot hold (2.2, `Char`) is shown as U+FFFD.
fn escape_content(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A reader would make a newline of it.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The same as the value of an attribute, in which a reader makes spaces of lines and tabs.
fn escape_attribute(text: &str) -> String {
    escape_content(text)
        .replace('\n', "&#10;")
        .replace('\t', "&#9;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a text stays inside of its element or attribute, and that nothing is left that XML cannot hold.
    #[test]
    fn escapes() {
        let text = "a]]>\u{0}\u{1b}\u{fffe}\u{10ffff} \"<&>\r\n\t";
        let escaped = "a]]&gt;\u{fffd}\u{fffd}\u{fffd}\u{10ffff} &quot;&lt;&amp;&gt;&#13;";
        assert_eq!(escape_content(text), format!("{escaped}\n\t"));
        assert_eq!(escape_attribute(text), format!("{escaped}&#10;&#9;"));
    }
}
