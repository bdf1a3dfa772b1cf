//! Flows to try: JSON lines, and what else they may say about their verdict.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use policy_model::{Flow, L4, Protocol};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::input::{self, InputError};

/// One flow to try.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Trial {
    /// Comes back in the answer.
    pub(crate) id: Value,
    /// The frame after which it is tried; the end of the stream, if none.
    pub(crate) at: Option<usize>,
    /// The flow.
    pub(crate) flow: Flow,
    /// What others said of it; counted and shown, never judged by.
    pub(crate) expected: Expected,
}

/// Verdicts that a file of flows may carry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Expected {
    /// `verdict`: Calico's evaluator allows.
    pub(crate) verdict: Option<bool>,
    /// `kernel`: Felix's kernel dataplane let the packet through.
    pub(crate) kernel: Option<bool>,
    /// `legs`: endpoint, direction (`in`, `out`) and trace of each.
    pub(crate) legs: Vec<(String, String, String)>,
}

/// Why flows cannot be used.
#[derive(Debug, Error)]
pub(crate) enum FlowError {
    /// The file.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A line that is no flow.
    #[error(
        "Line {line} of {} is no flow. A flow looks like \
         {{\"id\":\"f0\",\"src\":\"10.65.0.2\",\"dst\":\"10.65.0.67\",\"proto\":6,\"sport\":40000,\"dport\":8080}}",
        path.display()
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A flow that lacks something or says what cannot be.
    #[error("Line {line} of {}: {reason}", path.display())]
    Flow {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong and what would be right.
        reason: FlowReason,
    },
}

/// What is wrong with a flow.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum FlowReason {
    /// An unknown protocol.
    #[error("protocol {0} is neither a number from 0 to 255 nor a known name (tcp, udp, icmp, …)")]
    Protocol(Value),
    /// No destination port.
    #[error("a flow of TCP, UDP or SCTP needs \"dport\"")]
    NoPort,
    /// No ICMP type.
    #[error("a flow of ICMP or ICMPv6 needs \"icmpType\"")]
    NoIcmpType,
    /// Both families.
    #[error("source and destination are of different families")]
    Families,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default)]
    id: Value,
    at: Option<usize>,
    src: IpAddr,
    dst: IpAddr,
    proto: Value,
    sport: Option<u16>,
    dport: Option<u16>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    #[serde(default)]
    verdict: Value,
    #[serde(default)]
    kernel: Value,
    #[serde(default)]
    legs: Value,
}

/// Reads a file of flows, plain or gzipped. Blank lines and unknown keys are skipped.
///
/// # Errors
/// See [`FlowError`].
pub(crate) fn read(path: &Path) -> Result<Vec<Trial>, FlowError> {
    let text = input::text("Flow file", path)?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let number = index + 1;
            let parsed = serde_json::from_str(line).map_err(|source| FlowError::Json {
                path: path.to_owned(),
                line: number,
                source,
            })?;
            trial(parsed, number).map_err(|reason| FlowError::Flow {
                path: path.to_owned(),
                line: number,
                reason,
            })
        })
        .collect()
}

fn trial(line: Line, number: usize) -> Result<Trial, FlowReason> {
    if line.src.is_ipv4() != line.dst.is_ipv4() {
        return Err(FlowReason::Families);
    }
    let protocol = protocol(&line.proto).ok_or(FlowReason::Protocol(line.proto))?;
    let l4 = if protocol.has_ports() {
        L4::Ports {
            src: line.sport.unwrap_or(40_000),
            dst: line.dport.ok_or(FlowReason::NoPort)?,
        }
    } else if matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
        L4::Icmp {
            kind: line.icmp_type.ok_or(FlowReason::NoIcmpType)?,
            code: line.icmp_code.unwrap_or(0),
        }
    } else {
        L4::Other
    };
    let id = if line.id.is_null() {
        Value::String(format!("line {number}"))
    } else {
        line.id
    };
    Ok(Trial {
        id,
        at: line.at,
        flow: Flow {
            src: line.src,
            dst: line.dst,
            protocol,
            l4,
        },
        expected: Expected {
            verdict: allowed(&line.verdict),
            kernel: allowed(&line.kernel),
            legs: legs(&line.legs),
        },
    })
}

