//! The state of a session in the fewest messages: the latest one for each key, and each IP set with
//! its deltas folded in.
//!
//! Playing a mirror gives the same model as the stream that it was made from, and costs what the
//! state costs, not what its history costs. Bodies are kept as they came, so a newer program reads
//! in an old journal what the older one could not understand.

mod key;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use felix_proto::felix::{IpSetUpdate, ToDataplane, to_dataplane::Payload};
use felix_proto::{Frame, Message};
use prost::Message as _;

use key::{Change, Key};

/// Compacted state of one session.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    latest: BTreeMap<Key, Bytes>,
    sets: BTreeMap<String, Set>,
    in_sync: bool,
    bytes: usize,
}

/// An IP set.
#[derive(Clone, Debug)]
enum Set {
    /// Folded.
    Whole {
        kind: i32,
        members: BTreeSet<String>,
    },
    /// Messages with parts that this program does not know, which folding would lose.
    Messages(Vec<Bytes>),
}

impl Mirror {
    /// Of a session that has said nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the snapshot is complete.
    #[must_use]
    pub fn in_sync(&self) -> bool {
        self.in_sync
    }

    /// About how many bytes the mirror holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many messages a replay has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.latest.len() + self.sets.len() + usize::from(self.in_sync)
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The messages, in an order in which what is referred to comes first; `InSync` comes last.
    pub fn bodies(&self) -> impl Iterator<Item = Bytes> + '_ {
        let (config, rest): (Vec<_>, Vec<_>) =
            self.latest.iter().partition(|(key, _)| key.is_config());
        let sets = self.sets.iter().flat_map(|(id, set)| set.bodies(id));
        let in_sync = self
            .in_sync
            .then(|| body(Payload::InSync(felix_proto::felix::InSync {})));
        config
            .into_iter()
            .map(|(_, body)| body.clone())
            .chain(sets)
            .chain(rest.into_iter().map(|(_, body)| body.clone()))
            .chain(in_sync)
    }

    /// The same as frames, numbered from 0.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Frame> + '_ {
        self.bodies().zip(0..).map(|(body, index)| Frame {
            index,
            offset: 0,
            body,
        })
    }

    /// Takes one message over.
    pub(crate) fn take(&mut self, message: &Message, body: &Bytes) {
        let Some(payload) = &message.payload else {
            return;
        };
        match payload {
            Payload::IpsetUpdate(update) => {
                let set = if message.unknown.is_empty() {
                    Set::Whole {
                        kind: update.r#type,
                        members: update.members.iter().cloned().collect(),
                    }
                } else {
                    Set::Messages(vec![Bytes::copy_from_slice(body)])
                };
                self.bytes += set.size();
                if let Some(old) = self.sets.insert(update.id.clone(), set) {
                    self.bytes -= old.size();
                }
            }
            Payload::IpsetDeltaUpdate(delta) => {
                if let Some(set) = self.sets.get_mut(&delta.id) {
                    self.bytes -= set.size();
                    if !message.unknown.is_empty() {
                        set.unfold(&delta.id);
                    }
                    match set {
                        Set::Whole { members, .. } => {
                            members.extend(delta.added_members.iter().cloned());
                            for member in &delta.removed_members {
                                members.remove(member);
                            }
                        }
                        Set::Messages(bodies) => bodies.push(Bytes::copy_from_slice(body)),
                    }
                    self.bytes += set.size();
                }
            }
            Payload::IpsetRemove(remove) => {
                if let Some(old) = self.sets.remove(&remove.id) {
                    self.bytes -= old.size();
                }
            }
            other => match key::change(other) {
                Change::InSync => self.in_sync = true,
                Change::Put(key) => {
                    self.bytes += body.len();
                    // A copy: the body is a slice of a read buffer that it would keep alive.
                    if let Some(old) = self.latest.insert(key, Bytes::copy_from_slice(body)) {
                        self.bytes -= old.len();
                    }
                }
                Change::Remove(key) => {
                    if let Some(old) = self.latest.remove(&key) {
                        self.bytes -= old.len();
                    }
                }
                Change::Nothing => {}
            },
        }
    }
}

impl Set {
    /// Members are counted by number: their texts are about as long as a longest IPv6 net.
    fn size(&self) -> usize {
        match self {
            Self::Whole { members, .. } => 64 + members.len() * 24,
            Self::Messages(bodies) => bodies.iter().map(Bytes::len).sum(),
        }
    }

    fn bodies(&self, id: &str) -> Vec<Bytes> {
        match self {
            Self::Whole { kind, members } => vec![body(Payload::IpsetUpdate(IpSetUpdate {
                id: id.to_owned(),
                members: members.iter().cloned().collect(),
                r#type: *kind,
            }))],
            Self::Messages(bodies) => bodies.clone(),
        }
    }

    fn unfold(&mut self, id: &str) {
        *self = Self::Messages(self.bodies(id));
    }
}

/// Sequence numbers belong to the stream, not to its state, and are left out.
fn body(payload: Payload) -> Bytes {
    ToDataplane {
        sequence_number: 0,
        payload: Some(payload),
    }
    .encode_to_vec()
    .into()
}
