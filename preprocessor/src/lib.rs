//! The QED preprocessor for mdBook: fills chapters from measured evidence, judges the claims that they make,
//! and says where every value comes from.

pub mod book;
pub mod capture;
pub mod chapter;
pub mod claims;
pub mod cli;
pub mod commands;
pub mod config;
pub mod context;
pub mod derivation;
pub mod edit;
pub mod escape;
pub mod exhibits;
pub mod facts;
pub mod files;
pub mod fill;
pub mod format;
pub mod history;
pub mod html;
pub mod judging;
pub mod leak;
pub mod lint;
pub mod load;
pub mod page;
pub mod protocol;
pub mod relocate;
pub mod report;
pub mod run;
pub mod sealed;
pub mod site;
pub mod store;
pub mod syntax;
pub mod template;
pub mod trace;
