//! Source by destination: what packets did, what the evaluator says, and which rule decided.
//!
//! Flows between the same two ends that share outcome and rule are one line; addresses beyond the
//! uplink that fare alike in everything are one end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

use policy_model::{Flow, L4, Protocol};

use super::super::plan::{Case, Stage};
use super::{agrees, decided_by};
use crate::lab::{Outcome, Place, Topology};

/// Sources and destinations of rows that read alike.
type Ends = (Vec<End>, Vec<End>);

/// One line's worth: what happened, and by which rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Fate {
    differs: bool,
    forwarded: bool,
    allowed: bool,
    rule: String,
}

/// An end: a pod, or an address beyond the uplink.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    Pod(String),
    Remote(IpAddr),
}

type Lines = BTreeMap<Fate, BTreeMap<(u8, &'static str), BTreeSet<u32>>>;

pub(super) fn render(stage: &Stage, outcomes: &[Outcome], topology: &Topology) -> String {
    let mut pairs: BTreeMap<(End, End), Lines> = BTreeMap::new();
    for (case, outcome) in stage.cases.iter().zip(outcomes) {
        let probe = &case.probe;
        let from = end(probe.from, probe.flow.src, topology);
        let to = end(probe.to, probe.flow.dst, topology);
        let lines = pairs.entry((from, to)).or_default();
        let (kind, number) = kind(&probe.flow);
        let ports = lines.entry(fate(case, *outcome)).or_default();
        ports.entry(kind).or_default().insert(number);
    }
    let mut rows = Vec::new();
    for ((from, to), lines) in merge(pairs) {
        for (fate, ports) in lines {
            rows.push([
                from.clone(),
                to.clone(),
                if fate.forwarded {
                    "forwarded"
                } else {
                    "dropped"
                }
                .to_owned(),
                if fate.allowed { "allow" } else { "deny" }.to_owned(),
                if fate.differs { "DIFFERS" } else { "" }.to_owned(),
                fate.rule.clone(),
                describe(&ports),
            ]);
        }
    }
    table(&rows)
}

fn fate(case: &Case, outcome: Outcome) -> Fate {
    Fate {
        differs: !agrees(case, outcome),
        forwarded: outcome.forwarded,
        allowed: case.verdict.allow,
        rule: decided_by(&case.verdict.decided_by),
    }
}

fn end(place: Place, addr: IpAddr, topology: &Topology) -> End {
    match place {
        Place::Pod(_) => End::Pod(topology.name(place).to_owned()),
        Place::Network => End::Remote(addr),
    }
}

/// Remote ends whose lines are the same become one.
fn merge(pairs: BTreeMap<(End, End), Lines>) -> Vec<((String, String), Lines)> {
    let mut merged: Vec<(Ends, Lines)> = Vec::new();
    for ((from, to), lines) in pairs {
        let alike = merged.iter_mut().find(|((froms, tos), other)| {
            let same = |a: &[End], b: &End| a == std::slice::from_ref(b);
            let remote = |ends: &[End]| matches!(ends.first(), Some(End::Remote(_)));
            *other == lines
                && ((same(froms, &from) && remote(tos) && matches!(to, End::Remote(_)))
                    || (same(tos, &to) && remote(froms) && matches!(from, End::Remote(_))))
        });
        match alike {
            Some(((froms, tos), _)) if matches!(from, End::Remote(_)) => {
                let _ = &tos;
                froms.push(from);
            }
            Some(((_, tos), _)) => tos.push(to),
            None => merged.push(((vec![from], vec![to]), lines)),
        }
    }
    let rows = merged.into_iter();
    rows.map(|((from, to), lines)| ((name(&from), name(&to)), lines))
        .collect()
}

fn name(ends: &[End]) -> String {
    let texts: Vec<String> = ends
        .iter()
        .map(|end| match end {
            End::Pod(name) => name.clone(),
            End::Remote(addr) => addr.to_string(),
        })
        .collect();
    match texts.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

/// Protocol with what follows it, and the number that tells flows of it apart.
fn kind(flow: &Flow) -> ((u8, &'static str), u32) {
    let name = match flow.protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        Protocol::SCTP => "sctp",
        Protocol::ICMP => "icmp",
        Protocol::ICMPV6 => "icmpv6",
        _ => "protocol",
    };
    let number = match flow.l4 {
        L4::Ports { dst, .. } => u32::from(dst),
        L4::Icmp { kind, code } => u32::from(kind) << 8 | u32::from(code),
        L4::Other => u32::from(flow.protocol.0),
    };
    ((flow.protocol.0, name), number)
}

/// Protocol and what follows it, of one flow.
pub(super) fn l4(flow: &Flow) -> String {
    let (kind, number) = kind(flow);
    describe(&BTreeMap::from([(kind, BTreeSet::from([number]))]))
}

fn describe(ports: &BTreeMap<(u8, &'static str), BTreeSet<u32>>) -> String {
    let mut parts = Vec::new();
    for ((_, name), numbers) in ports {
        let icmp = name.starts_with("icmp");
        let shown: Vec<String> = numbers
            .iter()
            .map(|number| {
                if icmp {
                    format!("{}/{}", number >> 8, number & 0xff)
                } else {
                    number.to_string()
                }
            })
            .collect();
        parts.push(format!("{name} {}", shown.join(",")));
    }
    parts.join("; ")
}

fn table(rows: &[[String; 7]]) -> String {
    let head = [
        "source",
        "destination",
        "packets",
        "evaluator",
        "",
        "decided by",
        "flows",
    ];
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let mut line = |cells: [&str; 7]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            if width > 0 {
                let _ = write!(text, "{cell:<width$}  ");
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(head);
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
    out
}
