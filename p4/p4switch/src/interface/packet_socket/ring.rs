//! The receive ring of a packet socket (packet(7), `TPACKET_V2`): the kernel puts frames into
//! memory that both share, so that receiving takes no system call a frame.
//!
//! Version 2 and not 3, because version 3 hands frames over by the block, which costs a lone packet
//! a millisecond. A frame that is too long for its slot comes whole by the socket's queue
//! (`PACKET_COPY_THRESH`), in order.

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicU32, Ordering},
};

use libc::c_int;

use super::set_option;

/// Slots: some milliseconds of packets at full speed.
const SLOTS: u32 = 4096;
/// A usual frame with the kernel's headers in front of it.
const SLOT: u32 = 2048;
/// Memory comes in blocks of so many bytes.
const BLOCK: u32 = 1 << 16;
const BYTES: usize = SLOTS as usize * SLOT as usize;
/// `TPACKET_V2` in the kernel's enumeration.
const VERSION_2: c_int = 1;

/// A ring in use by one socket.
#[derive(Debug)]
pub(super) struct Ring {
    memory: NonNull<u8>,
    next: usize,
}

// SAFETY: the memory belongs to the ring alone, and the kernel does not care which thread reads it.
unsafe impl Send for Ring {}

/// A frame in its slot, with the space in front of it.
#[derive(Debug)]
pub(super) struct Slot<'r> {
    /// From the virtio header on.
    pub(super) bytes: &'r mut [u8],
    /// The tag that the kernel took off, as type and tag.
    pub(super) vlan: Option<(u16, u16)>,
}

/// What the next slot holds.
#[derive(Debug)]
pub(super) enum Next<'r> {
    /// A frame.
    Frame(Slot<'r>),
    /// A frame that was too long and waits in the socket's queue.
    Queued,
    /// A frame that was too long, when the queue was full.
    Lost,
}

impl Ring {
    /// Gives a socket a ring. It is to have its virtio header already, and is not yet bound.
    pub(super) fn new(socket: BorrowedFd<'_>, vnet_header: usize) -> io::Result<Self> {
        set_option(socket, libc::SOL_PACKET, libc::PACKET_VERSION, &VERSION_2)?;
        let on: c_int = 1;
        set_option(socket, libc::SOL_PACKET, libc::PACKET_COPY_THRESH, &on)?;
        let request = libc::tpacket_req {
            tp_block_size: BLOCK,
            tp_block_nr: SLOTS * SLOT / BLOCK,
            tp_frame_size: SLOT,
            tp_frame_nr: SLOTS,
        };
        set_option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let fd = socket.as_raw_fd();
        debug_assert!(vnet_header < SLOT as usize);
        // SAFETY: a new mapping of a descriptor that is open; no existing memory is touched.
        let memory = unsafe { libc::mmap(null_mut(), BYTES, protection, libc::MAP_SHARED, fd, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(memory.cast())
            .map(|memory| Self { memory, next: 0 })
            .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Takes the frames that wait, at most `limit`.
    pub(super) fn take(
        &mut self,
        limit: usize,
        vnet_header: usize,
        mut take: impl FnMut(Next<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        for _ in 0..limit {
            let at = self.next * SLOT as usize;
            // SAFETY: `at` is the start of a slot inside of the mapping.
            let slot = unsafe { self.memory.add(at) };
            // SAFETY: a slot begins with its status, aligned; the kernel and this thread are the
            // only ones who access it, both atomically.
            let status = unsafe { AtomicU32::from_ptr(slot.cast().as_ptr()) };
            let now = status.load(Ordering::Acquire);
            if now & libc::TP_STATUS_USER == 0 {
                return Ok(());
            }
            // SAFETY: the status says that the slot is ours, and it begins with this header.
            let header = unsafe { slot.cast::<libc::tpacket2_hdr>().read() };
            // SAFETY: the slot is ours until its status is written below, and nothing else in this
            // program points into it.
            let whole = unsafe { std::slice::from_raw_parts_mut(slot.as_ptr(), SLOT as usize) };
            let outcome = take(content(whole, &header, now, vnet_header));
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % SLOTS as usize;
            outcome?;
        }
        Ok(())
    }
}

fn content<'s>(
    slot: &'s mut [u8],
    header: &libc::tpacket2_hdr,
    status: u32,
    vnet_header: usize,
) -> Next<'s> {
    if status & libc::TP_STATUS_COPY != 0 {
        return Next::Queued;
    }
    let start = usize::from(header.tp_mac).checked_sub(vnet_header);
    let end = usize::from(header.tp_mac) + header.tp_snaplen as usize;
    let room = start.is_some_and(|start| start >= size_of::<libc::tpacket2_hdr>());
    match (start, slot.get_mut(..end)) {
        (Some(start), Some(filled)) if room && header.tp_snaplen == header.tp_len => {
            let vlan = (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
                let named = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
                let kind = if named { header.tp_vlan_tpid } else { 0x8100 };
                (kind, header.tp_vlan_tci)
            });
            Next::Frame(Slot {
                bytes: &mut filled[start..],
                vlan,
            })
        }
        _ => Next::Lost,
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length, and no slot is borrowed any more.
        let unmapped = unsafe { libc::munmap(self.memory.as_ptr().cast(), BYTES) };
        debug_assert_eq!(unmapped, 0);
    }
}
