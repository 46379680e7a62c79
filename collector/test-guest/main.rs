//! The first process of a guest in tests that ask for more than a capture. Never installed: the privileged program has none
//! of this.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

#[allow(dead_code)] // the tests' half
mod job;
mod oracle;
mod ordinary;
mod trace;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use qed_collector::btf::Btf;
use qed_collector::guest::agent::{capture_here, parse_investigation, plan_here};
use qed_collector::guest::init;
use qed_collector::plan;
use qed_collector::session::commands::Commands;
use qed_collector::session::machine_facts;
use qed_collector::session::tracer::Tracer;
use qed_collector::session::workload_spec::workload_spec;
use qed_collector::symbols::running;
use qed_collector::workload;

use job::{Chain, JOB, Moment, TestJob, Traced};
use oracle::Oracle;

fn main() -> ExitCode {
    workload::child_main();
    if init::is_guest_init() {
        init::run(answer);
    }
    if std::env::args().nth(1).as_deref() == Some("wait") {
        println!(".");
        // Until the pipe is closed.
        let _ = std::io::stdin().read_line(&mut String::new());
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "error: this program is the first process of a test's guest, and does nothing elsewhere"
    );
    ExitCode::from(2)
}

fn answer() -> anyhow::Result<Vec<u8>> {
    if !fs::exists(JOB)? {
        return ping();
    }
    let text = fs::read(JOB).context("failed to read the job")?;
    match serde_json::from_slice(&text).context("failed to understand the job")? {
        TestJob::Moment => Ok(postcard::to_stdvec(&moment()?)?),
        TestJob::CrashIn { boot_id } => {
            let moment = moment()?;
            if moment.boot_id == boot_id {
                std::process::exit(1);
            }
            Ok(postcard::to_stdvec(&moment)?)
        }
        TestJob::Ordinary(runs) => Ok(postcard::to_stdvec(&ordinary::answer(&runs)?)?),
        TestJob::Graph { name, text } => traced(&name, &text),
        TestJob::Oracle {
            name,
            text,
            experiment,
            chains,
        } => watched_by_oracle(&name, &text, &experiment, chains),
    }
}

fn moment() -> anyhow::Result<Moment> {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    let line = |path: &str| -> anyhow::Result<String> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Ok(text.trim().to_owned())
    };
    let mut random = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let text = symbols.lines().find(|line| line.ends_with(" T _text"));
    // One of the kernel's own variables, at the same address as long as the kernel is the same boot.
    let timers = line("/proc/timer_list")?;
    let base = timers.lines().find(|line| line.contains(".base:"));
    let file = fs::metadata("/qed/file").ok().map(|found| {
        let text = fs::read_to_string("/qed/file").unwrap_or_default();
        (found.permissions().mode() & 0o7777, text)
    });
    // This program again, which waits as long as its standard input is open.
    let mut child = std::process::Command::new("/proc/self/exe")
        .arg("wait")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("cannot start this program again")?;
    let mut ready = [0];
    child
        .stdout
        .as_mut()
        .context("the child has no output")?
        .read_exact(&mut ready)?;
    let of_child = |name: &str| format!("/proc/{}/{name}", child.id());
    let map = line(&of_child("maps"))?;
    let process_map = map.lines().filter_map(|line| line.split(' ').next());
    let process_map = process_map.collect::<Vec<_>>().join(" ");
    let auxv = fs::read(of_child("auxv"))?;
    let memory = fs::File::open(of_child("mem"))?;
    let process_random = at_random(&auxv, &memory)?;
    drop(child.stdin.take());
    child.wait()?;
    Ok(Moment {
        time_ns: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_nanos(),
        boot_id: line("/proc/sys/kernel/random/boot_id")?,
        text: text.unwrap_or_default().to_owned(),
        random,
        uuid: line("/proc/sys/kernel/random/uuid")?,
        process_random,
        process_map,
        hashed_pointer: base.unwrap_or_default().trim().to_owned(),
        file,
        job_folder: job_folder()?,
    })
}

fn job_folder() -> anyhow::Result<Vec<(String, i64)>> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = vec![(".".to_owned(), fs::metadata("/qed")?.mtime())];
    for entry in fs::read_dir("/qed")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push((name, entry.metadata()?.mtime()));
    }
    found.sort();
    Ok(found)
}

/// The 16 bytes behind `AT_RANDOM` of a process: getauxval(3).
fn at_random(auxv: &[u8], memory: &fs::File) -> anyhow::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    const AT_RANDOM: u64 = 25;
    let words: Vec<u64> = auxv
        .chunks_exact(8)
        .filter_map(|word| Some(u64::from_ne_bytes(word.try_into().ok()?)))
        .collect();
    let pair = words.chunks_exact(2).find(|pair| pair[0] == AT_RANDOM);
    let address = pair.context("the process has no AT_RANDOM")?[1];
    let mut bytes = vec![0; 16];
    memory.read_exact_at(&mut bytes, address)?;
    Ok(bytes)
}

/// The smallest job, which takes no file: says which kernel answered, and its first symbol's address.
fn ping() -> anyhow::Result<Vec<u8>> {
    init::report_progress("ping");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("cannot read the kernel's release")?;
    let mut symbol = String::new();
    let symbols = fs::File::open("/proc/kallsyms").context("cannot open /proc/kallsyms")?;
    BufReader::new(symbols)
        .read_line(&mut symbol)
        .context("cannot read /proc/kallsyms")?;
    Ok(format!("pong {} {}", release.trim(), symbol.trim()).into_bytes())
}

fn traced(name: &str, text: &str) -> anyhow::Result<Vec<u8>> {
    let investigation = parse_investigation(name, text)?;
    let btf = fs::read(machine_facts::BTF)?;
    let types = Btf::parse(&btf)?;
    let tracer = Tracer::start_with_arguments(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut traces = Vec::new();
    for experiment in &investigation.experiments {
        let workload = plan::plan_workload_alone(&types, &experiment.workload)
            .map_err(|why| anyhow::anyhow!("{why}"))?;
        let spec = workload_spec(experiment, &workload, Some(Path::new("/")))?;
        let mut shown = Ok(String::new());
        let look = &mut |root: &Path| {
            let named = fs::write(root.join("options/funcgraph-proc"), "1");
            shown = named.and_then(|()| fs::read_to_string(root.join("trace")));
        };
        let (graph, _) = runtime.block_on(tracer.trace(&spec, look))?;
        traces.push((postcard::to_stdvec(&graph)?, shown?));
    }
    let kallsyms = running::read_kallsyms_text()?;
    Ok(postcard::to_stdvec(&Traced {
        kallsyms,
        btf,
        traces,
    })?)
}

fn watched_by_oracle(
    name: &str,
    text: &str,
    experiment: &str,
    chains: Vec<Chain>,
) -> anyhow::Result<Vec<u8>> {
    let investigation = parse_investigation(name, text)?;
    let commands = Commands::start_for_machine(&investigation, true);
    let (kernel, plan) = plan_here(&investigation, &Ok(Vec::new()), &[])?;
    let watched = plan.experiments.iter().find(|e| e.name == experiment);
    let watched = watched.with_context(|| format!("there is no experiment {experiment}"))?;
    let oracle = Oracle::new(watched, chains, kernel.btf())?;
    let raw = capture_here(&investigation, kernel, plan, commands, Some(&oracle))?;
    Ok(postcard::to_stdvec(&(raw, oracle.into_view()))?)
}
