//! Failsafe ports: a comma list of `protocol:port` or `protocol:cidr:port`; `none` empties it.

use ipnet::IpNet;
use policy_model::Protocol;

/// Traffic that no host endpoint policy may cut off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FailsafePort {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Only for this peer net.
    pub net: Option<IpNet>,
    /// Port.
    pub port: u16,
}

pub(super) fn parse(text: &str) -> Result<Vec<FailsafePort>, String> {
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
