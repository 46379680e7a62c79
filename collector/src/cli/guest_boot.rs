//! One boot of a guest for one job.

use std::time::Duration;

use anyhow::Context as _;

use super::failure::Failure;
use crate::guest::cache::Cache;
use crate::guest::host_binaries::Files;
use crate::guest::protocol::Job;
use crate::guest::{self, GuestRun, GuestSpec, KernelImage};

/// Boots a guest for one job.
pub async fn boot(
    kernel: KernelImage,
    job: &Job,
    files: Files,
    cache: Cache,
    limit: u64,
    say: &dyn Fn(&str),
) -> Result<GuestRun, Failure> {
    let init = std::env::current_exe().context("failed to find this program's own file")?;
    let mut spec = GuestSpec::new(kernel, init, cache);
    spec.files.extend(files.contents);
    spec.modes = files.modes;
    spec.files.push(job.file()?);
    spec.limit = Duration::from_secs(limit);
    Ok(guest::run(&spec, say).await?)
}
