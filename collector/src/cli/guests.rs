//! How guests start: booted for each capture, or resumed where an earlier boot was saved.

use serde::Deserialize;

use crate::guest::Start;

/// The choice of a command line, or of `guests` in `book.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Guests {
    /// As the book says; a book that says nothing boots.
    #[default]
    Auto,
    /// Each capture boots.
    Cold,
    /// A guest is resumed where one is saved, and saved when it is booted.
    Warm,
}

impl Guests {
    /// The choice of the command line, completed from that of the book: never `Auto`. And what to tell the user about it. A book
    /// that says `cold` decides.
    pub fn decide(self, book: Guests) -> (Guests, Option<&'static str>) {
        match (self, book) {
            (Guests::Warm, Guests::Cold) => (
                Guests::Cold,
                Some(
                    "guests are booted: book.toml says guests = \"cold\", which no command line changes",
                ),
            ),
            (Guests::Warm, _) | (Guests::Auto, Guests::Warm) => (Guests::Warm, None),
            (Guests::Cold, _) | (Guests::Auto, _) => (Guests::Cold, None),
        }
    }

    /// How a guest starts.
    pub fn start(self) -> Start {
        match self {
            Guests::Warm => Start::Resume,
            Guests::Cold | Guests::Auto => Start::Boot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check each choice of a command line against each of a book: only a wish resumes, and a book that says `cold` always boots.
    #[test]
    fn decisions() {
        use Guests::{Auto, Cold, Warm};
        let resumed = [(Auto, Warm), (Warm, Auto), (Warm, Warm)];
        for own in [Auto, Cold, Warm] {
            for book in [Auto, Cold, Warm] {
                let (guests, note) = own.decide(book);
                let expected = match resumed.contains(&(own, book)) {
                    true => Start::Resume,
                    false => Start::Boot,
                };
                assert_eq!(guests.start(), expected, "{own:?} {book:?}");
                assert_eq!(note.is_some(), (own, book) == (Warm, Cold));
            }
        }
    }
}
