//! The kernel section.

use qed_evidence::document::Kernel;
use qed_evidence::value::{Datum, Value};
use sha2::{Digest, Sha256};

use super::Context;
use crate::capture::raw::Facts;

fn text(result: &Result<String, String>) -> Datum {
    match result {
        Ok(text) => Value::text(text).into(),
        Err(reason) => Datum::unavailable(reason),
    }
}

/// What is known about the kernel. A command line may name a host's disks, so only that of a machine that
/// is gone afterwards is kept.
pub fn kernel(facts: &Facts, context: &Context<'_>, ephemeral: bool) -> Kernel {
    Kernel {
        release: facts.release.clone(),
        version: facts.version.clone(),
        package: context.package.clone(),
        build_id: text(&facts.build_id),
        btf_digest: hex::encode(Sha256::digest(&facts.btf)),
        config: context
            .investigation
            .config
            .iter()
            .map(|name| {
                let option = format!("CONFIG_{}", name.to_uppercase());
                let datum = match &context.config {
                    Ok(config) => Value::text(config.get(&option).unwrap_or("n")).into(),
                    Err(reason) => Datum::unavailable(reason.clone()),
                };
                (name.clone(), datum)
            })
            .collect(),
        lockdown: text(&facts.lockdown),
        lsm: text(&facts.lsm),
        command_line: ephemeral.then(|| facts.command_line.clone()),
        debuginfo: text(&context.debuginfo),
    }
}
