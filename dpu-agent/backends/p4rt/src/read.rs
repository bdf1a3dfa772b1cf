//! Reads: rows, entry counters, drop counters, as they stream in.

use dpu_backend::{CounterValue, DeviceError, EntryCounter, Sink};
use p4runtime_proto::client::{Entities, ReadError};
use p4runtime_proto::p4::v1::{CounterEntry, Entity, TableEntry, entity::Entity as Kind};
use table_model::{ActionSchema, Row, RowKey, TableId};
use tonic::Code;

use crate::codec::{self, CodecError};
use crate::connection::P4rt;

impl P4rt {
    pub(crate) async fn read_rows(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, Row>,
    ) -> Result<(), DeviceError> {
        let schema = self.pipeline.schema.clone();
        let shape = schema
            .table(table)
            .map_err(|error| self.answer(&error.into()))?;
        let default = shape.fields.is_empty();
        let wanted = TableEntry {
            table_id: table.0,
            is_default_action: default,
            meter_config: shape
                .actions
                .iter()
                .any(ActionSchema::is_metered)
                .then(Default::default),
            ..TableEntry::default()
        };
        let initial = self.pipeline.initial.get(&table).cloned();
        let written = self.defaults.contains(&table);
        self.stream(vec![Kind::TableEntry(wanted)], |piece| {
            let mut rows = Vec::with_capacity(piece.len());
            for entity in piece {
                let Some(Kind::TableEntry(entry)) = entity.entity else {
                    continue;
                };
                // Servers differ in whether a wildcard gives the default entry as well.
                if entry.is_default_action != default {
                    continue;
                }
                if let Some(row) = codec::decode(&schema, &entry)? {
                    let untouched = default && !written && initial.as_ref() == Some(&row.action);
                    if !untouched {
                        rows.push(row);
                    }
                }
            }
            sink(rows);
            Ok(())
        })
        .await
    }

    pub(crate) async fn read_counters(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        let schema = self.pipeline.schema.clone();
        let shape = schema
            .table(table)
            .map_err(|error| self.answer(&error.into()))?;
        if !shape.counted {
            return Ok(());
        }
        let wanted = TableEntry {
            table_id: table.0,
            counter_data: Some(Default::default()),
            ..TableEntry::default()
        };
        self.stream(vec![Kind::TableEntry(wanted)], |piece| {
            let mut counters = Vec::with_capacity(piece.len());
            for entity in piece {
                let Some(Kind::TableEntry(entry)) = entity.entity else {
                    continue;
                };
                if let (false, Some(data)) = (entry.is_default_action, &entry.counter_data) {
                    counters.push(EntryCounter {
                        key: codec::decode_key(shape, &entry)?,
                        value: codec::decode_counter(data),
                    });
                }
            }
            sink(counters);
            Ok(())
        })
        .await
    }

    /// One question for all of them, which a target answers without looking at the rest of a table.
    pub(crate) async fn read_counters_of(
        &mut self,
        keys: &[RowKey],
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        let schema = self.pipeline.schema.clone();
        for keys in keys.chunks(self.target.batch.max(1)) {
            let wanted: Result<Vec<Kind>, _> = keys
                .iter()
                .map(|key| codec::encode_counter(&schema, key).map(Kind::TableEntry))
                .collect();
            let wanted = wanted.map_err(|error| self.answer(&error.into()))?;
            self.stream(wanted, |piece| {
                let mut counters = Vec::with_capacity(piece.len());
                for entity in piece {
                    let Some(Kind::TableEntry(entry)) = entity.entity else {
                        continue;
                    };
                    let shape = schema.table(TableId(entry.table_id))?;
                    if let (false, Some(data)) = (entry.is_default_action, &entry.counter_data) {
                        counters.push(EntryCounter {
                            key: codec::decode_key(shape, &entry)?,
                            value: codec::decode_counter(data),
                        });
                    }
                }
                sink(counters);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn read_drop_counters(&mut self) -> Result<Vec<CounterValue>, DeviceError> {
        let Some(counter) = self.pipeline.drop_counter else {
            return Ok(Vec::new());
        };
        let wanted = CounterEntry {
            counter_id: counter,
            index: None,
            data: None,
        };
        let mut counters: Vec<CounterValue> = Vec::new();
        self.stream(vec![Kind::CounterEntry(wanted)], |piece| {
            for entity in piece {
                let Some(Kind::CounterEntry(entry)) = entity.entity else {
                    continue;
                };
                // An index that no reason can have would be another counter's.
                let index = entry.index.map_or(0, |index| index.index);
                if let (Ok(index @ 0..=0xffff), Some(data)) = (usize::try_from(index), entry.data) {
                    if counters.len() <= index {
                        counters.resize(index + 1, CounterValue::default());
                    }
                    counters[index] = codec::decode_counter(&data);
                }
            }
            Ok(())
        })
        .await?;
        Ok(counters)
    }

    /// Reads what matches and hands over each piece as the server cut it.
    async fn stream(
        &mut self,
        wanted: Vec<Kind>,
        mut take: impl FnMut(Vec<Entity>) -> Result<(), CodecError> + Send,
    ) -> Result<(), DeviceError> {
        let client = self.session()?.client.clone();
        let deadline = self.target.deadline;
        let wanted = wanted
            .into_iter()
            .map(|kind| Entity { entity: Some(kind) })
            .collect();
        let mut entities = match tokio::time::timeout(deadline, client.read(wanted)).await {
            Ok(Ok(entities)) => entities,
            Ok(Err(error)) => return Err(self.read_failed(&error)),
            Err(_) => return Err(self.silent()),
        };
        loop {
            match tokio::time::timeout(deadline, Entities::next(&mut entities)).await {
                Ok(Ok(Some(piece))) => take(piece).map_err(|error| self.answer(&error))?,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(self.read_failed(&error)),
                Err(_) => return Err(self.silent()),
            }
        }
    }

    /// A server that does not answer is as good as gone.
    fn silent(&mut self) -> DeviceError {
        self.session = None;
        self.broken(format!(
            "no answer to a read within {:?}",
            self.target.deadline
        ))
    }

    fn read_failed(&mut self, error: &ReadError) -> DeviceError {
        let code = error.source.code();
        // No pipeline, or no connection: what stands can only be known from the start.
        if matches!(
            code,
            Code::Unavailable | Code::Cancelled | Code::FailedPrecondition
        ) {
            self.session = None;
            return self.broken(error.to_string());
        }
        DeviceError::Read {
            target: self.target.address.clone(),
            text: error.to_string(),
        }
    }

    fn answer(&self, error: &CodecError) -> DeviceError {
        DeviceError::Answer {
            target: self.target.address.clone(),
            text: error.to_string(),
        }
    }
}
