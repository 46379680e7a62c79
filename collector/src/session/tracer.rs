//! The kernel's function-graph tracer, controlled through tracefs. This module writes to files below `/sys/kernel/tracing`.
//!
//! Documentation of the files: <https://docs.kernel.org/trace/ftrace.html>.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::cpu_mask::first_missing;
use super::tracer_error::TracerError;
use super::tracer_writes::WriteWatch;
use crate::graph::raw::{Formats, RawCpu, RawGraph};
use crate::graph::read_calls;
use crate::workload::{RunningWorkload, WorkloadOutcome, WorkloadSpec};

/// The places of tracefs: its own, and that of older systems.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// The tracer.
const TRACER: &str = "function_graph";
/// Room for records, in KiB for each processor. A call that needs more is refused.
const BUFFER_KIB: &str = "16384";
/// Most runs of a workload until no record is lost.
const MAX_RUNS: u32 = 3;
/// Files that are written, and what into them before the tracer is on. Each is set back afterwards.
///
/// Old records are not overwritten, so that lost ones are counted. The clock is the same on all processors, and reading it is
/// not traced, unlike `mono` on kernels that keep time by the HPET. The duration of a function in which the task sleeps
/// includes the sleep.
const SETTINGS: [(&str, &str); 6] = [
    ("tracing_on", "0"),
    ("trace_clock", "global"),
    ("options/overwrite", "0"),
    ("buffer_size_kb", BUFFER_KIB),
    ("max_graph_depth", "0"),
    ("options/sleep-time", "1"),
];
/// The setting by which kernels since 6.16 record the arguments of functions, where they were built with it.
const ARGUMENTS: &str = "options/funcgraph-args";
/// Filters that others may have left, and that would leave functions out: these have to be empty.
const FILTERS: [&str; 8] = [
    "set_ftrace_filter",
    "set_ftrace_notrace",
    "set_graph_function",
    "set_graph_notrace",
    "set_ftrace_pid",
    "set_ftrace_notrace_pid",
    "set_event_pid",
    "set_event_notrace_pid",
];
/// The processors that are traced, which have to be all of them.
const CPU_MASK: &str = "tracing_cpumask";
/// The processors that the machine can have.
const CPUS: &str = "/sys/devices/system/cpu/possible";
/// The switch of the function tracer.
const SWITCH: &str = "/proc/sys/kernel/ftrace_enabled";
/// The events that mark where the call begins and ends.
const EVENTS: [&str; 2] = [
    "events/raw_syscalls/sys_enter/enable",
    "events/raw_syscalls/sys_exit/enable",
];

/// A workload that ran under the tracer.
pub struct TracedWorkload {
    /// The records of its last run.
    pub graph: RawGraph,
    /// The outcome of its last run.
    pub outcome: WorkloadOutcome,
    /// Number of its runs.
    pub runs: u32,
}

/// The tracer, switched on and looking at nothing. [`stop`](Self::stop) leaves tracefs as it was found.
pub struct Tracer {
    root: PathBuf,
    /// The earlier content of the files, in the order in which they were written.
    before: Vec<(&'static str, String)>,
    /// The content of the settings while the tracer is on.
    settled: Vec<(&'static str, String)>,
    /// The machine is switched off afterwards, and nothing has to be set back.
    ephemeral: bool,
}

impl Tracer {
    /// Switch the tracer on. That makes the kernel rewrite the beginning of all of its functions, which takes seconds in an emulated
    /// guest.
    ///
    /// # Errors
    /// When there is none, or somebody else uses it.
    pub fn start(ephemeral: bool) -> Result<Self, TracerError> {
        Self::start_with(ephemeral, false)
    }

    /// As [`start`](Self::start), and record the arguments of functions, where the kernel can.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_arguments(ephemeral: bool) -> Result<Self, TracerError> {
        Self::start_with(ephemeral, true)
    }

    fn start_with(ephemeral: bool, arguments: bool) -> Result<Self, TracerError> {
        let mut tracer = Self {
            root: find_tracefs()?,
            before: Vec::new(),
            settled: Vec::new(),
            ephemeral,
        };
        let offered = tracer.read("available_tracers")?;
        if !offered.split_whitespace().any(|one| one == TRACER) {
            return Err(TracerError::NoTracer(offered.trim().to_owned()));
        }
        tracer.check_exclusive()?;
        for (file, value) in SETTINGS {
            tracer.set(file, value)?;
        }
        // Before the tracer: some kernels lack it, and one that is on would be switched over.
        if arguments && tracer.read(ARGUMENTS).is_ok() {
            tracer.set(ARGUMENTS, "1")?;
        }
        for event in EVENTS {
            tracer.set(event, "1")?;
        }
        tracer.set("current_tracer", TRACER)?;
        let settings = SETTINGS.iter().map(|(file, _)| *file);
        for file in settings.chain(EVENTS).chain(["current_tracer"]) {
            let content = tracer.read(file)?;
            tracer.settled.push((file, content));
        }
        // Outside of tracefs, and not in every kernel: it switches the tracer off.
        if let Ok(content) = tracer.read(SWITCH) {
            tracer.settled.push((SWITCH, content));
        }
        Ok(tracer)
    }

    /// True if the arguments of functions are recorded.
    pub fn records_arguments(&self) -> bool {
        self.before.iter().any(|(file, _)| *file == ARGUMENTS)
    }

    /// The functions that the tracer sees, one per line, with the module after the name.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn read_traceable_functions(&self) -> Result<String, TracerError> {
        self.read("available_filter_functions")
    }

