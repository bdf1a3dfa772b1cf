//! A switch in process, a client for it, and short ways to write entities.

use std::sync::LazyLock;

use p4runtime_proto::{
    Client, ElectionId, UpdateError,
    bytestring::encode,
    client::{Primary, Ready, WriteError},
    p4::{
        config::v1::P4Info,
        v1::{
            Action, Entity, FieldMatch, ForwardingPipelineConfig, TableAction, TableEntry, Update,
            action::Param,
            entity::Entity as Kind,
            field_match::{self, FieldMatchType},
            forwarding_pipeline_config::Cookie,
            table_action,
            update::Type,
            write_request::Atomicity,
        },
    },
};
use p4switch::{Config, Handle, Switch};
use prost::Message as _;
use tonic::Code;

pub(crate) const CPU: u16 = 255;
pub(crate) const DEVICE: u64 = 1;

const SWITCH_JSON: &str = include_str!("../programs/switch.json");
const SWITCH_INFO: &[u8] = include_bytes!("../programs/switch.p4info.bin");
const WIRE_JSON: &str = include_str!("../programs/wire.json");
const WIRE_INFO: &[u8] = include_bytes!("../programs/wire.p4info.bin");

pub(crate) const BY_MAC: u32 = 0x0200_0001;
pub(crate) const BY_ROUTE: u32 = 0x0200_0002;
pub(crate) const BY_MASK: u32 = 0x0200_0003;
pub(crate) const FIXED: u32 = 0x0200_0004;
pub(crate) const SCOPED: u32 = 0x0200_0005;
pub(crate) const LEFT: u32 = 0x0200_0006;
pub(crate) const RIGHT: u32 = 0x0200_0007;
pub(crate) const SETTINGS: u32 = 0x0200_0008;

/// A switch without a program, with a CPU port.
pub(crate) fn empty() -> Handle {
    Switch::start(Config {
        cpu_port: Some(CPU),
        ..Config::default()
    })
    .expect("the switch starts")
}

/// A program of `tests/programs` with the ids that its p4info gives.
pub(crate) struct Named {
    p4info: P4Info,
    json: &'static str,
}

impl Named {
    pub(crate) fn entities() -> Self {
        Self::new(
            include_bytes!("../programs/entities.p4info.bin"),
            include_str!("../programs/entities.json"),
        )
    }

    pub(crate) fn names() -> Self {
        Self::new(
            include_bytes!("../programs/names.p4info.bin"),
            include_str!("../programs/names.json"),
        )
    }

    fn new(p4info: &'static [u8], json: &'static str) -> Self {
        let p4info = P4Info::decode(p4info).expect("p4info decodes");
        Self { p4info, json }
    }

    pub(crate) fn config(&self) -> ForwardingPipelineConfig {
        ForwardingPipelineConfig {
            p4info: Some(self.p4info.clone()),
            p4_device_config: self.json.into(),
            cookie: None,
        }
    }

    /// A switch with the program, and its primary.
    pub(crate) async fn ready(&self) -> (Handle, Client<Ready>) {
        let switch = empty();
        let client = primary(&switch, 1).await;
        let client = client.set_pipeline(self.config()).await;
        (switch, client.expect("pipeline set"))
    }

    /// The id of any object by its short name.
    pub(crate) fn id(&self, alias: &str) -> u32 {
        let info = &self.p4info;
        let preambles = (info.tables.iter().map(|object| &object.preamble))
            .chain(info.actions.iter().map(|object| &object.preamble))
            .chain(info.action_profiles.iter().map(|object| &object.preamble))
            .chain(info.counters.iter().map(|object| &object.preamble))
            .chain(info.meters.iter().map(|object| &object.preamble))
            .chain(info.registers.iter().map(|object| &object.preamble))
            .chain(info.value_sets.iter().map(|object| &object.preamble))
            .chain(info.digests.iter().map(|object| &object.preamble));
        let mut found = preambles.flatten().filter(|object| object.alias == alias);
        found.next().expect("an object of this name").id
    }

    pub(crate) fn call(&self, name: &str, args: &[u128]) -> Action {
        let params = (1..)
            .zip(args)
            .map(|(param_id, value)| Param {
                param_id,
                value: encode(*value),
            })
            .collect();
        Action {
            action_id: self.id(name),
            params,
        }
    }

