//! The places of arguments that a kernel refuses.
//!
//! Evidence has the reason why a workload was not run as a text. It begins with words for the argument that is meant, which are made
//! here, and names constants and members in the forms that are looked for here, so that the place in the file can be found again.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::argument::Argument;
use super::model::{Action, Investigation, Workload};

impl Workload {
    /// Words for an argument: ``argument 2 of `connect` ``, and if several calls are made, ``argument 2 of call 3, `connect` ``.
    /// `call` and `argument` are counted from 0, and the last call is that of the action.
    pub fn argument_words(&self, call: usize, argument: usize) -> String {
        let calls = self.calls();
        let name = calls.get(call).map_or("?", |(name, _)| name);
        let argument = argument + 1;
        match calls.len() {
            0 | 1 => format!("argument {argument} of `{name}`"),
            _ => format!("argument {argument} of call {}, `{name}`", call + 1),
        }
    }

    /// All system calls in the order in which they are made, with their arguments.
    fn calls(&self) -> Vec<(&str, &[Argument])> {
        let last = match &self.action {
            Action::Syscall { name, args, .. } => Some((name.as_str(), args.as_slice())),
            Action::Command(_) => None,
        };
        let earlier = self.earlier_calls();
        let earlier = earlier.map(|call| (call.name.as_str(), call.args.as_slice()));
        earlier.chain(last).collect()
    }
}

impl Investigation {
    /// The place of what a kernel refuses in a workload: of the constant or the member that `reason` names, else of the argument;
    /// `None` if the reason is about no argument.
    pub fn refused_place(&self, workload: &Workload, reason: &str) -> Option<Range<usize>> {
        let calls = workload.calls();
        let all = calls.iter().enumerate().flat_map(|(call, (_, args))| {
            let args = args.iter().enumerate();
            args.map(move |(nth, argument)| (call, nth, argument))
        });
        for (call, nth, argument) in all {
            if reason.contains(&format!("{}: ", workload.argument_words(call, nth))) {
                let span = argument.span()?;
                let inner = self.place_within(&span, argument, reason);
                return Some(inner.unwrap_or(span));
            }
        }
        None
    }

    /// The place of what a reason names inside an argument.
    fn place_within(
        &self,
        span: &Range<usize>,
        argument: &Argument,
        reason: &str,
    ) -> Option<Range<usize>> {
        let text = self.source.text.get(span.clone())?;
        let found = match argument {
            Argument::Constant { .. } => find_term(text, reason)?,
            _ => {
                let value = DeValue::parse(text).ok()?;
                find_in(value.get_ref(), &value.span(), "", text, reason)?
            }
        };
        Some(span.start + found.start..span.start + found.end)
    }
}

impl Argument {
    /// Its place in the file, if it is kept. That of a constant is without the quotes.
    fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Constant { span, .. }
            | Self::SizeOf { span, .. }
            | Self::Result { span, .. }
            | Self::Element { span, .. } => Some(span.clone()),
            Self::Structure(structure) => Some(structure.span.clone()),
            Self::Int(_) | Self::Text(_) | Self::Bytes(_) | Self::Buffer { .. } => None,
        }
    }
}

/// The place of the member or the name that a reason names, in the value of a member with this path. `text` is what was parsed.
fn find_in(
    value: &DeValue<'_>,
    span: &Range<usize>,
    path: &str,
    text: &str,
    reason: &str,
) -> Option<Range<usize>> {
    match value {
        DeValue::Table(table) => find_in_table(table, path, text, reason),
        DeValue::Array(values) => values.iter().enumerate().find_map(|(nth, value)| {
            let path = format!("{path}[{nth}]");
            let inner = find_in(value.get_ref(), &value.span(), &path, text, reason);
            inner.or_else(|| names_member(reason, &path).then(|| value.span()))
        }),
        DeValue::String(word) => {
            let at = text.get(span.clone())?;
            let term = find_term(at, reason);
            let term = term.map(|term| span.start + term.start..span.start + term.end);
            term.or_else(|| names_type(reason, word).then(|| span.clone()))
        }
        _ => None,
    }
}

fn find_in_table(
    table: &DeTable<'_>,
    outer: &str,
    text: &str,
    reason: &str,
) -> Option<Range<usize>> {
    // Behind a pointer another structure begins, and the names of its members with it.
    let outer = match table.contains_key("struct") {
        true => "",
        false => outer,
    };
    table.iter().find_map(|(key, value)| {
        let path = match outer {
            "" => key.get_ref().to_string(),
            outer => format!("{outer}.{}", key.get_ref()),
        };
        let inner = find_in(value.get_ref(), &value.span(), &path, text, reason);
        inner.or_else(|| names_member(reason, &path).then(|| key.span()))
    })
}

