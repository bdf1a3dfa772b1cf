//! Packets without a pause, each judged by the states that it may have met.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use p4switch::Handle;
use policy_model::{Flow, L4};
use serde::Serialize;

use crate::packet::{Link, frame};
use crate::random::{Deck, Random};
use crate::target::Attachment;

/// Packets of a batch: few, so that an edit meets many batches.
const BATCH: usize = 24;
/// First source port of the packets of a flow; no rule and no flow names one from here on.
const FIRST_PORT: u16 = 20_000;
/// Wrong packets that are told one by one, for each sender.
const TOLD: usize = 5;

/// Flows with their verdicts in every state.
#[derive(Debug)]
pub(super) struct Plan {
    /// The flows; a packet's source port is its own.
    pub(super) flows: Vec<Flow>,
    /// Where each enters, and by which port it has to leave.
    pub(super) ends: Vec<(Attachment, u16)>,
    /// Verdicts by state, 0 before the first edit.
    states: Vec<Vec<bool>>,
    /// Flows that an edit turns, by the state that it makes.
    turned: Vec<Vec<usize>>,
    by_address: HashMap<IpAddr, Vec<usize>>,
}

impl Plan {
    pub(super) fn new(flows: Vec<Flow>, verdicts: Vec<bool>) -> Self {
        let mut by_address: HashMap<IpAddr, Vec<usize>> = HashMap::new();
        for (index, flow) in flows.iter().enumerate() {
            by_address.entry(flow.src).or_default().push(index);
            by_address.entry(flow.dst).or_default().push(index);
        }
        Self {
            flows,
            ends: Vec::new(),
            states: vec![verdicts],
            turned: vec![Vec::new()],
            by_address,
        }
    }

    /// One more state, in which only flows of these addresses can be other.
    pub(super) fn edit(&mut self, concerns: &[IpAddr], judge: impl Fn(&Flow) -> bool) {
        let mut now = self.states.last().cloned().unwrap_or_default();
        let touched: BTreeSet<usize> = concerns
            .iter()
            .filter_map(|addr| self.by_address.get(addr))
            .flatten()
            .copied()
            .collect();
        let mut turned = Vec::new();
        for index in touched {
            let allow = judge(&self.flows[index]);
            if now[index] != allow {
                now[index] = allow;
                turned.push(index);
            }
        }
        self.states.push(now);
        self.turned.push(turned);
    }

    /// Flows with this verdict in all states.
    pub(super) fn constant(&self, allow: bool) -> usize {
        (0..self.flows.len())
            .filter(|flow| self.states.iter().all(|state| state[*flow] == allow))
            .count()
    }

    /// Changes of verdicts.
    pub(super) fn turned(&self) -> usize {
        self.turned.iter().map(Vec::len).sum()
    }
}

/// What senders counted.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Packets sent.
    pub(super) packets: u64,
    /// Packets that came out.
    pub(super) forwarded: u64,
    /// Packets that may have met an edit half written.
    pub(super) in_flight: u64,
    /// Those of them for which both verdicts are right.
    pub(super) undecided: u64,
    /// Packets that fit no state.
    pub(super) wrong: u64,
    /// Dropped, though all states in question allow.
    pub(super) lost: u64,
    /// Passed, though all states in question deny.
    pub(super) leaked: u64,
    /// Came out elsewhere.
    pub(super) misdelivered: u64,
    /// Widest window, in edits.
    pub(super) widest: usize,
    /// Edits during which packets were sent.
    #[serde(skip)]
    pub(super) edits_met: BTreeSet<usize>,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            packets,
            forwarded,
            in_flight,
            undecided,
            wrong,
            lost,
            leaked,
            misdelivered,
            widest,
            edits_met,
        } = other;
        self.packets += packets;
        self.forwarded += forwarded;
        self.in_flight += in_flight;
        self.undecided += undecided;
        self.wrong += wrong;
        self.lost += lost;
        self.leaked += leaked;
        self.misdelivered += misdelivered;
        self.widest = self.widest.max(*widest);
        self.edits_met.extend(edits_met);
    }
}

/// A packet that did what no state says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong {
    pub(super) flow: usize,
    /// Edits that were in force for certain when it was sent.
    pub(super) from: usize,
    /// Edits that had begun when the answer was back.
    pub(super) to: usize,
    pub(super) left: Option<u16>,
}

#[derive(Debug, Default)]
struct Times {
    begun: usize,
    done: usize,
    /// The edit that each sender has begun a batch after; the batch is over.
    seen: Vec<usize>,
    /// Senders that are there.
    senders: usize,
    stop: bool,
}

/// Which edits have begun, are in force, and have been seen by whom.
#[derive(Debug)]
pub(super) struct Clock {
    times: Mutex<Times>,
    moved: Condvar,
}

