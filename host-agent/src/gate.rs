//! Readiness: latches that close once and stay closed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A loop that has not turned for this long is stuck.
const STUCK: Duration = Duration::from_secs(15);

/// What has to have happened before this agent is of use, and whether it is alive.
#[derive(Debug)]
pub(crate) struct Gate {
    began: Instant,
    in_sync: AtomicBool,
    acknowledged: AtomicBool,
    /// Milliseconds after `began` when the owner's loop turned last.
    beat: AtomicU64,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            in_sync: AtomicBool::new(false),
            acknowledged: AtomicBool::new(false),
            beat: AtomicU64::new(0),
        }
    }

    /// Felix's snapshot is complete, or the journal held one.
    pub(crate) fn in_sync(&self) {
        self.in_sync.store(true, Ordering::Relaxed);
    }

    /// The DPU has acknowledged a state.
    pub(crate) fn acknowledged(&self) {
        self.acknowledged.store(true, Ordering::Relaxed);
    }

    /// The owner's loop has turned.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(now, Ordering::Relaxed);
    }

    /// What is missing for readiness.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        [
            (&self.in_sync, "no complete snapshot from Felix yet"),
            (&self.acknowledged, "no state acknowledged by the DPU yet"),
        ]
        .into_iter()
        .filter(|(latch, _)| !latch.load(Ordering::Relaxed))
        .map(|(_, text)| text)
        .collect()
    }

    /// Whether the owner's loop turns.
    pub(crate) fn alive(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(beat) < STUCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_latched() {
        let gate = Gate::new();
        assert_eq!(gate.missing().len(), 2);
        gate.acknowledged();
        assert_eq!(gate.missing(), ["no complete snapshot from Felix yet"]);
        gate.in_sync();
        assert!(gate.missing().is_empty());
        assert!(gate.alive());
    }
}
