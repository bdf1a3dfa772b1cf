//! Requests that no honest client sends: mutations of good ones, and those that ask for memory.
//!
//! Good requests are kept in `tests/corpus`, one message a file, by the call that takes them; what
//! once broke the server belongs there too. `BLESS=1` writes those that are made here. The
//! mutations follow a seed, so a failure comes again; `MARGAY_FUZZ_REQUESTS` asks for more of them.
//! One long file, since half of it is a list of good requests.
#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use p4runtime_proto::{
    Client, ElectionId,
    bytestring::encode,
    p4::{
        config::v1::P4Info,
        v1::{
            Action, ActionProfileAction, ActionProfileActionSet, ActionProfileGroup,
            ActionProfileMember, BackupReplica, CloneSessionEntry, CounterData, CounterEntry,
            DigestEntry, DigestListAck, DirectCounterEntry, DirectMeterEntry, Entity, FieldMatch,
            ForwardingPipelineConfig, Index, MasterArbitrationUpdate, MeterConfig, MeterEntry,
            MulticastGroupEntry, P4Data, PacketMetadata, PacketOut, PacketReplicationEngineEntry,
            ReadRequest, RegisterEntry, Replica, SetForwardingPipelineConfigRequest,
            StreamMessageRequest, TableAction, TableEntry, Uint128, Update, ValueSetEntry,
            ValueSetMember, WriteRequest,
            action::Param,
            action_profile_group,
            digest_entry::Config as DigestConfig,
            entity::Entity as Kind,
            field_match::{self, FieldMatchType},
            p4_data::Data,
            packet_replication_engine_entry::Type as Replication,
            replica::PortKind,
            set_forwarding_pipeline_config_request::Action as Push,
            stream_message_request, table_action,
            table_entry::IdleTimeout,
            update::Type,
        },
    },
};
use p4switch::{Config, Handle, Switch};
use prost::Message;
use tonic::{
    Code, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

const JSON: &str = include_str!("programs/entities.json");
const P4INFO: &[u8] = include_bytes!("programs/entities.p4info.bin");
const DEVICE: u64 = 1;
/// The highest there is, so that no mutation of a claim deposes the primary.
const ID: Option<Uint128> = Some(Uint128 {
    high: u64::MAX,
    low: u64::MAX,
});

fn p4info() -> P4Info {
    P4Info::decode(P4INFO).expect("p4info decodes")
}

/// The id of an object by its short name.
fn id(alias: &str) -> u32 {
    let info = p4info();
    let preambles = (info.tables.into_iter().map(|object| object.preamble))
        .chain(info.actions.into_iter().map(|object| object.preamble))
        .chain(
            info.action_profiles
                .into_iter()
                .map(|object| object.preamble),
        )
        .chain(info.counters.into_iter().map(|object| object.preamble))
        .chain(info.meters.into_iter().map(|object| object.preamble))
        .chain(info.registers.into_iter().map(|object| object.preamble))
        .chain(info.value_sets.into_iter().map(|object| object.preamble))
        .chain(info.digests.into_iter().map(|object| object.preamble));
    let mut found = preambles.flatten().filter(|object| object.alias == alias);
    found.next().expect("an object of this name").id
}

fn call(name: &str, args: &[u128]) -> Action {
    let params = (1..).zip(args).map(|(param_id, value)| Param {
        param_id,
        value: encode(*value),
    });
    Action {
        action_id: id(name),
        params: params.collect(),
    }
}

fn field(field_id: u32, kind: FieldMatchType) -> FieldMatch {
    FieldMatch {
        field_id,
        field_match_type: Some(kind),
    }
}

fn exact(value: u128) -> FieldMatch {
    let value = encode(value);
    field(1, FieldMatchType::Exact(field_match::Exact { value }))
}

fn entry(table: &str, r#match: Vec<FieldMatch>, action: table_action::Type) -> TableEntry {
    TableEntry {
        table_id: id(table),
        r#match,
        action: Some(TableAction {
            r#type: Some(action),
        }),
        ..TableEntry::default()
    }
}

/// One of everything.
fn entities() -> Vec<Kind> {
    let direct = |name: &str, args: &[u128]| table_action::Type::Action(call(name, args));
    let rates = MeterConfig {
        cir: 1,
        cburst: 2,
        pir: 3,
        pburst: 4,
        eburst: 0,
    };
    let value = encode(0x0100);
    let lpm = field_match::Lpm {
        value: value.clone(),
        prefix_len: 8,
    };
    let ternary = field_match::Ternary {
        value,
        mask: encode(0xff00),
    };
    let range = field_match::Range {
        low: encode(2),
        high: encode(9),
    };
    let optional = field_match::Optional { value: encode(3) };
    let set = ActionProfileActionSet {
        action_profile_actions: vec![ActionProfileAction {
            action: Some(call("forward", &[3])),
            weight: 2,
            watch_kind: None,
        }],
        ..ActionProfileActionSet::default()
    };
    let metered = TableEntry {
        meter_config: Some(rates),
        counter_data: Some(CounterData {
            byte_count: 1,
            packet_count: 2,
        }),
        metadata: "m".into(),
        ..entry("by_meter", vec![exact(1)], direct("metered", &[1]))
    };
    let timed = TableEntry {
        idle_timeout_ns: 5_000_000,
        time_since_last_hit: None,
        ..entry("by_time", vec![exact(1)], direct("forward", &[1]))
    };
    let replicas = vec![Replica {
        port_kind: Some(PortKind::Port(vec![3].into())),
        instance: 1,
        backup_replicas: vec![BackupReplica {
            port: vec![4].into(),
            instance: 2,
        }],
    }];
    let replication = |kind| {
        Kind::PacketReplicationEngineEntry(PacketReplicationEngineEntry { r#type: Some(kind) })
    };
    let index = Some(Index { index: 1 });
    let member = |profile: &str| {
        Kind::ActionProfileMember(ActionProfileMember {
            action_profile_id: id(profile),
            member_id: 1,
            action: Some(call("forward", &[2])),
        })
    };
    vec![
        member("listed"),
        member("spread"),
        Kind::ActionProfileGroup(ActionProfileGroup {
            action_profile_id: id("spread"),
            group_id: 1,
            members: vec![action_profile_group::Member {
                member_id: 1,
                weight: 2,
                watch_kind: None,
            }],
            max_size: 4,
        }),
        Kind::TableEntry(entry(
            "by_member",
            vec![exact(1)],
            table_action::Type::ActionProfileMemberId(1),
        )),
        Kind::TableEntry(entry(
            "by_group",
            vec![exact(1)],
            table_action::Type::ActionProfileGroupId(1),
        )),
        Kind::TableEntry(entry(
            "by_set",
            vec![field(1, FieldMatchType::Lpm(lpm))],
            table_action::Type::ActionProfileActionSet(set),
        )),
        Kind::TableEntry(TableEntry {
            priority: 7,
            ..entry(
                "by_all",
                vec![
                    field(1, FieldMatchType::Ternary(ternary)),
                    field(2, FieldMatchType::Range(range)),
                    field(3, FieldMatchType::Optional(optional)),
                ],
                direct("forward", &[4]),
            )
        }),
        Kind::DirectCounterEntry(DirectCounterEntry {
            table_entry: Some(TableEntry {
                counter_data: None,
                meter_config: None,
                ..metered.clone()
            }),
            data: Some(CounterData {
                byte_count: 5,
                packet_count: 6,
            }),
        }),
        Kind::DirectMeterEntry(DirectMeterEntry {
            table_entry: Some(entry("by_meter", vec![exact(1)], direct("metered", &[1]))),
            config: Some(rates),
            counter_data: None,
        }),
        Kind::TableEntry(metered),
        Kind::TableEntry(timed),
        Kind::TableEntry(TableEntry {
            time_since_last_hit: Some(IdleTimeout::default()),
            table_id: id("by_time"),
            ..TableEntry::default()
        }),
        Kind::CounterEntry(CounterEntry {
            counter_id: id("total"),
            index,
            data: Some(CounterData {
                byte_count: 1,
                packet_count: 1,
            }),
        }),
        Kind::MeterEntry(MeterEntry {
            meter_id: id("limits"),
            index,
            config: Some(rates),
            counter_data: None,
        }),
        Kind::RegisterEntry(RegisterEntry {
            register_id: id("last_source"),
            index,
            data: Some(P4Data {
                data: Some(Data::Bitstring(vec![1, 2].into())),
            }),
        }),
        Kind::ValueSetEntry(ValueSetEntry {
            value_set_id: id("kinds"),
            members: vec![ValueSetMember {
                r#match: vec![exact(0x22f3)],
            }],
        }),
        Kind::DigestEntry(DigestEntry {
            digest_id: id("seen_t"),
            config: Some(DigestConfig {
                max_timeout_ns: 1000,
                max_list_size: 2,
                ack_timeout_ns: 1_000_000_000,
            }),
        }),
        replication(Replication::MulticastGroupEntry(MulticastGroupEntry {
            multicast_group_id: 5,
            replicas: replicas.clone(),
            metadata: "g".into(),
        })),
        replication(Replication::CloneSessionEntry(CloneSessionEntry {
            session_id: 5,
            replicas,
            class_of_service: 0,
            packet_length_bytes: 40,
        })),
    ]
}

/// The good requests, by the file names that they have in the corpus.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (at, kind) in entities().into_iter().enumerate() {
        let entity = Some(Entity { entity: Some(kind) });
        for change in [Type::Insert, Type::Modify, Type::Delete] {
            let request = WriteRequest {
                device_id: DEVICE,
                election_id: ID,
                updates: vec![Update {
                    r#type: change.into(),
                    entity: entity.clone(),
                }],
                ..WriteRequest::default()
            };
            let name = format!("write-{at:02}-{}", change.as_str_name().to_lowercase());
            seeds.push((name, request.encode_to_vec()));
        }
        let request = ReadRequest {
            device_id: DEVICE,
            entities: entity.into_iter().collect(),
            role: String::new(),
        };
        seeds.push((format!("read-{at:02}"), request.encode_to_vec()));
    }
    let push = SetForwardingPipelineConfigRequest {
        device_id: DEVICE,
        election_id: ID,
        action: Push::ReconcileAndCommit.into(),
        config: Some(ForwardingPipelineConfig {
            p4info: Some(p4info()),
            p4_device_config: JSON.into(),
            cookie: None,
        }),
        ..SetForwardingPipelineConfigRequest::default()
    };
    seeds.push(("pipeline".to_owned(), push.encode_to_vec()));
    let metadata = |metadata_id, value: u8| PacketMetadata {
        metadata_id,
        value: vec![value].into(),
    };
    for (name, update) in [
        (
            "stream-arbitration",
            stream_message_request::Update::Arbitration(MasterArbitrationUpdate {
                device_id: DEVICE,
                role: None,
                // Lower than that of the primary, so that this stays a backup.
                election_id: Some(Uint128 { high: 0, low: 0 }),
                status: None,
            }),
        ),
        (
            "stream-packet",
            stream_message_request::Update::Packet(PacketOut {
                payload: vec![0; 60].into(),
                metadata: vec![metadata(1, 3), metadata(2, 1)],
            }),
        ),
        (
            "stream-ack",
            stream_message_request::Update::DigestAck(DigestListAck {
                digest_id: id("seen_t"),
                list_id: 1,
            }),
        ),
    ] {
        let update = Some(update);
        let message = StreamMessageRequest { update };
        seeds.push((name.to_owned(), message.encode_to_vec()));
    }
    seeds
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let directory: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(&directory).expect("a directory");
        for (name, bytes) in seeds() {
            fs::write(directory.join(name), bytes).expect("written");
        }
    }
    let mut files: Vec<_> = fs::read_dir(&directory)
        .expect("the corpus")
        .map(|file| {
            let path = file.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("read"))
        })
        .collect();
    files.sort();
    assert!(files.len() > 50, "the corpus is not there");
    files
}