impl Clock {
    pub(super) fn new(senders: usize) -> Self {
        Self {
            times: Mutex::new(Times {
                // Nobody has seen even the state before the first edit.
                seen: vec![usize::MAX; senders],
                senders,
                ..Times::default()
            }),
            moved: Condvar::new(),
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        // Numbers are whole whoever panicked with them.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this edit may be in force.
    pub(super) fn begin(&self, edit: usize) {
        self.times().begun = edit;
    }

    /// From now on it is.
    pub(super) fn done(&self, edit: usize) {
        self.times().done = edit;
    }

    /// Waits until every sender has had a batch that began after this edit was in force. False if
    /// a sender ended.
    pub(super) fn wait_for_all(&self, edit: usize) -> bool {
        let mut times = self.times();
        loop {
            if times.senders < times.seen.len() {
                return false;
            }
            let seen = |seen: &usize| *seen != usize::MAX && *seen >= edit;
            if times.seen.iter().all(seen) {
                return true;
            }
            times = self
                .moved
                .wait(times)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Senders end after their batch.
    pub(super) fn stop(&self) {
        self.times().stop = true;
    }

    fn before(&self) -> Option<usize> {
        let times = self.times();
        (!times.stop).then_some(times.done)
    }

    fn after(&self) -> usize {
        self.times().begun
    }

    fn seen(&self, sender: usize, edit: usize) {
        if let Some(seen) = self.times().seen.get_mut(sender)
            && (*seen == usize::MAX || *seen < edit)
        {
            *seen = edit;
            self.moved.notify_all();
        }
    }

    fn gone(&self) {
        self.times().senders -= 1;
        self.moved.notify_all();
    }
}

/// Tells the editor when a sender ends, however it ends.
struct Presence<'a>(&'a Clock);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.gone();
    }
}

/// Sends until told to stop: what was counted and what went wrong; none if the switch is gone.
pub(super) fn send(
    plan: &Plan,
    clock: &Clock,
    switch: &Handle,
    sender: usize,
    senders: usize,
    seed: u64,
) -> Option<(Counts, Vec<Wrong>)> {
    let _presence = Presence(clock);
    let mut random = Random::new(seed);
    let own: Vec<usize> = (sender..plan.flows.len()).step_by(senders).collect();
    let mut deck = Deck::new(own.len());
    let mut ports = vec![0_u16; plan.flows.len()];
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    while let Some(from) = clock.before() {
        // Half of the packets belong to flows that the edit of the moment turns.
        let turning: &[usize] = plan.turned.get(from + 1).map_or(&[], Vec::as_slice);
        let batch: Vec<usize> = (0..BATCH)
            .map(|place| {
                let some = (place % 2 == 0 && !turning.is_empty())
                    .then(|| turning[random.below(turning.len())])
                    .filter(|flow| flow % senders == sender);
                some.unwrap_or_else(|| own[deck.draw(&mut random)])
            })
            .collect();
        let frames = batch.iter().map(|flow| packet(plan, *flow, &mut ports));
        let outputs = switch.inject_batch(frames.collect());
        let to = clock.after();
        if outputs.len() != batch.len() {
            return None;
        }
        counts.widest = counts.widest.max(to - from);
        if to > from {
            counts.edits_met.insert(to);
        }
        for (flow, outputs) in batch.iter().zip(&outputs) {
            let left = outputs.first().map(|(port, _)| *port);
            judge(plan, *flow, (from, to), left, &mut counts, &mut wrong);
        }
        clock.seen(sender, from);
    }
    Some((counts, wrong))
}

/// The first packet of a new connection of this flow.
fn packet(plan: &Plan, flow: usize, ports: &mut [u16]) -> (u16, Vec<u8>) {
    let (from, _) = plan.ends[flow];
    let number = &mut ports[flow];
    *number = (*number + 1) % (u16::MAX - FIRST_PORT);
    let mut fresh = plan.flows[flow];
    if let L4::Ports { src, .. } = &mut fresh.l4 {
        *src = FIRST_PORT + *number;
    }
    let link = Link {
        src: from.mac,
        dst: from.peer,
    };
    (from.port, frame(&fresh, u32::from(*number), link))
}

fn judge(
    plan: &Plan,
    flow: usize,
    (from, to): (usize, usize),
    left: Option<u16>,
    counts: &mut Counts,
    wrong: &mut Vec<Wrong>,
) {
    let right = |allow| (from..=to).any(|state| plan.states[state][flow] == allow);
    let (_, exit) = plan.ends[flow];
    counts.packets += 1;
    counts.forwarded += u64::from(left.is_some());
    counts.in_flight += u64::from(to > from);
    counts.undecided += u64::from(right(true) && right(false));
    let strayed = left.is_some_and(|port| port != exit);
    if right(left.is_some()) && !strayed {
        return;
    }
    counts.wrong += 1;
    counts.misdelivered += u64::from(strayed);
    counts.lost += u64::from(left.is_none());
    counts.leaked += u64::from(left.is_some() && !right(true));
    if wrong.len() < TOLD {
        wrong.push(Wrong {
            flow,
            from,
            to,
            left,
        });
    }
}

#[cfg(test)]
mod tests;
