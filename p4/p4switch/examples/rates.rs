//! Measures how many entries a second a switch takes and gives, over loopback.
//!
//! `cargo run --release -p p4switch --example rates [ADDRESS]`; without an address it starts a
//! switch in process. One request is in flight unless said. The requests are made beforehand.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool")]

use std::time::{Duration, Instant};

use p4runtime_proto::{
    Client, ElectionId,
    bytestring::encode,
    client::Ready,
    p4::{
        config::v1::P4Info,
        v1::{
            Action, Entity, FieldMatch, ForwardingPipelineConfig, TableAction, TableEntry, Update,
            action::Param,
            entity::Entity as Kind,
            field_match::{self, FieldMatchType},
            table_action,
            update::Type,
            write_request::Atomicity,
        },
    },
};
use p4switch::{Config, Switch};
use prost::Message as _;

const JSON: &str = include_str!("../tests/programs/switch.json");
const P4INFO: &[u8] = include_bytes!("../tests/programs/switch.p4info.bin");

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let given = std::env::args().nth(1);
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
    for (kind, total) in [("exact", 100_000_u64), ("lpm", 60_000), ("ternary", 20_000)] {
        for batch in [1, 100, 1000] {
            let total = if batch == 1 { 5000 } else { total };
            let mut rates: Vec<_> = Vec::new();
            for _ in 0..5 {
                let client = fresh(address).await;
                rates.push(insert(&client, kind, total, batch, 1).await);
            }
            rates.sort_by(f64::total_cmp);
            println!(
                "insert {kind:8} batch {batch:4}: {:9.0} entries/s (of 5: {:.0} to {:.0})",
                rates[2], rates[0], rates[4]
            );
        }
    }
    let client = fresh(address).await;
    println!(
        "insert exact    batch    1, 8 in flight: {:9.0} entries/s",
        insert(&client, "exact", 20_000, 1, 8).await
    );
    let client = fresh(address).await;
    println!(
        "insert exact    batch  100, 4 in flight: {:9.0} entries/s",
        insert(&client, "exact", 200_000, 100, 4).await
    );
    let client = fresh(address).await;
    let first = insert(&client, "exact", 1_000_000, 1000, 1).await;
    println!("insert exact    batch 1000, a million  : {first:9.0} entries/s");
    let begun = Instant::now();
    let mut answers = client.read_table(0x0200_0001, false).await.unwrap();
    let mut count = 0;
    while let Some(piece) = answers.next().await.unwrap() {
        count += piece.len();
    }
    println!("read  {count} entries: {:?}", begun.elapsed());
}

async fn fresh(address: &str) -> Client<Ready> {
    let client = Client::connect(address, 1).await.unwrap();
    let config = ForwardingPipelineConfig {
        p4info: Some(P4Info::decode(P4INFO).unwrap()),
        p4_device_config: JSON.into(),
        cookie: None,
    };
    let client = client.primary("", ElectionId(1)).await;
    // The stream of the client before may not be closed yet.
    let client = match client {
        Ok(client) => client,
        Err(_) => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Client::connect(address, 1)
                .await
                .unwrap()
                .primary("", ElectionId(1))
                .await
                .unwrap()
        }
    };
    client.set_pipeline(config).await.unwrap()
}

async fn insert(
    client: &Client<Ready>,
    kind: &str,
    total: u64,
    batch: usize,
    flight: usize,
) -> f64 {
    let all: Vec<u64> = (0..total).collect();
    let mut batches: Vec<Vec<Update>> = all
        .chunks(batch)
        .map(|part| part.iter().map(|number| update(kind, *number)).collect())
        .collect();
    batches.reverse();
    let batches = std::sync::Mutex::new(batches);
    let begun = Instant::now();
    let worker = async || {
        loop {
            let Some(updates) = batches.lock().unwrap().pop() else {
                return;
            };
            client
                .write(updates, Atomicity::ContinueOnError)
                .await
                .unwrap();
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
