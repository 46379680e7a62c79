//! Tests of claims as a whole; each guard of the language has its own.

mod absent;
mod cut;
mod graph;
mod guards;
mod holds;
mod holes;
mod hostile;
mod instances;
mod ledgers;
mod literals;
mod lsm;
mod vacuous;
mod verdicts;
mod words;
