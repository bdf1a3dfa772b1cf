//! One line on standard error that says how far a command is.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);
/// Without a terminal, lines pile up in a log.
const EVERY_IN_LOG: Duration = Duration::from_secs(5);

/// Shows itself a few times a second on a terminal, and seldom in a log.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    last: Instant,
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            last: Instant::now(),
            shown: false,
        }
    }

    /// Shows the text if it is time.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let every = if self.terminal { EVERY } else { EVERY_IN_LOG };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        self.shown = true;
        let text = text();
        let mut stderr = std::io::stderr().lock();
        // Progress that nobody can see is no reason to stop.
        let _ = if self.terminal {
            write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{text}")
        };
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if self.terminal && self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
