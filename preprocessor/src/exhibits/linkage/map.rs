//! The objects of a linkage map and the pointers between them.

use std::ops::Range;

use qed_evidence::{Path, Value};

use crate::evidence::book_data::PathValue;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::request::{ExhibitRequest, ShownValue};
use crate::markdown::syntax::{SpannedWord, SyntaxError, refuse_unknown_options, split_words};

/// A pointer in an object.
pub struct Pointer {
    /// Index of the object that it is in.
    pub from: usize,
    /// Index of the object that it should lead to.
    pub to: usize,
    /// `private_data +0xc8`.
    pub label: String,
    /// Its value.
    pub shown: Use,
    /// True if it holds its target's address; `None` if one of the two is not known.
    pub holds: Option<bool>,
}

/// An object of the map.
pub struct Object {
    /// Its name in the body.
    pub name: String,
    /// Its address.
    pub shown: Use,
    /// The pointers in it.
    pub pointers: Vec<Pointer>,
}

/// A line of the body.
struct MapLine {
    from: String,
    /// The target, if the line is of a pointer.
    to: Option<SpannedWord>,
    path: SpannedWord,
    /// The place of `from` in the chapter.
    span: Range<usize>,
}

/// Read the body: the objects with their pointers, and the machine that they are shown on.
pub fn read_map(request: &ExhibitRequest<'_, '_>) -> Result<(Vec<Object>, MachineId), SyntaxError> {
    let lines: Vec<MapLine> = request
        .body
        .iter()
        .map(|(line, span)| read_line(request, line, span))
        .collect::<Result<_, _>>()?;
    let machine = match request.machine()? {
        Some(machine) => machine,
        None => {
            let firsts: Vec<&str> = lines
                .iter()
                .map(|line| line.path.text.split('.').next().unwrap_or_default())
                .collect();
            request.book_data.machine_for(&firsts)
        }
    };
    let objects = read_objects(request, machine, &lines)?;
    let pointers = read_pointers(request, machine, &lines, &objects)?;
    let mut objects: Vec<Object> = objects.into_iter().map(|(object, _)| object).collect();
    for pointer in pointers {
        objects[pointer.from].pointers.push(pointer);
    }
    Ok((objects, machine))
}

/// Read one line of the body.
fn read_line(
    request: &ExhibitRequest<'_, '_>,
    line: &str,
    span: &Range<usize>,
) -> Result<MapLine, SyntaxError> {
    let Some(colon) = line.find(':') else {
        let help = "write `NAME: PATH` for an object, `NAME -> NAME: PATH` for a pointer";
        return Err(SyntaxError::new(
            span.clone(),
            "the line has no colon",
            help.to_owned(),
        ));
    };
    let parsed = split_words(request.source, span.start + colon + 1..span.end)?;
    refuse_unknown_options(&parsed, &[])?;
    let [path] = &parsed.words[..] else {
        return Err(SyntaxError::new(span.clone(), "a line has one path", None));
    };
    let head = &line[..colon];
    let (from, to) = match head.find("->") {
        None => (head.trim(), None),
        Some(at) => {
            let name = head[at + 2..].trim();
            let lead = head[at + 2..].len() - head[at + 2..].trim_start().len();
            let start = span.start + at + 2 + lead;
            let to = SpannedWord {
                text: name.to_owned(),
                span: start..start + name.len(),
            };
            (head[..at].trim(), Some(to))
        }
    };
    Ok(MapLine {
        from: from.to_owned(),
        to,
        path: path.clone(),
        span: span.start..span.start + from.len(),
    })
}

/// The objects, each with the value that is its address.
fn read_objects(
    request: &ExhibitRequest<'_, '_>,
    machine: MachineId,
    lines: &[MapLine],
) -> Result<Vec<(Object, ShownValue)>, SyntaxError> {
    let mut objects: Vec<(Object, ShownValue)> = Vec::new();
    for line in lines.iter().filter(|line| line.to.is_none()) {
        if objects.iter().any(|(object, _)| object.name == line.from) {
            let message = format!("there are two objects `{}`", line.from);
            return Err(SyntaxError::new(line.span.clone(), message, None));
        }
        let looked = request.resolve(&line.path, Some(machine), (None, None))?;
        let object = Object {
            name: line.from.clone(),
            shown: looked.used.clone(),
            pointers: Vec::new(),
        };
        objects.push((object, looked));
    }
    Ok(objects)
}

/// The pointers between `objects`.
fn read_pointers(
    request: &ExhibitRequest<'_, '_>,
    machine: MachineId,
    lines: &[MapLine],
    objects: &[(Object, ShownValue)],
) -> Result<Vec<Pointer>, SyntaxError> {
    let place = |name: &str, span: &Range<usize>| {
        let known = objects.iter().position(|(object, _)| object.name == name);
        known.ok_or_else(|| {
            let names = objects.iter().map(|(object, _)| object.name.as_str());
            let help = match qed_evidence::diagnostic::nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("say where it is: `{name}: PATH`"),
            };
            SyntaxError::new(span.clone(), format!("there is no object `{name}`"), help)
        })
    };
    let mut pointers = Vec::new();
    for line in lines {
        let Some(to) = &line.to else { continue };
        let (from, to) = (place(&line.from, &line.span)?, place(&to.text, &to.span)?);
        let looked = request.resolve(&line.path, Some(machine), (None, None))?;
        let holds = looked
            .value
            .as_ref()
            .and_then(comparable_number)
            .zip(objects[to].1.value.as_ref().and_then(comparable_number))
            .map(|(holds, target)| holds == target);
        pointers.push(Pointer {
            from,
            to,
            label: member_label(request, machine, &line.path.text),
            shown: looked.used,
            holds,
        });
    }
    Ok(pointers)
}

/// The number that is compared: an address or another number.
fn comparable_number(value: &Value) -> Option<i128> {
    match value {
        Value::Address { value, .. } | Value::Symbol { address: value, .. } => Some(value.0.into()),
        other => other.as_integer(),
    }
}

/// The member that a read takes, with its offset: `private_data +0xc8`; without evidence of it, the read's name.
fn member_label(request: &ExhibitRequest<'_, '_>, machine: MachineId, path: &str) -> String {
    let mut names: Vec<&str> = path.split('.').collect();
    let read = names.last().copied().unwrap_or_default().to_owned();
    names.retain(|name| qed_evidence::path::hit_number(name).is_none());
    let [experiment, probe, side @ ("entry" | "exit"), name] = names[..] else {
        return read;
    };
    let member = |leaf: &str| -> Option<String> {
        let path = format!("{experiment}.{probe}.members.{side}.{name}.{leaf}");
        let path: Path = path.parse().ok()?;
        match &request
            .book_data
            .resolve(&path, Some(machine))
            .as_ref()
            .as_ref()
            .ok()?
            .what
        {
            PathValue::Value(value, _) => Some(value.to_string()),
            _ => None,
        }
    };
    match (member("name"), member("offset")) {
        (Some(name), Some(offset)) => format!("{name} +{offset}"),
        _ => read,
    }
}
