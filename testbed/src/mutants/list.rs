//! The list of faults.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// Where the list is, seen from the workspace.
const LIST: &str = "testbed/cases/mutants/mutants.toml";

/// Why the list cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ListError {
    /// It cannot be read.
    #[error("The list {} cannot be read", path.display())]
    Read {
        /// The list.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no list.
    #[error("The list {} cannot be understood", path.display())]
    Parse {
        /// The list.
        path: PathBuf,
        /// Why.
        source: toml::de::Error,
    },
}

/// One fault.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// What is wrong then, in words.
    pub(crate) name: String,
    /// Source, seen from the workspace.
    pub(crate) file: String,
    /// What stands there, once.
    pub(crate) find: String,
    /// What stands there instead.
    pub(crate) replace: String,
    /// Whose tests should notice.
    pub(crate) packages: Vec<String>,
}

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

/// Reads the list.
///
/// # Errors
/// See [`ListError`].
pub(crate) fn read(root: &Path) -> Result<Vec<Mutant>, ListError> {
    let path = root.join(LIST);
    let text = std::fs::read_to_string(&path).map_err(|source| ListError::Read {
        path: path.clone(),
        source,
    })?;
    let list: List = toml::from_str(&text).map_err(|source| ListError::Parse { path, source })?;
    Ok(list.mutant)
}
