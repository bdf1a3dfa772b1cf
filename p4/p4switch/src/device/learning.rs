//! Digests between packets and the controller (P4Runtime 9.6): collected into lists of distinct
//! messages, and not repeated while a list waits for its acknowledgement.
//!
//! Everything is bounded: what does not fit is dropped and counted, as the specification allows.

use std::collections::{HashSet, VecDeque};

use p4_engine::Value;

use crate::operation::DigestConfig;

/// Messages of one list; the controller may ask for less.
const LIST: usize = 1024;
/// Messages of one digest that wait or are not acknowledged.
const KNOWN: usize = 1 << 16;

/// A list that is ready to go out.
#[derive(Debug)]
pub(crate) struct Learned {
    /// Position in the pipeline's list.
    pub(crate) digest: usize,
    pub(crate) list_id: u64,
    /// Field values of each message.
    pub(crate) messages: Vec<Vec<Value>>,
}

#[derive(Debug)]
struct Sent {
    list_id: u64,
    forget_us: u64,
    messages: Vec<Vec<Value>>,
}

/// One digest that is switched on.
#[derive(Debug)]
struct List {
    config: DigestConfig,
    pending: Vec<Vec<Value>>,
    /// When the oldest pending message must go.
    due_us: u64,
    /// What is pending or not acknowledged.
    known: HashSet<Vec<Value>>,
    sent: VecDeque<Sent>,
}

/// All digests of a program.
#[derive(Debug)]
pub(crate) struct Learning {
    lists: Vec<Option<List>>,
    next_id: u64,
    /// Messages dropped because too many wait.
    lost: usize,
}

impl Learning {
    pub(super) fn new(digests: usize) -> Self {
        Self {
            lists: (0..digests).map(|_| None).collect(),
            next_id: 1,
            lost: 0,
        }
    }

    pub(super) fn config(&self, digest: usize) -> Option<DigestConfig> {
        let list = self.lists.get(digest)?.as_ref()?;
        Some(list.config)
    }

    /// Switches a digest on, changes it, or switches it off with what it has collected.
    pub(super) fn configure(&mut self, digest: usize, config: Option<DigestConfig>) {
        let Some(place) = self.lists.get_mut(digest) else {
            return;
        };
        match (config, place.as_mut()) {
            (Some(config), Some(list)) => list.config = config,
            (Some(config), None) => {
                *place = Some(List {
                    config,
                    pending: Vec::new(),
                    due_us: 0,
                    known: HashSet::new(),
                    sent: VecDeque::new(),
                });
            }
            (None, _) => *place = None,
        }
    }

    /// Takes a message; lists that become full with it go to `ready`.
    pub(crate) fn take(
        &mut self,
        digest: usize,
        message: Vec<Value>,
        now_us: u64,
        ready: &mut Vec<Learned>,
    ) {
        let Some(Some(list)) = self.lists.get_mut(digest) else {
            return;
        };
        list.forget(now_us);
        if list.known.contains(&message) {
            return;
        }
        if list.known.len() >= KNOWN {
            self.lost += 1;
            return;
        }
        if list.pending.is_empty() {
            let timeout = u64::try_from(list.config.max_timeout_ns).unwrap_or(0);
            list.due_us = now_us.saturating_add(timeout.div_ceil(1000));
        }
        list.known.insert(message.clone());
        list.pending.push(message);
        let most = usize::try_from(list.config.max_list_size).unwrap_or(0);
        let most = if most == 0 { LIST } else { most.min(LIST) };
        if list.pending.len() >= most {
            ready.push(list.send(digest, &mut self.next_id, now_us));
        }
    }

    /// Moves the lists whose time has come to `ready`.
    pub(crate) fn flush(&mut self, now_us: u64, ready: &mut Vec<Learned>) {
        for (digest, list) in self.lists.iter_mut().enumerate() {
            let Some(list) = list else { continue };
            if !list.pending.is_empty() && list.due_us <= now_us {
                ready.push(list.send(digest, &mut self.next_id, now_us));
            }
        }
    }

    /// When [`Learning::flush`] has something to do, if ever.
    pub(crate) fn next_us(&self) -> Option<u64> {
        let lists = self.lists.iter().flatten();
        lists
            .filter(|list| !list.pending.is_empty())
            .map(|list| list.due_us)
            .min()
    }

