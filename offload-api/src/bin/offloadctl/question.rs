//! The flow that `explain` asks about, from words.

use offload_api::host::FlowQuestion;
use thiserror::Error;

use crate::command::Explain;

/// Why the words are no flow.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum QuestionError {
    #[error("{0:?} is no IP address")]
    Address(String),
    #[error("{0} and {1} are of different families")]
    Families(String, String),
    #[error(
        "{0:?} is no protocol: use tcp, udp, sctp, icmp, icmpv6, udplite, or a number up to 255"
    )]
    Protocol(String),
    #[error("{0} needs a PORT: a number from 0 to 65535")]
    NoPort(String),
    #[error("{0:?} is no port: use a number from 0 to 65535")]
    Port(String),
    #[error("{0:?} is no ICMP type: use TYPE or TYPE/CODE, numbers from 0 to 255")]
    Icmp(String),
}

fn protocol(word: &str) -> Option<u8> {
    match word.to_ascii_lowercase().as_str() {
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        "icmpv6" => Some(58),
        "sctp" => Some(132),
        "udplite" => Some(136),
        number => number.parse().ok(),
    }
}

pub(crate) fn flow(words: &Explain) -> Result<FlowQuestion, QuestionError> {
    let address = |text: &str| {
        text.parse::<std::net::IpAddr>()
            .map_err(|_| QuestionError::Address(text.to_owned()))
    };
    let (source, destination) = (address(&words.source)?, address(&words.destination)?);
    if source.is_ipv4() != destination.is_ipv4() {
        return Err(QuestionError::Families(
            words.source.clone(),
            words.destination.clone(),
        ));
    }
    let number =
        protocol(&words.protocol).ok_or_else(|| QuestionError::Protocol(words.protocol.clone()))?;
    let mut flow = FlowQuestion {
        source: source.to_string(),
        destination: destination.to_string(),
        protocol: number.into(),
        ..FlowQuestion::default()
    };
    match (number, words.port.as_deref()) {
        (6 | 17 | 132, None) => return Err(QuestionError::NoPort(words.protocol.clone())),
        (6 | 17 | 132, Some(port)) => {
            let port: u16 = port
                .parse()
                .map_err(|_| QuestionError::Port(port.to_owned()))?;
            flow.source_port = words.source_port.into();
            flow.destination_port = port.into();
        }
        (1 | 58, port) => {
            // An echo request, if nothing else is asked for.
            let echo = if number == 1 { "8" } else { "128" };
            let text = port.unwrap_or(echo);
            let (kind, code) = text.split_once('/').unwrap_or((text, "0"));
            let byte = |part: &str| {
                part.parse::<u8>()
                    .map_err(|_| QuestionError::Icmp(text.to_owned()))
            };
            flow.icmp_type = words.icmp_type.map_or_else(|| byte(kind), Ok)?.into();
            flow.icmp_code = match (words.icmp_type, words.icmp_code) {
                (_, Some(code)) => code,
                (Some(_), None) => 0,
                (None, None) => byte(code)?,
            }
            .into();
        }
        (_, _) => {}
    }
    Ok(flow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: [&str; 4]) -> Result<FlowQuestion, QuestionError> {
        let [source, destination, protocol, port] = words.map(str::to_owned);
        flow(&Explain {
            source,
            destination,
            protocol,
            port: Some(port).filter(|port| !port.is_empty()),
            source_port: 1234,
            icmp_type: None,
            icmp_code: None,
        })
    }

    #[test]
    fn words_become_a_flow() {
        let tcp = ask(["10.0.0.1", "10.0.0.2", "TCP", "80"]).unwrap();
        assert_eq!(
            (tcp.protocol, tcp.source_port, tcp.destination_port),
            (6, 1234, 80)
        );
        let ping = ask(["fd00::1", "fd00::2", "icmpv6", ""]).unwrap();
        assert_eq!(
            (ping.protocol, ping.icmp_type, ping.icmp_code),
            (58, 128, 0)
        );
        let unreachable = ask(["10.0.0.1", "10.0.0.2", "1", "3/4"]).unwrap();
        assert_eq!((unreachable.icmp_type, unreachable.icmp_code), (3, 4));
        let esp = ask(["10.0.0.1", "10.0.0.2", "50", ""]).unwrap();
        assert_eq!((esp.protocol, esp.destination_port), (50, 0));
    }

    #[test]
    fn wrong_words_are_named() {
        for (words, want) in [
            (
                ["x", "10.0.0.2", "tcp", "80"],
                QuestionError::Address("x".to_owned()),
            ),
            (
                ["fd00::1", "10.0.0.2", "tcp", "80"],
                QuestionError::Families("fd00::1".to_owned(), "10.0.0.2".to_owned()),
            ),
            (
                ["10.0.0.1", "10.0.0.2", "tcpx", "80"],
                QuestionError::Protocol("tcpx".to_owned()),
            ),
            (
                ["10.0.0.1", "10.0.0.2", "256", "80"],
                QuestionError::Protocol("256".to_owned()),
            ),
            (
                ["10.0.0.1", "10.0.0.2", "udp", ""],
                QuestionError::NoPort("udp".to_owned()),
            ),
            (
                ["10.0.0.1", "10.0.0.2", "udp", "65536"],
                QuestionError::Port("65536".to_owned()),
            ),
            (
                ["10.0.0.1", "10.0.0.2", "icmp", "8/x"],
                QuestionError::Icmp("8/x".to_owned()),
            ),
        ] {
            assert_eq!(ask(words), Err(want));
        }
    }
}
