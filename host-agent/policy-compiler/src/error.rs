//! Why a commit is refused.

use thiserror::Error;

/// A commit that cannot be done. The compiler and what it emitted so far stay as they were; the
/// refused changes are kept and tried again with the next commit.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CompileError {
    /// A table has no room. New rows are written before old ones go, so both must fit.
    #[error("Table {table} has no room for {need} more rows, {free} are free")]
    Full {
        /// Name of the table.
        table: String,
        /// Rows to insert.
        need: u64,
        /// Room.
        free: u64,
    },
}