    /// Forgets a list that the controller has acknowledged; false if there is none.
    pub(crate) fn acknowledge(&mut self, digest: usize, list_id: u64) -> bool {
        let Some(Some(list)) = self.lists.get_mut(digest) else {
            return false;
        };
        let Some(at) = list.sent.iter().position(|sent| sent.list_id == list_id) else {
            return false;
        };
        if let Some(sent) = list.sent.remove(at) {
            for message in &sent.messages {
                list.known.remove(message);
            }
        }
        true
    }

    /// Takes the number of messages that were dropped since the last call.
    pub(crate) fn take_lost(&mut self) -> usize {
        std::mem::take(&mut self.lost)
    }
}

impl List {
    fn send(&mut self, digest: usize, next_id: &mut u64, now_us: u64) -> Learned {
        let list_id = *next_id;
        *next_id += 1;
        let messages = std::mem::take(&mut self.pending);
        let keep = u64::try_from(self.config.ack_timeout_ns).unwrap_or(0);
        if keep == 0 {
            for message in &messages {
                self.known.remove(message);
            }
        } else {
            self.sent.push_back(Sent {
                list_id,
                forget_us: now_us.saturating_add(keep.div_ceil(1000)),
                messages: messages.clone(),
            });
        }
        Learned {
            digest,
            list_id,
            messages,
        }
    }

    fn forget(&mut self, now_us: u64) {
        while let Some(sent) = self.sent.front()
            && sent.forget_us <= now_us
        {
            if let Some(sent) = self.sent.pop_front() {
                for message in &sent.messages {
                    self.known.remove(message);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learning(max_timeout_us: i64, max_list_size: i32, ack_timeout_us: i64) -> Learning {
        let mut learning = Learning::new(1);
        learning.configure(
            0,
            Some(DigestConfig {
                max_timeout_ns: max_timeout_us * 1000,
                max_list_size,
                ack_timeout_ns: ack_timeout_us * 1000,
            }),
        );
        learning
    }

    fn message(value: u64) -> Vec<Value> {
        vec![Value::from(value)]
    }

    fn values(ready: &[Learned]) -> Vec<Vec<Vec<Value>>> {
        ready.iter().map(|list| list.messages.clone()).collect()
    }

    #[test]
    fn lists_hold_distinct_messages_and_go_when_full_or_due() {
        let mut learning = learning(100, 2, 0);
        let mut ready = Vec::new();
        for value in [1, 1, 2, 3] {
            learning.take(0, message(value), 10, &mut ready);
        }
        assert_eq!(values(&ready), [[message(1), message(2)]]);
        assert_eq!(learning.next_us(), Some(110));
        ready.clear();
        learning.flush(109, &mut ready);
        assert!(ready.is_empty());
        learning.flush(110, &mut ready);
        assert_eq!(values(&ready), [[message(3)]]);
        assert_eq!(learning.next_us(), None);
    }

    #[test]
    fn what_was_sent_is_not_repeated_until_acknowledged_or_forgotten() {
        let mut learning = learning(0, 1, 50);
        let mut ready = Vec::new();
        learning.take(0, message(7), 0, &mut ready);
        let first = ready.pop().expect("sent").list_id;
        learning.take(0, message(7), 49, &mut ready);
        assert!(ready.is_empty());
        assert!(!learning.acknowledge(0, first + 1));
        assert!(learning.acknowledge(0, first));
        assert!(!learning.acknowledge(0, first));
        learning.take(0, message(7), 49, &mut ready);
        assert_eq!(ready.len(), 1);
        learning.take(0, message(7), 98, &mut ready);
        assert_eq!(ready.len(), 1);
        learning.take(0, message(7), 99, &mut ready);
        assert_eq!(ready.len(), 2);
    }

    #[test]
    fn what_waits_for_acknowledgement_is_bounded() {
        let mut learning = learning(0, 1, 1 << 40);
        let mut ready = Vec::new();
        for value in 0..KNOWN as u64 + 5 {
            learning.take(0, message(value), 0, &mut ready);
        }
        assert_eq!(ready.len(), KNOWN);
        assert_eq!(learning.take_lost(), 5);
        learning.configure(0, None);
        learning.take(0, message(1), 0, &mut ready);
        assert_eq!(ready.len(), KNOWN);
    }
}
