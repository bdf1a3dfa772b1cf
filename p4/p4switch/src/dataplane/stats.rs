//! What the packet loop counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Packets since the switch started.
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug, serde::Serialize)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// Shared with the packet loop, which alone writes.
        #[derive(Default, Debug)]
        pub(crate) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Frames that went into the pipeline, from wherever.
    received,
    /// Frames that left by an interface.
    sent,
    /// Frames that an interface did not take: too long, down, or full.
    not_sent,
    /// Frames for a port that nothing is attached to.
    unattached,
    /// Packets that went to a controller.
    packet_in,
    /// Packets for a controller that no primary could take.
    packet_in_lost,
    /// Digests that went to a controller, in lists.
    digests,
    /// Digests that no primary could take, or that were too many.
    digests_lost,
    /// Frames that came while there was no program.
    no_program,
}

/// One of them.
#[derive(Default, Debug)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}
