//! Packages by name and version.

/// A package by name and version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Package {
    /// e.g. `linux-image-6.1.0-56-cloud-amd64-unsigned`
    pub name: String,
    /// e.g. `6.1.192-2`
    pub version: String,
}

impl Package {
    /// A folder name that is unique to name and version (an epoch's `:` as in apt's own archive names).
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}_{}", self.name, self.version.replace(':', "%3a"))
    }
}
