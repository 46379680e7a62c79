//! Names that a claim writes: of a function, a symbol, an enumerator, an error, a file. That something is *not* called so
//! is true of every misspelt name. So a PASS needs names that something has which was captured or is planned, on
//! whatever machine; and of a leaf that is always one of a few words, one of these.

use std::ops::Range;

use crate::constants::errno_number;
use crate::document::Target;
use crate::resolve::Catalog;
use crate::value::{Datum, Frame, Location, Value};
use crate::walk::{Found, walk};

use super::node::{Binary, Literal, Node, NodeKind};

/// Functions that give names.
const NAMING: &[&str] = &["name", "symbol", "symbol_name", "file", "function_name"];

/// A text in an expression that nothing has.
pub(super) struct Strange<'n> {
    /// The text.
    pub text: &'n str,
    /// Where it stands.
    pub range: &'n Range<usize>,
    /// The leaf that it is compared with and the words which that may have, if these are few.
    pub leaf: Option<(&'n str, &'static [&'static str])>,
}

/// The first text in an expression that nothing has.
pub(super) fn strange<'n>(root: &'n Node, catalog: &Catalog<'_>) -> Option<Strange<'n>> {
    let mut written = Vec::new();
    let mut words = Vec::new();
    root.walk(&mut |node| match &node.kind {
        NodeKind::Call(function, args) if ["on_stack", "calls"].contains(&function.name) => {
            written.extend(args.iter().skip(1).filter_map(text));
        }
        NodeKind::Binary(Binary::Equal | Binary::NotEqual, sides) => {
            let [a, b] = sides.as_ref();
            for (literal, other) in [(a, b), (b, a)] {
                if let (Some((text, range)), NodeKind::Path(path)) = (text(literal), &other.kind)
                    && let Some(known) = crate::leaves::words(path.as_str())
                    && !known.contains(&text)
                {
                    let leaf = Some((path.as_str(), known));
                    words.push(Strange { text, range, leaf });
                }
                if names(other) {
                    literal.walk(&mut |node| written.extend(text(node)));
                }
            }
        }
        _ => {}
    });
    let unknown = written
        .into_iter()
        .find(|(name, _)| !is_known(name.split('+').next().unwrap_or(name), catalog));
    words.into_iter().next().or_else(|| {
        let (text, range) = unknown?;
        let leaf = None;
        Some(Strange { text, range, leaf })
    })
}

/// A text that the claim writes.
fn text(node: &Node) -> Option<(&str, &Range<usize>)> {
    match &node.kind {
        NodeKind::Literal(Literal::Text(text)) => Some((text, &node.range)),
        _ => None,
    }
}

/// Whether a name comes out of this, or may.
fn names(node: &Node) -> bool {
    let mut found = false;
    node.walk(&mut |node| {
        if let NodeKind::Call(function, _) = &node.kind {
            found |= NAMING.contains(&function.name);
        }
    });
    found
}

fn is_known(name: &str, catalog: &Catalog<'_>) -> bool {
    is_planned(name, catalog)
        || errno_number(name).is_some()
        || catalog.machines.iter().any(|machine| {
            let evidence = machine.evidence;
            let names = &evidence.names;
            names.symbols.iter().any(|symbol| symbol.name == name)
                || names.enums.values().any(|list| list.contains_key(name))
                || evidence.kaslr.symbols.contains_key(name)
                || walk(evidence, &mut |_, found| {
                    let here = match found {
                        Found::Datum(Datum::Value(value)) => in_value(value, name),
                        Found::Datum(Datum::Unavailable(_)) => false,
                        Found::Frame(frame) => in_frame(frame, name),
                    };
                    here.then_some(())
                })
                .is_some()
        })
}

/// Whether the investigation names a symbol or the target of a probe so.
fn is_planned(name: &str, catalog: &Catalog<'_>) -> bool {
    let investigation = catalog.investigation;
    let probes = investigation.experiments.iter().flat_map(|e| &e.probes);
    let mut targets = probes.map(|probe| match &probe.target {
        Target::Function(target) | Target::Tracepoint(target) | Target::Lsm(target) => target,
        Target::Address(place) => place.split_once(':').map_or(place.as_str(), |(_, s)| s),
    });
    targets.any(|target| target == name) || investigation.symbols.iter().any(|s| s == name)
}

fn in_value(value: &Value, name: &str) -> bool {
    match value {
        Value::Errno { name: own, .. } | Value::Symbol { name: own, .. } => own == name,
        Value::Flags { names, .. } => names.iter().any(|own| own == name),
        Value::Enum { name: own, .. } => own.as_deref() == Some(name),
        Value::Location { value } => in_location(value, name),
        Value::Stack { value } | Value::CutStack { value, .. } => {
            value.iter().any(|frame| in_frame(frame, name))
        }
        _ => false,
    }
}

fn in_frame(frame: &Frame, name: &str) -> bool {
    let site = frame.site.as_ref();
    frame.symbol.as_deref() == Some(name) || site.is_some_and(|site| in_location(site, name))
}

fn in_location(location: &Location, name: &str) -> bool {
    let mut around = location.inlined_into.iter();
    location.function == name
        || location.file == name
        || around.any(|frame| frame.function == name || frame.file == name)
}
