//! The books on disk: one small file, written whole and put in place by its name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use offload_api::host::HitCount;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::warn;

use super::{Counts, RuleName, Totals, put};

const VERSION: u32 = 1;
const FILE: &str = "counts.json";

/// Why the books are not on disk.
#[derive(Debug, Error)]
#[error("Cannot write {}; counts go on in memory", path.display())]
pub(crate) struct KeeperError {
    path: PathBuf,
    source: io::Error,
}

/// Knows where the books are.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    ledger: String,
    taken: u64,
    rules: Vec<Line>,
    names: Vec<(u32, RuleName)>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    rule: RuleName,
    /// By rows that are gone, packets and bytes.
    gone: (u64, u64),
    /// By rows that were there when they were read last.
    live: (u64, u64),
}

fn pair(count: Option<&HitCount>) -> (u64, u64) {
    count.map_or((0, 0), |count| (count.packets, count.bytes))
}

fn count((packets, bytes): (u64, u64)) -> HitCount {
    HitCount { packets, bytes }
}

impl Keeper {
    /// In this directory.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            path: dir.join(FILE),
        }
    }

    /// What was written down; empty books if there is nothing that makes sense. Counts are not worth
    /// a daemon that does not start.
    pub(crate) fn load(&self) -> Counts {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Counts::default(),
            Err(error) => {
                warn!(path = %self.path.display(), %error, "counts begin anew");
                return Counts::default();
            }
        };
        match serde_json::from_str::<Document>(&text) {
            Ok(document) if document.version == VERSION => books(document),
            Ok(document) => {
                warn!(path = %self.path.display(), version = document.version,
                    "counts of another release begin anew");
                self.put_aside();
                Counts::default()
            }
            Err(error) => {
                warn!(path = %self.path.display(), %error, "counts begin anew");
                self.put_aside();
                Counts::default()
            }
        }
    }

    /// For whoever wants to look at it.
    fn put_aside(&self) {
        let aside = self.path.with_extension("json.unreadable");
        if let Err(error) = fs::rename(&self.path, &aside) {
            warn!(path = %self.path.display(), %error, "cannot be put aside");
        }
    }

    /// What is to be written down.
    pub(crate) fn text(counts: &Counts) -> String {
        let mut live = Totals::new();
        match &counts.past_live {
            Some(before) => live.clone_from(before),
            None => {
                for (name, count) in counts.live.values() {
                    put(&mut live, name.clone(), *count);
                }
            }
        }
        let names: std::collections::BTreeSet<&RuleName> =
            counts.gone.keys().chain(live.keys()).collect();
        let rules = names
            .into_iter()
            .map(|name| Line {
                rule: name.clone(),
                gone: pair(counts.gone.get(name)),
                live: pair(live.get(name)),
            })
            .collect();
        let (ledger, taken) = counts.ledger.clone();
        let named = counts.names.iter().map(|(n, name)| (*n, name.clone()));
        let document = Document {
            version: VERSION,
            ledger,
            taken,
            rules,
            names: named.collect(),
        };
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Writes it down: the old books stay until the new ones are whole.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn save(&self, text: &str) -> Result<(), KeeperError> {
        let failed = |source| KeeperError {
            path: self.path.clone(),
            source,
        };
        let new = self.path.with_extension("json.new");
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        fs::write(&new, text).map_err(failed)?;
        fs::rename(&new, &self.path).map_err(failed)
    }
}

fn books(document: Document) -> Counts {
    let Document {
        version: _,
        ledger,
        taken,
        rules,
        names,
    } = document;
    let mut counts = Counts {
        ledger: (ledger, taken),
        past_names: names.into_iter().collect(),
        ..Counts::default()
    };
    let mut live = Totals::new();
    for Line {
        rule,
        gone,
        live: there,
    } in rules
    {
        put(&mut counts.gone, rule.clone(), count(gone));
        put(&mut live, rule, count(there));
    }
    counts.past_live = Some(live);
    counts
}