/// splitmix64: the same mutations each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }
}

/// A field of a message, taken apart as far as it looks like one.
#[derive(Clone)]
enum Part {
    Number(u64, u64),
    Bytes(u64, Vec<u8>),
    Message(u64, Vec<Part>),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn parse(mut bytes: &[u8], depth: usize) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (field, kind) = (tag >> 3, tag & 7);
        if field == 0 || field > 2000 {
            return None;
        }
        match kind {
            0 => parts.push(Part::Number(field, varint(&mut bytes)?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (own, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                let inner = (depth > 0 && !own.is_empty()).then(|| parse(own, depth - 1));
                parts.push(match inner.flatten() {
                    Some(inner) => Part::Message(field, inner),
                    None => Part::Bytes(field, own.to_vec()),
                });
            }
            _ => return None,
        }
    }
    Some(parts)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn render(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Number(field, value) => {
                put_varint(&mut out, field << 3);
                put_varint(&mut out, *value);
            }
            Part::Bytes(field, own) => put_bytes(&mut out, *field, own),
            Part::Message(field, inner) => put_bytes(&mut out, *field, &render(inner)),
        }
    }
    out
}

fn put_bytes(out: &mut Vec<u8>, field: u64, own: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, own.len() as u64);
    out.extend_from_slice(own);
}

