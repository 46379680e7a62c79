//! The place of a function's return address, for reads of it.

use super::expr::ReturnSlot;
use super::place::ProbePlace;
use super::planner::Planner;
use crate::probe::AttachTarget;
use crate::reason::Reason;
use crate::symbols::disasm::{ReturnAddress, return_slot_offset};

impl Planner<'_, '_, '_, '_> {
    /// The place at which the function at the live address `function` keeps its return address while a probe at `place` is hit, or why
    /// that is not known.
    pub(super) fn return_slot(
        &self,
        place: &ProbePlace<'_>,
        exit: bool,
        function: u64,
    ) -> Result<ReturnSlot, Reason> {
        let arch = self.offer.btf.arch();
        let Some(link_register) = arch.link_register() else {
            return Ok(ReturnSlot::Stack(0));
        };
        if !matches!(place.attach, AttachTarget::Kprobe { .. }) {
            return Err(
                "on arm64 the return address is in a frame that the function takes off the stack before it returns, and at this \
                 probe the stack pointer, which says whether it is still there, is not known: read it at a function"
                    .into(),
            );
        }
        let own = place.address == function && !exit;
        if own && place.return_address == ReturnAddress::LinkRegister {
            return Ok(ReturnSlot::Register(link_register));
        }
        let offset = return_slot_offset(arch, &(self.offer.code)(function)?);
        let offset = offset.ok_or(
            "the function puts its return address on the stack only on some of the ways through it, or its instructions do not show where",
        )?;
        Ok(ReturnSlot::Stack(offset))
    }
}
