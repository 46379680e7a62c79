//! Further boots of a guest, which show that the slide is drawn anew each time.

use std::cell::Cell;
use std::num::NonZero;
use std::pin::pin;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use qed_evidence::Evidence;
use qed_evidence::document::Boot;
use qed_evidence::value::{Datum, Integer, Value};

use super::failure::Failure;
use super::guest_boot::boot;
use crate::guest::KernelImage;
use crate::guest::cache::Cache;
use crate::guest::host_binaries::GuestFiles;
use crate::guest::protocol::{GuestJob, SlideAnswer, parse_slide_answer};
use crate::reason::Reason;

/// Most attempts at a boot before its failure is reported.
const ATTEMPTS: u32 = 3;

/// The boots in earlier evidence of the kernel that is captured now. A boot does not go out of date: with its time, it remains
/// true of that kernel.
pub fn reuse_boots(earlier: Option<&Evidence>, now: &Evidence, wanted: u32) -> Vec<Boot> {
    let same = |earlier: &&Evidence| {
        let (was, is) = (&earlier.kernel, &now.kernel);
        let known = was.build_id.value().is_some();
        known && was.build_id == is.build_id && earlier.machine.kind == now.machine.kind
    };
    let whole = |boot: &&Boot| {
        let all = [&boot.slide, &boot.text, &boot.physical];
        all.into_iter().all(|datum| datum.value().is_some())
    };
    let boots = earlier.filter(same).map_or(&[][..], |e| &e.boots);
    boots
        .iter()
        .filter(whole)
        .take(wanted as usize)
        .cloned()
        .collect()
}

/// Everything needed to boot a guest again.
pub struct BootSetup<'a> {
    pub kernel: &'a KernelImage,
    pub cache: &'a Cache,
    /// Seconds without progress after which a boot is given up.
    pub limit: u64,
}

impl BootSetup<'_> {
    /// Add boots to `boots` until there are `wanted`, as many at a time as there are processors, or until one fails. The boots before it
    /// are as good as they would be without it.
    pub async fn complete_boots(
        &self,
        boots: &mut Vec<Boot>,
        wanted: u32,
        say: &dyn Fn(&str),
    ) -> Result<(), Failure> {
        let missing = (wanted as usize).saturating_sub(boots.len());
        if missing == 0 {
            return Ok(());
        }
        if !boots.is_empty() {
            say(&format!("{} boots are known already", boots.len()));
        }
        let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
        let done = Cell::new(0);
        let one = async |_: usize| {
            let boot = self.boot_once().await?;
            done.set(done.get() + 1);
            say(&format!("boot {} of {missing}", done.get()));
            Ok::<_, Failure>(boot)
        };
        let mut new = pin!(stream::iter(0..missing).map(one).buffered(at_once));
        while let Some(boot) = new.try_next().await? {
            boots.push(boot);
        }
        Ok(())
    }

    /// Boot once; again, if that fails: what a busy machine spoils says nothing about the kernel.
    async fn boot_once(&self) -> Result<Boot, Failure> {
        let mut left = ATTEMPTS;
        loop {
            let time = jiff::Timestamp::now().to_string();
            let (kernel, cache) = (self.kernel.clone(), self.cache.clone());
            left -= 1;
            let nothing = GuestFiles::default();
            match boot(
                kernel,
                &GuestJob::Slide,
                nothing,
                cache,
                self.limit,
                &|_| {},
            )
            .await
            {
                Ok(run) => return Ok(boot_from_answer(parse_slide_answer(&run.payload)?, time)),
                Err(failure) if left == 0 => return Err(failure),
                Err(_) => {}
            }
        }
    }
}

/// Turn a guest's answer into evidence.
fn boot_from_answer(answer: SlideAnswer, time: String) -> Boot {
    let or_reason = |value: Result<Value, Reason>| match value {
        Ok(value) => value.into(),
        Err(reason) => Datum::unavailable(reason),
    };
    let offset = |value: u64| Value::Offset {
        value: Integer::from(value),
    };
    Boot {
        boot_id: answer.boot_id,
        time,
        slide: or_reason(answer.stated.map(offset)),
        text: or_reason(answer.text.map(Value::address)),
        physical: or_reason(answer.physical.map(offset)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booted(count: usize) -> Evidence {
        let text = include_bytes!("../../../evidence/testdata/two-experiments.json");
        let mut evidence = qed_evidence::reader::read(text).expect("the sample is evidence");
        let answer = |number: usize| SlideAnswer {
            boot_id: number.to_string(),
            text: Ok(0xffff_ffff_8100_0000),
            stated: Ok(0),
            physical: Ok(0x100_0000),
        };
        let boots = (0..count).map(|number| boot_from_answer(answer(number), "t".into()));
        evidence.boots = boots.collect();
        evidence
    }

    fn ids(boots: &[Boot]) -> Vec<&str> {
        boots.iter().map(|boot| boot.boot_id.as_str()).collect()
    }

    /// Check that boots of the same kernel are kept, at most as many as are wanted, and only those that said all.
    #[test]
    fn same_kernel() {
        let (mut earlier, now) = (booted(3), booted(0));
        assert_eq!(ids(&reuse_boots(Some(&earlier), &now, 2)), ["0", "1"]);
        assert_eq!(ids(&reuse_boots(Some(&earlier), &now, 9)), ["0", "1", "2"]);
        earlier.boots[0].slide = Datum::unavailable("no kcore");
        assert_eq!(ids(&reuse_boots(Some(&earlier), &now, 2)), ["1", "2"]);
        assert!(reuse_boots(None, &now, 2).is_empty());
    }

    /// Check that boots of another build, and of one that is not known, are not kept.
    #[test]
    fn other_kernels() {
        let (mut earlier, mut now) = (booted(3), booted(0));
        now.kernel.build_id = Value::text("ff").into();
        assert!(reuse_boots(Some(&earlier), &now, 2).is_empty());
        now.kernel.build_id = Datum::unavailable("no notes");
        earlier.kernel.build_id = Datum::unavailable("no notes");
        assert!(reuse_boots(Some(&earlier), &now, 2).is_empty());
    }
}