const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    127,
    255,
    511,
    512,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0xffff_fffd,
    i64::MAX as u64,
    u64::MAX,
];

fn mutate(parts: &mut Vec<Part>, random: &mut Random) {
    if parts.is_empty() {
        parts.push(Part::Number(1 + random.next() % 8, random.next()));
        return;
    }
    let at = random.below(parts.len());
    // Mostly inside: requests whose device is wrong go nowhere.
    if let Part::Message(_, inner) = &mut parts[at]
        && random.below(4) != 0
    {
        return mutate(inner, random);
    }
    match random.below(6) {
        0 => drop(parts.remove(at)),
        1 => {
            let copy = parts[at].clone();
            parts.insert(at, copy);
        }
        2 => {
            let other = random.below(parts.len());
            parts.swap(at, other);
        }
        _ => match &mut parts[at] {
            Part::Number(field, value) => match random.below(3) {
                0 => *field = 1 + random.next() % 14,
                1 => *value = value.wrapping_add(random.next() % 5).wrapping_sub(2),
                _ => *value = NUMBERS[random.below(NUMBERS.len())],
            },
            Part::Bytes(field, own) => match random.below(5) {
                0 => *field = 1 + random.next() % 14,
                1 => own.clear(),
                2 => own.insert(0, 0),
                3 => own.resize(random.below(40), 0xff),
                _ => {
                    let at = random.below(own.len());
                    if let Some(byte) = own.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            },
            Part::Message(field, _) => *field = 1 + random.next() % 14,
        },
    }
}

/// A mutation of a good request.
fn mutation(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut parts = parse(seed, 8).expect("a good request parses");
    for _ in 0..1 + random.below(4) {
        mutate(&mut parts, random);
    }
    let mut bytes = render(&parts);
    // Now and then what is no message at all.
    if random.below(16) == 0 && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes.truncate(at);
    }
    bytes
}

