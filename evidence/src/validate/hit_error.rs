//! Contradictions within one hit, or between a hit and its probe.

/// A hit that cannot have been.
#[derive(Debug, thiserror::Error)]
pub(super) enum HitError {
    #[error("neither the entry nor the return has an order")]
    NoOrder,
    #[error("an event has a time and no order")]
    TimeWithoutOrder,
    #[error("event {order} is not in 1..={count}")]
    Beyond { order: u64, count: u64 },
    #[error("two hits use event {0}")]
    Taken(u64),
    #[error("the hits of a probe stand in the order of its events")]
    OutOfOrder,
    #[error("the call returns before it is entered")]
    ReturnsFirst,
    #[error("a tracepoint or a hook does not return")]
    NoReturn,
    #[error("a tracepoint or a hook is not called from a place of the kernel")]
    NoCaller,
    #[error("the probe's target has no parameter `{0}`")]
    NoParameter(String),
    #[error("the function returns a `{declared}`, not a `{own}`")]
    ReturnType { declared: String, own: String },
    #[error("`{name}` is a `{declared}`, not a `{own}`")]
    ArgumentType {
        name: String,
        declared: String,
        own: String,
    },
    #[error("the caller is not where the call returns to")]
    OtherCaller,
    #[error("the copy that was hit is none of those that were watched")]
    OtherCopy,
    #[error("it returns to `{name}+{offset:#x}`, which is not the second frame of its stack")]
    ReturnsElsewhere { name: String, offset: u64 },
    #[error("the place of the call is not that of the second frame of its stack")]
    OtherSite,
}
