//! The lines in which shells, `env` and this program say that a program is not there.

/// The end of a line in which a shell says that a program is not there.
const NOT_FOUND: &str = "not found";
/// The end of one in which `env`, a shell that was given a path, or this program says so.
const NO_SUCH_FILE: &str = "No such file or directory";
/// The ends of those about a program that may not be executed.
const NOT_RUNNABLE: &[&str] = &["Permission denied", "Exec format error", "cannot execute"];

/// The lines of what was printed that say that a program is not there, and of which no other program has such: `sh: 1: ls: not
/// found`. A file that is not there is said in other words.
pub fn not_found_lines(printed: &str) -> Vec<&str> {
    lines_with_end(printed, &[NOT_FOUND])
}

/// The lines of what a command printed, which ended with the status of a program that is not there.
pub fn not_there_lines(printed: &str) -> Vec<&str> {
    lines_with_end(printed, &[NOT_FOUND, NO_SUCH_FILE])
}

/// The same of a program that may not be executed.
pub fn not_runnable_lines(printed: &str) -> Vec<&str> {
    lines_with_end(printed, NOT_RUNNABLE)
}

fn lines_with_end<'t>(printed: &'t str, ends: &[&str]) -> Vec<&'t str> {
    let lines = printed.lines().map(str::trim_end);
    let says_so = |line: &&str| {
        // Rust adds the number of the error.
        let line = line.split(" (os error ").next().unwrap_or(line);
        ends.iter().any(|end| line.ends_with(end))
    };
    let mut found: Vec<&str> = lines.filter(says_so).collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every line about a program that is not there is found, once, and that one about a file is none of a shell.
    #[test]
    fn lines() {
        let printed = "sh: 1: date: not found\nbash: line 1: wc: command not found\n\
                       cat: x: No such file or directory\nsh: 1: date: not found\nsh: 1: date: not found\n";
        assert_eq!(
            not_found_lines(printed),
            [
                "sh: 1: date: not found",
                "bash: line 1: wc: command not found",
                "sh: 1: date: not found"
            ]
        );
        assert_eq!(
            not_there_lines("cat: x: No such file or directory (os error 2)").len(),
            1
        );
        assert!(not_found_lines("not found: x\n").is_empty());
    }
}
