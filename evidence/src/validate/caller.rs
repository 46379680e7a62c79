//! Check that a hit's caller agrees with its stack.

use crate::document::Hit;
use crate::document::value::{Datum, Frame, Value};

use super::hit_error::HitError;

/// Check that a function returns to the second frame of its stack, and that the place of the call is that frame's.
pub(super) fn check_caller(hit: &Hit, stack: Option<&[Frame]>) -> Result<(), HitError> {
    let Some(stack) = stack else {
        return Ok(());
    };
    let frame = stack.get(1);
    if let Some(Value::Symbol {
        name,
        offset,
        address,
    }) = hit
        .returns_to
        .as_ref()
        .or(hit.caller.as_ref())
        .and_then(Datum::value)
    {
        let same = frame.is_some_and(|frame| {
            frame.address == *address
                && frame.symbol.as_ref() == Some(name)
                && frame.offset == Some(*offset)
        });
        if !same {
            return Err(HitError::ReturnsElsewhere {
                name: name.clone(),
                offset: *offset,
            });
        }
    }
    let site = frame.and_then(|frame| frame.site.as_ref());
    match (hit.site.as_ref().and_then(Datum::value), site) {
        (Some(Value::Location { value }), Some(site)) if value != site => Err(HitError::OtherSite),
        _ => Ok(()),
    }
}
