//! Waking a thread that sleeps in epoll.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicBool, Ordering},
};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// An eventfd that is written only while its thread sleeps.
#[derive(Debug)]
pub(crate) struct Wake {
    event: EventFd,
    asleep: AtomicBool,
    /// Something was put in the inbox since the thread last asked.
    posted: AtomicBool,
}

impl Wake {
    pub(crate) fn new() -> nix::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self {
            event: EventFd::from_value_and_flags(0, flags)?,
            asleep: AtomicBool::new(false),
            posted: AtomicBool::new(false),
        })
    }

    /// Tells the thread that its inbox has something, and wakes it if it sleeps or is about to.
    pub(crate) fn wake(&self) {
        self.posted.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // It fails only if the counter is full, and then the thread is awake.
            let _ = self.event.write(1);
        }
    }

    /// Whether the thread sleeps, or is about to: others may work in its place.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Says that the thread is about to sleep; false if it should look at its inbox first.
    pub(super) fn doze(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.posted.swap(false, Ordering::SeqCst)
    }

    /// Says that the thread is awake.
    pub(super) fn rouse(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Forgets past wake-ups.
    pub(super) fn clear(&self) {
        // Nothing to read is fine: the event was taken already.
        let _ = self.event.read();
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
