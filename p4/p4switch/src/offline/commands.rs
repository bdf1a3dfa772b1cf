//! The commands of bmv2's `simple_switch_CLI` that set a switch up.
//!
//! Names may be cut to what is unique at their end, as there. Numbers are decimal, `0x…`, addresses
//! of IPv4, IPv6 or Ethernet. Priorities are bmv2's: smaller wins.

use std::collections::BTreeMap;

use p4_engine::{
    ActionCall, CloneSession, ControlError, Engine, Entry, EntryAction, KeyPart, MatchKind,
    Replica, TableIndex, Value,
};
use thiserror::Error;

/// Why a command is refused.
#[derive(Debug, Error)]
pub enum CommandError {
    /// There is none of this name.
    #[error(
        "There is no command {name}; table_add, table_set_default, mirroring_add, \
         mirroring_add_mc, mc_mgrp_create, mc_node_create, mc_node_associate and register_write \
         are known"
    )]
    Unknown {
        /// The command.
        name: String,
    },
    /// Words are missing or too many.
    #[error("Usage: {usage}")]
    Usage {
        /// How it is written.
        usage: &'static str,
    },
    /// A name that fits nothing, or several things.
    #[error("{count} objects of kind {kind} are called {name}; exactly one is wanted")]
    Name {
        /// Kind of object.
        kind: &'static str,
        /// As given.
        name: String,
        /// How many fit.
        count: usize,
    },
    /// Not a number.
    #[error("{text:?} is no number or address")]
    Number {
        /// As given.
        text: String,
    },
    /// A match that is not written as its kind wants.
    #[error("{text:?} does not match a field of kind {kind:?} ({form})")]
    Match {
        /// As given.
        text: String,
        /// The kind.
        kind: MatchKind,
        /// How it is written.
        form: &'static str,
    },
    /// Keys or parameters are missing or too many.
    #[error("{what} takes {wanted} {parts}, {given} given")]
    Count {
        /// Table or action.
        what: String,
        /// Key fields or parameters.
        parts: &'static str,
        /// How many it takes.
        wanted: usize,
        /// How many there are.
        given: usize,
    },
    /// The engine refuses it.
    #[error("The engine refuses it: {0}")]
    Refused(#[from] ControlError),
}

const TABLE_ADD: &str =
    "table_add TABLE ACTION MATCH... => PARAMETER... [PRIORITY, where the key wants one]";
const TABLE_SET_DEFAULT: &str = "table_set_default TABLE ACTION PARAMETER...";
const MIRRORING_ADD: &str = "mirroring_add SESSION PORT";
const MIRRORING_ADD_MC: &str = "mirroring_add_mc SESSION GROUP";
const MC_MGRP_CREATE: &str = "mc_mgrp_create GROUP";
const MC_NODE_CREATE: &str = "mc_node_create INSTANCE PORT...";
const MC_NODE_ASSOCIATE: &str = "mc_node_associate GROUP NODE";
const REGISTER_WRITE: &str = "register_write REGISTER INDEX VALUE";

/// What commands build on each other.
#[derive(Debug, Default)]
pub(super) struct Commands {
    /// Nodes by handle, counted from 0.
    nodes: Vec<Vec<Replica>>,
    groups: BTreeMap<u16, Vec<Replica>>,
}

