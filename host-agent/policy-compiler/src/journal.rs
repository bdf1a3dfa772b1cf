//! What a commit does to the rows that only ids lead to.

use table_model::{Row, RowKey};

/// Body rows are content under a content-derived key: they come and go and are never modified. A
/// row that only the way needs is in both lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// New rows.
    pub puts: Vec<Row>,
    /// Keys of rows that nothing refers to any more.
    pub gone: Vec<RowKey>,
}

impl Journal {
    pub(crate) fn put(&mut self, row: Row) {
        self.puts.push(row);
    }

    pub(crate) fn gone(&mut self, key: RowKey) {
        self.gone.push(key);
    }
}
