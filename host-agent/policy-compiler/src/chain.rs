//! A leg as a chain of steps: what the pipeline asks one after the other, one pass for each.
//!
//! Compiled as one, a leg lists every address that any of its policies names, and another leg with
//! one policy more lists them all again. One policy a step, legs share what they have in common:
//! rows are then a sum over policies and no product with the lists that endpoints make of them. A
//! short leg is one step nevertheless, as each step costs a packet a pass.
//!
//! Nodes are numbered by what they are, their successors included, so legs with equal ends share
//! them, and a chain never leads back into itself.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use p4_tables::{DropReason, acl_chain};
use policy_model::{Direction, Family};
use serde::{Deserialize, Serialize};
use table_model::Row;

use crate::fingerprint::{Fingerprint, IdSpace};
use crate::journal::Journal;
use crate::program::{Outcome, Program, ResidualRule};
use crate::slab::Slab;

/// A leg of at most so many rules is one step, if nobody says otherwise.
pub(crate) const SHORT_LEG: usize = 8;

/// Steps of a chain at most. Targets bound the passes of a packet, and two chains have to do with
/// 256.
pub(crate) const MAX_STEPS: usize = 120;

/// What is left of a policy or a profile.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// In order. None of them is a jump.
    pub rules: Vec<ResidualRule>,
    /// Steps of one tier have one number.
    pub tier: usize,
}

/// Whose lists a section of a chain is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum LegOwner {
    /// A workload's.
    Workload,
    /// A host endpoint's, before connections.
    Untracked,
    /// A host endpoint's.
    HostEndpoint,
    /// The node's own.
    Node,
}

impl LegOwner {
    /// What a deny counts as. `direction` is that of the policies.
    pub(crate) const fn reason(self, direction: Direction) -> DropReason {
        match (self, direction) {
            (Self::Workload, Direction::Ingress) => DropReason::IngressPolicy,
            (Self::Workload, Direction::Egress) => DropReason::EgressPolicy,
            (Self::HostEndpoint, Direction::Ingress) => DropReason::HostEndpointIngress,
            (Self::HostEndpoint, Direction::Egress) => DropReason::HostEndpointEgress,
            (Self::Untracked, _) => DropReason::HostEndpointUntracked,
            (Self::Node, _) => DropReason::ToHost,
        }
    }
}

/// All of one endpoint's lists for a packet: an accept is final among them, and leads to the next
/// section of the chain.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub steps: Vec<Step>,
    pub owner: LegOwner,
    /// Direction of the policies; which end is local is another matter.
    pub direction: Direction,
    /// An accept ends the chain: no later section is asked.
    pub accepts_all: bool,
}

/// A section whose classes are in place.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Class, its port tables, and the ways on as places in here. A way beyond the last place
    /// leaves the section.
    pub steps: Vec<PlacedStep>,
    pub reason: u8,
    pub accepts_all: bool,
}

/// One step of [`Placed`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlacedStep {
    pub class: u32,
    pub ports: u32,
    pub source_ports: u32,
    pub next: Option<usize>,
    pub pass: Option<usize>,
}

/// A step with its way on, as places in the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub program: Program,
    /// Where [`Outcome::NextPolicy`] leads.
    pub next: Option<usize>,
    /// Where [`Outcome::NextTier`] leads.
    pub pass: Option<usize>,
}

/// The programs of a section. Which steps become one follows from their rules alone. A place beyond
/// the last is what follows the section.
pub(crate) fn links(
    steps: &[Step],
    (short_leg, most): (usize, usize),
    direction: Direction,
    family: Family,
) -> Vec<Link> {
    let blocks = blocks(steps, short_leg, most);
    let count = blocks.len();
    let mut links = Vec::with_capacity(blocks.len());
    for (place, block) in blocks.iter().enumerate() {
        let rules = merge(block);
        let leads = |outcome| rules.iter().any(|rule| rule.outcome == outcome);
        let tier = block.last().map(|step| step.tier);
        let mut behind = blocks.iter().enumerate().skip(place + 1);
        let pass = behind.find(|(_, other)| other.first().map(|step| step.tier) != tier);
        links.push(Link {
            next: leads(Outcome::NextPolicy).then_some(place + 1),
            pass: leads(Outcome::NextTier).then(|| pass.map_or(count, |(place, _)| place)),
            program: Program {
                direction,
                family,
                rules,
            },
        });
    }
    links
}

/// All of a short leg, else each step; so many steps of a tier at a time that the chain does not
/// get too long.
fn blocks(steps: &[Step], short_leg: usize, most: usize) -> Vec<&[Step]> {
    if steps.iter().map(|step| step.rules.len()).sum::<usize>() <= short_leg {
        return vec![steps];
    }
    let by_tier = || steps.chunk_by(|a, b| a.tier == b.tier);
    let tiers = by_tier().count();
    if tiers > most {
        return vec![steps];
    }
    let longest = by_tier().map(<[Step]>::len).max().unwrap_or(1);
    let fits = |size: &usize| {
        let blocks = by_tier().map(|tier| tier.len().div_ceil(*size));
        blocks.sum::<usize>() <= most
    };
    let size = (1..=longest).find(fits).unwrap_or(longest);
    by_tier().flat_map(|tier| tier.chunks(size)).collect()
}

