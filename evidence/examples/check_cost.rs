//! What it costs to check a book, beside merely parsing the same JSON: `check_cost INVESTIGATION BOOK EVIDENCE…`.
//!
//! Reads every claim of the chapters in the folder BOOK, judges it on every EVIDENCE file, and prints the CPU time
//! of reading and judging, of `serde_json` parsing the same files into its own tree, and their ratio. (One thread,
//! so that the time that passes is CPU time; the least of several rounds, so that other load is left out.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use qed_evidence::claim::{Claim, Place, Verdict, judge};
use qed_evidence::diagnostic::Source;
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::{investigation, reader};

const ROUNDS: usize = 15;

/// The claims of a chapter whose fences stand at the margin.
fn claims(name: &str, text: &str) -> Vec<Claim> {
    let source = Arc::new(Source {
        name: name.into(),
        text: text.into(),
    });
    let mut claims = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("\n```qed-claim ") {
        let info = at + found + "\n```qed-claim ".len();
        let Some(body) = text[info..].find('\n').map(|end| info + end + 1) else {
            break;
        };
        let Some(end) = text[body..].find("\n```").map(|end| body + end) else {
            break;
        };
        let line = text[info..body].trim_end();
        let (id, options) = line.split_once(' ').unwrap_or((line, ""));
        let when = options
            .trim()
            .strip_prefix("when=\"")
            .and_then(|rest| rest.strip_suffix('"'));
        let place = |offset| Place::new(Arc::clone(&source), offset);
        let when = when.map(|when| (when, place(info)));
        match Claim::parse(id, &text[body..end], place(body), when) {
            Ok(claim) => claims.push(claim),
            Err(errors) => errors.iter().for_each(|error| eprintln!("{error}")),
        }
        at = end;
    }
    claims
}

/// The least time of several rounds of `work`, and its result.
fn least<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut best = Duration::MAX;
    loop {
        let mut result = None;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            result = Some(work());
            best = best.min(start.elapsed());
        }
        if let Some(result) = result {
            return (best, result);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [investigation_file, book, evidence @ ..] = args.as_slice() else {
        return Err("usage: check_cost INVESTIGATION BOOK EVIDENCE…".into());
    };
    let text = std::fs::read_to_string(investigation_file)?;
    let investigation = investigation::parse(investigation_file, &text)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
    let documents: Vec<Vec<u8>> = evidence
        .iter()
        .map(std::fs::read)
        .collect::<Result<_, _>>()?;
    let mut chapters = Vec::new();
    for entry in std::fs::read_dir(book)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            chapters.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    chapters.sort();
    let all = || -> Vec<Claim> {
        chapters
            .iter()
            .flat_map(|(name, text)| claims(name, text))
            .collect()
    };
    let (parse_claims, claims) = least(all);

    let (merely, ()) = least(|| {
        for document in &documents {
            let _ = std::hint::black_box(serde_json::from_slice::<serde_json::Value>(document));
        }
    });
    let (read, captures) = least(|| {
        documents
            .iter()
            .map(|document| reader::read(document))
            .collect::<Result<Vec<_>, _>>()
    });
    let captures = captures?;
    let (judged, verdicts) = least(|| {
        let machines: Vec<Indexed<'_>> = captures.iter().map(Indexed::new).collect();
        let catalog = Catalog {
            investigation: &investigation,
            machines: &machines,
        };
        claims
            .iter()
            .map(|claim| {
                machines
                    .iter()
                    .map(|machine| judge(claim, &catalog, machine))
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    });
    for (claim, row) in claims.iter().zip(&verdicts) {
        let words: Vec<String> = row
            .iter()
            .map(|judgement| format!("{:10}", judgement.verdict))
            .collect();
        println!("{:40} {}", claim.id, words.join(" "));
        for judgement in row.iter().filter(|j| j.verdict.is_failure()) {
            println!("    {:?}", judgement.reason);
        }
        for judgement in row
            .iter()
            .filter(|j| j.verdict == Verdict::Pass && !j.idle.is_empty())
            .take(1)
        {
            println!("    could be anything: {}", judgement.idle.join(", "));
        }
    }
    let bytes: usize = documents.iter().map(Vec::len).sum();
    let total = read + judged + parse_claims;
    println!(
        "{} claims on {} machines, {bytes} bytes of JSON",
        claims.len(),
        captures.len()
    );
    println!("parse claims {parse_claims:?}, read evidence {read:?}, judge {judged:?}: {total:?}");
    println!(
        "merely parse the JSON {merely:?}: ratio {:.2}",
        total.as_secs_f64() / merely.as_secs_f64()
    );
    Ok(())
}