/// A number, as such or as text, or a name in any case.
fn protocol(value: &Value) -> Option<Protocol> {
    if let Some(number) = value.as_u64() {
        return u8::try_from(number).ok().map(Protocol);
    }
    let name = value.as_str()?.to_ascii_lowercase();
    let named = match name.as_str() {
        "icmp" => Protocol::ICMP,
        "ipip" => Protocol::IPIP,
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        "gre" => Protocol(47),
        "esp" => Protocol(50),
        "ah" => Protocol(51),
        "icmpv6" | "ipv6-icmp" => Protocol::ICMPV6,
        "ospf" => Protocol(89),
        "sctp" => Protocol::SCTP,
        "udplite" => Protocol::UDPLITE,
        _ => return name.parse().ok().map(Protocol),
    };
    Some(named)
}

fn allowed(value: &Value) -> Option<bool> {
    match value.as_str() {
        Some("allow") => Some(true),
        Some("deny") => Some(false),
        _ => None,
    }
}

fn legs(value: &Value) -> Vec<(String, String, String)> {
    let text = |leg: &Value, key: &str| leg.get(key)?.as_str().map(str::to_owned);
    let leg = |leg: &Value| Some((text(leg, "ep")?, text(leg, "dir")?, text(leg, "trace")?));
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(leg)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Trial, FlowReason> {
        trial(serde_json::from_str(line).unwrap(), 7)
    }

    #[test]
    fn protocols_by_number_and_name() {
        for (text, expected) in [("6", 6), ("\"tcp\"", 6), ("\"UDP\"", 17), ("\"132\"", 132)] {
            let line = format!(r#"{{"src":"10.0.0.1","dst":"10.0.0.2","proto":{text},"dport":1}}"#);
            assert_eq!(parse(&line).unwrap().flow.protocol, Protocol(expected));
        }
        let bad = parse(r#"{"src":"10.0.0.1","dst":"10.0.0.2","proto":"qdp","dport":1}"#);
        assert_eq!(bad, Err(FlowReason::Protocol("qdp".into())));
        let bad = parse(r#"{"src":"10.0.0.1","dst":"10.0.0.2","proto":256}"#);
        assert!(matches!(bad, Err(FlowReason::Protocol(_))));
    }

    #[test]
    fn what_is_missing_is_named() {
        let bad = parse(r#"{"src":"10.0.0.1","dst":"10.0.0.2","proto":6}"#);
        assert_eq!(bad, Err(FlowReason::NoPort));
        let bad = parse(r#"{"src":"10.0.0.1","dst":"10.0.0.2","proto":1}"#);
        assert_eq!(bad, Err(FlowReason::NoIcmpType));
        let bad = parse(r#"{"src":"10.0.0.1","dst":"fd00::2","proto":47}"#);
        assert_eq!(bad, Err(FlowReason::Families));
    }

    #[test]
    fn unknown_keys_and_odd_verdicts_are_ignored() {
        let line = r#"{"id":3,"src":"10.0.0.1","dst":"10.0.0.2","proto":1,"icmpType":0,
            "verdict":["?"],"kernel":null,"legs":"none","more":{}}"#;
        let trial = parse(line).unwrap();
        assert_eq!(trial.id, Value::from(3));
        assert_eq!(trial.flow.l4, L4::Icmp { kind: 0, code: 0 });
        assert_eq!(trial.expected, Expected::default());
    }

    #[test]
    fn a_flow_without_id_is_known_by_its_line() {
        let line = r#"{"src":"10.0.0.1","dst":"10.0.0.2","proto":47}"#;
        assert_eq!(parse(line).unwrap().id, Value::from("line 7"));
    }
}
