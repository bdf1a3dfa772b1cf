//! Which flows may be tried side by side.
//!
//! The pipeline knows a connection by its addresses, ports and protocol, both directions alike, and
//! lets what belongs to a known connection pass without asking policy. Two flows with one such key
//! must not meet.

use std::collections::HashMap;
use std::net::IpAddr;

use policy_model::{Flow, L4};

/// The pipeline's name for a connection.
type Key = ((IpAddr, u16), (IpAddr, u16), u8);

/// The flows by place, so that no round holds two that could be one connection.
pub(super) fn rounds(flows: &[Flow]) -> Vec<Vec<usize>> {
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for (index, flow) in flows.iter().enumerate() {
        let round = seen.entry(key(index, flow)).or_insert(0);
        if rounds.len() <= *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(index);
        *round += 1;
    }
    rounds
}

fn key(index: usize, flow: &Flow) -> Key {
    let (src, dst) = match flow.l4 {
        L4::Ports { src, dst } => (src, dst),
        // Each packet has an identifier of its own; only echo is remembered at all.
        L4::Icmp { .. } => {
            let id = u16::try_from(index & 0xffff).unwrap_or(0);
            (id, id)
        }
        L4::Other => (0, 0),
    };
    let ends = [(flow.src, src), (flow.dst, dst)];
    let [low, high] = if ends[0] <= ends[1] {
        ends
    } else {
        [ends[1], ends[0]]
    };
    (low, high, flow.protocol.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::Protocol;

    fn flow(src: &str, dst: &str, protocol: Protocol, l4: L4) -> Flow {
        Flow {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            protocol,
            l4,
        }
    }

    #[test]
    fn both_directions_of_a_connection_meet_in_different_rounds() {
        let there = L4::Ports { src: 1000, dst: 80 };
        let back = L4::Ports { src: 80, dst: 1000 };
        let flows = [
            flow("10.0.0.1", "10.0.0.2", Protocol::TCP, there),
            flow("10.0.0.2", "10.0.0.1", Protocol::TCP, back),
            flow("10.0.0.2", "10.0.0.1", Protocol::TCP, there),
            flow("10.0.0.1", "10.0.0.2", Protocol::UDP, there),
            flow("10.0.0.1", "10.0.0.2", Protocol::TCP, there),
        ];
        assert_eq!(rounds(&flows), [vec![0, 2, 3], vec![1], vec![4]]);
    }

    #[test]
    fn protocols_without_ports_are_known_by_their_addresses() {
        let gre = |src, dst| flow(src, dst, Protocol(47), L4::Other);
        let flows = [gre("10.0.0.1", "10.0.0.2"), gre("10.0.0.2", "10.0.0.1")];
        assert_eq!(rounds(&flows).len(), 2);
    }

    #[test]
    fn echo_requests_have_identifiers_of_their_own() {
        let echo = L4::Icmp { kind: 8, code: 0 };
        let flows = [flow("10.0.0.1", "10.0.0.2", Protocol::ICMP, echo); 3];
        assert_eq!(rounds(&flows).len(), 1);
    }
}
