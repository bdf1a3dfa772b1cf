//! A copy of the workspace in which faults live.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::TempDir;
use thiserror::Error;

use super::list::Mutant;

/// Why the copy cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CopyError {
    /// A file or folder.
    #[error("{} cannot be copied or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The source has moved on.
    #[error(
        "Fault {name:?} does not fit {file}: what it replaces stands there {times} times, not once"
    )]
    Stale {
        /// The fault.
        name: String,
        /// The source.
        file: String,
        /// How often.
        times: usize,
    },
}

/// The copy; it goes with this value.
pub(crate) struct Workspace {
    folder: TempDir,
    built: PathBuf,
}

impl Workspace {
    /// Copies the sources. What is built from them stays in the workspace's own target folder, so
    /// that a second run is quick.
    pub(crate) fn new(root: &Path) -> Result<Self, CopyError> {
        let folder = tempfile::tempdir().map_err(at(&std::env::temp_dir()))?;
        copy_tree(root, folder.path())?;
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Ok(Self {
            folder,
            built: root.join(target).join("mutants"),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where cargo puts what it builds.
    pub(crate) fn built(&self) -> &Path {
        &self.built
    }

    /// Puts a fault in, and gives the healthy source back.
    pub(crate) fn infect(&self, mutant: &Mutant) -> Result<String, CopyError> {
        let path = self.folder().join(&mutant.file);
        let healthy = fs::read_to_string(&path).map_err(at(&path))?;
        self.put(&mutant.file, &infected(mutant, &healthy)?)?;
        Ok(healthy)
    }

    /// Writes one source.
    pub(crate) fn put(&self, file: &str, text: &str) -> Result<(), CopyError> {
        let path = self.folder().join(file);
        fs::write(&path, text).map_err(at(&path))
    }
}

/// A source with a fault.
pub(super) fn infected(mutant: &Mutant, healthy: &str) -> Result<String, CopyError> {
    let times = healthy.matches(&mutant.find).count();
    if times == 1 {
        return Ok(healthy.replace(&mutant.find, &mutant.replace));
    }
    Err(CopyError::Stale {
        name: mutant.name.clone(),
        file: mutant.file.clone(),
        times,
    })
}

/// Everything but what is built and the history.
fn copy_tree(from: &Path, to: &Path) -> Result<(), CopyError> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(at(&path))?;
        if kind.is_dir() && (name == "target" || name == ".git") {
            continue;
        }
        let there = to.join(&name);
        if kind.is_dir() {
            copy_tree(&path, &there)?;
        } else if kind.is_file() {
            fs::copy(&path, &there).map_err(at(&path))?;
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::File { path, source }
}
