//! Each answer for people.

mod explain;

use std::io::{self, Write};

use offload_api::host::{
    Diff, Direction, Drift, Endpoint, HitCount, HostEntry, HostStatus, NamedValue, Policy, Refusal,
};
use offload_api::types::{DeviceState, TableUsage};

use crate::text::{or_dash, table};

pub(crate) use explain::explanation;

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn direction(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::Ingress) => "ingress",
        Some(Direction::Egress) => "egress",
        None => "-",
    }
}

pub(crate) fn status(out: &mut impl Write, status: &HostStatus) -> io::Result<()> {
    let HostStatus {
        node,
        version,
        uptime,
        felix,
        dpu,
        endpoints,
        policies,
        refusals,
        compile_error,
    } = status;
    writeln!(
        out,
        "node       {node} (host-agent {version}, up {uptime} s)"
    )?;
    writeln!(
        out,
        "felix      connected {}, in-sync {}, message {} of session {}, {} since the start",
        yes(felix.connected),
        yes(felix.in_sync),
        felix.sequence,
        or_dash(&felix.session),
        felix.messages
    )?;
    writeln!(
        out,
        "dpu        connected {}, {} {}, target {}, {}",
        yes(dpu.connected),
        dpu.address,
        or_dash(&dpu.identity),
        or_dash(&dpu.target),
        match dpu.state {
            DeviceState::Connecting => "connecting to its target",
            DeviceState::Reading => "reading its target back",
            DeviceState::Ready => "ready",
        }
    )?;
    writeln!(
        out,
        "generation desired {}, acknowledged {}, observed {}; {} rows, {} repaired",
        dpu.desired_generation,
        dpu.acknowledged_generation,
        dpu.observed_generation,
        dpu.rows,
        dpu.drift_repaired
    )?;
    let states: Vec<String> = endpoints
        .iter()
        .filter(|count| count.count > 0)
        .map(|count| format!("{} {}", count.count, count.state.as_str()))
        .collect();
    writeln!(out, "endpoints  {}", or_dash(&states.join(", ")))?;
    writeln!(
        out,
        "policies   {policies}, {refusals} refusals (offloadctl policy lists them)"
    )?;
    for problem in [&dpu.error, compile_error] {
        if !problem.is_empty() {
            writeln!(out, "problem    {problem}")?;
        }
    }
    Ok(())
}

pub(crate) fn endpoints(out: &mut impl Write, endpoints: &[Endpoint]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = endpoints
        .iter()
        .map(|endpoint| {
            vec![
                endpoint.name.trim_start_matches("endpoints/").to_owned(),
                endpoint.interface.clone(),
                endpoint
                    .port
                    .map_or_else(|| "-".to_owned(), |port| port.to_string()),
                or_dash(&endpoint.addresses.join(",")),
                endpoint.state.as_str().to_owned(),
                endpoint.generation.to_string(),
                or_dash(&reasons(endpoint)),
            ]
        })
        .collect();
    let heads = [
        "ENDPOINT",
        "INTERFACE",
        "PORT",
        "ADDRESSES",
        "STATE",
        "GENERATION",
        "WHY",
    ];
    table(out, &heads, &rows)
}

fn reasons(endpoint: &Endpoint) -> String {
    let unenforced = endpoint
        .unenforced
        .iter()
        .map(|(field, asked)| format!("{field} {asked} is not enforced"));
    Some(endpoint.reason.clone())
        .filter(|reason| !reason.is_empty())
        .into_iter()
        .chain(unenforced)
        .collect::<Vec<_>>()
        .join("; ")
}