/// True if a reason is about the member of this path; of two members, the second.
fn names_member(reason: &str, path: &str) -> bool {
    reason.contains(&format!("member `{path}`")) || reason.contains(&format!("and `{path}` lie"))
}

/// True if a reason is about the name of a structure.
fn names_type(reason: &str, name: &str) -> bool {
    reason.contains(&format!("structure or union `{name}`"))
        || reason.contains(&format!("are called `{name}`"))
}

/// The place of the constant that a reason names, in a text such as `O_RDONLY|O_CLOEXEC`.
fn find_term(text: &str, reason: &str) -> Option<Range<usize>> {
    let name = reason.split_once("constant `")?.1.split_once('`')?.0;
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut all = text.match_indices(name);
    let (start, _) = all.find(|(start, _)| {
        let (before, after) = (&text[..*start], &text[start + name.len()..]);
        !before.ends_with(of_name) && !after.starts_with(of_name)
    })?;
    (!name.is_empty()).then(|| start..start + name.len())
}

#[cfg(test)]
mod tests {
    use crate::investigation::parse;

    /// Check that constants, members, elements and names of structures are found where they are written, also behind pointers and in
    /// one of several calls, and that a reason which is about no argument has no place.
    #[test]
    fn places() {
        let text = r#"
[[experiment]]
name = "e"
[experiment.workload]
before = [{ syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "sock" }]
calls = [
  { syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_port = 1, sin_addr.s_addr = "SAME" }, 16] },
  { syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_port = 2, sin_prt = 3, sin_addr = { s_adr = "SAME|OTHER_SAME" } }, "A_SAME|SAME"] },
  { syscall = "sendmsg", args = [{ sizeof = "msg" }, { struct = "msghdr", sin_prt = 1, msg_iov = { struct = "iovec", sin_prt = 4, pair = [1, 70000] } }] },
]
[[experiment.probe]]
function = "f"
"#;
        let investigation = parse("i.toml", text).unwrap();
        let workload = &investigation.experiments[0].workload;
        let find = |reason: &str| {
            let place = investigation.refused_place(workload, reason)?;
            let line_start = text[..place.start].rfind('\n').unwrap() + 1;
            let line = text[..place.start].matches('\n').count() + 1;
            Some((line, place.start - line_start, &text[place]))
        };
        let column = |line: usize, of: &str| text.lines().nth(line - 1).unwrap().find(of).unwrap();
        assert_eq!(
            find("not run: argument 3 of call 3, `connect`: constant `SAME` is not known"),
            Some((8, column(8, "|SAME\"]") + 1, "SAME"))
        );
        assert_eq!(
            find("argument 2 of call 3, `connect`: `sockaddr_in`: constant `SAME` is not known"),
            Some((8, column(8, "SAME|OTHER"), "SAME"))
        );
        assert_eq!(
            find("argument 2 of call 3, `connect`: `sockaddr_in`: it has no member `sin_prt`; the"),
            Some((8, column(8, "sin_prt"), "sin_prt"))
        );
        assert_eq!(
            find("argument 2 of call 3, `connect`: `sockaddr_in`: no member `sin_addr.s_adr`"),
            Some((8, column(8, "s_adr"), "s_adr"))
        );
        assert_eq!(
            find(
                "argument 2 of call 2, `connect`: its members `sin_port` and `sin_addr.s_addr` lie in"
            ),
            Some((7, column(7, "s_addr"), "s_addr"))
        );
        assert_eq!(
            find("argument 2 of call 4, `sendmsg`: `msghdr`: `iovec`: its member `pair[1]` is"),
            Some((9, column(9, "70000"), "70000"))
        );
        assert_eq!(
            find("argument 2 of call 4, `sendmsg`: this kernel has no structure or union `iovec`"),
            Some((9, column(9, "\"iovec\""), "\"iovec\""))
        );
        assert_eq!(
            find("argument 1 of call 4, `sendmsg`: this kernel has no structure or union `msg`"),
            Some((9, column(9, "\"msg\""), "\"msg\""))
        );
        assert_eq!(
            find("argument 2 of call 4, `sendmsg`: something else")
                .unwrap()
                .2
                .get(..10),
            Some("{ struct =")
        );
        assert_eq!(find("the kernel's BTF is damaged"), None);
        assert_eq!(
            workload.argument_words(0, 1),
            "argument 2 of call 1, `socket`"
        );
    }
}
