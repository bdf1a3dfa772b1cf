//! The program of the benches: one table for each kind of match.

use p4runtime_proto::bytestring::encode;
use p4runtime_proto::p4::config::v1::P4Info;
use p4runtime_proto::p4::v1::action::Param;
use p4runtime_proto::p4::v1::entity::Entity as Kind;
use p4runtime_proto::p4::v1::field_match::{self, FieldMatchType};
use p4runtime_proto::p4::v1::update::Type;
use p4runtime_proto::p4::v1::{
    Action, Entity, FieldMatch, ForwardingPipelineConfig, TableAction, TableEntry, Update,
    table_action,
};
use prost::Message as _;
use serde_json::{Value as Json, json};

/// What p4c's bmv2 back end wrote.
const JSON: &str = include_str!("../../cases/bench/kinds.json");
const P4INFO: &[u8] = include_bytes!("../../cases/bench/kinds.p4info.bin");

/// Masks that ternary entries share.
const MASKS: u64 = 100;

/// A kind of match, with its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Match {
    /// All bits.
    Exact,
    /// Longest prefix.
    Lpm,
    /// Value and mask, by priority.
    Ternary,
    /// From, to, by priority.
    Range,
    /// All bits or none, by priority.
    Optional,
}

impl Match {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [
        Self::Exact,
        Self::Lpm,
        Self::Ternary,
        Self::Range,
        Self::Optional,
    ];

    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Lpm => "LPM",
            Self::Ternary => "ternary",
            Self::Range => "range",
            Self::Optional => "optional",
        }
    }

    /// The `EtherType` that picks the table.
    fn ether_type(self) -> u16 {
        match self {
            Self::Exact => 0x8801,
            Self::Lpm => 0x8802,
            Self::Ternary => 0x8803,
            Self::Range => 0x8804,
            Self::Optional => 0x8805,
        }
    }

    fn alias(self) -> &'static str {
        match self {
            Self::Exact => "by_exact",
            Self::Lpm => "by_lpm",
            Self::Ternary => "by_ternary",
            Self::Range => "by_range",
            Self::Optional => "by_optional",
        }
    }
}

/// Ids of the program.
#[derive(Debug)]
pub(super) struct Kinds {
    info: P4Info,
    forward: u32,
}

impl Kinds {
    /// As compiled.
    ///
    /// # Errors
    /// The checked-in p4info is broken.
    pub(super) fn new() -> Result<Self, prost::DecodeError> {
        let info = P4Info::decode(P4INFO)?;
        let preambles = info
            .actions
            .iter()
            .filter_map(|action| action.preamble.as_ref());
        let forward = preambles
            .filter(|preamble| preamble.alias == "forward")
            .map(|preamble| preamble.id)
            .next();
        Ok(Self {
            forward: forward.unwrap_or_default(),
            info,
        })
    }

    /// For a switch.
    pub(super) fn config(&self) -> ForwardingPipelineConfig {
        ForwardingPipelineConfig {
            p4info: Some(self.info.clone()),
            p4_device_config: JSON.into(),
            cookie: None,
        }
    }

    /// The id of a kind's table.
    pub(super) fn table(&self, kind: Match) -> u32 {
        let preambles = self
            .info
            .tables
            .iter()
            .filter_map(|table| table.preamble.as_ref());
        preambles
            .filter(|preamble| preamble.alias == kind.alias())
            .map(|preamble| preamble.id)
            .next()
            .unwrap_or_default()
    }

    /// The entry of this number; no two have the same key.
    pub(super) fn insert(&self, kind: Match, number: u64, port: u16) -> Update {
        let bytes = |value: u64| encode(value.into());
        let exact = |value: u64| {
            FieldMatchType::Exact(field_match::Exact {
                value: bytes(value),
            })
        };
        let (addr, low) = (address(number), number & 0x3fff);
        let (fields, priority) = match kind {
            Match::Exact => (vec![exact(addr), exact(low)], 0),
            Match::Lpm => {
                let lpm = field_match::Lpm {
                    value: bytes(addr & !0xff),
                    prefix_len: 24,
                };
                (vec![FieldMatchType::Lpm(lpm)], 0)
            }
            Match::Ternary => {
                let fields = ternary_key(number).map(|(value, mask)| {
                    FieldMatchType::Ternary(field_match::Ternary {
                        value: bytes(value & mask),
                        mask: bytes(mask),
                    })
                });
                (fields.to_vec(), number + 1)
            }
            Match::Range => {
                let range = field_match::Range {
                    low: bytes(low),
                    high: bytes(low + 16),
                };
                (vec![exact(addr), FieldMatchType::Range(range)], number + 1)
            }
            Match::Optional => {
                let optional = field_match::Optional { value: bytes(addr) };
                let low = field_match::Optional { value: bytes(low) };
                let fields = vec![
                    FieldMatchType::Optional(optional),
                    FieldMatchType::Optional(low),
                ];
                (fields, number + 1)
            }
        };
        let fields = fields.into_iter().zip(1..).map(|(field, id)| FieldMatch {
            field_id: id,
            field_match_type: Some(field),
        });
        let action = Action {
            action_id: self.forward,
            params: vec![Param {
                param_id: 1,
                value: bytes(port.into()),
            }],
        };
        let entry = TableEntry {
            table_id: self.table(kind),
            priority: i32::try_from(priority).unwrap_or(i32::MAX),
            r#match: fields.collect(),
            action: Some(TableAction {
                r#type: Some(table_action::Type::Action(action)),
            }),
            ..TableEntry::default()
        };
        Update {
            r#type: Type::Insert.into(),
            entity: Some(Entity {
                entity: Some(Kind::TableEntry(entry)),
            }),
        }
    }

