//! Where the time of captures went, by phase: the report of `capture --timings`.

use std::fmt::Write as _;

use serde::Serialize;

use super::time_left::Steps;

/// A phase of a capture, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Find the kernel, its files, and the programs of the workloads; download what is missing.
    Prepare,
    /// Start the guest, until its first process runs; or resume it.
    Boot,
    /// Read the kernel's types and symbols, plan, run the investigation's commands, and load the programs.
    Load,
    /// Attach the probes, and time the call without them.
    Attach,
    /// Run the experiments.
    Run,
    /// Detach, and send what was seen.
    Send,
    /// Look up symbols and lines, and write evidence.
    Symbolize,
    /// The further boots that show how addresses are chosen.
    Boots,
}

impl Phase {
    const ALL: [Phase; 8] = [
        Phase::Prepare,
        Phase::Boot,
        Phase::Load,
        Phase::Attach,
        Phase::Run,
        Phase::Send,
        Phase::Symbolize,
        Phase::Boots,
    ];

    fn name(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Boot => "boot",
            Phase::Load => "load",
            Phase::Attach => "attach",
            Phase::Run => "run",
            Phase::Send => "send",
            Phase::Symbolize => "symbolize",
            Phase::Boots => "boots",
        }
    }
}

/// The line that announces the start of a guest, booted or resumed.
pub const STARTING: &str = "starting the guest";

/// The line that announces that evidence is made of what was seen.
pub const SYMBOLIZING: &str = "looking up symbols and lines";

/// Lines of progress by their beginnings, `#` for digits: the phase that they end, and the one that they begin. Any other line, such as
/// that of an experiment, belongs to the phase in which it stands.
const LINES: [(&str, Option<Phase>, Option<Phase>); 15] = [
    (STARTING, None, Some(Phase::Boot)),
    ("resuming a saved guest", None, Some(Phase::Boot)),
    ("init started", Some(Phase::Boot), Some(Phase::Load)),
    ("waiting for a job", Some(Phase::Boot), Some(Phase::Boot)),
    ("took over the time", Some(Phase::Boot), Some(Phase::Load)),
    ("reading the kernel's types", None, Some(Phase::Load)),
    (
        "read the kernel's types",
        Some(Phase::Load),
        Some(Phase::Load),
    ),
    ("loaded in #", Some(Phase::Load), Some(Phase::Attach)),
    ("attached #", Some(Phase::Attach), Some(Phase::Run)),
    ("detached", Some(Phase::Run), Some(Phase::Send)),
    (
        "read what the machine says",
        Some(Phase::Send),
        Some(Phase::Send),
    ),
    ("wrote the answer", Some(Phase::Send), Some(Phase::Send)),
    (SYMBOLIZING, None, Some(Phase::Symbolize)),
    ("# boots are known already", None, Some(Phase::Boots)),
    ("boot # of #", Some(Phase::Boots), Some(Phase::Boots)),
];

/// The times of one machine's capture, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timings {
    /// The machine.
    pub machine: String,
    /// All of it.
    pub total_ms: u64,
    /// All of it the last time that the same was captured; `None`: it was not, or did not end.
    pub last_total_ms: Option<u64>,
    /// Each phase.
    pub phases: Vec<PhaseTime>,
}

/// The time of a phase, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseTime {
    /// The phase.
    pub phase: Phase,
    /// Its time.
    pub ms: u64,
    /// Its time the last time.
    pub last_ms: Option<u64>,
}

impl Timings {
    /// The times of finished work, beside those of the last time; `None`: it is not finished.
    pub fn new(machine: &str, steps: &Steps, last: Option<&Steps>) -> Option<Self> {
        let (phases, total_ms) = phase_times(steps)?;
        let last = last.and_then(phase_times);
        Some(Self {
            machine: machine.to_owned(),
            total_ms,
            last_total_ms: last.map(|(_, total)| total),
            phases: Phase::ALL
                .iter()
                .map(|phase| PhaseTime {
                    phase: *phase,
                    ms: phases[*phase as usize],
                    last_ms: last.map(|(phases, _)| phases[*phase as usize]),
                })
                .collect(),
        })
    }
}

