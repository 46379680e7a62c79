//! The kernel section of the evidence.

use qed_evidence::document::Kernel;
use qed_evidence::value::{Datum, Value};
use sha2::{Digest, Sha256};

use super::context::Context;
use crate::kaslr::config::KernelConfig;
use crate::reason::Reason;
use crate::session::raw::MachineFacts;

fn text_datum(result: &Result<String, Reason>) -> Datum {
    match result {
        Ok(text) => Value::text(text).into(),
        Err(reason) => Datum::unavailable(reason.clone()),
    }
}

/// The reason why an option has no value. It is not `n`: of a misspelt one that would be true on every kernel.
fn unlisted_reason(option: &str, config: &KernelConfig) -> String {
    let near = config
        .nearest(option)
        .map(|near| format!("; the nearest one is {near}"));
    format!(
        "this kernel's configuration does not list {option}: there is no such option, or it depends on one that is not set{}",
        near.unwrap_or_default()
    )
}

/// Facts about the kernel. A command line may name a host's disks, so only that of a throwaway machine is kept.
pub fn assemble_kernel(facts: &MachineFacts, context: &Context<'_>, ephemeral: bool) -> Kernel {
    Kernel {
        release: facts.release.clone(),
        version: facts.version.clone(),
        arch: Some(facts.arch.machine().to_owned()),
        package: context.package.clone(),
        build_id: text_datum(&facts.build_id),
        image_digest: context.image_digest.clone(),
        btf_digest: hex::encode(Sha256::digest(&facts.btf)),
        config: context
            .investigation
            .config
            .iter()
            .map(|name| {
                let option = format!("CONFIG_{}", name.to_uppercase());
                let datum = match &context.config {
                    Ok(config) => match config.get_listed(&option) {
                        Some(value) => Value::text(value).into(),
                        None => Datum::unavailable(unlisted_reason(&option, config)),
                    },
                    Err(reason) => Datum::unavailable(reason.clone()),
                };
                (name.clone(), datum)
            })
            .collect(),
        modules: context.modules.clone(),
        lockdown: text_datum(&facts.lockdown),
        lsm: text_datum(&facts.lsm),
        command_line: ephemeral.then(|| facts.command_line.clone()),
        debuginfo: text_datum(&context.debuginfo),
    }
}
