//! Random changes, written row by row: after every single write each packet does what the state
//! before the change says, or what the one after it says.
//!
//! Each write goes over P4Runtime on its own, with a new connection epoch beside it, so that every
//! packet is judged by policy. The judgement is by leg: a change of one object may turn both legs of a
//! packet, each at a write of its own.

use std::collections::BTreeMap;

use p4_tables::{acl_settings, schema};
use policy_model::{Direction, Verdict};

use super::*;

/// Worlds.
const WORLDS: u64 = 60;
/// Changes of each world, one object at a time.
const CHANGES: usize = 12;
/// Packets after each write.
const PACKETS: usize = 12;
/// Writes of a change after which packets are sent; the rest are evenly left out.
const WRITES: usize = 60;

/// What a flow's packet may meet: its legs and what lies outside policy, before and after.
struct Probed {
    flow: Flow,
    source: Attachment,
    exits: [Option<u16>; 2],
    may_pass: bool,
    may_drop: bool,
}

/// Egress, ingress, and the rest: what each of them may say.
fn parts(verdict: &Verdict) -> [Vec<bool>; 3] {
    let leg = |direction| {
        let leg = verdict.legs.iter().find(|leg| leg.direction == direction);
        vec![leg.is_none_or(|leg| leg.allow)]
    };
    let legs_allow = verdict.legs.iter().all(|leg| leg.allow);
    let outside = match (verdict.allow, legs_allow) {
        (true, _) => vec![true],
        (false, true) => vec![false],
        (false, false) => vec![true, false],
    };
    [leg(Direction::Egress), leg(Direction::Ingress), outside]
}

impl Probed {
    /// None for a flow whose source is plugged in elsewhere after the change.
    fn new(
        flow: Flow,
        source: [Option<Attachment>; 2],
        ends: [(Verdict, Option<u16>); 2],
    ) -> Option<Self> {
        let [Some(source), Some(after)] = source else {
            return None;
        };
        if source != after {
            return None;
        }
        let [before, after] = ends.each_ref().map(|(verdict, _)| parts(verdict));
        let mut may_pass = true;
        let mut may_drop = false;
        for (before, after) in before.into_iter().zip(after) {
            let may = [before, after].concat();
            may_pass &= may.contains(&true);
            may_drop |= may.contains(&false);
        }
        Some(Self {
            flow,
            source,
            exits: ends.map(|(_, exit)| exit),
            may_pass,
            may_drop,
        })
    }
}

impl Lab {
    fn seen(&self, flow: &Flow) -> (Option<Attachment>, (Verdict, Option<u16>)) {
        let verdict = evaluate(&self.model, &self.semantics, flow);
        let at = |addr| self.enforcement.ports.attachment(&self.model, addr);
        (at(flow.src), (verdict, at(flow.dst).map(|exit| exit.port)))
    }

    /// The settings row with the next epoch, whatever the change makes of it.
    fn next_epoch(
        &mut self,
        settings: &mut BTreeMap<RowKey, ActionCall>,
        update: &mut Update,
    ) -> Update {
        self.enforcement.epoch = self.enforcement.epoch.wrapping_add(1);
        if let Update::Insert(row) | Update::Modify(row) = &*update
            && row.key.table == acl_settings::TABLE
        {
            settings.insert(row.key.clone(), row.action.clone());
        }
        let (key, action) = settings.first_key_value().unwrap();
        let table = schema().table(acl_settings::TABLE).unwrap();
        let shape = table.action(action.action).unwrap();
        let mut params = shape.params(action).unwrap();
        params[0] = self.enforcement.epoch.into();
        let row = table_model::Row {
            key: key.clone(),
            action: shape.call(&params).unwrap(),
        };
        if update.key().table == acl_settings::TABLE {
            *update = Update::Modify(row.clone());
        }
        Update::Modify(row)
    }