/// The milliseconds of each phase, and of all.
fn phase_times(steps: &Steps) -> Option<([u64; Phase::ALL.len()], u64)> {
    let total = steps.total()?;
    let mut times = [0; Phase::ALL.len()];
    let (mut phase, mut from) = (Phase::Prepare, 0);
    for (line, at) in steps.list() {
        let known = LINES.iter().find(|(start, ..)| line.starts_with(start));
        let (ended, begun) = known.map_or((None, None), |(_, ended, begun)| (*ended, *begun));
        times[ended.unwrap_or(phase) as usize] += at.saturating_sub(from);
        phase = begun.unwrap_or(phase);
        from = *at;
    }
    times[phase as usize] += total.saturating_sub(from);
    Some((times, total))
}

/// The times of all machines as a table for each, without phases that took no time.
pub fn format_text(all: &[Timings]) -> String {
    let seconds = |ms: u64| format!("{:.2} s", ms as f64 / 1000.0);
    let mut text = String::new();
    for timings in all {
        let last =
            |ms: Option<u64>| ms.map_or(String::new(), |ms| format!(", last time {}", seconds(ms)));
        let (total, before) = (seconds(timings.total_ms), last(timings.last_total_ms));
        let _ = writeln!(text, "{}: {total}{before}", timings.machine);
        for time in &timings.phases {
            if time.ms == 0 && time.last_ms.unwrap_or(0) == 0 {
                continue;
            }
            let share = (time.ms * 100).checked_div(timings.total_ms).unwrap_or(0);
            let (name, ms, before) = (time.phase.name(), seconds(time.ms), last(time.last_ms));
            let _ = writeln!(text, "  {name:<10}{ms:>10} {share:>3} %{before}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn steps(lines: &[(&str, u64)], total: Option<u64>) -> Steps {
        let mut steps = Steps::default();
        for (line, at) in lines {
            steps.begin(line, Duration::from_millis(*at));
        }
        if let Some(total) = total {
            steps.finish(Duration::from_millis(total));
        }
        steps
    }

    const GUEST: [(&str, u64); 13] = [
        (
            "asking Debian's archive which kernels it serves (once a day)",
            1,
        ),
        (STARTING, 10),
        ("init started", 1_000),
        ("read the kernel's types", 1_050),
        ("planned", 1_100),
        ("loaded in 25 ms", 1_200),
        ("timed the call without probes", 1_210),
        (
            "attached 6 probes: functions 24 ms, tracepoints 26 ms",
            1_250,
        ),
        ("pipe: 12 events in 9 ms, 1 of 1", 1_300),
        ("wrote the answer", 1_330),
        (SYMBOLIZING, 1_350),
        ("boot 1 of 2", 2_000),
        ("boot 2 of 2", 2_100),
    ];

    /// Check that each span between two lines counts for one phase, and that all of them are the whole.
    #[test]
    fn phases_of_a_guest() {
        let timings = Timings::new("guest:a", &steps(&GUEST, Some(2_101)), None).unwrap();
        let times: Vec<u64> = timings.phases.iter().map(|time| time.ms).collect();
        assert_eq!(times, [10, 990, 200, 50, 50, 50, 0, 751]);
        assert_eq!(times.iter().sum::<u64>(), timings.total_ms);
    }

    /// Check that evidence without further boots is symbolized until the end, and that the last time stands beside.
    #[test]
    fn beside_the_last_time() {
        let last = steps(&GUEST, Some(2_101));
        let now = steps(&GUEST[..11], Some(1_400));
        let timings = Timings::new("guest:a", &now, Some(&last)).unwrap();
        assert_eq!(
            (timings.total_ms, timings.last_total_ms),
            (1_400, Some(2_101))
        );
        assert_eq!(
            timings.phases[Phase::Symbolize as usize],
            PhaseTime {
                phase: Phase::Symbolize,
                ms: 50,
                last_ms: Some(0)
            }
        );
        let text = format_text(&[timings]);
        assert!(
            text.starts_with("guest:a: 1.40 s, last time 2.10 s\n"),
            "{text}"
        );
        assert!(
            text.contains("  boot          0.99 s  70 %, last time 0.99 s\n"),
            "{text}"
        );
        assert!(
            text.contains("  boots         0.00 s   0 %, last time 0.75 s\n"),
            "{text}"
        );
        assert!(!text.contains("prepare     0.00"), "{text}");
    }

    /// Check that work that did not end has no times.
    #[test]
    fn unfinished() {
        assert_eq!(Timings::new("host", &steps(&GUEST, None), None), None);
    }
}