    /// A frame that the entry of this number matches.
    pub(super) fn frame(kind: Match, number: u64) -> Vec<u8> {
        let (addr, port) = match kind {
            Match::Ternary => (spread(number), port_of(number)),
            _ => (address(number), number & 0x3fff),
        };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        frame.extend(kind.ether_type().to_be_bytes());
        frame.extend(u32::try_from(addr).unwrap_or(0).to_be_bytes());
        frame.extend(u16::try_from(port).unwrap_or(0).to_be_bytes());
        frame.resize(60, 0);
        frame
    }
}

/// The program with so many entries in its ternary table, for who loads no entries from elsewhere.
///
/// # Errors
/// The checked-in program is broken.
pub(super) fn ternary_json(entries: u64, port: u16) -> Result<String, serde_json::Error> {
    let mut program: Json = serde_json::from_str(JSON)?;
    let pipelines = program["pipelines"].as_array_mut();
    let tables = pipelines.into_iter().flatten();
    let tables = tables.flat_map(|pipeline| pipeline["tables"].as_array_mut());
    for table in tables.flatten() {
        let is = |name: &Json, end: &str| name.as_str().is_some_and(|name| name.ends_with(end));
        if !is(&table["name"], Match::Ternary.alias()) {
            continue;
        }
        let actions = table["actions"].as_array().into_iter().flatten();
        let at = actions.enumerate().find(|(_, name)| is(name, "forward"));
        let action = table["action_ids"][at.map_or(0, |(at, _)| at)].clone();
        let all = (0..entries).map(|number| {
            let [(addr, wide), (low, narrow)] = ternary_key(number);
            // Smaller wins there.
            json!({"priority": entries - number, "match_key": [
                {"match_type": "ternary", "key": format!("{:#010x}", addr & wide),
                 "mask": format!("{wide:#010x}")},
                {"match_type": "ternary", "key": format!("{:#06x}", low & narrow),
                 "mask": format!("{narrow:#06x}")},
            ], "action_entry": {"action_id": action, "action_data": [format!("{port:#x}")]}})
        });
        table["entries"] = all.collect();
    }
    serde_json::to_string(&program)
}

/// Value and mask of address and port.
fn ternary_key(number: u64) -> [(u64, u64); 2] {
    let (wide, narrow) = mask(number);
    [(spread(number), wide), (port_of(number), narrow)]
}

/// A /24 of its own for each of the first 16 million numbers.
fn address(number: u64) -> u64 {
    (number << 8) & 0xffff_ffff
}

/// One of a hundred masks that no two neighbours share: its own length of address and port.
fn mask(number: u64) -> (u64, u64) {
    let which = number % MASKS;
    let wide = 0xffff_ffff_u64 << (which % 10);
    let narrow = 0xffff_u64 << (which / 10);
    (wide & 0xffff_ffff, narrow & 0xffff)
}

/// The number's bits at the top of the address, so that masks of the low ones keep entries apart.
fn spread(number: u64) -> u64 {
    (number << 10) & 0xffff_ffff
}

/// The upper bits of the port, which every mask keeps.
fn port_of(number: u64) -> u64 {
    (number << 9) & 0xffff
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_differ_and_masks_are_a_hundred() {
        let kinds = Kinds::new().unwrap();
        for kind in Match::ALL {
            let key = |number| match kinds.insert(kind, number, 1).entity.unwrap().entity {
                Some(Kind::TableEntry(entry)) => entry
                    .r#match
                    .iter()
                    .flat_map(|field| field.encode_to_vec())
                    .collect(),
                _ => Vec::new(),
            };
            let keys: HashSet<Vec<u8>> = (0..20_000).map(key).collect();
            assert_eq!(keys.len(), 20_000, "{kind:?}");
        }
        let masks: HashSet<_> = (0..20_000).map(mask).collect();
        assert_eq!(masks.len(), 100);
    }

    #[test]
    fn the_program_is_compiled_from_its_source() {
        use std::path::Path;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/bench");
        let json = std::fs::read(folder.join("kinds.json")).unwrap();
        let source = std::fs::read(folder.join("kinds.p4")).unwrap();
        let fingerprint = source.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let kept = std::fs::read_to_string(folder.join("compiled.txt")).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(folder.join("compiled.txt"), format!("{fingerprint:016x}\n")).unwrap();
        } else {
            assert_eq!(
                kept.trim(),
                format!("{fingerprint:016x}"),
                "cases/bench/kinds.p4 has changed: run cases/bench/compile.sh"
            );
        }
        assert!(!json.is_empty());
    }
}
