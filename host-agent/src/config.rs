//! Settings: a TOML file, flags over it, `MARGAY_HOST_…` variables over both.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use offload_api::identity::{Expected, Identity, IdentityError, Role};
use policy_model::{HttpHandling, Node, Semantics};
use serde::Deserialize;
use thiserror::Error;

/// What a layer of settings may say. Every field is a key of the file (with hyphens), a long flag
/// and a variable (`MARGAY_HOST_` and capitals).
#[derive(Args, Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Layer {
    /// Name of this node.
    ///
    /// Stands in this agent's certificate (spiffe://margay/host-agent/NAME) and in answers. The
    /// machine's host name if not given.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    /// Unix socket where the relay that Felix starts reports.
    ///
    /// The relay's `--socket` has to name the same path. [default: /run/margay/felix.sock]
    #[arg(long, value_name = "PATH")]
    pub felix_socket: Option<PathBuf>,

    /// Unix socket for offloadctl.
    ///
    /// Only the user that runs host-agent may open it. [default: /run/margay/host-agent.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Directory for the journal of Felix's session.
    ///
    /// With it a restart of host-agent needs no new snapshot from Felix.
    /// [default: /var/lib/margay/host-agent]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Folder below which endpoint status files are written, for CNI plugins that wait for policy.
    ///
    /// Felix's EndpointStatusPathPrefix, /var/run/calico unless somebody changed it; needed where the
    /// CNI plugin has policy_setup_timeout_seconds, as Felix itself writes no such files with an
    /// external driver. [default: none are written]
    #[arg(long, value_name = "DIR")]
    pub endpoint_status: Option<PathBuf>,

    /// Address of the DPU agent, HOST:PORT. [default: 127.0.0.1:50151]
    #[arg(long, value_name = "HOST:PORT")]
    pub dpu: Option<String>,

    /// Name that the DPU agent's certificate must have (spiffe://margay/dpu-agent/NAME).
    ///
    /// Without it any DPU agent with a certificate of the authority is taken.
    #[arg(long, value_name = "NAME")]
    pub dpu_name: Option<String>,

    /// Directory with certificates and keys.
    ///
    /// Files that are there are used; an empty directory gets a development authority and this
    /// agent's certificate. [default: /var/lib/margay/pki]
    #[arg(long, value_name = "DIR")]
    pub pki: Option<PathBuf>,

    /// Speak to the DPU agent in plaintext.
    ///
    /// Nothing is checked and nothing is hidden: whoever is between the two rules the tables. For
    /// labs only; the DPU agent needs the same flag.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL")]
    pub insecure: Option<bool>,

    /// Address for /metrics, /healthz and /readyz, or `off`. [default: 127.0.0.1:9810]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<HttpAddress>,

    /// What to do with rules that match HTTP requests. [default: refuse]
    #[arg(long, value_enum)]
    pub http_match: Option<HttpMatch>,

    /// Judge by workload policy alone.
    ///
    /// Tunnel packets from workloads are not dropped, lists of host endpoints close nothing. For
    /// comparisons with Calico's own verdicts, not for production.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL")]
    pub policy_only: Option<bool>,

    /// Milliseconds of silence from Felix that end a burst. [default: 2]
    #[arg(long, value_name = "MS")]
    pub quiet_ms: Option<u64>,

    /// Milliseconds after which a burst is compiled even if Felix goes on. [default: 8]
    #[arg(long, value_name = "MS")]
    pub latency_ms: Option<u64>,

    /// Seconds between two reads of the rules' counters; 0 reads only when asked. [default: 60]
    ///
    /// A read takes all counters from the target, a page at a time. What rows had counted that a
    /// change deletes is fetched with the change, whatever this says.
    #[arg(long, value_name = "SECONDS")]
    pub counts_seconds: Option<u64>,

    /// What to log: error, warn, info, debug, trace, or a filter by module. [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,

    /// How to log. [default: text]
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
}

/// Where to serve HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum HttpAddress {
    /// Nowhere.
    Off,
    /// There; port 0 takes a free one.
    On(SocketAddr),
}

impl std::str::FromStr for HttpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::On)
            .map_err(|_| format!("{text:?} is neither ADDRESS:PORT nor off"))
    }
}

