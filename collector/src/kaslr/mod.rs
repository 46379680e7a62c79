//! The KASLR slide, from independent sources that must agree.
