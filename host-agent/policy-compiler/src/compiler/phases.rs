//! The order of writes.

use std::collections::BTreeMap;

use p4_tables::endpoint_mac;
use table_model::{ActionCall, Phase, Row, RowKey, TableId, Update};

use crate::endpoint::{Endpoint, Owner};
use crate::journal::Journal;
use crate::plane::LabelUpdates;
use crate::site_rows::{RowMap, SiteRows};

/// Changes of a commit that are not bodies of classes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub labels: LabelUpdates,
    /// Rows that change nothing before a pointer leads to them: next hops, and MACs that a port
    /// permits besides.
    early: Vec<Row>,
    old_next_hops: Vec<RowKey>,
    /// Pointers of endpoints that are gone altogether.
    closing: Vec<RowKey>,
    pointers: Vec<Update>,
    old_pointers: Vec<RowKey>,
}

impl Changes {
    /// Changes of labels, and nothing else yet.
    pub(super) fn new(labels: LabelUpdates) -> Self {
        Self {
            labels,
            ..Self::default()
        }
    }

    /// Subtracts the pointers of endpoints. An address or a port may have gone from one endpoint to
    /// another, so all of them are taken together.
    pub(super) fn endpoints<'a>(
        &mut self,
        before: &BTreeMap<Owner, Option<Endpoint>>,
        now: impl Fn(&Owner) -> Option<&'a Endpoint>,
    ) {
        let mut old: BTreeMap<&RowKey, (&ActionCall, bool)> = BTreeMap::new();
        let mut new: BTreeMap<&RowKey, &ActionCall> = BTreeMap::new();
        for (id, before) in before {
            let now = now(id);
            new.extend(now.iter().flat_map(|endpoint| &endpoint.pointers));
            let rows = before.iter().flat_map(|endpoint| &endpoint.pointers);
            old.extend(rows.map(|(key, action)| (key, (action, now.is_none()))));
        }
        for (key, (_, gone)) in &old {
            if new.contains_key(*key) {
                continue;
            }
            if *gone {
                self.closing.push((*key).clone());
            } else {
                self.old_pointers.push((*key).clone());
            }
        }
        for (key, action) in new {
            self.put_pointer(key, action, old.get(key).map(|(action, _)| *action));
        }
    }

    /// Subtracts the site's rows.
    pub(super) fn site(&mut self, old: &SiteRows, new: &SiteRows) {
        for (key, action) in &new.pointers {
            self.put_pointer(key, action, old.pointers.get(key));
        }
        let lost = |old: &RowMap, new: &RowMap| -> Vec<RowKey> {
            let keys = old.keys().filter(|key| !new.contains_key(*key));
            keys.cloned().collect()
        };
        self.old_pointers.extend(lost(&old.pointers, &new.pointers));
        self.old_next_hops
            .extend(lost(&old.next_hops, &new.next_hops));
        for (key, action) in &new.next_hops {
            if !old.next_hops.contains_key(key) {
                self.early.push(row(key, action));
            }
        }
    }

    fn put_pointer(&mut self, key: &RowKey, action: &ActionCall, old: Option<&ActionCall>) {
        match old {
            None if key.table == endpoint_mac::TABLE => self.early.push(row(key, action)),
            None => self.pointers.push(Update::Insert(row(key, action))),
            Some(old) if old != action => self.pointers.push(Update::Modify(row(key, action))),
            Some(_) => {}
        }
    }

    /// Tables of the rows that are inserted.
    pub(super) fn inserts(&self) -> impl Iterator<Item = TableId> {
        let updates = self.labels.wide.iter().chain(&self.pointers);
        let updates = updates.filter(|update| matches!(update, Update::Insert(_)));
        let updates = updates.map(|update| update.key().table);
        updates.chain(self.early.iter().map(|row| row.key.table))
    }

    /// In order: what nothing leads to yet, and the doors of endpoints that are gone; labels that
    /// gain; pointers; pointers that go; labels that lose; what nothing leads to any more.
    pub(super) fn phases(self, journal: Journal) -> Vec<Phase> {
        let Journal { puts, gone } = journal;
        let inserts = puts.into_iter().chain(self.early).map(Update::Insert);
        let closing = self.closing.into_iter().map(Update::Delete);
        let old_pointers = self.old_pointers.into_iter().map(Update::Delete);
        let gone = gone.into_iter().chain(self.old_next_hops);
        let phases = [
            inserts.chain(closing).collect(),
            self.labels.wide,
            self.pointers,
            old_pointers.collect(),
            self.labels.narrow,
            gone.map(Update::Delete).collect(),
        ];
        phases
            .into_iter()
            .filter(|updates: &Vec<Update>| !updates.is_empty())
            .map(|mut updates| {
                updates.sort_unstable_by(|a, b| a.key().cmp(b.key()));
                Phase { updates }
            })
            .collect()
    }
}

/// Keeps the count of rows by table.
pub(super) fn count(counts: &mut BTreeMap<TableId, u64>, phases: &[Phase]) {
    for update in phases.iter().flat_map(|phase| &phase.updates) {
        let count = counts.entry(update.key().table).or_default();
        match update {
            Update::Insert(_) => *count += 1,
            Update::Delete(_) => *count = count.saturating_sub(1),
            Update::Modify(_) => {}
        }
    }
}

fn row(key: &RowKey, action: &ActionCall) -> Row {
    Row {
        key: key.clone(),
        action: action.clone(),
    }
}
