//! The language server: what an author sees in an editor while writing chapters and investigations.
//!
//! `server` loads the book, checks it in a thread of its own, and loads it anew when it changed; `session` is the conversation;
//! `answers` puts into the protocol's types what `complete`, `hover`, `places` and `rename` find. These, `cursor` and
//! `mentions` know texts and places in them, and nothing of an editor.

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
mod values;
mod watch;
mod workspace;

pub use server::{ServerError, run};
