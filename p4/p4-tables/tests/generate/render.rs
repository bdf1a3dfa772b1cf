//! Renders Rust from p4info, for the generator.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::p4info::Message;

/// FNV-1a, 64 bits.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Who refers to whom: see `table_model::Rank`.
fn rank(table: &str) -> &'static str {
    match table {
        "acl_host_v4" | "acl_host_v6" | "acl_net_v4" | "acl_net_v6" | "acl_service_v4"
        | "acl_service_v6" => "Label",
        "acl_chain"
        | "acl_class_default"
        | "acl_host_group"
        | "acl_net_group"
        | "acl_pair_group"
        | "acl_port"
        | "acl_source_port"
        | "acl_verdict"
        | "acl_verdict_default"
        | "route_next_hop" => "Body",
        "limit_egress_packets"
        | "limit_egress_bytes"
        | "limit_ingress_packets"
        | "limit_ingress_bytes"
        | "endpoint_port"
        | "endpoint_mac"
        | "endpoint_source_v4"
        | "endpoint_source_v6"
        | "endpoint_local_v4"
        | "endpoint_local_v6"
        | "acl_settings"
        | "route_v4"
        | "route_v6"
        | "gateway_v4"
        | "gateway_v6" => "Pointer",
        other => panic!("table {other} is new: give it a rank here"),
    }
}

/// Prefixes of ids (P4Runtime 6.3.1).
const DIRECT_COUNTER: u64 = 0x13;
const DIRECT_METER: u64 = 0x15;

/// Names of `table_model::METER_PARAMS`.
const METER: [&str; 4] = ["rate", "burst", "peak_rate", "peak_burst"];

fn rust_type(bits: u64) -> &'static str {
    match bits {
        1 => "bool",
        2..=8 => "u8",
        9..=16 => "u16",
        17..=32 => "u32",
        33..=64 => "u64",
        65..=128 => "u128",
        _ => panic!("{bits} bits do not fit a row"),
    }
}

fn ident(name: &str) -> String {
    name.replace('.', "_")
}

fn as_u128(name: &str, bits: u64) -> String {
    if bits > 64 {
        name.to_owned()
    } else {
        format!("u128::from({name})")
    }
}

#[derive(Clone)]
struct Action {
    name: String,
    params: Vec<(String, u64, u64)>,
}

fn actions(info: &Message) -> BTreeMap<u64, Action> {
    info.all("actions")
        .map(|action| {
            let preamble = action.one("preamble");
            let params = action
                .all("params")
                .map(|p| {
                    (
                        ident(p.scalar("name").unwrap()),
                        p.number("id"),
                        p.number("bitwidth"),
                    )
                })
                .collect();
            (
                preamble.number("id"),
                Action {
                    name: ident(preamble.scalar("alias").unwrap()),
                    params,
                },
            )
        })
        .collect()
}

