//! Changes cut into messages that gRPC takes, and put together again.
//!
//! gRPC refuses messages above 4 MiB by default; chunks stay below [`CHUNK_BYTES`].

use std::iter;

use table_model::{Generation, Phase, Row, TableDelta, TableSnapshot, Update};
use thiserror::Error;

use crate::types::{DeltaChunk, SnapshotChunk};

/// What a chunk may weigh, estimated from above.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Tags, lengths and ids around the bytes of one update.
const UPDATE_OVERHEAD: usize = 40;

fn row_bytes(row: &Row) -> usize {
    UPDATE_OVERHEAD + row.key.bytes.len() + row.action.params.len()
}

fn update_bytes(update: &Update) -> usize {
    match update {
        Update::Insert(row) | Update::Modify(row) => row_bytes(row),
        Update::Delete(key) => UPDATE_OVERHEAD + key.bytes.len(),
    }
}

/// Cuts a whole state. There is always a first and a last chunk, if need be the same.
pub fn snapshot_chunks<'a>(
    generation: Generation,
    rows: impl Iterator<Item = Row> + 'a,
) -> impl Iterator<Item = SnapshotChunk> + 'a {
    let mut rows = rows.peekable();
    let mut begin = true;
    let mut done = false;
    iter::from_fn(move || {
        if done {
            return None;
        }
        let mut chunk = SnapshotChunk {
            generation,
            begin,
            end: false,
            rows: Vec::new(),
        };
        begin = false;
        let mut weight = 0;
        while weight < CHUNK_BYTES
            && let Some(row) = rows.next()
        {
            weight += row_bytes(&row);
            chunk.rows.push(row);
        }
        chunk.end = rows.peek().is_none();
        done = chunk.end;
        Some(chunk)
    })
}

/// Cuts a change. There is always a last chunk.
#[must_use]
pub fn delta_chunks(delta: TableDelta) -> Vec<DeltaChunk> {
    let TableDelta {
        base,
        generation,
        phases,
    } = delta;
    let empty = || DeltaChunk {
        base,
        generation,
        parts: Vec::new(),
        last: false,
    };
    let mut chunks = Vec::new();
    let mut chunk = empty();
    let mut weight = 0;
    for (number, phase) in (0_u32..).zip(phases) {
        for update in phase.updates {
            if weight >= CHUNK_BYTES {
                chunks.push(std::mem::replace(&mut chunk, empty()));
                weight = 0;
            }
            weight += update_bytes(&update);
            match chunk.parts.last_mut() {
                Some((there, updates)) if *there == number => updates.push(update),
                _ => chunk.parts.push((number, vec![update])),
            }
        }
    }
    chunk.last = true;
    chunks.push(chunk);
    chunks
}

/// What a chunk completed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A whole state.
    Snapshot(Generation, TableSnapshot),
    /// A change.
    Delta(TableDelta),
}

/// Why chunks do not fit together. The stream is to be closed: the two sides disagree.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ChunkError {
    /// A chunk that is not a first one, with nothing begun.
    #[error("Snapshot chunk of generation {0} without a beginning")]
    NoBegin(u64),
    /// A chunk of another change than the one that is open.
    #[error("Chunk of generation {given} inside the change to generation {open}")]
    Mixed {
        /// Begun.
        open: u64,
        /// Arrived.
        given: u64,
    },
    /// Phases out of order.
    #[error("Phase {given} follows phase {last} in the change to generation {generation}")]
    PhaseOrder {
        /// The change.
        generation: u64,
        /// The phase before.
        last: u32,
        /// Arrived.
        given: u32,
    },
    /// A key twice in one snapshot.
    #[error("The snapshot of generation {generation} has a key of table {table:#010x} twice")]
    Twice {
        /// The snapshot.
        generation: u64,
        /// Table of the key.
        table: u32,
    },
}

/// Puts chunks together. One for each stream; dropping it drops what is not complete, so a stream
/// that breaks in the middle changes nothing.
#[derive(Debug, Default)]
pub struct Assembler {
    snapshot: Option<(Generation, TableSnapshot)>,
    delta: Option<(TableDelta, u32)>,
}

impl Assembler {
    /// Takes a chunk of a whole state; gives the state with the last one.
    ///
    /// # Errors
    /// See [`ChunkError`].
    pub fn snapshot(&mut self, chunk: SnapshotChunk) -> Result<Option<Change>, ChunkError> {
        let SnapshotChunk {
            generation,
            begin,
            end,
            rows,
        } = chunk;
        if begin {
            // A whole state that the server asked for may cut a change short.
            self.delta = None;
            self.snapshot = Some((generation, TableSnapshot::new()));
        }
        if let Some((open, _)) = &self.delta {
            return Err(ChunkError::Mixed {
                open: open.generation.0,
                given: generation.0,
            });
        }
        let Some((open, state)) = &mut self.snapshot else {
            return Err(ChunkError::NoBegin(generation.0));
        };
        if *open != generation {
            return Err(ChunkError::Mixed {
                open: open.0,
                given: generation.0,
            });
        }
        for row in rows {
            let table = row.key.table.0;
            if state.put(row).is_some() {
                return Err(ChunkError::Twice {
                    generation: generation.0,
                    table,
                });
            }
        }
        if !end {
            return Ok(None);
        }
        Ok(self
            .snapshot
            .take()
            .map(|(generation, state)| Change::Snapshot(generation, state)))
    }

    /// Takes a chunk of a change; gives the change with the last one.
    ///
    /// # Errors
    /// See [`ChunkError`].
    pub fn delta(&mut self, chunk: DeltaChunk) -> Result<Option<Change>, ChunkError> {
        let DeltaChunk {
            base,
            generation,
            parts,
            last,
        } = chunk;
        if let Some((open, _)) = &self.snapshot {
            return Err(ChunkError::Mixed {
                open: open.0,
                given: generation.0,
            });
        }
        let (delta, phase) = self.delta.get_or_insert_with(|| {
            let delta = TableDelta {
                base,
                generation,
                phases: Vec::new(),
            };
            (delta, 0)
        });
        if delta.generation != generation || delta.base != base {
            return Err(ChunkError::Mixed {
                open: delta.generation.0,
                given: generation.0,
            });
        }
        for (number, updates) in parts {
            if number < *phase {
                return Err(ChunkError::PhaseOrder {
                    generation: generation.0,
                    last: *phase,
                    given: number,
                });
            }
            match delta.phases.last_mut() {
                Some(open) if number == *phase => open.updates.extend(updates),
                _ => delta.phases.push(Phase { updates }),
            }
            *phase = number;
        }
        if !last {
            return Ok(None);
        }
        Ok(self.delta.take().map(|(delta, _)| Change::Delta(delta)))
    }
}

#[cfg(test)]
mod tests;
