//! Configuration: a TOML file, flags and `MARGAY_DPU_…` variables, of rising precedence.

mod overrides;
mod ports;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offload_api::identity::{Identity, IdentityError, Role};
use serde::Deserialize;
use thiserror::Error;

pub use overrides::{Flags, OverrideError, Variables};
pub use ports::{Mac, Neighbour, Port, PortRole};

/// Everything that can be set.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Name of this DPU; its identity is `spiffe://margay/dpu-agent/NAME`.
    pub name: String,
    /// Where the offload API is served.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub http: HttpAddress,
    /// Directory of certificates; what is missing is made on the first start.
    pub pki: PathBuf,
    /// The host agent that may call, by the name in its certificate; any of the same authority if
    /// not set.
    pub host: Option<String>,
    /// Serve in plaintext to everyone.
    pub insecure: bool,
    /// What to log: a level, or a list of target=level.
    pub log: String,
    /// How to log.
    pub log_format: LogFormat,
    /// The device.
    pub target: Target,
    /// The reconciler.
    pub reconcile: Reconcile,
    /// The device's ports.
    pub ports: Vec<Port>,
}

/// An address, or nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum HttpAddress {
    /// Not served.
    Off,
    /// Served here.
    At(SocketAddr),
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What stands behind the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A P4Runtime target.
    #[default]
    P4rt,
    /// Nothing but memory: no packet ever passes. For trying the API.
    Memory,
}

/// The device.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// What kind of device.
    pub backend: Backend,
    /// `host:port` of its P4Runtime server.
    pub address: String,
    /// P4Runtime device id.
    pub device_id: u64,
    /// Updates in one write.
    pub batch: usize,
    /// Writes under way at once.
    pub in_flight: usize,
    /// Seconds that the device has for an answer.
    pub deadline_seconds: u64,
}

/// The reconciler.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reconcile {
    /// Seconds between two comparisons of all tables with what they should hold.
    pub drift_seconds: u64,
    /// Tries of a write that a device fails without saying why.
    pub attempts: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "dpu".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 50151)),
            http: HttpAddress::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 9811))),
            pki: PathBuf::from("/var/lib/margay/pki"),
            host: None,
            insecure: false,
            log: "info".to_owned(),
            log_format: LogFormat::default(),
            target: Target::default(),
            reconcile: Reconcile::default(),
            ports: Vec::new(),
        }
    }
}

impl Default for Target {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            address: "127.0.0.1:9559".to_owned(),
            // As simple_switch_grpc and p4switch call themselves if nobody tells them.
            device_id: 0,
            batch: 500,
            in_flight: 4,
            deadline_seconds: 30,
        }
    }
}

impl Default for Reconcile {
    fn default() -> Self {
        Self {
            drift_seconds: 60,
            attempts: 8,
        }
    }
}

/// Why there is no configuration. Each text names the setting and what to do.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("Cannot read the configuration {}: does it exist, and may this user read it?", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{} is not a configuration of dpu-agent", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Cause, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A flag or variable.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// A name that no certificate can have.
    #[error("Setting {setting} is no name")]
    Name {
        /// Which.
        setting: &'static str,
        /// Cause.
        source: IdentityError,
    },
    /// A number out of range.
    #[error("Setting {setting} is {given}; it must be {want}")]
    Range {
        /// Which.
        setting: &'static str,
        /// What it is.
        given: u64,
        /// What it may be.
        want: &'static str,
    },
    /// Two ports that cannot both be.
    #[error("Two [[ports]] have {what} {value}; each needs its own")]
    Twice {
        /// What they share.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// A port that cannot be.
    #[error("[[ports]] number {number}: {text}")]
    Port {
        /// Which.
        number: u16,
        /// What is wrong and what to do.
        text: &'static str,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read or is no configuration.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Reads the file that flags or variables name, if they name one, and puts both on top.
    ///
    /// # Errors
    /// As [`Config::read`] and [`Config::check`].
    pub fn load(flags: &Flags, variables: &Variables) -> Result<Self, ConfigError> {
        let path = variables.path("CONFIG").or_else(|| flags.config.clone());
        let mut config = match path {
            Some(path) => Self::read(&path)?,
            None => Self::default(),
        };
        flags.apply(&mut config);
        variables.apply(&mut config)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what a type cannot.
    ///
    /// # Errors
    /// Names, numbers or ports that cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.identity()?;
        if let Some(host) = &self.host {
            Identity::new(Role::HostAgent, host).map_err(|source| ConfigError::Name {
                setting: "host",
                source,
            })?;
        }
        let range = |setting, given: u64, most: u64, want| {
            if (1..=most).contains(&given) {
                Ok(())
            } else {
                Err(ConfigError::Range {
                    setting,
                    given,
                    want,
                })
            }
        };
        let target = &self.target;
        range("target.batch", target.batch as u64, 10_000, "1 to 10000")?;
        range("target.in-flight", target.in_flight as u64, 64, "1 to 64")?;
        let seconds = target.deadline_seconds;
        range("target.deadline-seconds", seconds, 3600, "1 to 3600")?;
        let seconds = self.reconcile.drift_seconds;
        range("reconcile.drift-seconds", seconds, 86_400, "1 to 86400")?;
        let attempts = u64::from(self.reconcile.attempts);
        range("reconcile.attempts", attempts, 1000, "1 to 1000")?;
        ports::check(&self.ports)
    }

    /// Who this agent is.
    ///
    /// # Errors
    /// The name cannot stand in an identity.
    pub fn identity(&self) -> Result<Identity, ConfigError> {
        Identity::new(Role::DpuAgent, &self.name).map_err(|source| ConfigError::Name {
            setting: "name",
            source,
        })
    }

    pub(crate) fn reconciler(&self) -> dpu_reconciler::Settings {
        dpu_reconciler::Settings {
            drift_every: Duration::from_secs(self.reconcile.drift_seconds),
            // Enough to keep every write of the window busy, and a bound on what waits behind it.
            chunk: self.target.batch * self.target.in_flight * 2,
            attempts: self.reconcile.attempts,
            epoch: Some(dpu_reconciler::EpochField {
                table: p4_tables::acl_settings::TABLE,
                action: p4_tables::acl_settings::SETTINGS,
                // First of its parameters.
                offset: 0,
            }),
            ..dpu_reconciler::Settings::default()
        }
    }
}

impl TryFrom<String> for HttpAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for HttpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| format!("{text:?} is neither address:port nor \"off\""))
    }
}

#[cfg(test)]
mod tests;
