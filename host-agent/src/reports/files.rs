//! A file for each endpoint that is in force, where CNI plugins look for it.
//!
//! The folder is `endpoint-status` below the prefix. A file's name is made of the endpoint's three
//! ids, each escaped like a segment of a URL's path, with blanks between; its content is JSON. It is
//! there while the endpoint is up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy_model::{WorkloadEndpoint, WorkloadId};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::Notify;
use tracing::warn;

/// Pause after a file that could not be written.
const RETRY: Duration = Duration::from_secs(5);
/// Below the prefix.
const FOLDER: &str = "endpoint-status";

/// Why there are no files.
#[derive(Debug, Error)]
#[error("Endpoint status files cannot be written to {}: make the folder writable, or leave the \
         setting endpoint-status out", folder.display())]
pub struct FilesError {
    /// Where.
    folder: PathBuf,
    /// Cause.
    source: io::Error,
}

/// The files. Dropping them ends their task; files stay, as what is enforced does.
#[derive(Debug)]
pub(crate) struct Files {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Names of endpoints that are up.
    up: BTreeSet<String>,
    /// Contents to be written; none for files to be removed.
    pending: BTreeMap<String, Option<String>>,
    swept: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'e> {
    iface_name: &'e str,
    #[serde(skip_serializing_if = "String::is_empty")]
    mac: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ipv4_nets: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ipv6_nets: Vec<String>,
}

impl Drop for Files {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Files {
    /// Makes the folder below `prefix` if it is missing.
    pub(crate) fn open(prefix: &Path) -> Result<Self, FilesError> {
        let folder = prefix.join(FOLDER);
        let made = fs::create_dir_all(&folder).and_then(|()| {
            let probe = folder.join(".margay");
            fs::write(&probe, "")?;
            fs::remove_file(probe)
        });
        made.map_err(|source| FilesError {
            folder: folder.clone(),
            source,
        })?;
        let shared = Arc::new(Shared {
            folder,
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let task = tokio::spawn(write(Arc::clone(&shared)));
        Ok(Self { shared, task })
    }

    /// The endpoint is up, or not.
    pub(crate) fn set(&self, id: &WorkloadId, up: Option<&WorkloadEndpoint>) {
        let name = name(id);
        let mut state = self.shared.state();
        if up.is_some() {
            state.up.insert(name.clone());
        } else {
            state.up.remove(&name);
        }
        state.pending.insert(name, up.map(content));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Once all endpoints are known: files of others, left by an earlier run, go.
    pub(crate) fn sweep(&self) {
        let mut state = self.shared.state();
        if std::mem::replace(&mut state.swept, true) {
            return;
        }
        let Ok(there) = fs::read_dir(&self.shared.folder) else {
            return;
        };
        let names = there.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for name in names {
            if !state.up.contains(&name) {
                state.pending.insert(name, None);
            }
        }
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the books whole: each change is one insertion.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is pending; what fails stays pending.
    fn flush(&self) -> io::Result<()> {
        loop {
            let Some((name, content)) = self.state().pending.pop_first() else {
                return Ok(());
            };
            let path = self.folder.join(&name);
            let done = match &content {
                Some(content) => fs::write(&path, content),
                None => match fs::remove_file(&path) {
                    Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
                    other => other,
                },
            };
            if let Err(error) = done {
                // A newer word stands.
                self.state().pending.entry(name).or_insert(content);
                return Err(error);
            }
        }
    }
}

async fn write(shared: Arc<Shared>) {
    loop {
        shared.changed.notified().await;
        loop {
            let work = Arc::clone(&shared);
            match tokio::task::spawn_blocking(move || work.flush()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => warn!(
                    %error,
                    folder = %shared.folder.display(),
                    "an endpoint status file cannot be written; trying again"
                ),
                Err(_) => return,
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

fn content(endpoint: &WorkloadEndpoint) -> String {
    let nets = |v4: bool| {
        let nets = endpoint.nets.iter();
        let family = nets.filter(|net| net.addr().is_ipv4() == v4);
        family.map(ToString::to_string).collect()
    };
    let mac = endpoint
        .mac
        .map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":"));
    let content = Content {
        iface_name: &endpoint.interface,
        mac: mac.unwrap_or_default(),
        ipv4_nets: nets(true),
        ipv6_nets: nets(false),
    };
    // Strings always serialise.
    serde_json::to_string(&content).unwrap_or_default()
}

fn name(id: &WorkloadId) -> String {
    let parts = [&id.orchestrator, &id.workload, &id.endpoint];
    parts.map(|part| escape(part)).join(" ")
}

/// A segment of a path (RFC 3986, 3.3), as Calico escapes it.
fn escape(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+=:@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(workload: &str) -> WorkloadId {
        WorkloadId {
            orchestrator: "k8s".into(),
            workload: workload.into(),
            endpoint: "eth0".into(),
        }
    }

    #[test]
    fn names_are_those_that_plugins_look_for() {
        assert_eq!(name(&id("default/testpod1")), "k8s default%2Ftestpod1 eth0");
        assert_eq!(escape("a b;c,d?é"), "a%20b%3Bc%2Cd%3F%C3%A9");
        assert_eq!(escape("$&+=:@-_.~"), "$&+=:@-_.~");
    }

    #[tokio::test]
    async fn files_follow_endpoints_and_strangers_are_swept() {
        let prefix = tempfile::tempdir().unwrap();
        let folder = prefix.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("k8s old%2Fpod eth0"), "{}").unwrap();
        let files = Files::open(prefix.path()).unwrap();
        let endpoint = WorkloadEndpoint {
            interface: "cali1".to_owned(),
            mac: Some([2, 0, 0, 0, 0, 0xab]),
            nets: vec![
                "10.0.0.1/32".parse().unwrap(),
                "fd00::1/128".parse().unwrap(),
            ],
            ..WorkloadEndpoint::default()
        };
        files.set(&id("a/one"), Some(&endpoint));
        files.set(&id("a/two"), Some(&endpoint));
        files.set(&id("a/two"), None);
        files.sweep();
        files.shared.flush().unwrap();
        let names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["k8s a%2Fone eth0"]);
        let text = fs::read_to_string(folder.join(&names[0])).unwrap();
        assert_eq!(
            text,
            r#"{"ifaceName":"cali1","mac":"02:00:00:00:00:ab","ipv4Nets":["10.0.0.1/32"],"ipv6Nets":["fd00::1/128"]}"#
        );
        // A later sweep is none: only an earlier run's files are strangers.
        fs::write(folder.join("new"), "").unwrap();
        files.sweep();
        files.shared.flush().unwrap();
        assert!(folder.join("new").exists());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_told() {
        let prefix = tempfile::NamedTempFile::new().unwrap();
        let error = Files::open(prefix.path()).unwrap_err();
        assert!(error.to_string().contains("endpoint-status"), "{error}");
    }
}