    /// One change, write by write: how many packets were judged.
    fn change(&mut self, choices: &mut Choices, size: Size) -> usize {
        let update = change(choices, size, &self.model);
        let told = format!("{update:?}");
        let mut flows = random_flows(choices, &self.model);
        let mut next = self.model.clone();
        next.apply(update).unwrap();
        flows.extend(random_flows(choices, &next));
        let before: Vec<_> = flows.iter().map(|flow| self.seen(flow)).collect();
        self.model = next;
        let changes = self.model.take_changes();
        let settings = self.enforcement.compiler.snapshot();
        let mut settings: BTreeMap<RowKey, ActionCall> = settings
            .table(acl_settings::TABLE)
            .into_iter()
            .map(|row| (row.key, row.action))
            .collect();
        // As in a commit, but the phases are written below.
        let ports = &mut self.enforcement.ports;
        ports.follow(&self.model);
        let commit = self
            .enforcement
            .compiler
            .commit(&self.model, &changes, self.enforcement.ports.site())
            .unwrap();
        let probed: Vec<Probed> = flows
            .into_iter()
            .zip(before)
            .filter_map(|(flow, (from, end))| {
                let (still, after) = self.seen(&flow);
                Probed::new(flow, [from, still], [end, after])
            })
            .collect();
        let writes: usize = commit.phases.iter().map(|phase| phase.updates.len()).sum();
        let every = writes.div_ceil(WRITES).max(1);
        let (mut place, mut judged) = (0, 0);
        for (number, phase) in commit.phases.into_iter().enumerate() {
            // Any order inside a phase is legal.
            let mut updates = phase.updates;
            for last in (1..updates.len()).rev() {
                updates.swap(last, choices.below(last + 1));
            }
            for mut update in updates {
                let epoch = self.next_epoch(&mut settings, &mut update);
                let line = format!("{update:?}");
                let mut write = vec![update];
                if write[0] != epoch {
                    write.push(epoch);
                }
                let phase = Phase { updates: write };
                self.enforcement.target.apply(&[phase]).unwrap();
                place += 1;
                if place % every == 0 {
                    judged += self.judge(
                        choices,
                        &probed,
                        &format!("{told}\nphase {number}, after {line}"),
                    );
                }
            }
        }
        judged
    }

    /// Packets of some of the flows, no two of which could be one connection.
    fn judge(&mut self, choices: &mut Choices, probed: &[Probed], told: &str) -> usize {
        if probed.is_empty() {
            return 0;
        }
        let drawn: Vec<&Probed> = (0..PACKETS)
            .map(|_| &probed[choices.below(probed.len())])
            .collect();
        let flows: Vec<Flow> = drawn.iter().map(|probed| probed.flow).collect();
        let round = rounds::rounds(&flows).swap_remove(0);
        let probe = |index: &usize| {
            let Probed { flow, source, .. } = drawn[*index];
            let link = Link {
                src: source.mac,
                dst: source.peer,
            };
            Probe {
                flow: *flow,
                port: source.port,
                frame: frame(flow, u32::try_from(*index).unwrap(), link),
            }
        };
        let batch = Batch {
            probes: round.iter().map(probe).collect(),
            sentinels: Vec::new(),
        };
        let left = self.enforcement.target.send(&batch).unwrap();
        for (index, left) in round.iter().zip(&left) {
            let Probed {
                flow,
                exits,
                may_pass,
                may_drop,
                ..
            } = drawn[*index];
            match left {
                None => assert!(may_drop, "{flow:?} was lost\n{told}"),
                Some(port) => {
                    assert!(may_pass, "{flow:?} leaked\n{told}");
                    assert!(
                        exits.contains(&Some(*port)),
                        "{flow:?} left by {port}\n{told}"
                    );
                }
            }
        }
        round.len()
    }
}

fn random_flows(choices: &mut Choices, model: &PolicyModel) -> Vec<Flow> {
    let edges = Edges::of(model);
    (0..60)
        .filter_map(|_| flow(choices, &edges))
        .filter(can_be_sent)
        .collect()
}

#[test]
fn packets_between_any_two_writes_do_what_before_or_after_says() {
    let mut labs = [false, true].map(Lab::new);
    let mut judged = 0;
    let worlds = WORLDS * u64::from(nightly());
    for seed in 0..worlds {
        let lab = &mut labs[usize::from(seed % 2 == 0)];
        let mut choices = Choices::new(0x57a7 + seed);
        let mut session = PolicyModel::new();
        for update in world(&mut choices, Size::SMALL) {
            session.apply(update).unwrap();
        }
        lab.model.replace_with(session);
        let changes = lab.model.take_changes();
        lab.enforcement.compiler.set_epoch(lab.enforcement.epoch);
        lab.enforcement.commit(&lab.model, &changes).unwrap();
        for _ in 0..CHANGES {
            judged += lab.change(&mut choices, Size::SMALL);
        }
    }
    println!("CASES {judged} packets between two writes of a random change");
    assert!(judged as u64 >= 100_000 * u64::from(nightly()), "{judged}");
}
