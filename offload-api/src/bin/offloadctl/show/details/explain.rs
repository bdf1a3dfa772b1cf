//! An explanation for people: what Calico's semantics say, then the rows that do it.

use std::io::{self, Write};

use offload_api::host::{Decision, Explanation, HitCount, RowLeg, TableRow};

use super::{direction, values};

fn word(allow: bool) -> &'static str {
    if allow { "allow" } else { "deny" }
}

fn place(decision: &Decision) -> String {
    let policy = if decision.namespace.is_empty() {
        decision.policy.clone()
    } else {
        format!("{}/{}", decision.namespace, decision.policy)
    };
    let rule = match decision.rule {
        Some(rule) => format!("rule {rule}"),
        None => "end of tier".to_owned(),
    };
    if decision.tier.is_empty() && policy.is_empty() {
        return decision.reason.clone();
    }
    format!(
        "tier {}, policy {policy}, {rule}: {}",
        decision.tier, decision.reason
    )
}

/// What the user wrote, a line each.
fn written(out: &mut impl Write, decision: &Decision, indent: &str) -> io::Result<()> {
    if !decision.rule_id.is_empty() {
        writeln!(out, "{indent}Felix's rule id: {}", decision.rule_id)?;
    }
    for (field, text) in &decision.written {
        writeln!(out, "{indent}{field}: {text}")?;
    }
    for (name, text) in &decision.annotations {
        writeln!(out, "{indent}annotation {name}: {text}")?;
    }
    Ok(())
}

fn hits(out: &mut impl Write, rows: &[TableRow], indent: &str) -> io::Result<()> {
    for TableRow { table, entry } in rows {
        writeln!(
            out,
            "{indent}{table} {} -> {} {}",
            values(&entry.fields),
            entry.action,
            values(&entry.params)
        )?;
    }
    Ok(())
}

fn leg(out: &mut impl Write, leg: &RowLeg) -> io::Result<()> {
    writeln!(
        out,
        "  {} of {}: {}",
        direction(leg.direction),
        leg.endpoint,
        word(leg.allow)
    )?;
    for (number, step) in leg.steps.iter().enumerate() {
        let rule = step.rule.as_ref().map_or_else(String::new, |rule| {
            format!(" by {}", place(rule).trim_end_matches([':', ' ']))
        });
        let says = if step.says.is_empty() {
            "no row decides"
        } else {
            &step.says
        };
        writeln!(out, "    step {}: {says}{rule}", number + 1)?;
        hits(out, &step.rows, "      ")?;
    }
    match (leg.hits, leg.hits_error.as_str()) {
        (Some(HitCount { packets, bytes }), _) => writeln!(
            out,
            "    the verdict row has counted {packets} packets, {bytes} bytes"
        ),
        (None, "") => Ok(()),
        (None, error) => writeln!(out, "    its counter cannot be read: {error}"),
    }
}

pub(crate) fn explanation(out: &mut impl Write, answer: &Explanation) -> io::Result<()> {
    writeln!(out, "{}: {}", word(answer.allow), place(&answer.decided_by))?;
    written(out, &answer.decided_by, "  ")?;
    for leg in &answer.legs {
        writeln!(
            out,
            "  {} of {}: {}",
            direction(leg.direction),
            leg.endpoint,
            word(leg.allow)
        )?;
        for step in &leg.steps {
            writeln!(out, "    {} at {}", step.action, place(&step.at))?;
            written(out, &step.at, "      ")?;
        }
    }
    let way = match (answer.out_port, answer.drop.as_str()) {
        (Some(port), _) => format!("out by port {port}"),
        (None, reason) => format!("dropped: {reason}"),
    };
    writeln!(
        out,
        "rows ({}): in by port {}, {way}",
        word(answer.rows_allow),
        answer.ingress_port
    )?;
    hits(out, &answer.before, "  ")?;
    for judged in &answer.row_legs {
        leg(out, judged)?;
    }
    if answer.allow != answer.rows_allow {
        writeln!(
            out,
            "WRONG: the compiled rows {} what the policies {}; please report this",
            word(answer.rows_allow),
            word(answer.allow)
        )?;
    } else if !answer.rule_agrees {
        writeln!(
            out,
            "WRONG: the compiled rows name another rule than the policies do; please report this"
        )?;
    }
    Ok(())
}
