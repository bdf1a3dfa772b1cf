//! What rules have counted, over edits and restarts.
//!
//! The target counts on rows, and rows come and go: an edited policy gets new rows, and each row
//! names its rule by a number that stands for a place. So a rule's total is what its rows have
//! counted that are there now, and what all rows of it had counted that are gone. The DPU agent reads
//! a row's counter before it deletes the row and keeps it until this agent has written it down.
//!
//! A row is told to belong to the rule that it was compiled for: rows that are wanted by their number
//! and the rules' names of now, rows that are about to go by the names of the moment when they were
//! wanted last. Felix's id names a rule as long as it lives, wherever in its list it stands.

mod file;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use offload_api::host::HitCount;
use offload_api::types::{Departed, EntryCounter};
use p4_tables::schema;
use policy_compiler::{Compiler, RuleHolder, RuleRef};
use policy_model::{Direction, RuleId};
use serde::{Deserialize, Serialize};
use table_model::{Generation, Phase, Row, RowKey, Update};

pub(crate) use file::Keeper;

/// Rules of the past that are remembered one by one; beyond that, by their policy.
const MOST: usize = 20_000;

/// A rule, for as long as it lives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct RuleName {
    /// Policy or profile; the first policy of a tier for the tier's end.
    pub(crate) holder: RuleHolder,
    /// Leg.
    pub(crate) direction: Direction,
    /// Which of its rules.
    pub(crate) which: Which,
}

/// A rule among those of its list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Which {
    /// By Felix's id.
    Id(RuleId),
    /// By its place, if Felix gave it no id.
    Place(usize),
    /// No rule: the end of the tier, or of the profiles.
    End,
    /// Rules of the past, together.
    Past,
}

impl RuleName {
    /// A rule of a list.
    pub(crate) fn of(holder: &RuleHolder, direction: Direction, place: usize, id: &RuleId) -> Self {
        let which = if id.as_str().is_empty() {
            Which::Place(place)
        } else {
            Which::Id(id.clone())
        };
        Self {
            holder: holder.clone(),
            direction,
            which,
        }
    }
}

impl From<&RuleRef> for RuleName {
    fn from(rule: &RuleRef) -> Self {
        let none = RuleId::from("");
        match rule.rule {
            Some(place) => {
                let id = rule.rule_id.as_ref().unwrap_or(&none);
                Self::of(&rule.holder, rule.direction, place, id)
            }
            None => Self {
                holder: rule.holder.clone(),
                direction: rule.direction,
                which: Which::End,
            },
        }
    }
}

/// Totals by rule.
pub(crate) type Totals = BTreeMap<RuleName, HitCount>;

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Rules by the number that their rows carry, as they are named now.
    names: HashMap<u32, RuleName>,
    /// The same as the agent before this one wrote it down.
    past_names: BTreeMap<u32, RuleName>,
    /// Rows that are wanted and counted, with their rules' numbers.
    rows: HashMap<RowKey, u32>,
    /// Rows that are not wanted any more and may still be there, with the change that drops them.
    leaving: HashMap<RowKey, (RuleName, Generation)>,
    /// What rows that are gone had counted.
    gone: Totals,
    /// What rows had counted when they were read last.
    live: BTreeMap<RowKey, (RuleName, HitCount)>,
    /// Sums of `live` that the agent before this one wrote down, until the first read.
    past_live: Option<Totals>,
    /// The DPU agent's ledger of deleted rows, and how far it was written down.
    ledger: (String, u64),
    /// Rows whose counts nobody could be credited with.
    lost: u64,
    /// Rows whose counts the DPU agent lost since it started.
    lost_there: u64,
}

/// The rule's number in a counted row; none for rows that leave the verdict to others.
pub(crate) fn number(row: &Row) -> Option<u32> {
    let table = schema().table(row.key.table).ok()?;
    if !table.counted {
        return None;
    }
    let action = table.action(row.action.action).ok()?;
    let place = action.params.iter().position(|p| p.name == "rule")?;
    let value = action.params(&row.action).ok()?.get(place).copied()?;
    u32::try_from(value).ok()
}