/// The rules of consecutive steps as one list that ends with a rule that matches everything.
fn merge(block: &[Step]) -> Vec<ResidualRule> {
    let mut rules: Vec<ResidualRule> = Vec::new();
    // Rules of tiers that are through but for what they pass to the next one.
    let mut passing = 0;
    for (place, step) in block.iter().enumerate() {
        if place > 0 && block[place - 1].tier != step.tier {
            let to = rules.len();
            for rule in &mut rules[passing..] {
                if rule.outcome == Outcome::NextTier {
                    rule.outcome = Outcome::Jump(to);
                }
            }
            passing = to;
        }
        rules.extend_from_slice(&step.rules);
    }
    if !rules.last().is_some_and(ResidualRule::is_unconditional) {
        rules.push(ResidualRule::unconditional(0, Outcome::NextPolicy));
    }
    rules
}

/// A row of `acl_chain` without its key. Zero stands for no successor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Node {
    pub class: u32,
    pub ports: u32,
    pub source_ports: u32,
    pub next: u32,
    pub pass: u32,
    pub accept: u32,
    /// What a deny counts as.
    pub reason: u8,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    node: Node,
    id: u32,
    /// Pointers of endpoints with the node in their chains.
    users: u32,
}

/// Nodes in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chains {
    all: Slab<Entry>,
    by_node: HashMap<Node, u32, FixedState>,
    ids: IdSpace,
    /// Nodes of the commit under way.
    new: Vec<u32>,
}

impl Chains {
    /// The chain of these sections, one after the other: the id of its first node, 0 if there is
    /// none. Its nodes are added to `nodes`.
    pub(crate) fn link(
        &mut self,
        sections: &[&Placed],
        nodes: &mut Vec<u32>,
        journal: &mut Journal,
    ) -> u32 {
        // From the end, as a node is named by what follows it.
        let mut behind = 0;
        for section in sections.iter().rev() {
            let mut ids = vec![0; section.steps.len()];
            for (at, step) in section.steps.iter().enumerate().rev() {
                let follow = |way: Option<usize>| {
                    way.map_or(0, |way| ids.get(way).copied().unwrap_or(behind))
                };
                let node = Node {
                    class: step.class,
                    ports: step.ports,
                    source_ports: step.source_ports,
                    next: follow(step.next),
                    pass: follow(step.pass),
                    accept: if section.accepts_all { 0 } else { behind },
                    reason: section.reason,
                };
                let (index, id) = self.intern(node, journal);
                nodes.push(index);
                ids[at] = id;
            }
            behind = ids.first().copied().unwrap_or(behind);
        }
        behind
    }

    /// The place of a node, and its id. A new one has no users yet.
    fn intern(&mut self, node: Node, journal: &mut Journal) -> (u32, u32) {
        if let Some(&index) = self.by_node.get(&node) {
            return (index, self.all[index].id);
        }
        let id = self.ids.take(node.hash());
        let index = self.all.insert(Entry { node, id, users: 0 });
        self.by_node.insert(node, index);
        self.new.push(index);
        journal.put(row(id, &node));
        (index, id)
    }

    /// One pointer more or less has the node in its chain.
    pub(crate) fn count(&mut self, index: u32, more: bool) {
        let users = &mut self.all[index].users;
        *users = if more {
            *users + 1
        } else {
            users.saturating_sub(1)
        };
    }

    /// Takes out the nodes that nothing leads to once this commit is through, out of `left` and
    /// the new ones.
    pub(crate) fn finish(&mut self, left: &[u32], journal: &mut Journal) {
        let mut looked_at = std::mem::take(&mut self.new);
        looked_at.extend_from_slice(left);
        looked_at.sort_unstable();
        looked_at.dedup();
        for index in looked_at {
            if self.all[index].users > 0 {
                continue;
            }
            if let Some(entry) = self.all.remove(index) {
                journal.gone(row(entry.id, &entry.node).key);
                self.by_node.remove(&entry.node);
                self.ids.give(entry.id);
            }
        }
    }

    /// Takes back the nodes of a commit that did not fit, once nothing counts on them.
    pub(crate) fn undo(&mut self) {
        self.finish(&[], &mut Journal::default());
    }

    /// Every row.
    pub(crate) fn each_row(&self, put: &mut impl FnMut(Row)) {
        for (_, entry) in self.all.iter() {
            put(row(entry.id, &entry.node));
        }
    }
}

impl Node {
    fn hash(&self) -> u128 {
        let mut hash = Fingerprint::new("chain");
        for id in [
            self.class,
            self.ports,
            self.source_ports,
            self.next,
            self.pass,
            self.accept,
            u32::from(self.reason),
        ] {
            hash.word(u64::from(id));
        }
        hash.finish()
    }
}

fn row(id: u32, node: &Node) -> Row {
    acl_chain::step(
        acl_chain::key(id),
        node.class,
        node.ports,
        node.source_ports,
        node.next,
        node.pass,
        node.accept,
        node.reason,
    )
}

#[cfg(test)]
mod tests;