pub(crate) fn policies(
    out: &mut impl Write,
    policies: &[Policy],
    refusals: &[Refusal],
    rules: bool,
) -> io::Result<()> {
    let count =
        |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let mut rows = Vec::new();
    for policy in policies {
        let enforced = match (policy.staged, policy.refusals.is_empty()) {
            (true, _) => "staged",
            (false, true) => "yes",
            (false, false) => "refused",
        };
        rows.push(vec![
            policy.name.clone(),
            or_dash(&policy.tier),
            or_dash(&policy.kind),
            policy.endpoints.to_string(),
            policy.rules.len().to_string(),
            count(policy.hits.map(|hits| hits.packets)),
            count(policy.hits.map(|hits| hits.bytes)),
            enforced.to_owned(),
        ]);
        if rules {
            for rule in &policy.rules {
                rows.push(vec![
                    format!("  {} {}", direction(rule.direction), rule.index),
                    rule.action.clone(),
                    or_dash(&rule.id),
                    String::new(),
                    String::new(),
                    count(rule.packets),
                    count(rule.bytes),
                ]);
            }
            for (what, hits) in [
                ("end of tier", policy.end_of_tier),
                ("removed rules", policy.removed_rules),
            ] {
                let Some(HitCount { packets, bytes }) = hits else {
                    continue;
                };
                let mut row = vec![format!("  {what}")];
                row.resize(5, String::new());
                row.extend([packets, bytes].map(|number| number.to_string()));
                rows.push(row);
            }
        }
    }
    let heads = [
        "POLICY",
        "TIER",
        "KIND",
        "ENDPOINTS",
        "RULES",
        "PACKETS",
        "BYTES",
        "ENFORCED",
    ];
    table(out, &heads, &rows)?;
    if !refusals.is_empty() {
        writeln!(out, "\nNot enforced exactly; what it concerns denies:")?;
        for refusal in refusals {
            let rule = refusal
                .rule
                .map_or_else(String::new, |rule| format!(" rule {rule}"));
            let way = match refusal.direction {
                Some(way) => format!(" {}", direction(Some(way))),
                None => String::new(),
            };
            writeln!(out, "  {}{way}{rule}: {}", refusal.subject, refusal.reason)?;
        }
    }
    Ok(())
}

pub(crate) fn tables(out: &mut impl Write, tables: &[TableUsage]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|usage| {
            vec![
                usage.name.clone(),
                format!("{:#010x}", usage.id),
                usage.desired.to_string(),
                usage.observed.to_string(),
                usage.size.to_string(),
            ]
        })
        .collect();
    table(out, &["TABLE", "ID", "DESIRED", "OBSERVED", "SIZE"], &rows)
}

pub(crate) fn values(values: &[NamedValue]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| format!("{}={}", value.name, value.value))
        .collect();
    or_dash(&values.join(" "))
}

pub(crate) fn entries(out: &mut impl Write, entries: &[HostEntry]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            vec![
                values(&entry.fields),
                entry.action.clone(),
                values(&entry.params),
            ]
        })
        .collect();
    table(out, &["MATCH", "ACTION", "PARAMETERS"], &rows)
}

pub(crate) fn diff(out: &mut impl Write, diff: &Diff) -> io::Result<()> {
    let rows: Vec<Vec<String>> = diff
        .tables
        .iter()
        .map(|table| {
            let counts = [
                table.felix,
                table.host,
                table.dpu,
                table.target,
                table.differing,
            ];
            let counts = counts.map(|count| count.to_string());
            std::iter::once(table.table.clone()).chain(counts).collect()
        })
        .collect();
    let heads = [
        "TABLE",
        "FELIX",
        "HOST AGENT",
        "DPU AGENT",
        "TARGET",
        "DIFFERING",
    ];
    table(out, &heads, &rows)?;
    for differing in diff.tables.iter().filter(|table| table.differing > 0) {
        let shown = differing.rows.len();
        writeln!(
            out,
            "\n{}: {} rows differ, {shown} shown",
            differing.table, differing.differing
        )?;
        for row in &differing.rows {
            writeln!(out, "  {}", values(&row.fields))?;
            for (side, does) in [
                ("felix", &row.felix),
                ("host agent", &row.host),
                ("dpu agent", &row.dpu),
                ("target", &row.target),
            ] {
                writeln!(out, "    {side:<10} {}", or_dash(does))?;
            }
        }
    }
    let word = if diff.is_equal() {
        "equal"
    } else {
        "DIFFERENT"
    };
    writeln!(out, "generation {}: {word}", diff.generation)
}

pub(crate) fn drift(out: &mut impl Write, drift: &Drift) -> io::Result<()> {
    if drift.tables.is_empty() {
        writeln!(
            out,
            "The target holds generation {} exactly; {} entries were repaired so far",
            drift.generation, drift.repaired
        )?;
        return Ok(());
    }
    let mut rows = Vec::new();
    for differing in &drift.tables {
        for (what, entries) in [
            ("missing", &differing.missing),
            ("unexpected", &differing.unexpected),
            ("different", &differing.different),
        ] {
            for entry in entries {
                rows.push(vec![
                    differing.table.clone(),
                    what.to_owned(),
                    values(&entry.fields),
                    format!("{} {}", entry.action, values(&entry.params)),
                ]);
            }
        }
    }
    table(out, &["TABLE", "ENTRY IS", "MATCH", "SHOULD DO"], &rows)
}
