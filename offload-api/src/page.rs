//! Pages and their tokens (AIP-158).

use std::fmt::Write;

use table_model::{RowKey, TableId};

use crate::edge::EdgeError;
use crate::types::Page;

/// How long pages may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// If the client leaves it to the server.
    pub(crate) default: usize,
    /// More is taken as this.
    pub(crate) most: usize,
}

impl Bounds {
    pub(crate) fn size(self, asked: i32, message: &'static str) -> Result<usize, EdgeError> {
        match usize::try_from(asked) {
            Ok(0) => Ok(self.default),
            Ok(size) => Ok(size.min(self.most)),
            Err(_) => Err(EdgeError::new(
                message,
                "page_size",
                format!("has {asked}, which is negative"),
            )),
        }
    }
}

/// A page of a list that fits memory; the token is the place of the next item.
pub(crate) fn offset_page<T>(
    items: Vec<T>,
    size: usize,
    token: &str,
    message: &'static str,
) -> Result<Page<T>, EdgeError> {
    let start: usize = if token.is_empty() {
        0
    } else {
        token.parse().map_err(|_| bad_token(message, token))?
    };
    let end = start.saturating_add(size);
    let next = (end < items.len()).then(|| end.to_string());
    Ok(Page {
        items: items.into_iter().skip(start).take(size).collect(),
        next,
    })
}

fn bad_token(message: &'static str, token: &str) -> EdgeError {
    EdgeError::new(
        message,
        "page_token",
        format!("has {token:?}, which no answer contained"),
    )
}

/// A token that goes on behind this row, whatever happens to the table in between.
pub(crate) fn row_token(key: &RowKey) -> String {
    let mut token = format!("{:08x}", key.table.0);
    for byte in &key.bytes {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

pub(crate) fn token_row(token: &str, message: &'static str) -> Result<Option<RowKey>, EdgeError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bad = || bad_token(message, token);
    let (table, key) = token.split_at_checked(8).ok_or_else(bad)?;
    let table = u32::from_str_radix(table, 16).map_err(|_| bad())?;
    if !key.is_ascii() || key.len() % 2 != 0 {
        return Err(bad());
    }
    let bytes = (0..key.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&key[at..at + 2], 16).map_err(|_| bad()))
        .collect::<Result<_, _>>()?;
    Ok(Some(RowKey {
        table: TableId(table),
        bytes,
    }))
}
