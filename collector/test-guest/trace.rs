//! The text of tracefs's `trace` file.

use std::collections::HashMap;

/// One line of the `trace` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// The task's thread id.
    pub tid: u32,
    /// CLOCK_MONOTONIC, microseconds.
    pub time_us: u64,
    /// Name of the event.
    pub name: String,
    /// Its fields with a value in hexadecimal, and those of `sys_enter` and `sys_exit` (`NR`, and `ret`).
    pub fields: HashMap<String, u64>,
}

/// Parse a `trace` file; lines that are not events are left out.
///
/// ```text
///            <...>-71      [000] .....     2.345678: sock_alloc_out: (__sock_create+0x9c/0x1b0 <- sock_alloc) ret=0xffff8d5ec1d2a000
/// ```
pub fn parse(trace: &str) -> Vec<TraceEvent> {
    trace.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<TraceEvent> {
    if line.starts_with('#') {
        return None;
    }
    let (head, rest) = line.split_once(" [")?;
    let tid = head.trim().rsplit_once('-')?.1.trim().parse().ok()?;
    let (_, rest) = rest.split_once(']')?;
    let (before, rest) = rest.split_once(": ")?;
    let (seconds, micros) = before.split_whitespace().last()?.split_once('.')?;
    let time_us = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    let (name, rest) = rest.split_once(':')?;
    let mut fields = HashMap::new();
    for word in rest.split_whitespace() {
        if let Some((name, value)) = word.split_once("=0x")
            && let Ok(value) = u64::from_str_radix(value, 16)
        {
            fields.insert(name.to_owned(), value);
        }
    }
    let mut words = rest.split_whitespace();
    if words.next() == Some("NR") {
        fields.insert("NR".into(), words.next()?.parse().ok()?);
        if let (Some("="), Some(value)) = (words.next(), words.next()) {
            fields.insert("ret".into(), value.parse::<i64>().ok()? as u64);
        }
    }
    Some(TraceEvent {
        tid,
        time_us,
        name: name.trim().to_owned(),
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check each form of line that a kernel writes: entry, return, system call, comment.
    #[test]
    fn lines() {
        let trace = "# tracer: nop\n#\n\
            qed workload-71      [000] .....     2.345678: sys_enter: NR 41 (2, 1, 0, 0, 0, 0)\n           \
            <...>-71      [001] ...1.    12.000009: sock_alloc_in: (sock_alloc+0x0/0x80)\n           \
            a-b-71      [001] d..1.    12.000010: fd_install_in: (fd_install+0x0/0x20) a0=0x3 a1=0xffff8d5ec1d2a000\n           \
            a-71      [001] .....    12.000011: sock_alloc_out: (__sock_create+0x9c/0x1b0 <- sock_alloc) ret=0xffff8d5ec1d2a000\n           \
            a-71      [001] .....    12.000012: sys_exit: NR 41 = -24\n";
        let events = parse(trace);
        let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "sys_enter",
                "sock_alloc_in",
                "fd_install_in",
                "sock_alloc_out",
                "sys_exit"
            ]
        );
        assert!(events.iter().all(|event| event.tid == 71));
        assert_eq!(events[0].fields["NR"], 41);
        assert_eq!(events[1].time_us, 12_000_009);
        assert_eq!(events[2].fields["a0"], 3);
        assert_eq!(events[3].fields["ret"], 0xffff_8d5e_c1d2_a000);
        assert_eq!(events[4].fields["ret"] as i64, -24);
    }
}