fn hits(counter: &EntryCounter) -> HitCount {
    HitCount {
        packets: counter.packets,
        bytes: counter.bytes,
    }
}

fn put(totals: &mut Totals, name: RuleName, count: HitCount) {
    if count != HitCount::default() {
        totals.entry(name).or_default().add(count);
    }
}

/// Counted rows that a change puts and drops.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Touched {
    put: Vec<(RowKey, u32)>,
    dropped: Vec<RowKey>,
}

impl Touched {
    pub(crate) fn of(phases: &[Phase]) -> Self {
        let counted = |key: &RowKey| schema().table(key.table).is_ok_and(|table| table.counted);
        let mut touched = Self::default();
        for update in phases.iter().flat_map(|phase| &phase.updates) {
            match update {
                Update::Insert(row) | Update::Modify(row) => {
                    let named = number(row).map(|number| (row.key.clone(), number));
                    touched.put.extend(named);
                }
                Update::Delete(key) if counted(key) => touched.dropped.push(key.clone()),
                Update::Delete(_) => {}
            }
        }
        touched
    }
}

impl Counts {
    /// A change was compiled that makes this generation. `names_changed` if it is about policies.
    pub(crate) fn committed(
        &mut self,
        touched: Touched,
        compiler: &Compiler,
        generation: Generation,
        names_changed: bool,
    ) {
        let Touched { put, dropped } = touched;
        for key in dropped {
            self.leave(&key, generation);
        }
        let named = put.iter().map(|(_, number)| *number).collect();
        self.rows.extend(put);
        self.rename(compiler, named, names_changed);
    }

    /// The same for a compiler that began anew.
    pub(crate) fn restarted(&mut self, compiler: &Compiler, generation: Generation) {
        let mut rows = HashMap::new();
        compiler.each_row(|row| {
            if let Some(number) = number(&row) {
                rows.insert(row.key, number);
            }
        });
        let left: Vec<RowKey> = self
            .rows
            .keys()
            .filter(|key| !rows.contains_key(*key))
            .cloned()
            .collect();
        for key in left {
            self.leave(&key, generation);
        }
        let named = rows.values().copied().collect();
        self.rows = rows;
        self.names.clear();
        self.rename(compiler, named, false);
    }

    fn leave(&mut self, key: &RowKey, generation: Generation) {
        if let Some(number) = self.rows.remove(key)
            && let Some(name) = self.names.get(&number)
        {
            self.leaving.insert(key.clone(), (name.clone(), generation));
        }
    }

    fn rename(&mut self, compiler: &Compiler, mut named: BTreeSet<u32>, all: bool) {
        if all {
            named.extend(self.names.keys());
        }
        for number in named {
            match compiler.rule(number) {
                Some(rule) => drop(self.names.insert(number, rule.into())),
                None => drop(self.names.remove(&number)),
            }
        }
    }

    /// Whose row it is, or was when it was wanted.
    fn name(&self, row: &Row) -> Option<RuleName> {
        let wanted = || self.names.get(self.rows.get(&row.key)?);
        let left = || self.leaving.get(&row.key).map(|(name, _)| name);
        // Rows that nobody of this run wanted are an agent's before.
        let past = || self.past_names.get(&number(row)?);
        let now = || self.names.get(&number(row)?);
        wanted().or_else(left).or_else(past).or_else(now).cloned()
    }

    /// How far the DPU agent's ledger is written down.
    pub(crate) fn ledger(&self) -> (String, u64) {
        self.ledger.clone()
    }