/// `src/gen_tables.rs`.
pub(crate) fn tables(info: &Message, fingerprint: u64) -> String {
    let actions = actions(info);
    let mut tables: Vec<&Message> = info.all("tables").collect();
    tables.sort_by_key(|table| table.one("preamble").number("id"));

    let mut modules = String::new();
    let mut schema = String::new();
    for table in tables {
        let preamble = table.one("preamble");
        let (name, id) = (preamble.scalar("alias").unwrap(), preamble.number("id"));
        let fields: Vec<(String, u64, u64, bool)> = table
            .all("match_fields")
            .map(|f| {
                let lpm = match f.scalar("match_type").unwrap() {
                    "EXACT" => false,
                    "LPM" => true,
                    other => panic!("{name} matches {other}: the pipeline keeps to exact and LPM"),
                };
                (
                    ident(f.scalar("name").unwrap()),
                    f.number("id"),
                    f.number("bitwidth"),
                    lpm,
                )
            })
            .collect();
        let uses: Vec<u64> = table
            .all("action_refs")
            .filter(|r| r.scalar("scope") != Some("DEFAULT_ONLY"))
            .map(|r| r.number("id"))
            .collect();
        let has = |prefix: u64| {
            let mut resources = table.numbers("direct_resource_ids");
            resources.any(|id| id >> 24 == prefix)
        };
        let counted = has(DIRECT_COUNTER);
        let metered = has(DIRECT_METER);

        writeln!(
            modules,
            "\n/// Table `{name}`, {} entries.\npub mod {name} {{",
            table.number("size")
        )
        .unwrap();
        writeln!(
            modules,
            "    use table_model::{{ActionCall, ActionId, Row, RowKey, TableId}};\n"
        )
        .unwrap();
        writeln!(
            modules,
            "    /// P4Runtime id.\n    pub const TABLE: TableId = TableId({id:#010x});\n"
        )
        .unwrap();
        let args: Vec<String> = fields
            .iter()
            .map(|(n, _, bits, lpm)| {
                let t = rust_type(*bits);
                if *lpm {
                    format!("{n}: {t}, {n}_prefix_len: u8")
                } else {
                    format!("{n}: {t}")
                }
            })
            .collect();
        writeln!(
            modules,
            "    /// Packs a key.\n    #[must_use]\n    pub fn key({}) -> RowKey {{",
            args.join(", ")
        )
        .unwrap();
        if fields.is_empty() {
            writeln!(
                modules,
                "        RowKey {{ table: TABLE, bytes: smallvec::SmallVec::new() }}\n    }}"
            )
            .unwrap();
        } else {
            writeln!(
                modules,
                "        let mut bytes = smallvec::SmallVec::new();"
            )
            .unwrap();
            for (n, _, bits, lpm) in &fields {
                writeln!(
                    modules,
                    "        bytes.extend(crate::bytes({}, {}));",
                    as_u128(n, *bits),
                    bits.div_ceil(8)
                )
                .unwrap();
                if *lpm {
                    writeln!(modules, "        bytes.push({n}_prefix_len);").unwrap();
                }
            }
            writeln!(modules, "        RowKey {{ table: TABLE, bytes }}\n    }}").unwrap();
        }
        writeln!(schema, "            TableSchema {{\n                id: TableId({id:#010x}),\n                name: \"{name}\".to_owned(),\n                size: {},\n                rank: Rank::{},\n                counted: {counted},", table.number("size"), rank(name)).unwrap();
        writeln!(schema, "                fields: vec![").unwrap();
        for (n, fid, bits, lpm) in &fields {
            let kind = if *lpm { "Lpm" } else { "Exact" };
            writeln!(schema, "                    FieldSchema {{ id: {fid}, name: \"{n}\".to_owned(), bits: {bits}, kind: MatchKind::{kind} }},").unwrap();
        }
        writeln!(schema, "                ],\n                actions: vec![").unwrap();
        for aid in uses {
            let mut action = actions[&aid].clone();
            if metered {
                let meter = METER.iter().zip(table_model::METER_PARAMS);
                let meter = meter.map(|(name, id)| ((*name).to_owned(), u64::from(id), 63));
                action.params.extend(meter);
            }
            let upper = action.name.to_uppercase();
            writeln!(modules, "\n    /// P4Runtime id of `{}`.\n    pub const {upper}: ActionId = ActionId({aid:#010x});\n", action.name).unwrap();
            let args: Vec<String> = action
                .params
                .iter()
                .map(|(n, _, bits)| format!(", {n}: {}", rust_type(*bits)))
                .collect();
            // The lint's bound is seven, the key included.
            let many = if action.params.len() > 6 {
                "    #[expect(clippy::too_many_arguments, reason = \"one for each parameter\")]\n"
            } else {
                ""
            };
            writeln!(modules, "    /// A row that does `{}`.\n{many}    #[must_use]\n    pub fn {}(key: RowKey{}) -> Row {{", action.name, action.name, args.concat()).unwrap();
            if action.params.is_empty() {
                writeln!(modules, "        let params = smallvec::SmallVec::new();").unwrap();
            } else {
                writeln!(
                    modules,
                    "        let mut params = smallvec::SmallVec::new();"
                )
                .unwrap();
                for (n, _, bits) in &action.params {
                    writeln!(
                        modules,
                        "        params.extend(crate::bytes({}, {}));",
                        as_u128(n, *bits),
                        bits.div_ceil(8)
                    )
                    .unwrap();
                }
            }
            writeln!(
                modules,
                "        Row {{ key, action: ActionCall {{ action: {upper}, params }} }}\n    }}"
            )
            .unwrap();
            writeln!(schema, "                    ActionSchema {{\n                        id: ActionId({aid:#010x}),\n                        name: \"{}\".to_owned(),\n                        params: vec![", action.name).unwrap();
            for (n, pid, bits) in &action.params {
                writeln!(schema, "                            ParamSchema {{ id: {pid}, name: \"{n}\".to_owned(), bits: {bits} }},").unwrap();
            }
            writeln!(
                schema,
                "                        ],\n                    }},"
            )
            .unwrap();
        }
        writeln!(schema, "                ],\n            }},").unwrap();
        writeln!(modules, "}}").unwrap();
    }
    format!(
        "//! Generated from p4/programs/margay.p4info.txtpb by `BLESS=1 cargo test -p p4-tables`.\n\n\
         use table_model::{{\n    ActionId, ActionSchema, FieldSchema, MatchKind, ParamSchema, Rank, Schema, TableId, TableSchema,\n}};\n{modules}\n\
         /// The schema of all tables.\npub(crate) fn build_schema() -> Schema {{\n    Schema {{\n        fingerprint: {fingerprint:#018x},\n        tables: vec![\n{schema}        ],\n    }}\n}}\n"
    )
}

/// `src/drop_reason.rs`.
pub(crate) fn drop_reasons(source: &str) -> String {
    let mut variants = String::new();
    let mut from = String::new();
    let mut names = String::new();
    let mut doc = String::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("/* ").and_then(|l| l.strip_suffix(" */")) {
            text.clone_into(&mut doc);
        } else if let Some(rest) = line.strip_prefix("const bit<8> ") {
            let (name, value) = rest.trim_end_matches(';').split_once(" = ").unwrap();
            let short = name
                .trim_start_matches("DROP_")
                .trim_start_matches("COUNT_");
            let camel: String = short
                .split('_')
                .map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase()))
                .collect();
            if doc.is_empty() {
                "Not dropped.".clone_into(&mut doc);
            }
            writeln!(variants, "    /// {doc}\n    {camel} = {value},").unwrap();
            writeln!(from, "            {value} => Some(Self::{camel}),").unwrap();
            writeln!(
                names,
                "            Self::{camel} => \"{}\",",
                short.to_lowercase()
            )
            .unwrap();
            doc.clear();
        }
    }
    format!(
        "//! Generated from p4/programs/reasons.p4 by `BLESS=1 cargo test -p p4-tables`.\n\n\
         /// Why a packet was dropped: the index into the pipeline's `drop_reason` counter.\n\
         #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]\n#[repr(u8)]\npub enum DropReason {{\n{variants}}}\n\n\
         impl DropReason {{\n    /// The reason with this number.\n    #[must_use]\n    pub const fn from_index(index: u8) -> Option<Self> {{\n        match index {{\n{from}            _ => None,\n        }}\n    }}\n\n\
         \x20   /// The name in metrics and for people.\n    #[must_use]\n    pub const fn name(self) -> &'static str {{\n        match self {{\n{names}        }}\n    }}\n}}\n"
    )
}
