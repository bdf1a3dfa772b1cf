//! `explain`: the question parsed, and both answers put side by side.

mod rows;

use std::net::IpAddr;

use offload_api::host::{self, FlowQuestion, HostRefused};
use policy_model::{Direction, Flow, Judge, L4, Protocol, WorkloadId};

pub(crate) use rows::{Explained, explain};

/// Resource name of an endpoint.
pub(crate) fn endpoint_name(id: &WorkloadId) -> String {
    format!("endpoints/{id}")
}

/// Resource name of whoever judges a leg.
pub(crate) fn judge_name(judge: &Judge) -> String {
    match judge {
        Judge::Workload(id) => endpoint_name(id),
        Judge::Host(id, _) => format!("hostEndpoints/{id}"),
        Judge::Node => "node".to_owned(),
    }
}

pub(crate) fn direction(direction: Direction) -> host::Direction {
    match direction {
        Direction::Ingress => host::Direction::Ingress,
        Direction::Egress => host::Direction::Egress,
    }
}

/// A flow from what people asked.
///
/// # Errors
/// Text that is no address, families that differ, numbers out of range.
pub(crate) fn flow(question: &FlowQuestion) -> Result<Flow, HostRefused> {
    let FlowQuestion {
        source,
        destination,
        protocol,
        source_port,
        destination_port,
        icmp_type,
        icmp_code,
    } = question;
    let address = |text: &str, what: &str| {
        text.parse::<IpAddr>()
            .map_err(|_| HostRefused::Invalid(format!("The {what} {text:?} is no IP address")))
    };
    let (src, dst) = (
        address(source, "source")?,
        address(destination, "destination")?,
    );
    if src.is_ipv4() != dst.is_ipv4() {
        return Err(HostRefused::Invalid(format!(
            "{src} and {dst} are of different families"
        )));
    }
    let byte = |value: u32, what: &str| {
        u8::try_from(value)
            .map_err(|_| HostRefused::Invalid(format!("The {what} {value} is above 255")))
    };
    let port = |value: u32| {
        u16::try_from(value)
            .map_err(|_| HostRefused::Invalid(format!("The port {value} is above 65535")))
    };
    let protocol = Protocol(byte(*protocol, "protocol")?);
    let l4 = match protocol {
        Protocol::TCP | Protocol::UDP | Protocol::SCTP => L4::Ports {
            src: port(*source_port)?,
            dst: port(*destination_port)?,
        },
        Protocol::ICMP | Protocol::ICMPV6 => L4::Icmp {
            kind: byte(*icmp_type, "ICMP type")?,
            code: byte(*icmp_code, "ICMP code")?,
        },
        _ => L4::Other,
    };
    Ok(Flow {
        src,
        dst,
        protocol,
        l4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(protocol: u32) -> FlowQuestion {
        FlowQuestion {
            source: "10.0.0.1".to_owned(),
            destination: "10.0.0.2".to_owned(),
            protocol,
            source_port: 1,
            destination_port: 2,
            icmp_type: 3,
            icmp_code: 4,
        }
    }

    #[test]
    fn the_protocol_says_which_numbers_count() {
        let l4 = |protocol| flow(&question(protocol)).unwrap().l4;
        assert_eq!(l4(6), L4::Ports { src: 1, dst: 2 });
        assert_eq!(l4(58), L4::Icmp { kind: 3, code: 4 });
        assert_eq!(l4(50), L4::Other);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut wrong = question(6);
        wrong.destination = "fd00::1".to_owned();
        assert!(flow(&wrong).is_err());
        assert!(flow(&question(256)).is_err());
        let mut wrong = question(17);
        wrong.destination_port = 70_000;
        assert!(flow(&wrong).is_err());
    }
}
