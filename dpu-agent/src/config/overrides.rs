//! Flags and variables, which stand above the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use thiserror::Error;

use super::{Config, HttpAddress, LogFormat};

/// What every variable's name begins with.
const PREFIX: &str = "MARGAY_DPU_";

/// Settings on the command line. Each stands above the file's, and below the variable of the same
/// name (`--log-format` and `MARGAY_DPU_LOG_FORMAT`).
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file (TOML).
    ///
    /// Without it, every setting has its default. Ports can only be listed in the file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Name of this DPU.
    ///
    /// The agent's certificate carries it as spiffe://margay/dpu-agent/NAME, and host agents check
    /// it.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Where the offload API is served.
    ///
    /// Port 0 takes a free one; the log says which.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Where /metrics, /healthz and /readyz are served, or "off".
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<HttpAddress>,

    /// The P4Runtime server of the device.
    #[arg(long, value_name = "HOST:PORT")]
    pub target: Option<String>,

    /// The device's P4Runtime id.
    #[arg(long, value_name = "ID")]
    pub device_id: Option<u64>,

    /// Directory of certificates.
    ///
    /// Files that are there are used; an empty directory gets a development authority and this
    /// agent's certificate.
    #[arg(long, value_name = "DIR")]
    pub pki: Option<PathBuf>,

    /// The one host agent that may call, by the name in its certificate.
    ///
    /// Without it, every host agent whose certificate the authority has signed.
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,

    /// Serve in plaintext, to everyone who reaches the port.
    ///
    /// For labs on one machine. Whoever reaches the port rules the tables.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL")]
    pub insecure: Option<bool>,

    /// What to log, to standard error.
    ///
    /// A level (error, warn, info, debug, trace) or a list of target=level. RUST_LOG stands above
    /// it.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,

    /// How to log: text or json.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is neither \"text\" nor \"json\"")),
        }
    }
}

impl Flags {
    pub(super) fn apply(&self, config: &mut Config) {
        fn set<T: Clone>(setting: &mut T, flag: Option<&T>) {
            if let Some(value) = flag {
                setting.clone_from(value);
            }
        }
        set(&mut config.name, self.name.as_ref());
        set(&mut config.listen, self.listen.as_ref());
        set(&mut config.http, self.http.as_ref());
        set(&mut config.target.address, self.target.as_ref());
        set(&mut config.target.device_id, self.device_id.as_ref());
        set(&mut config.pki, self.pki.as_ref());
        set(&mut config.log, self.log.as_ref());
        set(&mut config.log_format, self.log_format.as_ref());
        if self.host.is_some() {
            config.host.clone_from(&self.host);
        }
        set(&mut config.insecure, self.insecure.as_ref());
    }
}

/// Variables of the environment that are settings of this program.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, OsString>);

/// A flag or variable that is no setting.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum OverrideError {
    /// A value that does not parse.
    #[error("{PREFIX}{name}={value:?}: {text}")]
    Value {
        /// Name behind the prefix.
        name: &'static str,
        /// Value.
        value: String,
        /// What is wrong.
        text: String,
    },
    /// A name that is none of ours: a mistyped setting must not be ignored.
    #[error("{PREFIX}{0} is not a setting; `dpu-agent --help` lists them")]
    Unknown(String),
}

impl Variables {
    /// Picks those out of the environment whose names begin with `MARGAY_DPU_`.
    pub fn from(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let ours = environment.into_iter().filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
            Some((name, value))
        });
        Self(ours.collect())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).map(PathBuf::from)
    }

    fn parse<T: FromStr>(&self, name: &'static str, setting: &mut T) -> Result<(), OverrideError>
    where
        T::Err: std::fmt::Display,
    {
        let Some(value) = self.0.get(name) else {
            return Ok(());
        };
        let value = value.to_string_lossy();
        *setting = value
            .parse()
            .map_err(|error: T::Err| OverrideError::Value {
                name,
                value: value.to_string(),
                text: error.to_string(),
            })?;
        Ok(())
    }

    pub(super) fn apply(&self, config: &mut Config) -> Result<(), OverrideError> {
        const NAMES: [&str; 11] = [
            "CONFIG",
            "NAME",
            "LISTEN",
            "HTTP",
            "TARGET",
            "DEVICE_ID",
            "PKI",
            "HOST",
            "INSECURE",
            "LOG",
            "LOG_FORMAT",
        ];
        if let Some(name) = self.0.keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(OverrideError::Unknown(name.clone()));
        }
        self.parse("NAME", &mut config.name)?;
        self.parse("LISTEN", &mut config.listen)?;
        self.parse("HTTP", &mut config.http)?;
        self.parse("TARGET", &mut config.target.address)?;
        self.parse("DEVICE_ID", &mut config.target.device_id)?;
        self.parse("PKI", &mut config.pki)?;
        self.parse("INSECURE", &mut config.insecure)?;
        self.parse("LOG", &mut config.log)?;
        self.parse("LOG_FORMAT", &mut config.log_format)?;
        if self.0.contains_key("HOST") {
            let mut host = String::new();
            self.parse("HOST", &mut host)?;
            config.host = Some(host);
        }
        Ok(())
    }
}