impl Commands {
    /// Runs one line; empty ones and comments (`#`) do nothing.
    pub(super) fn command(&mut self, engine: &mut Engine, line: &str) -> Result<(), CommandError> {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((name, words)) = words.split_first() else {
            return Ok(());
        };
        match (*name, words) {
            ("table_add", words) => table_add(engine, words),
            ("table_set_default", [table, action, args @ ..]) => {
                let table = self::table(engine, table)?;
                let call = call(engine, table, action, args)?;
                Ok(engine.set_default(table, call)?)
            }
            ("table_set_default", _) => usage(TABLE_SET_DEFAULT),
            ("mirroring_add", [session, port]) => {
                let config = CloneSession {
                    replicas: vec![Replica {
                        port: small(port)?,
                        instance: 0,
                    }],
                    ..CloneSession::default()
                };
                engine.set_clone_session(small(session)?, config);
                Ok(())
            }
            ("mirroring_add", _) => usage(MIRRORING_ADD),
            ("mirroring_add_mc", [session, group]) => {
                let config = CloneSession {
                    multicast_group: Some(small(group)?),
                    ..CloneSession::default()
                };
                engine.set_clone_session(small(session)?, config);
                Ok(())
            }
            ("mirroring_add_mc", _) => usage(MIRRORING_ADD_MC),
            ("mc_mgrp_create", [group]) => {
                self.groups.insert(small(group)?, Vec::new());
                Ok(())
            }
            ("mc_mgrp_create", _) => usage(MC_MGRP_CREATE),
            ("mc_node_create", [instance, ports @ ..]) => {
                let instance = small(instance)?;
                // `| LAG...` may follow; there are no link aggregation groups here.
                let ports = ports.iter().take_while(|word| **word != "|");
                let node = ports.map(|port| {
                    Ok(Replica {
                        port: small(port)?,
                        instance,
                    })
                });
                self.nodes.push(node.collect::<Result<_, CommandError>>()?);
                Ok(())
            }
            ("mc_node_create", _) => usage(MC_NODE_CREATE),
            ("mc_node_associate", [group, node]) => {
                let (id, handle) = (small(group)?, usize::from(small(node)?));
                let missing = |kind, name: &str| CommandError::Name {
                    kind,
                    name: name.to_owned(),
                    count: 0,
                };
                let node = self.nodes.get(handle);
                let node = node.ok_or_else(|| missing("node", node_name(handle).as_str()))?;
                let replicas = self.groups.get_mut(&id);
                let replicas = replicas.ok_or_else(|| missing("multicast group", group))?;
                replicas.extend_from_slice(node);
                engine.set_multicast_group(id, replicas.clone());
                Ok(())
            }
            ("mc_node_associate", _) => usage(MC_NODE_ASSOCIATE),
            ("register_write", [register, index, value]) => {
                let info = engine.program().registers().iter();
                let full = unique("register", register, info.map(|info| info.name.as_str()))?;
                let found = engine.program().register(&full);
                let index = usize::from(small(index)?);
                if let Some(found) = found {
                    engine.set_register(found, index, &number(value)?)?;
                }
                Ok(())
            }
            ("register_write", _) => usage(REGISTER_WRITE),
            (name, _) => Err(CommandError::Unknown {
                name: name.to_owned(),
            }),
        }
    }
}

fn node_name(handle: usize) -> String {
    handle.to_string()
}

fn usage(usage: &'static str) -> Result<(), CommandError> {
    Err(CommandError::Usage { usage })
}

fn table_add(engine: &mut Engine, words: &[&str]) -> Result<(), CommandError> {
    let arrow = words.iter().position(|word| *word == "=>");
    let (Some(arrow), Some(name), Some(action)) = (arrow, words.first(), words.get(1)) else {
        return usage(TABLE_ADD);
    };
    if arrow < 2 {
        return usage(TABLE_ADD);
    }
    let table = table(engine, name)?;
    let info = engine.program().table_info(table).clone();
    let (matches, mut args) = (&words[2..arrow], &words[arrow + 1..]);
    if matches.len() != info.fields.len() {
        return Err(CommandError::Count {
            what: format!("The key of table {}", info.name),
            parts: "fields",
            wanted: info.fields.len(),
            given: matches.len(),
        });
    }
    let key = matches
        .iter()
        .zip(&info.fields)
        .map(|(text, field)| part(text, field.kind, field.bits))
        .collect::<Result<_, _>>()?;
    let mut priority = 0;
    if info.needs_priority {
        let Some((last, rest)) = args.split_last() else {
            return usage(TABLE_ADD);
        };
        // bmv2: smaller wins. The engine, like P4Runtime: larger wins.
        priority = i32::MAX - i32::from(small(last)?);
        args = rest;
    }
    let action = EntryAction::Call(call(engine, table, action, args)?);
    engine.insert(
        table,
        Entry {
            key,
            priority,
            action,
        },
    )?;
    Ok(())
}

fn table(engine: &Engine, name: &str) -> Result<TableIndex, CommandError> {
    let tables = engine.program().tables().iter();
    let full = unique("table", name, tables.map(|table| table.name.as_str()))?;
    engine
        .program()
        .table(&full)
        .ok_or_else(|| CommandError::Name {
            kind: "table",
            name: name.to_owned(),
            count: 0,
        })
}

fn call(
    engine: &Engine,
    table: TableIndex,
    name: &str,
    args: &[&str],
) -> Result<ActionCall, CommandError> {
    let program = engine.program();
    let actions = program.table_info(table).actions.iter();
    let names = actions.map(|action| program.action_info(*action).name.as_str());
    let full = unique("action", name, names)?;
    let action = program.table_action(table, &full);
    let action = action.ok_or_else(|| CommandError::Name {
        kind: "action",
        name: name.to_owned(),
        count: 0,
    })?;
    let params = program.action_info(action).params.len();
    if args.len() != params {
        return Err(CommandError::Count {
            what: format!("Action {full}"),
            parts: "parameters",
            wanted: params,
            given: args.len(),
        });
    }
    let args = args
        .iter()
        .map(|arg| number(arg))
        .collect::<Result<_, _>>()?;
    Ok(ActionCall { action, args })
}

