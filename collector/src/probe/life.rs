//! Tracking of the processes that belong to a workload.

use aya::{
    maps::{HashMap, MapError},
    programs::RawTracePoint,
};

use super::load::Probes;
use super::setup::LoadError;

use crate::reason::Reason;

/// Blind spots in the life of processes: per kind of event, why it cannot be seen, if so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Processes that the workload starts.
    pub created: Option<Reason>,
    /// The moment at which a command's process has become the command.
    pub executed: Option<Reason>,
}

/// The tracepoint, and the program for it, where a process is created.
const CREATED: [&str; 1] = ["task_newtask"];
/// Those where a process has a new program, and where it goes back to user space.
const EXECUTED: [&str; 2] = ["sched_process_exec", "sys_exit"];

impl Probes {
    /// Attach what watches processes; `commands`: some workload is a program that has to be executed first. What cannot
    /// be attached is an answer.
    pub fn watch_lifecycle(&mut self, commands: bool) -> Lifecycle {
        let executed = match commands {
            true => self.attach_all(&EXECUTED),
            false => Ok(()),
        };
        Lifecycle {
            created: self.attach_all(&CREATED).err(),
            executed: executed.err(),
        }
    }

    fn attach_all(&mut self, tracepoints: &[&str]) -> Result<(), Reason> {
        for tracepoint in tracepoints {
            let program = self.ebpf.program_mut(tracepoint);
            let program: Option<&mut RawTracePoint> = program.and_then(|p| p.try_into().ok());
            let program = program.ok_or_else(|| {
                Reason::from(format!(
                    "the eBPF object has no `{tracepoint}`; build it again"
                ))
            })?;
            program
                .load()
                .and_then(|()| program.attach(tracepoint))
                .map_err(|error| {
                    Reason::from(format!("cannot attach to tracepoint {tracepoint}: {error}"))
                })?;
        }
        Ok(())
    }

    /// Thread-group ids of the processes that belong to the workload besides its own, those that have ended included.
    pub fn followed_processes(&self) -> Result<Vec<u32>, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "FOLLOWED",
            source,
        };
        let map = self.ebpf.map("FOLLOWED");
        let map = map.ok_or_else(|| LoadError::Missing("FOLLOWED".to_owned()))?;
        let map = HashMap::<_, u32, u32>::try_from(map).map_err(fail)?;
        Ok(map.keys().flatten().collect())
    }
}