    /// An entry with an exact match of its first field.
    pub(crate) fn entry(&self, table: &str, key: u128, action: Action) -> TableEntry {
        let action = TableAction {
            r#type: Some(table_action::Type::Action(action)),
        };
        entry(self.id(table), vec![exact(1, key)], action)
    }
}

/// A frame that meets the table of `branch` in the program `entities`.
pub(crate) fn branch(branch: u8, key: u16, source: u64, kind: u16) -> Vec<u8> {
    let destination = u64::from(branch) << 32 | u64::from(key);
    frame(destination, source, kind)
}

/// The ports that a frame leaves by.
pub(crate) fn ports(switch: &Handle, frame: &[u8]) -> Vec<u16> {
    let outputs = switch.inject(1, frame);
    outputs.into_iter().map(|(port, _)| port).collect()
}

pub(crate) fn switch_config(cookie: u64) -> ForwardingPipelineConfig {
    config(SWITCH_INFO, SWITCH_JSON, cookie)
}

pub(crate) fn wire_config(cookie: u64) -> ForwardingPipelineConfig {
    config(WIRE_INFO, WIRE_JSON, cookie)
}

fn config(p4info: &'static [u8], json: &'static str, cookie: u64) -> ForwardingPipelineConfig {
    ForwardingPipelineConfig {
        p4info: Some(P4Info::decode(p4info).expect("p4info decodes")),
        p4_device_config: json.into(),
        cookie: Some(Cookie { cookie }),
    }
}

pub(crate) async fn connect(switch: &Handle) -> Client {
    Client::connect(&switch.grpc_addr().to_string(), DEVICE)
        .await
        .expect("connected")
}

pub(crate) async fn primary(switch: &Handle, election_id: u128) -> Client<Primary> {
    connect(switch)
        .await
        .primary("", ElectionId(election_id))
        .await
        .expect("primary")
}

/// A switch with the test program, and its primary.
pub(crate) async fn ready() -> (Handle, Client<Ready>) {
    let switch = empty();
    let client = primary(&switch, 1).await;
    let client = client
        .set_pipeline(switch_config(7))
        .await
        .expect("pipeline set");
    (switch, client)
}

/// The p4info of the switch program, decoded once: tests make entries by the ten thousand.
fn switch_info() -> &'static P4Info {
    static INFO: LazyLock<P4Info> =
        LazyLock::new(|| P4Info::decode(SWITCH_INFO).expect("p4info decodes"));
    &INFO
}

/// The id of an action by its name.
pub(crate) fn action_id(name: &str) -> u32 {
    let p4info = switch_info();
    let preambles = p4info
        .actions
        .iter()
        .filter_map(|action| action.preamble.as_ref());
    preambles
        .filter(|preamble| preamble.alias == name)
        .map(|preamble| preamble.id)
        .next()
        .unwrap_or(0)
}

/// The id of a counter or register by its name.
pub(crate) fn array_id(name: &str) -> u32 {
    let p4info = switch_info();
    let counters = p4info
        .counters
        .iter()
        .filter_map(|counter| counter.preamble.as_ref());
    let registers = p4info
        .registers
        .iter()
        .filter_map(|register| register.preamble.as_ref());
    let mut all = counters.chain(registers);
    all.find(|preamble| preamble.alias == name)
        .expect("an array of this name")
        .id
}

pub(crate) fn exact(field_id: u32, value: u128) -> FieldMatch {
    let value = encode(value);
    let kind = FieldMatchType::Exact(field_match::Exact { value });
    FieldMatch {
        field_id,
        field_match_type: Some(kind),
    }
}

pub(crate) fn lpm(field_id: u32, value: u128, prefix_len: i32) -> FieldMatch {
    let kind = FieldMatchType::Lpm(field_match::Lpm {
        value: encode(value),
        prefix_len,
    });
    FieldMatch {
        field_id,
        field_match_type: Some(kind),
    }
}

pub(crate) fn ternary(field_id: u32, value: u128, mask: u128) -> FieldMatch {
    let kind = field_match::Ternary {
        value: encode(value),
        mask: encode(mask),
    };
    FieldMatch {
        field_id,
        field_match_type: Some(FieldMatchType::Ternary(kind)),
    }
}