impl TryFrom<String> for HttpAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Rules that match HTTP requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum HttpMatch {
    /// Refuse the policy visibly; what it would decide denies.
    Refuse,
    /// Enforce the part about addresses, protocol and ports, as Felix's kernel dataplanes do.
    L4,
}

/// Form of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings that do not work.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No file.
    #[error("Cannot read the settings file {}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Not TOML, or not our keys.
    #[error("The settings file {} is wrong", path.display())]
    File {
        /// File.
        path: PathBuf,
        /// Cause, with line and key.
        source: Box<toml::de::Error>,
    },
    /// A variable.
    #[error("The variable {name} has {value:?}: {problem}")]
    Variable {
        /// Variable.
        name: String,
        /// Value.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// A name that cannot stand in a certificate.
    #[error("Setting {setting} is no name for a certificate")]
    Name {
        /// Key.
        setting: &'static str,
        /// Cause.
        source: IdentityError,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(String),
}

/// Settings that work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// This node, and this agent in certificates.
    pub identity: Identity,
    /// For relays.
    pub felix_socket: PathBuf,
    /// For `offloadctl`.
    pub socket: PathBuf,
    /// For the journal.
    pub state_dir: PathBuf,
    /// Above endpoint status files; none are written without it.
    pub endpoint_status: Option<PathBuf>,
    /// The DPU agent's address.
    pub dpu: String,
    /// Who is to answer there.
    pub dpu_identity: Expected,
    /// Certificates.
    pub pki: PathBuf,
    /// Plaintext to the DPU agent.
    pub insecure: bool,
    /// For metrics and probes.
    pub http: HttpAddress,
    /// What decides packets besides policy.
    pub semantics: Semantics,
    /// Silence that ends a burst.
    pub quiet: Duration,
    /// Longest time that a burst waits.
    pub latency: Duration,
    /// Time between two reads of the rules' counters; none reads only when asked.
    pub counts: Option<Duration>,
    /// Log filter.
    pub log: String,
    /// Log form.
    pub log_format: LogFormat,
}

impl Layer {
    /// Reads a settings file.
    ///
    /// # Errors
    /// The file is not there or has a key or value that does not work.
    pub fn file(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Picks settings from the environment. Other programs' variables are left alone.
    ///
    /// # Errors
    /// A variable names no setting, or its value does not work.
    pub fn variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (name, value) in variables {
            let Some(setting) = name.strip_prefix("MARGAY_HOST_") else {
                continue;
            };
            let text = || Ok(Some(value.clone()));
            let path = || Ok(Some(PathBuf::from(&value)));
            let done = match setting {
                "NODE" => put(&mut layer.node, text()),
                "FELIX_SOCKET" => put(&mut layer.felix_socket, path()),
                "SOCKET" => put(&mut layer.socket, path()),
                "STATE_DIR" => put(&mut layer.state_dir, path()),
                "ENDPOINT_STATUS" => put(&mut layer.endpoint_status, path()),
                "DPU" => put(&mut layer.dpu, text()),
                "DPU_NAME" => put(&mut layer.dpu_name, text()),
                "PKI" => put(&mut layer.pki, path()),
                "INSECURE" => put(&mut layer.insecure, boolean(&value).map(Some)),
                "HTTP" => put(&mut layer.http, value.parse().map(Some)),
                "HTTP_MATCH" => {
                    let word = HttpMatch::from_str(&value, true);
                    put(&mut layer.http_match, word.map(Some))
                }
                "POLICY_ONLY" => put(&mut layer.policy_only, boolean(&value).map(Some)),
                "QUIET_MS" => put(&mut layer.quiet_ms, number(&value).map(Some)),
                "LATENCY_MS" => put(&mut layer.latency_ms, number(&value).map(Some)),
                "COUNTS_SECONDS" => put(&mut layer.counts_seconds, number(&value).map(Some)),
                "LOG" => put(&mut layer.log, text()),
                "LOG_FORMAT" => {
                    let word = LogFormat::from_str(&value, true);
                    put(&mut layer.log_format, word.map(Some))
                }
                // Read with the flags.
                "CONFIG" => Ok(()),
                _ => Err("there is no such setting".to_owned()),
            };
            done.map_err(|problem| ConfigError::Variable {
                name,
                value,
                problem,
            })?;
        }
        Ok(layer)
    }