    /// Run a workload under the tracer, at most three times until no record is lost. The last trace may still not be whole.
    ///
    /// # Errors
    /// As [`trace`](Self::trace).
    pub async fn trace_until_complete(
        &self,
        spec: &WorkloadSpec,
    ) -> Result<TracedWorkload, TracerError> {
        let mut runs = 1;
        loop {
            let (graph, outcome) = self.trace(spec, &mut |_| {}).await?;
            if runs == MAX_RUNS || read_calls(&graph).is_ok() {
                return Ok(TracedWorkload {
                    graph,
                    outcome,
                    runs,
                });
            }
            runs += 1;
        }
    }

    /// Run a workload under the tracer, once. `look` may read tracefs before the records are taken out.
    ///
    /// # Errors
    /// When it cannot be run, or the records not be read.
    pub async fn trace(
        &self,
        spec: &WorkloadSpec,
        look: &mut (dyn FnMut(&Path) + '_),
    ) -> Result<(RawGraph, WorkloadOutcome), TracerError> {
        let mut running = RunningWorkload::start(spec).await?;
        let tid = running.tgid();
        // Writing empties the buffers of all processors.
        self.write("trace", "\n")?;
        let writes = self.watch_settings()?;
        // What the workload has done before its call.
        self.check_unchanged()?;
        // Not `set_ftrace_pid`: it changes over while the scheduler still works for the task before, whose last functions it leaves
        // out. Records say themselves whose they are.
        self.write("tracing_on", "1")?;
        self.first_written(&writes)?;
        let finished = running.release_gate().await;
        let written = self.first_written(&writes)?;
        self.write("tracing_on", "0")?;
        finished?;
        running.report().await?;
        let outcome = running.release().await?;
        if let Some(file) = written {
            return Err(TracerError::Written { file });
        }
        self.check_unchanged()?;
        look(&self.root);
        Ok((self.take_records(tid)?, outcome))
    }

    /// Take everything out of the buffers.
    fn take_records(&self, tid: u32) -> Result<RawGraph, TracerError> {
        let event = |event: &str| self.read(&format!("events/{event}/format"));
        let formats = Formats {
            page: self.read("events/header_page")?,
            entry: event("ftrace/funcgraph_entry")?,
            exit: event("ftrace/funcgraph_exit")?,
            sys_enter: event("raw_syscalls/sys_enter")?,
            sys_exit: event("raw_syscalls/sys_exit")?,
        };
        let mut cpus = Vec::new();
        for cpu in self.cpus()? {
            let folder = format!("per_cpu/cpu{cpu}");
            cpus.push(RawCpu {
                cpu,
                stats: self.read(&format!("{folder}/stats"))?,
                pages: self.pages(&format!("{folder}/trace_pipe_raw"))?,
            });
        }
        Ok(RawGraph { tid, formats, cpus })
    }

    fn cpus(&self) -> Result<Vec<u32>, TracerError> {
        let path = self.root.join("per_cpu");
        let failed = |error| TracerError::File {
            what: "read",
            path: path.clone(),
            error,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("cpu"));
            found.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Read a buffer's pages, which takes them out. Each reading gives one page, the last ones too.
    fn pages(&self, file: &str) -> Result<Vec<u8>, TracerError> {
        let path = self.root.join(file);
        let failed = |error| TracerError::File {
            what: "read",
            path: path.clone(),
            error,
        };
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path);
        let mut pipe = opened.map_err(failed)?;
        let mut all = Vec::new();
        // Sub-buffers can be larger than a page (`buffer_subbuf_size_kb`).
        let mut page = vec![0; 64 << 10];
        loop {
            match pipe.read(&mut page) {
                Ok(0) => return Ok(all),
                Ok(length) => all.extend_from_slice(&page[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(all),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Refuse to share the tracer, and filters that would leave something out.
    fn check_exclusive(&self) -> Result<(), TracerError> {
        let busy = |file: &str, content: &str| TracerError::InUse {
            file: file.to_owned(),
            content: content.trim().chars().take(80).collect(),
        };
        let current = self.read("current_tracer")?;
        if current.trim() != "nop" {
            return Err(busy("current_tracer", &current));
        }
        if let Some((file, content)) = self.find_filter()? {
            return Err(busy(file, &content));
        }
        let events = self.read("set_event")?;
        match events.trim().is_empty() {
            true => Ok(()),
            false => Err(busy("set_event", &events)),
        }
    }

    /// The first filter that would leave something out, and its content.
    fn find_filter(&self) -> Result<Option<(&'static str, String)>, TracerError> {
        for file in FILTERS {
            match self.read(file) {
                // Some are newer than some kernels.
                Err(TracerError::File { error, .. }) if error.kind() == ErrorKind::NotFound => {}
                content => {
                    let content = content?;
                    if !is_empty_filter(&content) {
                        return Ok(Some((file, content)));
                    }
                }
            }
        }
        // What runs on another processor is neither recorded nor counted as lost.
        let mask = self.read(CPU_MASK)?;
        Ok(first_missing(&self.read(CPUS)?, &mask).map(|_| (CPU_MASK, mask)))
    }

    /// Watch the files by which the tracer could be made to leave something out.
    fn watch_settings(&self) -> Result<WriteWatch, TracerError> {
        let settings = SETTINGS.iter().map(|(file, _)| *file);
        let files =
            settings
                .chain(FILTERS)
                .chain(["current_tracer", "set_event", CPU_MASK, SWITCH]);
        WriteWatch::watch(files.map(|file| self.root.join(file))).map_err(|(path, error)| {
            TracerError::File {
                what: "watch",
                path,
                error: error.into(),
            }
        })
    }

    /// The first of these files that was written to since the last question.
    fn first_written(&self, writes: &WriteWatch) -> Result<Option<PathBuf>, TracerError> {
        let first = writes.first_written().map_err(|error| TracerError::File {
            what: "watch",
            path: self.root.clone(),
            error: error.into(),
        })?;
        Ok(first.map(Path::to_owned))
    }

    /// Refuse a trace during which settings or filters were changed, as a workload with the right to can do: what its own calls switch
    /// off would seem not to run.
    fn check_unchanged(&self) -> Result<(), TracerError> {
        let changed = |file: &str, content: &str| TracerError::Changed {
            file: file.to_owned(),
            content: content.trim().chars().take(80).collect(),
        };
        for (file, settled) in &self.settled {
            let content = self.read(file)?;
            if content != *settled {
                return Err(changed(file, &content));
            }
        }
        match self.find_filter()? {
            Some((file, content)) => Err(changed(file, &content)),
            None => Ok(()),
        }
    }

    /// Leave tracefs as it was found.
    ///
    /// # Errors
    /// When a file cannot be set back, after all others were.
    pub fn stop(mut self) -> Result<(), TracerError> {
        self.restore()
    }

    fn restore(&mut self) -> Result<(), TracerError> {
        if self.ephemeral {
            return Ok(());
        }
        let before = std::mem::take(&mut self.before);
        if before.is_empty() {
            return Ok(());
        }
        let files = before.into_iter().rev();
        let mut results: Vec<_> = files
            .map(|(file, value)| self.write(file, &value))
            .collect();
        results.push(self.write("trace", "\n"));
        results.into_iter().collect()
    }

    /// Write a file, and remember what was in it.
    fn set(&mut self, file: &'static str, value: &str) -> Result<(), TracerError> {
        let before = self.read(file)?;
        self.write(file, value)?;
        self.before.push((file, parse_selected(&before)));
        Ok(())
    }

    fn read(&self, file: &str) -> Result<String, TracerError> {
        let path = self.root.join(file);
        read_whole(&path).map_err(|error| TracerError::File {
            what: "read",
            path,
            error,
        })
    }

    fn write(&self, file: &str, value: &str) -> Result<(), TracerError> {
        let path = self.root.join(file);
        fs::write(&path, value).map_err(|error| TracerError::File {
            what: "write",
            path,
            error,
        })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // The tracer was not stopped, because something else failed; that failure is reported.
        let _ = self.restore();
    }
}

/// Read a file of tracefs by large pieces. `events/header_page` gives nothing more after the first reading, however short that was,
/// and the library begins with a short one:
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/trace/trace_events.c#L1868>
fn read_whole(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let (mut all, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => all.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(all).map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error))
}

/// True of what a filter that filters nothing shows: nothing, a comment, or `no pid`.
fn is_empty_filter(content: &str) -> bool {
    content
        .lines()
        .all(|line| line.starts_with('#') || matches!(line.trim(), "" | "no pid"))
}

fn find_tracefs() -> Result<PathBuf, TracerError> {
    let mut last = ErrorKind::NotFound.into();
    for place in PLACES {
        match fs::metadata(format!("{place}/available_tracers")) {
            Ok(_) => return Ok(place.into()),
            Err(error) => last = error,
        }
    }
    Err(TracerError::NoTracefs(last))
}

/// The value that a file of tracefs takes, from what it shows: `local [mono] boot` is `mono`, `7 (expanded: 1408)` is `7`.
fn parse_selected(content: &str) -> String {
    let marked = content
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    let value = marked.map_or(content, |(value, _)| value);
    value
        .split(" (")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that settings are restored with the values that the kernel accepts, not with the text that it shows.
    #[test]
    fn shown_and_taken() {
        for (shown, taken) in [
            ("[local] global counter\n", "local"),
            ("local global [mono] boot\n", "mono"),
            ("7 (expanded: 1408)\n", "7"),
            ("1408\n", "1408"),
            ("nop\n", "nop"),
        ] {
            assert_eq!(parse_selected(shown), taken);
        }
    }
}