/// Messages that are bytes already.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, room: &mut EncodeBuf<'_>) -> Result<(), Status> {
        room.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let length = bytes.remaining();
        bytes.advance(length);
        Ok(Some(length))
    }
}

async fn start() -> (
    Handle,
    Client<p4runtime_proto::client::Ready>,
    Grpc<Channel>,
) {
    let config = Config {
        cpu_port: Some(255),
        ..Config::default()
    };
    let switch = Switch::start(config).expect("started");
    let address = switch.grpc_addr().to_string();
    let client = Client::connect(&address, DEVICE).await.expect("connected");
    let client = client
        .primary("", ElectionId(u128::MAX))
        .await
        .expect("primary");
    let config = ForwardingPipelineConfig {
        p4info: Some(p4info()),
        p4_device_config: JSON.into(),
        cookie: None,
    };
    let client = client.set_pipeline(config).await.expect("set");
    let channel = Channel::from_shared(format!("http://{address}")).expect("an address");
    let channel = channel.connect().await.expect("connected");
    (switch, client, Grpc::new(channel))
}

async fn send(
    grpc: &mut Grpc<Channel>,
    path: &'static str,
    request: Vec<u8>,
) -> Result<(), Status> {
    grpc.ready().await.expect("ready");
    let path = PathAndQuery::from_static(path);
    let request = tonic::Request::new(tokio_stream::iter([Bytes::from(request)]));
    let mut answers = grpc.streaming(request, path, Raw).await?.into_inner();
    // A stream stays open; what it says first is enough.
    let wait = std::time::Duration::from_secs(20);
    while let Some(_length) = tokio::time::timeout(wait, answers.message())
        .await
        .expect("an answer in time")?
    {}
    Ok(())
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_requests_break_nothing() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
    let total = std::env::var("MARGAY_FUZZ_REQUESTS");
    let total = total.map_or(4000, |total| total.parse().expect("a number"));
    let corpus = corpus();
    let (switch, client, mut grpc) = start().await;
    let mut random = Random(0x6d61_7267_6179);
    let mut accepted = 0;
    for round in 0..total {
        let (name, seed) = &corpus[random.below(corpus.len())];
        let path = match name.split('-').next().unwrap_or_default() {
            "write" => "/p4.v1.P4Runtime/Write",
            "read" => "/p4.v1.P4Runtime/Read",
            "stream" => "/p4.v1.P4Runtime/StreamChannel",
            // Loading a program takes long.
            "pipeline" if round % 8 != 0 => continue,
            "pipeline" => "/p4.v1.P4Runtime/SetForwardingPipelineConfig",
            other => panic!("no call takes a {other}"),
        };
        // The good ones as they are, too: they fill the tables.
        let request = if random.below(3) == 0 {
            seed.clone()
        } else {
            mutation(seed, &mut random)
        };
        match send(&mut grpc, path, request.clone()).await {
            Ok(()) => accepted += 1,
            Err(status) => assert!(
                !matches!(status.code(), Code::Unavailable | Code::DataLoss),
                "{name}, request {round} {request:02x?}: {status:?}"
            ),
        }
        if random.below(8) == 0 {
            let mut frame: Vec<u8> = (0..random.below(80)).map(|_| random.byte()).collect();
            if let Some(branch) = frame.get_mut(1) {
                *branch %= 13;
            }
            let port = u16::try_from(random.below(520)).expect("small");
            drop(switch.inject(port, &frame));
        }
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{name}: {request:02x?}");
    }
    assert!(
        accepted > total / 20,
        "only {accepted} of {total} were accepted"
    );
    // It is alive, and what it holds can be read.
    assert!(client.capabilities().await.is_ok());
    for (name, seed) in corpus.iter().filter(|(name, _)| name.starts_with("read")) {
        let outcome = send(&mut grpc, "/p4.v1.P4Runtime/Read", seed.clone()).await;
        if let Err(status) = outcome {
            assert_eq!(status.code(), Code::Unknown, "{name}: {status:?}");
        }
    }
    switch.shutdown();
}

