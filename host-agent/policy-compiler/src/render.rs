//! Rows and classes as text.

use std::fmt::Write as _;

use p4_tables::schema;
use policy_model::{Icmp, Protocol};
use table_model::{FieldValue, Row, TableSchema};

use crate::atom::Atoms;
use crate::class::{Class, Ruling};
use crate::compiler::Compiler;
use crate::plane::Plane;
use crate::ports::{Ports, WITH_PORTS};
use crate::program::{Outcome, PortMatch, ResidualRule};

/// A row on one line: table, match fields, action, parameters.
#[must_use]
pub fn row(row: &Row) -> String {
    let Ok(table) = schema().table(row.key.table) else {
        return format!("{row:?}");
    };
    let key = fields(table, row);
    let Ok(action) = table.action(row.action.action) else {
        return format!("{} {key}", table.name);
    };
    let params = action.params(&row.action).unwrap_or_default();
    let params: Vec<String> = action
        .params
        .iter()
        .zip(params)
        .map(|(param, value)| {
            format!(
                "{}={}",
                param.name,
                value_text(&param.name, param.bits, value)
            )
        })
        .collect();
    format!(
        "{} {key} -> {}({})",
        table.name,
        action.name,
        params.join(", ")
    )
}

fn fields(table: &TableSchema, row: &Row) -> String {
    let values = table.fields(&row.key).unwrap_or_default();
    let texts = table.fields.iter().zip(values).map(|(field, value)| {
        let text = |value| value_text(&field.name, field.bits, value);
        match value {
            FieldValue::Exact(value) => format!("{}={}", field.name, text(value)),
            FieldValue::Lpm { value, prefix_len } => {
                format!("{}={}/{prefix_len}", field.name, text(value))
            }
        }
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// Addresses and MACs as people write them, ids in hexadecimal, small numbers as they are.
fn value_text(name: &str, bits: u8, value: u128) -> String {
    let address = matches!(name, "src" | "dst" | "addr");
    match bits {
        32 if address => std::net::Ipv4Addr::from(crate::nets::low(value)).to_string(),
        128 => std::net::Ipv6Addr::from(value).to_string(),
        48 => {
            let bytes = value.to_be_bytes();
            let bytes: Vec<String> = bytes[10..].iter().map(|b| format!("{b:02x}")).collect();
            bytes.join(":")
        }
        32 => format!("{value:08x}"),
        _ => value.to_string(),
    }
}

impl Compiler {
    /// Ids of all classes, sorted.
    #[must_use]
    pub fn class_ids(&self) -> Vec<u32> {
        let classes = self.planes.iter().flat_map(|plane| plane.classes.iter());
        let mut ids: Vec<u32> = classes.map(|(_, class)| class.id).collect();
        ids.sort_unstable();
        ids
    }

    /// A class as a table that a person can read: what is left of its rules, its port groups, its
    /// address groups with what they do, and the labels that lead to them. None if there is no such
    /// class.
    #[must_use]
    pub fn render_class(&self, id: u32) -> Option<String> {
        self.planes.iter().find_map(|plane| {
            let (_, class) = plane.classes.iter().find(|(_, class)| class.id == id)?;
            Some(self.class_text(plane, class))
        })
    }

    fn class_text(&self, plane: &Plane, class: &Class) -> String {
        let mut text = format!(
            "class {:08x}: {:?} {:?}, {} pointers, {} rules, {} atoms\n\nrules\n",
            class.id,
            class.program.direction,
            plane.family,
            class.users,
            class.program.rules.len(),
            class.atoms.len(),
        );
        for (place, rule) in class.program.rules.iter().enumerate() {
            let name = self.rule(rule.id).map(ToString::to_string);
            let name = name.unwrap_or_default();
            let line = rule_text(rule, &plane.atoms);
            line_of(
                &mut text,
                &format!("{place:>5}  {:08x}  {name}: {line}", rule.id),
            );
        }
        for (title, id, rows) in [
            ("ports", class.ports, self.shared.port_rows(class.ports)),
            (
                "source ports",
                class.source_ports,
                self.shared.source_port_rows(class.source_ports),
            ),
        ] {
            line_of(&mut text, &format!("\n{title} {id:08x}"));
            for row in rows {
                let protocol = Protocol(row.protocol);
                let (port, len, group) = (row.port, row.prefix_len, row.group);
                line_of(
                    &mut text,
                    &format!("       {protocol} {port}/{len} -> {group}"),
                );
            }
        }
        line_of(&mut text, "\ngroups");
        let width = class.judge.source_groups();
        for (_, group) in class.groups.iter() {
            line_of(&mut text, &format!("       {:08x}", group.id));
            for (place, cell) in group.cells.iter().enumerate() {
                let verdict = match class.judge.verdict(&class.program, *cell) {
                    Ruling::Allow(rule) => format!("allow by {rule:08x}"),
                    Ruling::Deny(rule) => format!("deny by {rule:08x}"),
                    Ruling::NextPolicy => "next policy".to_owned(),
                    Ruling::NextTier(rule) => format!("next tier by {rule:08x}"),
                };
                let (port, source) = (place / width, place % width);
                line_of(
                    &mut text,
                    &format!("         port {port} source port {source}: {verdict}"),
                );
            }
        }
        let hosts = class
            .host_labels
            .values()
            .map(|label| (label.id, label.set));
        let nets = class.net_labels.iter();
        let nets = nets.map(|(label, set)| (plane.labels.all[*label].id, *set));
        let seen: [(&str, Vec<(u32, u32)>); 2] = [
            ("labels of hosts", hosts.collect()),
            ("labels of nets", nets.collect()),
        ];
        for (title, labels) in seen {
            line_of(&mut text, &format!("\n{title}"));
            for (label, set) in labels {
                let set = &class.sets[set];
                let group = class.groups[set.group].id;
                let mine = class.atoms.iter().enumerate();
                let atoms: Vec<String> = mine
                    .filter(|(place, _)| set.bits[place / 64] >> (place % 64) & 1 == 1)
                    .map(|(_, atom)| plane.atoms.all[*atom].key.to_string())
                    .collect();
                let (set, atoms) = (set.id, atoms.join(", "));
                let line =
                    format!("       {label:08x} -> set {set:08x} group {group:08x}: {atoms}");
                line_of(&mut text, &line);
            }
        }
        text
    }
}

fn line_of(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn rule_text(rule: &ResidualRule, atoms: &Atoms) -> String {
    let names = |list: &[u32]| -> String {
        let names: Vec<String> = list.iter().map(|a| atoms.all[*a].key.to_string()).collect();
        names.join(", ")
    };
    let mut text = match rule.outcome {
        Outcome::Allow => "allow".to_owned(),
        Outcome::Deny => "deny".to_owned(),
        Outcome::NextPolicy => "next policy".to_owned(),
        Outcome::NextTier => "next tier".to_owned(),
        Outcome::Jump(to) => format!("go on at {to}"),
    };
    let mut say = |what: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = write!(text, "; {what} {value}");
    };
    for (what, list) in [
        ("in one of", &rule.nets),
        ("in all of", &rule.all),
        ("in none of", &rule.none),
    ] {
        if !list.is_empty() {
            say(what, names(list));
        }
    }
    if !rule.named.is_empty() {
        say("port in one of", names(&rule.named));
        if !rule.alternative.is_empty() {
            say("or in", ports_text(&rule.alternative));
        }
    }
    for (what, protocol) in [
        ("protocol", rule.protocol),
        ("not protocol", rule.not_protocol),
    ] {
        if let Some(protocol) = protocol {
            say(what, protocol.to_string());
        }
    }
    for (what, icmp) in [("icmp", rule.icmp), ("not icmp", rule.not_icmp)] {
        if let Some(Icmp { kind, code }) = icmp {
            let code = code.map_or_else(|| "any".to_owned(), |code| code.to_string());
            say(what, format!("type {kind} code {code}"));
        }
    }
    for (what, PortMatch { within, outside }) in [("source", &rule.src), ("destination", &rule.dst)]
    {
        for ports in within {
            say(what, format!("port in {}", ports_text(ports)));
        }
        if !outside.is_empty() {
            say(what, format!("port not in {}", ports_text(outside)));
        }
    }
    text
}

fn ports_text(ports: &Ports) -> String {
    let mut parts = Vec::new();
    for protocol in WITH_PORTS {
        let ranges: Vec<String> = ports
            .ranges(protocol)
            .iter()
            .map(|range| {
                if range.first == range.last {
                    range.first.to_string()
                } else {
                    format!("{}-{}", range.first, range.last)
                }
            })
            .collect();
        if !ranges.is_empty() {
            parts.push(format!("{protocol} {}", ranges.join(" ")));
        }
    }
    parts.join(", ")
}