pub(crate) fn range(field_id: u32, low: u128, high: u128) -> FieldMatch {
    let kind = field_match::Range {
        low: encode(low),
        high: encode(high),
    };
    FieldMatch {
        field_id,
        field_match_type: Some(FieldMatchType::Range(kind)),
    }
}

pub(crate) fn optional(field_id: u32, value: u128) -> FieldMatch {
    let kind = FieldMatchType::Optional(field_match::Optional {
        value: encode(value),
    });
    FieldMatch {
        field_id,
        field_match_type: Some(kind),
    }
}

pub(crate) fn action(name: &str, args: &[u128]) -> TableAction {
    let params = (1..)
        .zip(args)
        .map(|(param_id, value)| Param {
            param_id,
            value: encode(*value),
        })
        .collect();
    let action = Action {
        action_id: action_id(name),
        params,
    };
    TableAction {
        r#type: Some(table_action::Type::Action(action)),
    }
}

pub(crate) fn entry(table_id: u32, r#match: Vec<FieldMatch>, action: TableAction) -> TableEntry {
    TableEntry {
        table_id,
        r#match,
        action: Some(action),
        ..TableEntry::default()
    }
}

/// Sends frames for `mac` to `port`.
pub(crate) fn mac_entry(mac: u128, port: u128) -> TableEntry {
    entry(BY_MAC, vec![exact(1, mac)], action("forward", &[port]))
}

pub(crate) fn update(change: Type, kind: Kind) -> Update {
    Update {
        r#type: change.into(),
        entity: Some(Entity { entity: Some(kind) }),
    }
}

pub(crate) fn insert(entry: TableEntry) -> Update {
    update(Type::Insert, Kind::TableEntry(entry))
}

pub(crate) fn modify(entry: TableEntry) -> Update {
    update(Type::Modify, Kind::TableEntry(entry))
}

pub(crate) fn delete(entry: TableEntry) -> Update {
    update(Type::Delete, Kind::TableEntry(entry))
}

/// Writes one update and returns the code of its failure.
pub(crate) async fn code_of(client: &Client<Ready>, update: Update) -> Code {
    let outcome = client.write(vec![update], Atomicity::ContinueOnError).await;
    match outcome {
        Ok(()) => Code::Ok,
        Err(WriteError::Updates { errors, total: 1 }) => errors[0].code,
        Err(error) => panic!("not an error of the update: {error:?}"),
    }
}

/// The failures of a batch.
pub(crate) async fn failures(
    client: &Client<Ready>,
    updates: Vec<Update>,
    atomicity: Atomicity,
) -> Vec<UpdateError> {
    match client.write(updates, atomicity).await {
        Ok(()) => Vec::new(),
        Err(WriteError::Updates { errors, .. }) => errors,
        Err(error) => panic!("not errors of updates: {error:?}"),
    }
}

pub(crate) async fn write(client: &Client<Ready>, updates: Vec<Update>) {
    client
        .write(updates, Atomicity::ContinueOnError)
        .await
        .expect("written");
}

/// All that a read of one entity gives.
pub(crate) async fn read<S>(client: &Client<S>, kind: Kind) -> Vec<Kind> {
    let entities = client
        .read(vec![Entity { entity: Some(kind) }])
        .await
        .expect("read");
    let entities = entities.collect().await.expect("collected");
    entities
        .into_iter()
        .filter_map(|entity| entity.entity)
        .collect()
}

/// The entries of a table, sorted by their bytes.
pub(crate) async fn entries<S>(client: &Client<S>, table_id: u32) -> Vec<TableEntry> {
    let query = TableEntry {
        table_id,
        ..TableEntry::default()
    };
    let mut found: Vec<_> = read(client, Kind::TableEntry(query))
        .await
        .into_iter()
        .map(|kind| match kind {
            Kind::TableEntry(entry) => entry,
            other => panic!("not a table entry: {other:?}"),
        })
        .collect();
    found.sort_by_key(prost::Message::encode_to_vec);
    found
}

/// An Ethernet frame of 60 bytes.
pub(crate) fn frame(destination: u64, source: u64, kind: u16) -> Vec<u8> {
    let mut frame = destination.to_be_bytes()[2..].to_vec();
    frame.extend_from_slice(&source.to_be_bytes()[2..]);
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.resize(60, 0);
    frame
}
