//! System calls that are made with fewer arguments than the kernel takes: it reads 0 for the others, which is seldom meant.

use qed_evidence::investigation::{Action, Workload};

use super::target_kernel::TargetKernel;
use super::types::FewArguments;

/// Calls that C declares with a variable number of arguments, and how many they have at least: what follows matters for some of the
/// first alone.
const VARIADIC: [(&str, usize); 12] = [
    ("clone", 1),
    ("fcntl", 2),
    ("futex", 3),
    ("ioctl", 2),
    ("keyctl", 1),
    ("mremap", 4),
    ("open", 2),
    ("openat", 3),
    ("prctl", 1),
    ("ptrace", 1),
    ("semctl", 3),
    ("shmctl", 2),
];

/// The calls of a workload that are made with too few arguments, as far as the formats of the kernel's events tell.
pub(super) fn find_few_arguments(
    offer: &TargetKernel<'_, '_>,
    workload: &Workload,
) -> Vec<FewArguments> {
    let earlier = workload.earlier_calls();
    let earlier = earlier.map(|call| (&call.name, call.span.clone(), call.args.len()));
    let last = match &workload.action {
        Action::Syscall {
            name, span, args, ..
        } => Some((name, span.clone(), args.len())),
        Action::Command(_) => None,
    };
    let each = earlier.chain(last);
    each.filter_map(|(call, span, given)| {
        let least = VARIADIC.iter().find(|(name, _)| name == call);
        if least.is_some_and(|(_, least)| given >= *least) {
            return None;
        }
        let formats = (offer.formats)(&format!("sys_enter_{call}")).ok()?;
        let [(_, format)] = formats.as_slice() else {
            return None;
        };
        let taken = parse_arguments(format)?;
        (given < taken.len()).then(|| FewArguments {
            call: call.clone(),
            span,
            given,
            taken,
        })
    })
    .collect()
}

/// The names of the arguments in the format of a call's event: the fields after the number of the call.
///
/// ```text
///     field:int __syscall_nr; offset:8;       size:4; signed:1;
///     field:int dfd;  offset:16;      size:8; signed:0;
/// ```
fn parse_arguments(format: &str) -> Option<Vec<String>> {
    let fields = format.lines().filter_map(|line| {
        let declared = line.trim().strip_prefix("field:")?.split(';').next()?;
        let name = declared.rsplit([' ', '*']).next()?;
        Some(name.to_owned())
    });
    let mut fields = fields.skip_while(|name| name != "__syscall_nr");
    fields.next()?;
    // From Linux 6.16 on the event has what some arguments point to, too.
    let fields = fields.filter(|name| !name.starts_with("__"));
    Some(fields.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAT: &str = "name: sys_enter_openat
ID: 743
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;
\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;
\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;
\tfield:int flags;\toffset:32;\tsize:8;\tsigned:0;
\tfield:umode_t mode;\toffset:40;\tsize:8;\tsigned:0;
\tfield:__data_loc char[] __filename_val;\toffset:48;\tsize:4;\tsigned:0;

print fmt: \"dfd: 0x%08lx\", ((unsigned long)(REC->dfd))
";

    /// Check that the arguments are the fields behind the call's number, without what is read from memory, and that a text without
    /// one gives nothing.
    #[test]
    fn fields_are_arguments() {
        assert_eq!(
            parse_arguments(OPENAT).unwrap(),
            ["dfd", "filename", "flags", "mode"]
        );
        assert_eq!(parse_arguments("format:\n\tfield:int common_pid;\n"), None);
    }
}
