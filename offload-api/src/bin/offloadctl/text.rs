//! Text on the terminal.

use std::io::{self, Write};

/// Prints rows under headings, columns as wide as they need.
pub(crate) fn table(out: &mut impl Write, heads: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain([heads[column].len()])
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| -> io::Result<()> {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            let fill = width.saturating_sub(cell.chars().count()) + 2;
            text.extend(std::iter::repeat_n(' ', fill));
        }
        writeln!(out, "{}", text.trim_end())
    };
    line(&mut heads.iter().copied())?;
    for row in rows {
        line(&mut row.iter().map(String::as_str))?;
    }
    Ok(())
}

/// Says what went wrong, where it does not get between a program and its document.
pub(crate) fn complain(text: &str) {
    // Nothing can be done about a standard error that is gone.
    let _ = writeln!(io::stderr(), "offloadctl: {text}");
}

/// A text or, if there is none, a dash.
pub(crate) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}
