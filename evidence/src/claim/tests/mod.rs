//! Tests of claims as a whole; each guard of the language has its own.

mod guards;
mod hostile;
mod verdicts;
