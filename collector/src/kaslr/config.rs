//! The kernel's build configuration.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use thiserror::Error;

/// An unreadable configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A failed decompression.
    #[error("failed to decompress the kernel's configuration: {0}")]
    Decompress(#[source] std::io::Error),
    /// Not UTF-8 text, or too long.
    #[error("failed to read the kernel's configuration: not a text of at most {MAX_BYTES} bytes")]
    NotText,
    /// A configuration without options.
    #[error("failed to read the kernel's configuration: no line sets a CONFIG_ option")]
    Empty,
    /// An option that should be a number is not.
    #[error("failed to read the kernel's configuration: {name} is {value:?}, not a number")]
    NotANumber {
        /// The option.
        name: String,
        /// Its value.
        value: String,
    },
}

/// Distribution kernels have 250 KiB; this bounds a damaged or hostile archive.
const MAX_BYTES: u64 = 16 << 20;

/// The options of a kernel's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelConfig {
    set: HashMap<String, String>,
    /// Options that the configuration lists as not set.
    unset: HashSet<String>,
}

impl KernelConfig {
    /// Parse a text such as `/boot/config-…`: `CONFIG_X=y`, `CONFIG_X="text"`, `# CONFIG_X is not set`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let line = |line: &str| {
            let (name, value) = line.trim_end().split_once('=')?;
            name.starts_with("CONFIG_")
                .then(|| (name.to_owned(), value.trim_matches('"').to_owned()))
        };
        let set: HashMap<_, _> = text.lines().filter_map(line).collect();
        if set.is_empty() {
            return Err(ConfigError::Empty);
        }
        let unset = |line: &str| {
            let name = line.trim_end().strip_prefix("# ")?;
            let name = name.strip_suffix(" is not set")?;
            name.starts_with("CONFIG_").then(|| name.to_owned())
        };
        let unset = text.lines().filter_map(unset).collect();
        Ok(Self { set, unset })
    }

    /// Parse the content of `/proc/config.gz`.
    pub fn parse_gz(content: &[u8]) -> Result<Self, ConfigError> {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(content)
            .take(MAX_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(ConfigError::Decompress)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(ConfigError::NotText);
        }
        Self::parse(std::str::from_utf8(&text).map_err(|_| ConfigError::NotText)?)
    }

    /// The value of an option, `None` where it is not set. `name` with its `CONFIG_`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(String::as_str)
    }

    /// The value of an option that the configuration lists, `n` where it is listed as not set. `None` if it is not listed:
    /// there is no such option, or it depends on one that is not set. `name` includes the prefix `CONFIG_`.
    pub fn get_listed(&self, name: &str) -> Option<&str> {
        let unset = || self.unset.contains(name).then_some("n");
        self.get(name).or_else(unset)
    }

    /// The listed option whose name is nearest to `name`, if one is near.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let listed = self.set.keys().chain(&self.unset).map(String::as_str);
        qed_evidence::diagnostic::nearest(name, listed)
    }

    /// True if an option is built in.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.get(name) == Some("y")
    }

    /// The value of a numeric option, decimal or `0x…`; `None` where it is not set.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let parsed = match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => value.parse(),
        };
        parsed.map(Some).map_err(|_| ConfigError::NotANumber {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const SAMPLE: &str = "# CONFIG_KALLSYMS_SELFTEST is not set\nCONFIG_RANDOMIZE_BASE=y\nCONFIG_PHYSICAL_ALIGN=0x200000\nCONFIG_NR_CPUS=64\nCONFIG_LSM=\"a,b\"\n";

    /// Check that set, unset, numeric and text options are told apart.
    #[test]
    fn options() {
        let config = KernelConfig::parse(SAMPLE).unwrap();
        assert!(
            config.is_built_in("CONFIG_RANDOMIZE_BASE")
                && !config.is_built_in("CONFIG_KALLSYMS_SELFTEST")
        );
        assert_eq!(
            config.number("CONFIG_PHYSICAL_ALIGN").unwrap(),
            Some(0x20_0000)
        );
        assert_eq!(config.number("CONFIG_NR_CPUS").unwrap(), Some(64));
        assert_eq!(config.number("CONFIG_PHYSICAL_START").unwrap(), None);
        assert_eq!(config.get("CONFIG_LSM"), Some("a,b"));
        assert_eq!(config.get_listed("CONFIG_RANDOMIZE_BASE"), Some("y"));
        assert_eq!(config.get("CONFIG_KALLSYMS_SELFTEST"), None);
        assert_eq!(config.get_listed("CONFIG_KALLSYMS_SELFTEST"), Some("n"));
        assert_eq!(config.get_listed("CONFIG_RANDOMISE_BASE"), None);
        assert_eq!(
            config.nearest("CONFIG_RANDOMISE_BASE"),
            Some("CONFIG_RANDOMIZE_BASE")
        );
        assert!(matches!(
            config.number("CONFIG_LSM"),
            Err(ConfigError::NotANumber { .. })
        ));
        assert!(matches!(
            KernelConfig::parse("hello"),
            Err(ConfigError::Empty)
        ));
    }

    /// Check that the compressed form gives the same, and a truncated one an error.
    #[test]
    fn compressed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(SAMPLE.as_bytes()).unwrap();
        let gz = encoder.finish().unwrap();
        assert_eq!(
            KernelConfig::parse_gz(&gz).unwrap(),
            KernelConfig::parse(SAMPLE).unwrap()
        );
        assert!(matches!(
            KernelConfig::parse_gz(&gz[..gz.len() / 2]),
            Err(ConfigError::Decompress(_))
        ));
    }

    proptest! {
        /// Check that no content makes the parsers panic.
        #[test]
        fn never_panics(text in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (KernelConfig::parse(&text), KernelConfig::parse_gz(&bytes));
        }
    }
}
