//! The links that hold attachments.

use aya::programs::{kprobe::KProbeLinkId, lsm::LsmLinkId, raw_trace_point::RawTracePointLinkId};

/// The links that hold an attachment.
pub(super) enum Links {
    Kprobe(Option<KProbeLinkId>, Option<KProbeLinkId>),
    Tracepoint(Vec<(usize, RawTracePointLinkId)>),
    Lsm(usize, LsmLinkId),
}