    /// Whether rows are on their way out, so that asking for what they counted is worth the while.
    pub(crate) fn anything_leaves(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Takes what deleted rows had counted; the keys of those rows.
    pub(crate) fn departed(&mut self, departed: &Departed) -> Vec<RowKey> {
        let mut keys = Vec::with_capacity(departed.counters.len());
        for counter in &departed.counters {
            let key = &counter.row.key;
            // The one that left, should there be one of the same key by now.
            let left = self.leaving.remove(key).map(|(name, _)| name);
            match left.or_else(|| self.name(&counter.row)) {
                Some(name) => {
                    let hits = hits(counter);
                    // It was among those that the agent before this one saw there.
                    let past = self.past_live.as_mut().and_then(|past| past.get_mut(&name));
                    if let Some(past) = past {
                        past.packets = past.packets.saturating_sub(hits.packets);
                        past.bytes = past.bytes.saturating_sub(hits.bytes);
                    }
                    put(&mut self.gone, name, hits);
                }
                None => self.lost += 1,
            }
            self.live.remove(key);
            keys.push(key.clone());
        }
        self.ledger = (departed.ledger.clone(), departed.last);
        self.lost_there = departed.lost;
        keys
    }

    /// Takes what all rows have counted that are there. `departed` are those that went while they
    /// were read; what this generation dropped has been deleted and told before.
    pub(crate) fn read(
        &mut self,
        counters: &[EntryCounter],
        departed: &[RowKey],
        acknowledged: Generation,
    ) {
        let departed: BTreeSet<&RowKey> = departed.iter().collect();
        let mut live = BTreeMap::new();
        for counter in counters {
            let key = &counter.row.key;
            if departed.contains(key) || counter.packets == 0 {
                continue;
            }
            if let Some(name) = self.name(&counter.row) {
                live.insert(key.clone(), (name, hits(counter)));
            }
        }
        for (key, (name, before)) in std::mem::take(&mut self.live) {
            let now = live.get(&key).map_or(0, |(_, count)| count.packets);
            // The target began anew, or lost the row without a word: what was read last stays.
            if now < before.packets {
                put(&mut self.gone, name, before);
            }
        }
        if let Some(before) = self.past_live.take() {
            let sum = |count: u64, hits: &HitCount| count.saturating_add(hits.packets);
            let now = live.values().map(|(_, hits)| hits).fold(0, sum);
            // Counters do not fall: the target began anew while no agent looked.
            if now < before.values().fold(0, sum) {
                for (name, count) in before {
                    put(&mut self.gone, name, count);
                }
            }
        }
        self.live = live;
        self.settled(acknowledged);
        self.prune();
    }

    /// What changes up to this generation dropped has been deleted and told.
    pub(crate) fn settled(&mut self, acknowledged: Generation) {
        self.leaving
            .retain(|_, (_, generation)| *generation > acknowledged);
    }

    /// What every rule has counted.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.gone.clone();
        match &self.past_live {
            // Nobody has looked yet: what was known is the best guess.
            Some(before) => {
                for (name, count) in before {
                    put(&mut totals, name.clone(), *count);
                }
            }
            None => {
                for (name, count) in self.live.values() {
                    put(&mut totals, name.clone(), *count);
                }
            }
        }
        totals
    }

    /// Rows whose counts were lost, as far as this agent knows.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.saturating_add(self.lost_there)
    }

    /// Puts rules of the past together when there are too many of them.
    fn prune(&mut self) {
        if self.gone.len() <= MOST {
            return;
        }
        let names: BTreeSet<&RuleName> = self.names.values().collect();
        let mut kept = Totals::new();
        for (name, count) in std::mem::take(&mut self.gone) {
            let name = if names.contains(&name) || name.which == Which::End {
                name
            } else {
                RuleName {
                    which: Which::Past,
                    ..name
                }
            };
            put(&mut kept, name, count);
        }
        if kept.len() > 2 * MOST {
            let holders: BTreeSet<&RuleHolder> = names.iter().map(|name| &name.holder).collect();
            kept.retain(|name, _| holders.contains(&name.holder));
        }
        self.gone = kept;
    }
}

#[cfg(test)]
mod tests;
