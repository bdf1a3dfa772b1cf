//! What classes of both families share: ids, rules, chains, and the cuts of the port space.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use table_model::Row;

use crate::chain::Chains;
use crate::fingerprint::IdSpace;
use crate::journal::Journal;
use crate::partition::{Partition, PortRow};
use crate::rows;
use crate::rule_ref::Rules;
use crate::slab::Slab;

/// A partition in use.
#[derive(Clone, Debug, Default)]
struct Cut {
    id: u32,
    rows: Vec<PortRow>,
    users: u32,
}

/// Partitions of one port table.
#[derive(Clone, Debug, Default)]
struct Cuts {
    all: Slab<Cut>,
    by_rows: HashMap<Vec<PortRow>, u32, FixedState>,
    by_id: HashMap<u32, u32, FixedState>,
    ids: IdSpace,
}

/// Both families' common state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    pub rules: Rules,
    pub class_ids: IdSpace,
    pub chains: Chains,
    ports: Cuts,
    source_ports: Cuts,
}

impl Shared {
    /// Ids of a class's two partitions; 0 for one that has no rows.
    pub(crate) fn hold_ports(
        &mut self,
        ports: &Partition,
        source_ports: &Partition,
        journal: &mut Journal,
    ) -> (u32, u32) {
        (
            self.ports.hold(ports, "ports", rows::port, journal),
            self.source_ports
                .hold(source_ports, "source ports", rows::source_port, journal),
        )
    }

    /// A class is done with its partitions.
    pub(crate) fn release_ports(&mut self, ports: u32, source_ports: u32, journal: &mut Journal) {
        self.ports.release(ports, rows::port, journal);
        self.source_ports
            .release(source_ports, rows::source_port, journal);
    }

    /// Every row of the chains and of the port tables.
    pub(crate) fn each_row(&self, put: &mut impl FnMut(Row)) {
        self.chains.each_row(put);
        for (_, cut) in self.ports.all.iter() {
            cut.rows.iter().for_each(|row| put(rows::port(cut.id, row)));
        }
        for (_, cut) in self.source_ports.all.iter() {
            let row = |row: &PortRow| rows::source_port(cut.id, row);
            cut.rows.iter().map(row).for_each(&mut *put);
        }
    }

    /// Rows of one port table's partition.
    pub(crate) fn port_rows(&self, ports: u32) -> &[PortRow] {
        self.ports.rows(ports)
    }

    /// Rows of one source port table's partition.
    pub(crate) fn source_port_rows(&self, source_ports: u32) -> &[PortRow] {
        self.source_ports.rows(source_ports)
    }
}

impl Cuts {
    fn rows(&self, id: u32) -> &[PortRow] {
        self.by_id
            .get(&id)
            .map_or(&[], |index| &self.all[*index].rows)
    }

    fn hold(
        &mut self,
        partition: &Partition,
        domain: &str,
        row: fn(u32, &PortRow) -> Row,
        journal: &mut Journal,
    ) -> u32 {
        if partition.rows.is_empty() {
            return 0;
        }
        if let Some(&index) = self.by_rows.get(&partition.rows) {
            let cut = &mut self.all[index];
            cut.users += 1;
            return cut.id;
        }
        let id = self.ids.take(partition.hash(domain));
        partition.rows.iter().for_each(|r| journal.put(row(id, r)));
        let index = self.all.insert(Cut {
            id,
            rows: partition.rows.clone(),
            users: 1,
        });
        self.by_rows.insert(partition.rows.clone(), index);
        self.by_id.insert(id, index);
        id
    }

    fn release(&mut self, id: u32, row: fn(u32, &PortRow) -> Row, journal: &mut Journal) {
        let Some(&index) = self.by_id.get(&id) else {
            return;
        };
        self.all[index].users -= 1;
        if self.all[index].users == 0
            && let Some(cut) = self.all.remove(index)
        {
            cut.rows.iter().for_each(|r| journal.gone(row(id, r).key));
            self.by_rows.remove(&cut.rows);
            self.by_id.remove(&id);
            self.ids.give(id);
        }
    }
}
