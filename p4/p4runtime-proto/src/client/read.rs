//! Reads, which come in pieces (P4Runtime 13).

use thiserror::Error;
use tonic::{Status, Streaming};

use super::Client;
use crate::p4::v1::{
    CounterData, Entity, ReadRequest, ReadResponse, TableEntry, entity::Entity as Kind,
};

/// Why a read has no (further) answer.
#[derive(Debug, Error)]
#[error("The read failed ({:?}): {}", source.code(), source.message())]
pub struct ReadError {
    /// What the server said.
    pub source: Box<Status>,
}

impl From<Status> for ReadError {
    fn from(status: Status) -> Self {
        Self {
            source: Box::new(status),
        }
    }
}

/// The entities that a read gives, piece by piece.
#[derive(Debug)]
pub struct Entities(Streaming<ReadResponse>);

impl Entities {
    /// The next piece as the server cut it; `None` at the end.
    ///
    /// # Errors
    /// The server's status.
    pub async fn next(&mut self) -> Result<Option<Vec<Entity>>, ReadError> {
        Ok(self.0.message().await?.map(|piece| piece.entities))
    }

    /// All that is left.
    ///
    /// # Errors
    /// The server's status.
    pub async fn collect(mut self) -> Result<Vec<Entity>, ReadError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend(piece);
        }
        Ok(all)
    }
}

impl<S> Client<S> {
    /// Reads what matches any of `entities`; default values are wildcards (P4Runtime 13.1).
    ///
    /// # Errors
    /// The server's status.
    pub async fn read(&self, entities: Vec<Entity>) -> Result<Entities, ReadError> {
        let request = ReadRequest {
            device_id: self.device_id,
            role: String::new(),
            entities,
        };
        Ok(Entities(
            self.grpc.clone().read(request).await?.into_inner(),
        ))
    }

    /// Reads the entries of one table (of all tables if `table_id` is 0), default entries aside.
    ///
    /// # Errors
    /// The server's status.
    pub async fn read_table(&self, table_id: u32, counters: bool) -> Result<Entities, ReadError> {
        let entry = TableEntry {
            table_id,
            counter_data: counters.then(CounterData::default),
            ..TableEntry::default()
        };
        self.read(vec![Entity {
            entity: Some(Kind::TableEntry(entry)),
        }])
        .await
    }
}
