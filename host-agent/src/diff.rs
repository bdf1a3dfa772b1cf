//! Four sides of every table: what Felix said, what this agent wants, what the DPU agent was told,
//! and what the target holds.

use std::collections::BTreeMap;

use offload_api::host::{RowDiff, TableDiff};
use p4_tables::schema;
use policy_compiler::{Compiler, Site};
use policy_model::{PolicyModel, Semantics};
use table_model::{ActionCall, Capability, Row, RowKey, TableSchema, TableSnapshot};

use crate::agent::Agent;
use crate::entries::entry;

/// Counts up when connections are forgotten, on the DPU alone; no side knows another's.
const EPOCH: &str = "epoch";

/// What a compilation from nothing takes.
pub(crate) struct Fresh {
    model: PolicyModel,
    capability: Capability,
    semantics: Semantics,
    site: Site,
}

impl Fresh {
    /// A copy of what the owner has; none before Felix's snapshot is complete or the target known.
    pub(crate) fn of(agent: &Agent) -> Option<Self> {
        let capability = agent.capability().filter(|_| agent.model.in_sync())?;
        Some(Self {
            model: agent.model.clone(),
            capability: capability.clone(),
            semantics: agent.config.semantics.clone(),
            site: agent.site.clone(),
        })
    }

    /// All rows, compiled from nothing. Takes as long as the first compilation did.
    ///
    /// # Errors
    /// The policy does not compile, for people.
    pub(crate) fn rows(self) -> Result<TableSnapshot, String> {
        let mut compiler = Compiler::new(self.capability, self.semantics);
        let nothing = policy_model::ChangeSet::default();
        compiler
            .commit(&self.model, &nothing, &self.site)
            .map_err(|error| offload_api::error_chain(&error))?;
        Ok(compiler.snapshot())
    }
}

/// The rows of one table on all sides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sides {
    pub(crate) felix: Vec<Row>,
    pub(crate) host: Vec<Row>,
    pub(crate) dpu: Vec<Row>,
    pub(crate) target: Vec<Row>,
}

/// What a row does on each side.
type Four = [Option<ActionCall>; 4];

impl Sides {
    /// Compares them; `limit` of the rows that differ are told.
    pub(crate) fn compare(self, table: &TableSchema, limit: usize) -> TableDiff {
        let sides = [self.felix, self.host, self.dpu, self.target];
        let [felix, host, dpu, target] = sides.each_ref().map(|rows| rows.len() as u64);
        let mut keys: BTreeMap<RowKey, Four> = BTreeMap::new();
        for (side, rows) in sides.into_iter().enumerate() {
            for row in rows {
                let action = without_epoch(table, row.action);
                if let Some(place) = keys.entry(row.key).or_default().get_mut(side) {
                    *place = Some(action);
                }
            }
        }
        keys.retain(|_, [first, rest @ ..]| rest.iter().any(|other| other != first));
        TableDiff {
            table: table.name.clone(),
            felix,
            host,
            dpu,
            target,
            differing: keys.len() as u64,
            rows: keys.into_iter().take(limit).map(told).collect(),
        }
    }
}

/// The same action with the number 0 in place of the connection epoch.
fn without_epoch(table: &TableSchema, call: ActionCall) -> ActionCall {
    let same = || {
        let action = table.action(call.action).ok()?;
        let place = action.params.iter().position(|param| param.name == EPOCH)?;
        let mut params = action.params(&call).ok()?;
        *params.get_mut(place)? = 0;
        action.call(&params).ok()
    };
    same().unwrap_or(call)
}

fn told((key, sides): (RowKey, Four)) -> RowDiff {
    let mut fields = Vec::new();
    let [felix, host, dpu, target] = sides.map(|action| {
        let Some(action) = action else {
            return String::new();
        };
        let row = Row {
            key: key.clone(),
            action,
        };
        let entry = entry(schema(), &row);
        fields = entry.fields;
        let params = entry.params.iter();
        std::iter::once(entry.action.clone())
            .chain(params.map(|value| format!("{}={}", value.name, value.value)))
            .collect::<Vec<_>>()
            .join(" ")
    });
    RowDiff {
        fields,
        felix,
        host,
        dpu,
        target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(address: u32, label: u32) -> Row {
        let key = p4_tables::acl_host_v4::key(address);
        p4_tables::acl_host_v4::host_label(key, label)
    }

    fn hosts() -> &'static TableSchema {
        schema().table(p4_tables::acl_host_v4::TABLE).unwrap()
    }

    #[test]
    fn rows_that_are_the_same_everywhere_are_counted_only() {
        let rows = vec![row(1, 5), row(2, 6)];
        let sides = Sides {
            felix: rows.clone(),
            host: rows.clone(),
            dpu: rows.clone(),
            target: rows,
        };
        let diff = sides.compare(hosts(), 10);
        assert_eq!((diff.felix, diff.target, diff.differing), (2, 2, 0));
        assert_eq!(diff.rows, []);
    }

    #[test]
    fn each_side_tells_what_its_row_does() {
        let sides = Sides {
            felix: vec![row(1, 5), row(2, 6)],
            host: vec![row(1, 5), row(2, 6)],
            dpu: vec![row(1, 5), row(2, 7)],
            target: vec![row(3, 9)],
        };
        let diff = sides.clone().compare(hosts(), 10);
        assert_eq!(diff.differing, 3);
        assert_eq!(diff.rows[1].fields[0].value, "0.0.0.2");
        assert_eq!(diff.rows[1].felix, "host_label label=0x00000006");
        assert_eq!(diff.rows[1].dpu, "host_label label=0x00000007");
        assert_eq!(diff.rows[1].target, "");
        assert_eq!(diff.rows[2].felix, "");
        assert_eq!(sides.compare(hosts(), 1).rows.len(), 1);
    }

    #[test]
    fn the_epoch_of_connections_is_no_difference() {
        let settings = |epoch| {
            let key = p4_tables::acl_settings::key();
            vec![p4_tables::acl_settings::settings(
                key, epoch, 4789, true, true,
            )]
        };
        let sides = Sides {
            felix: settings(0),
            host: settings(0),
            dpu: settings(3),
            target: settings(3),
        };
        let table = schema().table(p4_tables::acl_settings::TABLE).unwrap();
        assert_eq!(sides.compare(table, 10).differing, 0);
    }
}
