//! The evidence of a book: captured, read, cached, and looked up by path.

pub mod book_data;
pub mod cache;
pub mod capture;
pub mod collector;
pub mod disclosure;
pub mod format;
pub mod freshness;
pub mod history;
pub mod loader;
pub mod local_files;
pub mod locations;
pub mod machine_id;
pub mod mentions;
pub mod names;
pub mod path_list;
pub mod provenance;
pub mod raw;
pub mod sweep_record;
pub mod verdict_files;
