//! Failsafe ports: a comma list of `protocol:port` or `protocol:cidr:port`; `none` empties it.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Protocol;

/// Traffic that no host endpoint policy may cut off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FailsafePort {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Only for this peer net.
    pub net: Option<IpNet>,
    /// Port.
    pub port: u16,
}

impl FailsafePort {
    /// Felix's default for `FailsafeInboundHostPorts`.
    pub const INBOUND: &'static str =
        "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667";
    /// Felix's default for `FailsafeOutboundHostPorts`.
    pub const OUTBOUND: &'static str =
        "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667";

    /// The list that a parameter's text says.
    ///
    /// # Errors
    /// The first entry that is not `protocol:port` or `protocol:cidr:port`.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(Vec::new());
        }
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(|entry| {
                one(entry).ok_or_else(|| {
                    format!("\"{entry}\" is neither protocol:port nor protocol:cidr:port")
                })
            })
            .collect()
    }
}

/// The net may hold colons itself (IPv6), so protocol and port are cut off at the ends. A bare
/// number is a TCP port, as in old configurations.
fn one(entry: &str) -> Option<FailsafePort> {
    let Some((protocol, rest)) = entry.split_once(':') else {
        return Some(FailsafePort {
            protocol: Protocol::TCP,
            net: None,
            port: entry.parse().ok()?,
        });
    };
    let protocol = match &*protocol.to_ascii_lowercase() {
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        "sctp" => Protocol::SCTP,
        _ => return None,
    };
    let (net, port) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((net, port)) => (Some(net), port),
    };
    let net = net
        .map(|net| net.trim_start_matches('[').replace(']', ""))
        .map(|net| net.parse::<IpNet>().map(|net| net.trunc()))
        .transpose()
        .ok()?;
    Some(FailsafePort {
        protocol,
        net,
        port: port.parse().ok()?,
    })
}
