//! Rows, updates, table usage, counters.

use bytes::Bytes;
use table_model::{ActionCall, ActionId, Row, RowKey, TableId, Update};

use super::{EdgeError, enumeration, segment};
use crate::proto;
use crate::types::{DropCounter, EntryCounter, EntryView, TableUsage};

impl From<&RowKey> for proto::Row {
    fn from(key: &RowKey) -> Self {
        let RowKey { table, bytes } = key;
        Self {
            table: table.0,
            key: Bytes::copy_from_slice(bytes),
            action: 0,
            params: Bytes::new(),
        }
    }
}

impl From<&Row> for proto::Row {
    fn from(row: &Row) -> Self {
        let Row {
            key,
            action: ActionCall { action, params },
        } = row;
        Self {
            action: action.0,
            params: Bytes::copy_from_slice(params),
            ..Self::from(key)
        }
    }
}

/// A row or a bare key, taken apart.
fn parts(message: proto::Row) -> Result<(RowKey, ActionCall), EdgeError> {
    let proto::Row {
        table,
        key,
        action,
        params,
    } = message;
    if table == 0 {
        return Err(EdgeError::unset("Row", "table"));
    }
    Ok((
        RowKey {
            table: TableId(table),
            bytes: (&key[..]).into(),
        },
        ActionCall {
            action: ActionId(action),
            params: (&params[..]).into(),
        },
    ))
}

impl TryFrom<proto::Row> for Row {
    type Error = EdgeError;

    fn try_from(message: proto::Row) -> Result<Self, EdgeError> {
        let (key, action) = parts(message)?;
        if action.action.0 == 0 {
            return Err(EdgeError::unset("Row", "action"));
        }
        Ok(Self { key, action })
    }
}

impl TryFrom<proto::Row> for RowKey {
    type Error = EdgeError;

    fn try_from(message: proto::Row) -> Result<Self, EdgeError> {
        let (key, action) = parts(message)?;
        if action.action.0 != 0 {
            return Err(EdgeError::new(
                "Row",
                "action",
                "is set where a key stands alone",
            ));
        }
        Ok(key)
    }
}

impl From<&Update> for proto::Update {
    fn from(update: &Update) -> Self {
        let (kind, row) = match update {
            Update::Insert(row) => (proto::UpdateKind::Insert, row.into()),
            Update::Modify(row) => (proto::UpdateKind::Modify, row.into()),
            Update::Delete(key) => (proto::UpdateKind::Delete, key.into()),
        };
        Self {
            kind: kind.into(),
            row: Some(row),
        }
    }
}

impl TryFrom<proto::Update> for Update {
    type Error = EdgeError;

    fn try_from(message: proto::Update) -> Result<Self, EdgeError> {
        let proto::Update { kind, row } = message;
        let row = row.ok_or_else(|| EdgeError::unset("Update", "row"))?;
        match enumeration(kind, "Update", "kind")? {
            proto::UpdateKind::Unspecified => Err(EdgeError::unset("Update", "kind")),
            proto::UpdateKind::Insert => row.try_into().map(Self::Insert),
            proto::UpdateKind::Modify => row.try_into().map(Self::Modify),
            proto::UpdateKind::Delete => row.try_into().map(Self::Delete),
        }
    }
}

impl From<TableUsage> for proto::Table {
    fn from(usage: TableUsage) -> Self {
        let TableUsage {
            name,
            id,
            size,
            desired,
            observed,
        } = usage;
        Self {
            name: format!("devices/-/tables/{name}"),
            id,
            size,
            desired,
            observed,
        }
    }
}

impl TryFrom<proto::Table> for TableUsage {
    type Error = EdgeError;

    fn try_from(message: proto::Table) -> Result<Self, EdgeError> {
        let proto::Table {
            name,
            id,
            size,
            desired,
            observed,
        } = message;
        Ok(Self {
            name: segment(&name, "tables", "Table", "name")?.to_owned(),
            id,
            size,
            desired,
            observed,
        })
    }
}

impl From<EntryView> for proto::EntryView {
    fn from(view: EntryView) -> Self {
        match view {
            EntryView::Observed => Self::Observed,
            EntryView::Desired => Self::Desired,
        }
    }
}

/// A view field; unset means observed (its proto says so).
pub(crate) fn entry_view(value: i32, message: &'static str) -> Result<EntryView, EdgeError> {
    match proto::EntryView::try_from(value) {
        Ok(proto::EntryView::Unspecified | proto::EntryView::Observed) => Ok(EntryView::Observed),
        Ok(proto::EntryView::Desired) => Ok(EntryView::Desired),
        Err(_) => Err(EdgeError::unknown(message, "view", value)),
    }
}

impl From<EntryCounter> for proto::EntryCounter {
    fn from(counter: EntryCounter) -> Self {
        let EntryCounter {
            row,
            packets,
            bytes,
        } = counter;
        Self {
            entry: Some((&row).into()),
            packets,
            bytes,
        }
    }
}

impl TryFrom<proto::EntryCounter> for EntryCounter {
    type Error = EdgeError;

    fn try_from(message: proto::EntryCounter) -> Result<Self, EdgeError> {
        let proto::EntryCounter {
            entry,
            packets,
            bytes,
        } = message;
        Ok(Self {
            row: entry
                .ok_or_else(|| EdgeError::unset("EntryCounter", "entry"))?
                .try_into()?,
            packets,
            bytes,
        })
    }
}

impl From<DropCounter> for proto::DropCounter {
    fn from(counter: DropCounter) -> Self {
        let DropCounter {
            code,
            reason,
            packets,
            bytes,
        } = counter;
        Self {
            code,
            reason,
            packets,
            bytes,
        }
    }
}

impl From<proto::DropCounter> for DropCounter {
    fn from(message: proto::DropCounter) -> Self {
        let proto::DropCounter {
            code,
            reason,
            packets,
            bytes,
        } = message;
        Self {
            code,
            reason,
            packets,
            bytes,
        }
    }
}
