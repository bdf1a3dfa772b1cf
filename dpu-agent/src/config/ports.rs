//! The device's ports, as the file lists them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use offload_api::types::{self, DevicePort};
use serde::Deserialize;

use super::ConfigError;

/// The highest port number: 9 bits, and 511 is the pipeline's drop port.
const LAST_PORT: u16 = 510;

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a MAC address such as 02:00:00:00:00:01");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        parts
            .next()
            .is_none()
            .then_some(Self(bytes))
            .ok_or_else(wrong)
    }
}

impl TryFrom<String> for Mac {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A port of the device.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Port {
    /// Its number in the pipeline, 0 to 510.
    pub number: u16,
    /// The host's interface that it stands for; of a workload's the name that Felix uses.
    pub interface: String,
    /// MAC: of a workload port the workload's own, of an uplink or the host's port the node's.
    pub mac: Option<Mac>,
    /// What hangs on it.
    #[serde(default)]
    pub role: PortRole,
    /// Uplink: the node's own addresses.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Uplink: where packets without a neighbour of their own go.
    pub next_hop_mac: Option<Mac>,
    /// Uplink: nets with a next hop of their own.
    #[serde(default)]
    pub neighbours: Vec<Neighbour>,
}

/// A net behind an uplink.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbour {
    /// The net.
    pub net: IpNet,
    /// Its next hop.
    pub mac: Mac,
}

/// What hangs on a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortRole {
    /// A workload.
    #[default]
    Workload,
    /// The network.
    Uplink,
    /// The node itself: its own network stack, with the uplink's addresses.
    Host,
    /// Anything else; no policy opens it.
    Other,
}

impl From<&Port> for DevicePort {
    fn from(port: &Port) -> Self {
        Self {
            number: port.number,
            interface: port.interface.clone(),
            mac: port.mac.map(|mac| mac.0),
            role: match port.role {
                PortRole::Workload => types::PortRole::Workload,
                PortRole::Host => types::PortRole::Host,
                PortRole::Other => types::PortRole::Other,
                PortRole::Uplink => types::PortRole::Uplink {
                    addresses: port.addresses.clone(),
                    next_hop_mac: port.next_hop_mac.map(|mac| mac.0),
                    neighbours: port
                        .neighbours
                        .iter()
                        .map(|neighbour| (neighbour.net, neighbour.mac.0))
                        .collect(),
                },
            },
        }
    }
}

pub(super) fn check(ports: &[Port]) -> Result<(), ConfigError> {
    let mut numbers = BTreeSet::new();
    let mut interfaces = BTreeSet::new();
    for port in ports {
        let wrong = |text| ConfigError::Port {
            number: port.number,
            text,
        };
        if port.number > LAST_PORT {
            return Err(wrong("port numbers go from 0 to 510"));
        }
        if port.interface.is_empty() {
            return Err(wrong("`interface` is empty; give the interface's name"));
        }
        if !numbers.insert(port.number) {
            return Err(ConfigError::Twice {
                what: "number",
                value: port.number.to_string(),
            });
        }
        if !interfaces.insert(&port.interface) {
            return Err(ConfigError::Twice {
                what: "interface",
                value: port.interface.clone(),
            });
        }
        let uplinks_own = !port.addresses.is_empty()
            || port.next_hop_mac.is_some()
            || !port.neighbours.is_empty();
        if port.role != PortRole::Uplink && uplinks_own {
            return Err(wrong(
                "`addresses`, `next-hop-mac` and `neighbours` belong to `role = \"uplink\"`",
            ));
        }
        if port.role == PortRole::Host && port.mac.is_none() {
            return Err(wrong(
                "`role = \"host\"` needs the `mac` of the node's end, as packets to the node carry it",
            ));
        }
    }
    Ok(())
}
