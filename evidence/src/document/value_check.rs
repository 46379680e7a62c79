//! Checks for impossible values that their JSON types allow.

use super::value::{Cut, Value};

/// A value that its JSON types allow and that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A negative file descriptor.
    #[error("a file descriptor cannot be {0}")]
    Descriptor(i32),
    /// A negative process id.
    #[error("a process id cannot be {0}")]
    Process(i32),
    /// An error number that the kernel cannot return.
    #[error("errno {0} is out of range")]
    Errno(i32),
    /// The name of another error number.
    #[error("errno {number} is `{known}`, not `{name}`")]
    ErrnoName {
        /// The number.
        number: i32,
        /// Its name.
        known: String,
        /// The name that it was given.
        name: String,
    },
    /// A line 0.
    #[error("lines are counted from 1")]
    Line,
    /// A whole that is not longer than its beginning.
    #[error("of {whole} bytes, {retained} cannot be the beginning that was kept")]
    Cut {
        /// Bytes of the whole.
        whole: u64,
        /// Bytes that were kept.
        retained: usize,
    },
    /// A whole length of a stack.
    #[error("the whole length of a stack is never known")]
    StackLength,
}

impl Value {
    /// Check what the JSON types cannot say; called by the strict reader.
    ///
    /// # Errors
    /// [`ValueError`] for a number out of its range, or a name that is not that of its number.
    pub fn validate(&self) -> Result<(), ValueError> {
        match self {
            Value::Fd { value } if *value < 0 => Err(ValueError::Descriptor(*value)),
            Value::Pid { value } if *value < 0 => Err(ValueError::Process(*value)),
            Value::Errno { value, name } => {
                match crate::constants::errno_name(value.unsigned_abs()) {
                    Some(known) if known == *name => Ok(()),
                    Some(known) => Err(ValueError::ErrnoName {
                        number: *value,
                        known: known.into_owned(),
                        name: name.clone(),
                    }),
                    None => Err(ValueError::Errno(*value)),
                }
            }
            Value::Location { value } if value.line == 0 => Err(ValueError::Line),
            Value::CutText { value, cut } => cut.validate(value.len()),
            Value::CutBytes { value, cut } => cut.validate(value.0.len()),
            Value::CutStack {
                cut: Cut { whole: Some(_) },
                ..
            } => Err(ValueError::StackLength),
            _ => Ok(()),
        }
    }
}

impl Cut {
    fn validate(self, retained: usize) -> Result<(), ValueError> {
        match self.whole {
            Some(whole) if whole <= retained as u64 => Err(ValueError::Cut { whole, retained }),
            _ => Ok(()),
        }
    }
}