    /// This layer over another.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            node: self.node.or(below.node),
            felix_socket: self.felix_socket.or(below.felix_socket),
            socket: self.socket.or(below.socket),
            state_dir: self.state_dir.or(below.state_dir),
            endpoint_status: self.endpoint_status.or(below.endpoint_status),
            dpu: self.dpu.or(below.dpu),
            dpu_name: self.dpu_name.or(below.dpu_name),
            pki: self.pki.or(below.pki),
            insecure: self.insecure.or(below.insecure),
            http: self.http.or(below.http),
            http_match: self.http_match.or(below.http_match),
            policy_only: self.policy_only.or(below.policy_only),
            quiet_ms: self.quiet_ms.or(below.quiet_ms),
            latency_ms: self.latency_ms.or(below.latency_ms),
            counts_seconds: self.counts_seconds.or(below.counts_seconds),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
        }
    }

    /// Fills in defaults and checks the whole.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate, or settings that contradict each other.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let name = |setting, source| ConfigError::Name { setting, source };
        let node = self.node.unwrap_or_else(machine_name);
        let identity =
            Identity::new(Role::HostAgent, &node).map_err(|source| name("node", source))?;
        let dpu_identity = match self.dpu_name {
            None => Expected::any(Role::DpuAgent),
            Some(dpu) => Identity::new(Role::DpuAgent, &dpu)
                .map_err(|source| name("dpu-name", source))?
                .into(),
        };
        let dpu = self.dpu.unwrap_or_else(|| "127.0.0.1:50151".to_owned());
        let port = dpu.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            return Err(ConfigError::Conflict(format!(
                "Setting dpu has {dpu:?}, not HOST:PORT"
            )));
        }
        let insecure = self.insecure.unwrap_or(false);
        if insecure && dpu_identity.name.is_some() {
            return Err(ConfigError::Conflict(
                "Settings insecure and dpu-name contradict each other: in plaintext nobody's \
                 name can be checked. Leave one out"
                    .to_owned(),
            ));
        }
        let quiet = self.quiet_ms.unwrap_or(2);
        let latency = self.latency_ms.unwrap_or(8);
        if quiet > latency {
            return Err(ConfigError::Conflict(format!(
                "Setting quiet-ms ({quiet}) is above latency-ms ({latency}): a burst would never \
                 end by silence. Raise latency-ms or lower quiet-ms"
            )));
        }
        let path = |given: Option<PathBuf>, default: &str| given.unwrap_or_else(|| default.into());
        Ok(Config {
            identity,
            felix_socket: path(self.felix_socket, felix_bridge::DEFAULT_SOCKET),
            socket: path(self.socket, "/run/margay/host-agent.sock"),
            state_dir: path(self.state_dir, "/var/lib/margay/host-agent"),
            endpoint_status: self.endpoint_status,
            dpu,
            dpu_identity,
            pki: path(self.pki, "/var/lib/margay/pki"),
            insecure,
            http: self
                .http
                .unwrap_or(HttpAddress::On(SocketAddr::from(([127, 0, 0, 1], 9810)))),
            semantics: Semantics {
                http: match self.http_match.unwrap_or(HttpMatch::Refuse) {
                    HttpMatch::Refuse => HttpHandling::Refuse,
                    HttpMatch::L4 => HttpHandling::L4,
                },
                policy_only: self.policy_only.unwrap_or(false),
                // The DPU's inventory tells.
                node: Node::UNKNOWN,
                limits: true,
            },
            quiet: Duration::from_millis(quiet),
            latency: Duration::from_millis(latency),
            counts: match self.counts_seconds.unwrap_or(60) {
                0 => None,
                seconds => Some(Duration::from_secs(seconds)),
            },
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format.unwrap_or(LogFormat::Text),
        })
    }
}

fn put<T>(place: &mut Option<T>, value: Result<Option<T>, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" | "" => Ok(false),
        _ => Err("use true or false".to_owned()),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "use a whole number".to_owned())
}

/// The kernel's host name.
fn machine_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
