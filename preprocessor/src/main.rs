//! The QED preprocessor for mdBook.

fn main() {}
