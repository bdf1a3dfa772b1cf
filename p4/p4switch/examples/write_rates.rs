//! Measures how many entries a second a switch takes and gives, over loopback.
//!
//! `cargo run --release -p p4switch --example write_rates [ADDRESS]`; without an address it starts a
//! switch in process; with one it measures any P4Runtime server that runs `switch.p4` of the tests'
//! programs (bmv2 in the same session, for instance). Requests are encoded beforehand, so that the
//! client costs little. `--small` leaves the million of entries out, `--million` all the others.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool")]

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use p4runtime_proto::{
    Client, ElectionId,
    bytestring::encode,
    client::Ready,
    p4::{
        config::v1::P4Info,
        v1::{
            Action, Entity, FieldMatch, ForwardingPipelineConfig, TableAction, TableEntry, Uint128,
            Update, WriteRequest,
            action::Param,
            entity::Entity as Kind,
            field_match::{self, FieldMatchType},
            table_action,
            update::Type,
        },
    },
};
use p4switch::{Config, Switch};
use prost::Message as _;
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

const JSON: &str = include_str!("../tests/programs/switch.json");
const P4INFO: &[u8] = include_bytes!("../tests/programs/switch.p4info.bin");
const DEVICE: u64 = 1;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let given = std::env::args()
        .nth(1)
        .filter(|first| !first.starts_with("--"));
    let started = match &given {
        Some(_) => None,
        None => Some(Switch::start(Config::default()).unwrap()),
    };
    let address = match (&given, &started) {
        (Some(address), _) => address.clone(),
        (None, Some(switch)) => switch.grpc_addr().to_string(),
        (None, None) => return,
    };
    runtime.block_on(measure(&address));
}

async fn measure(address: &str) {
    let own = !std::env::args().any(|argument| argument == "--small");
    let only_million = std::env::args().any(|argument| argument == "--million");
    let kinds = [("exact", 100_000_u64), ("lpm", 60_000), ("ternary", 10_000)];
    for (kind, total) in kinds.into_iter().filter(|_| !only_million) {
        for (batch, flight) in [(1, 1), (1, 8), (100, 1), (1000, 1)] {
            let total = if batch == 1 { 5000 } else { total };
            let mut rates: Vec<_> = Vec::new();
            for _ in 0..5 {
                let client = fresh(address).await;
                rates.push(insert(&client, address, kind, total, batch, flight).await);
            }
            rates.sort_by(f64::total_cmp);
            println!(
                "insert {kind:8} batch {batch:4}, {flight} in flight: {:9.0} entries/s (of 5: {:.0} \
                 to {:.0})",
                rates[2], rates[0], rates[4]
            );
        }
    }
    if !own {
        return;
    }
    let mut client = fresh(address).await;
    for _ in 0..3 {
        let rate = insert(&client, address, "exact", 1_000_000, 1000, 1).await;
        println!("insert exact    batch 1000, a million  : {rate:9.0} entries/s");
        drop(client);
        client = fresh(address).await;
    }
    insert(&client, address, "exact", 1_000_000, 1000, 2).await;
    let begun = Instant::now();
    let mut answers = client.read_table(0x0200_0001, false).await.unwrap();
    let mut count = 0;
    while let Some(piece) = answers.next().await.unwrap() {
        count += piece.len();
    }
    println!("read  {count} entries: {:?}", begun.elapsed());
}

async fn fresh(address: &str) -> Client<Ready> {
    let config = || ForwardingPipelineConfig {
        p4info: Some(P4Info::decode(P4INFO).unwrap()),
        p4_device_config: JSON.into(),
        cookie: None,
    };
    // The stream of the client before may not be closed yet.
    loop {
        let client = Client::connect(address, DEVICE).await.unwrap();
        match client.primary("", ElectionId(1)).await {
            Ok(client) => return client.set_pipeline(config()).await.unwrap(),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
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

async fn insert(
    _primary: &Client<Ready>,
    address: &str,
    kind: &str,
    total: u64,
    batch: usize,
    flight: usize,
) -> f64 {
    let all: Vec<u64> = (0..total).collect();
    let request = |part: &[u64]| {
        let request = WriteRequest {
            device_id: DEVICE,
            election_id: Some(Uint128 { high: 0, low: 1 }),
            updates: part.iter().map(|number| update(kind, *number)).collect(),
            ..WriteRequest::default()
        };
        Bytes::from(request.encode_to_vec())
    };
    let mut requests: Vec<Bytes> = all.chunks(batch).map(request).collect();
    requests.reverse();
    let requests = Mutex::new(requests);
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.tcp_nodelay(true).connect().await.unwrap();
    let begun = Instant::now();
    let worker = async || {
        let mut grpc = Grpc::new(channel.clone());
        loop {
            let Some(request) = requests.lock().unwrap().pop() else {
                return;
            };
            grpc.ready().await.unwrap();
            let path = PathAndQuery::from_static("/p4.v1.P4Runtime/Write");
            let request = tonic::Request::new(request);
            let _: tonic::Response<usize> = grpc.unary(request, path, Raw).await.unwrap();
        }
    };
    futures::future::join_all((0..flight).map(|_| worker())).await;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = total as f64 / begun.elapsed().as_secs_f64();
    rate
}

fn update(kind: &str, number: u64) -> Update {
    let value = |value: u64| encode(value.into());
    let (table_id, priority, field) = match kind {
        "exact" => {
            let exact = field_match::Exact {
                value: value(0x0200_0000_0000 | number),
            };
            (0x0200_0001, 0, FieldMatchType::Exact(exact))
        }
        "lpm" => {
            let lpm = field_match::Lpm {
                value: value(number << 8),
                prefix_len: 24,
            };
            (0x0200_0002, 0, FieldMatchType::Lpm(lpm))
        }
        _ => {
            let mask = 0xff_ffff << (number % 8);
            let ternary = field_match::Ternary {
                value: value((number << (number % 8)) & mask),
                mask: value(mask),
            };
            (
                0x0200_0003,
                i32::try_from(number + 1).unwrap(),
                FieldMatchType::Ternary(ternary),
            )
        }
    };
    let p4info = FORWARD.with(|id| *id);
    let action = Action {
        action_id: p4info,
        params: vec![Param {
            param_id: 1,
            value: value(number % 500),
        }],
    };
    let entry = TableEntry {
        table_id,
        priority,
        r#match: vec![FieldMatch {
            field_id: 1,
            field_match_type: Some(field),
        }],
        action: Some(TableAction {
            r#type: Some(table_action::Type::Action(action)),
        }),
        ..TableEntry::default()
    };
    let entity = Some(Entity {
        entity: Some(Kind::TableEntry(entry)),
    });
    Update {
        r#type: Type::Insert.into(),
        entity,
    }
}

thread_local! {
    static FORWARD: u32 = {
        let p4info = P4Info::decode(P4INFO).unwrap();
        let mut preambles = p4info.actions.iter().filter_map(|action| action.preamble.as_ref());
        preambles.find(|preamble| preamble.alias == "forward").unwrap().id
    };
}
