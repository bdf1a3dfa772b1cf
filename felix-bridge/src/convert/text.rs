//! Words of the protocol that arrive as text or as numbers too wide.

use std::net::IpAddr;

use felix_proto::felix::{self, protocol::NumberOrName};
use ipnet::IpNet;
use policy_model::{Action, Family, Icmp, Member, PortRange, Protocol};

/// A CIDR; a bare address is its host net. Bits behind the prefix are cleared.
pub(super) fn net(value: &str) -> Result<IpNet, String> {
    interface(value).map(|net| net.trunc())
}

/// An address with the length of its subnet, or bare.
pub(super) fn interface(value: &str) -> Result<IpNet, String> {
    if value.contains('/') {
        value.parse().map_err(|_| format!("\"{value}\" is no CIDR"))
    } else {
        addr(value).map(IpNet::from)
    }
}

pub(super) fn addr(value: &str) -> Result<IpAddr, String> {
    value
        .parse()
        .map_err(|_| format!("\"{value}\" is no IP address"))
}

pub(super) fn mac(value: &str) -> Result<[u8; 6], String> {
    let mut bytes = [0; 6];
    let mut parts = value.split(':');
    for byte in &mut bytes {
        *byte = parts
            .next()
            .filter(|part| matches!(part.len(), 1 | 2) && !part.starts_with('+'))
            .and_then(|part| u8::from_str_radix(part, 16).ok())
            .ok_or_else(|| format!("\"{value}\" is no MAC address"))?;
    }
    match parts.next() {
        None => Ok(bytes),
        Some(_) => Err(format!("\"{value}\" is no MAC address")),
    }
}

/// `Rule.action`. Felix's own dataplanes take `pass` for `next-tier`, too.
pub(super) fn action(value: &str) -> Result<Action, String> {
    match value {
        "" | "allow" => Ok(Action::Allow),
        "deny" => Ok(Action::Deny),
        "next-tier" | "pass" => Ok(Action::Pass),
        "log" => Ok(Action::Log),
        other => Err(format!(
            "action \"{other}\" is none of allow, deny, next-tier, log"
        )),
    }
}

pub(super) fn family(value: i32) -> Result<Option<Family>, String> {
    match felix::IpVersion::try_from(value) {
        Ok(felix::IpVersion::Any) => Ok(None),
        Ok(felix::IpVersion::Ipv4) => Ok(Some(Family::V4)),
        Ok(felix::IpVersion::Ipv6) => Ok(Some(Family::V6)),
        Err(_) => Err(format!("ip_version {value} is none of 0, 4, 6")),
    }
}

pub(super) fn protocol(field: &str, value: felix::Protocol) -> Result<Protocol, String> {
    let felix::Protocol { number_or_name } = value;
    match number_or_name {
        Some(NumberOrName::Number(number)) => u8::try_from(number)
            .map(Protocol)
            .map_err(|_| format!("{field} number {number} is not within 0 to 255")),
        Some(NumberOrName::Name(name)) => protocol_name(&name).ok_or_else(|| {
            format!("{field} name \"{name}\" is none of tcp, udp, icmp, icmpv6, sctp, udplite")
        }),
        None => Err(format!("{field} has neither number nor name")),
    }
}

/// The names that Calico's API takes; lower case on the wire.
pub(super) fn protocol_name(name: &str) -> Option<Protocol> {
    const NAMES: [(&str, Protocol); 6] = [
        ("tcp", Protocol::TCP),
        ("udp", Protocol::UDP),
        ("icmp", Protocol::ICMP),
        ("icmpv6", Protocol::ICMPV6),
        ("sctp", Protocol::SCTP),
        ("udplite", Protocol::UDPLITE),
    ];
    NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, protocol)| *protocol)
}

pub(super) fn ports(field: &str, value: felix::PortRange) -> Result<PortRange, String> {
    let felix::PortRange { first, last } = value;
    let port = |number: i32| {
        u16::try_from(number)
            .map_err(|_| format!("{field}: port {number} is not within 0 to 65535"))
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("{field}: port range {first} to {last} is reversed"));
    }
    Ok(PortRange { first, last })
}

pub(super) fn icmp(field: &str, kind: i32, code: Option<i32>) -> Result<Icmp, String> {
    let byte = |what: &str, number: i32| {
        u8::try_from(number).map_err(|_| format!("{field}: {what} {number} is not within 0 to 255"))
    };
    Ok(Icmp {
        kind: byte("type", kind)?,
        code: code.map(|code| byte("code", code)).transpose()?,
    })
}

/// A member of an `IP_AND_PORT` set: `address,protocol:port`.
pub(super) fn port_member(value: &str) -> Option<Member> {
    let (address, rest) = value.split_once(',')?;
    let (protocol, port) = rest.split_once(':')?;
    let protocol = protocol_name(protocol).filter(|protocol| protocol.has_ports())?;
    Some(Member::Port {
        addr: address.parse().ok()?,
        protocol,
        port: port.parse().ok()?,
    })
}
