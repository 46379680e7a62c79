//! The language server, for authors who write chapters and investigations in an editor.
//!
//! `server` loads the book, checks it in a thread of its own, and reloads it when it has changed; `session` handles the
//! messages; `answers` converts the results of `complete`, `hover`, `places` and `rename` to the protocol's types. These four,
//! `cursor` and `mentions` work on texts and positions, and do not depend on the protocol.

mod answers;
mod book_index;
mod capabilities;
mod complete;
mod cursor;
mod diagnose;
mod files;
mod hover;
mod mentions;
mod places;
mod position;
mod publish;
mod rename;
mod server;
mod session;
mod stdio;
mod values;
mod watch;
mod workspace;

pub use server::{ServerError, run};
