//! What the switch itself says: its entries and its drop counters, read over P4Runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use p4_tables::DropReason;
use p4runtime_proto::Client;
use p4runtime_proto::p4::config::v1::P4Info;
use p4runtime_proto::p4::v1::{CounterEntry, Entity, entity};
use prost::Message;

use super::DemoError;
use crate::lab::LabError;
use crate::lab::namespaces::Drops;

/// The counter of drops by reason, as the pipeline names it.
const DROP_COUNTER: &str = "drop_reason";

/// A connection that only reads.
#[derive(Debug)]
pub(super) struct Device {
    client: Client,
    counter: u32,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Device {
    /// Reads the switch at `address`.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, DemoError> {
        let connect = async {
            let info = P4Info::decode(p4_tables::P4INFO_BINARY)?;
            let named = info.counters.iter().find_map(|counter| {
                let preamble = counter.preamble.as_ref()?;
                (preamble.alias == DROP_COUNTER).then_some(preamble.id)
            });
            let counter = named.ok_or("the pipeline has no counter of drops")?;
            let client = Client::connect(&format!("http://{address}"), 0).await?;
            Result::<_, Cause>::Ok(Self { client, counter })
        };
        connect.await.map_err(DemoError::Device)
    }

    /// All entries, each as its bytes on the wire.
    pub(super) async fn entries(&self) -> Result<BTreeSet<Vec<u8>>, DemoError> {
        let read = async {
            let entries = self.client.read_table(0, false).await?.collect().await?;
            Result::<_, Cause>::Ok(entries.iter().map(Message::encode_to_vec).collect())
        };
        read.await.map_err(DemoError::Device)
    }

    /// Frames that were dropped, by reason.
    pub(super) async fn drops(&self) -> Result<BTreeMap<&'static str, u64>, DemoError> {
        let cells = self.cells().await.map_err(DemoError::Device)?;
        let named = cells.into_iter().filter(|(_, packets)| *packets > 0);
        Ok(named
            .map(|(reason, packets)| (reason.name(), packets))
            .collect())
    }

    async fn cells(&self) -> Result<Vec<(DropReason, u64)>, Cause> {
        let all = CounterEntry {
            counter_id: self.counter,
            ..CounterEntry::default()
        };
        let wanted = Entity {
            entity: Some(entity::Entity::CounterEntry(all)),
        };
        let entities = self.client.read(vec![wanted]).await?.collect().await?;
        let mut cells = Vec::new();
        for entity in entities {
            let Some(entity::Entity::CounterEntry(cell)) = entity.entity else {
                continue;
            };
            let index = cell.index.map_or(0, |index| index.index);
            let packets = cell.data.map_or(0, |data| data.packet_count);
            let reason = u8::try_from(index).ok().and_then(DropReason::from_index);
            if let (Some(reason), Ok(packets)) = (reason, u64::try_from(packets)) {
                cells.push((reason, packets));
            }
        }
        Ok(cells)
    }
}

impl Drops for Device {
    async fn dropped(&mut self) -> Result<u64, LabError> {
        let cells = self.cells().await.map_err(LabError::Counters)?;
        let drops = cells.into_iter().filter(|(reason, _)| is_drop(*reason));
        Ok(drops.map(|(_, packets)| packets).sum())
    }
}

/// Two cells count what is no drop.
fn is_drop(reason: DropReason) -> bool {
    !matches!(
        reason,
        DropReason::None | DropReason::ConnectionTableFull | DropReason::NeighbourAnswered
    )
}