/// The one name that is this or ends with it behind a dot.
fn unique<'n>(
    kind: &'static str,
    name: &str,
    all: impl Iterator<Item = &'n str>,
) -> Result<String, CommandError> {
    let tail = format!(".{name}");
    let mut fitting: Vec<&str> = all
        .filter(|full| *full == name || full.ends_with(&tail))
        .collect();
    fitting.dedup();
    if let Some(exact) = fitting.iter().find(|full| **full == name) {
        return Ok((*exact).to_owned());
    }
    match fitting[..] {
        [one] => Ok(one.to_owned()),
        _ => Err(CommandError::Name {
            kind,
            name: name.to_owned(),
            count: fitting.len(),
        }),
    }
}

fn part(text: &str, kind: MatchKind, bits: usize) -> Result<KeyPart, CommandError> {
    let wrong = |form| CommandError::Match {
        text: text.to_owned(),
        kind,
        form,
    };
    match kind {
        MatchKind::Exact => Ok(KeyPart::Exact(match text {
            "true" => Value::from(1_u64),
            "false" => Value::zero(),
            text => number(text)?,
        })),
        MatchKind::Optional => Ok(KeyPart::Optional(Some(number(text)?))),
        MatchKind::Lpm => {
            let form = "VALUE/LENGTH";
            let (value, length) = text.rsplit_once('/').ok_or_else(|| wrong(form))?;
            let prefix_len: u16 = length.parse().map_err(|_| wrong(form))?;
            if usize::from(prefix_len) > bits {
                return Err(wrong(form));
            }
            let mask = Value::prefix_mask(bits, usize::from(prefix_len));
            Ok(KeyPart::Lpm {
                value: number(value)?.and(&mask),
                prefix_len,
            })
        }
        MatchKind::Ternary => {
            let (value, mask) = text
                .split_once("&&&")
                .ok_or_else(|| wrong("VALUE&&&MASK"))?;
            let mask = number(mask)?;
            Ok(KeyPart::Ternary {
                value: number(value)?.and(&mask),
                mask,
            })
        }
        MatchKind::Range => {
            let (low, high) = text.split_once("->").ok_or_else(|| wrong("LOW->HIGH"))?;
            Ok(KeyPart::Range {
                low: number(low)?,
                high: number(high)?,
            })
        }
    }
}

fn small(text: &str) -> Result<u16, CommandError> {
    let value = number(text)?;
    u16::try_from(value.limb(0))
        .ok()
        .filter(|_| value.bit_len() <= 16)
        .ok_or_else(|| CommandError::Number {
            text: text.to_owned(),
        })
}

fn number(text: &str) -> Result<Value, CommandError> {
    parse(text).ok_or_else(|| CommandError::Number {
        text: text.to_owned(),
    })
}

fn parse(text: &str) -> Option<Value> {
    if let Some(hex) = text.strip_prefix("0x") {
        let padded = format!("{}{hex}", if hex.len() % 2 == 1 { "0" } else { "" });
        let bytes: Option<Vec<u8>> = padded
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        return bytes
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| Value::from_be_bytes(&bytes));
    }
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        return Some(Value::from_be_bytes(&address.octets()));
    }
    let octets: Option<Vec<u8>> = text
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16).ok())
        .collect();
    if let Some(octets) = octets.filter(|octets| octets.len() == 6) {
        return Some(Value::from_be_bytes(&octets));
    }
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Some(Value::from_be_bytes(&address.octets()));
    }
    let number: u128 = text.parse().ok()?;
    Some(Value::from_be_bytes(&number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_form() {
        for (text, bytes) in [
            ("7", &[7][..]),
            ("0x1ff", &[1, 0xff]),
            ("10.0.0.1", &[10, 0, 0, 1]),
            ("00:11:22:33:44:55", &[0, 0x11, 0x22, 0x33, 0x44, 0x55]),
            ("::1", &[1]),
            (
                "0x0102030405060708090a0b0c0d0e0f1011",
                &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
            ),
        ] {
            assert_eq!(parse(text), Some(Value::from_be_bytes(bytes)), "{text}");
        }
        for text in ["", "0x", "x", "-1", "1.2.3", "0xg0"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_cut_to_what_is_unique() {
        let all = ["In.a", "In.b", "Out.b", "c"];
        let found = |name| unique("table", name, all.into_iter()).ok();
        assert_eq!(found("a").as_deref(), Some("In.a"));
        assert_eq!(found("Out.b").as_deref(), Some("Out.b"));
        assert_eq!(found("c").as_deref(), Some("c"));
        assert_eq!(found("b"), None);
        assert_eq!(found("d"), None);
    }
}
