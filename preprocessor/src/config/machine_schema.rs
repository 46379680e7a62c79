//! The forms in which a book asks for a machine. They are used for the schema only; the value is parsed as `MachineRequest`.

use schemars::JsonSchema;

/// A machine as a book asks for it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "nothing is read into it")]
pub enum Machine {
    /// `host`, `guest:debian-6.1`, `guest:PATH` or `guest:WORD=PATH`.
    Named(String),
    /// A guest that boots a kernel image of this machine.
    Image(Image),
}

/// A guest that boots a kernel image of this machine.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "nothing is read into it")]
pub struct Image {
    /// The path of the image, from the book's folder.
    guest: String,
    /// The word by which the guest is called.
    name: Option<String>,
}
