//! Records: length, checksum, kind, content.

use crate::link::SessionId;

/// Version of the records.
const VERSION: u8 = 1;
/// Length, checksum and kind.
const HEADER: usize = 9;

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Record<'a> {
    /// The session, and the sequence number that follows the state.
    Head {
        /// The session.
        id: SessionId,
        /// Sequence number.
        next: u64,
    },
    /// A message of the compacted state.
    State(&'a [u8]),
    /// The state is complete.
    Complete,
    /// A frame that came after it.
    Frame(&'a [u8]),
}

pub(super) fn write(record: Record<'_>, out: &mut Vec<u8>) {
    let head;
    let (kind, content): (u8, &[u8]) = match record {
        Record::Head { id, next } => {
            let mut content = vec![VERSION];
            content.extend_from_slice(&id.0);
            content.extend_from_slice(&next.to_le_bytes());
            head = content;
            (1, &head)
        }
        Record::State(body) => (2, body),
        Record::Complete => (3, &[]),
        Record::Frame(body) => (4, body),
    };
    // Bodies are bounded far below this by the codec.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(kind, content).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(content);
}

/// Reads records up to the first that is not whole.
pub(super) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// Where the last record ended.
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let rest = self.all.get(self.at..)?;
        let ([l0, l1, l2, l3, c0, c1, c2, c3, kind], rest) = rest.split_first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_le_bytes([*l0, *l1, *l2, *l3])).ok()?;
        let content = rest.get(..length)?;
        if checksum(*kind, content) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
            return None;
        }
        let record = match kind {
            1 => head(content)?,
            2 => Record::State(content),
            3 => Record::Complete,
            4 => Record::Frame(content),
            _ => return None,
        };
        self.at += HEADER + length;
        Some(record)
    }
}

fn head(content: &[u8]) -> Option<Record<'_>> {
    let ([version], content) = content.split_first_chunk()?;
    let (id, content) = content.split_first_chunk()?;
    let (next, content) = content.split_first_chunk()?;
    (*version == VERSION && content.is_empty()).then_some(Record::Head {
        id: SessionId(*id),
        next: u64::from_le_bytes(*next),
    })
}

/// FNV-1a over kind and content, folded to 32 bits: it has to tell a torn record from a whole one,
/// not to withstand anybody.
fn checksum(kind: u8, content: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in std::iter::once(&kind).chain(content) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h])
}