/// The most memory that the process ever had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    1024 * kilobytes
        .and_then(|text| text.parse::<usize>().ok())
        .expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_parts_do_not_blow_requests_up() {
    let (switch, client, mut grpc) = start().await;
    let before = peak();
    // Empty updates, entities and tables of two bytes each.
    let mut write = WriteRequest {
        device_id: DEVICE,
        election_id: ID,
        ..WriteRequest::default()
    }
    .encode_to_vec();
    write.extend([0x22, 0].repeat(8 << 20));
    let outcome = send(&mut grpc, "/p4.v1.P4Runtime/Write", write).await;
    assert_eq!(
        outcome.expect_err("too many").code(),
        Code::ResourceExhausted
    );
    let mut read = ReadRequest {
        device_id: DEVICE,
        ..ReadRequest::default()
    }
    .encode_to_vec();
    read.extend([0x12, 0].repeat(1 << 20));
    let outcome = send(&mut grpc, "/p4.v1.P4Runtime/Read", read).await;
    assert_eq!(
        outcome.expect_err("too many").code(),
        Code::ResourceExhausted
    );
    let tables = [0x12, 0].repeat(8 << 20);
    let mut config = vec![0x0a];
    put_varint(&mut config, tables.len() as u64);
    config.extend(tables);
    let mut push = SetForwardingPipelineConfigRequest {
        device_id: DEVICE,
        election_id: ID,
        action: Push::VerifyAndCommit.into(),
        ..SetForwardingPipelineConfigRequest::default()
    }
    .encode_to_vec();
    put_bytes(&mut push, 5, &config);
    let path = "/p4.v1.P4Runtime/SetForwardingPipelineConfig";
    let outcome = send(&mut grpc, path, push).await;
    assert_eq!(
        outcome.expect_err("too large").code(),
        Code::ResourceExhausted
    );
    // What is larger than any request may be is not even read.
    let outcome = send(&mut grpc, "/p4.v1.P4Runtime/Write", vec![0; 65 << 20]).await;
    let code = outcome.expect_err("too large").code();
    assert!(
        matches!(code, Code::OutOfRange | Code::ResourceExhausted),
        "{code}"
    );
    let grown = peak().saturating_sub(before);
    // The requests themselves, on both sides, and a list of their parts.
    assert!(grown < 1 << 30, "{} MiB", grown >> 20);
    assert!(client.capabilities().await.is_ok());
    switch.shutdown();
}
