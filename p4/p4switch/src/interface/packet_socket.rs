//! Packet sockets of Linux (packet(7)): a ring of frames in, batches of frames out.
//!
//! The one place of the crate with `unsafe`, its [`ring`] included: no safe crate offers `recvmmsg`
//! with the auxiliary data of packet sockets, nor their socket options.
#![expect(unsafe_code, reason = "system calls that no safe crate wraps")]

mod ring;

use std::{
    io,
    mem::{size_of, zeroed},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr::{from_mut, from_ref, null_mut},
};

use libc::{c_int, c_void};

use super::offload::{Checksum, Offload, Segments};
use ring::{Next, Ring, Slot};

/// `AF_PACKET` as the address structure has it.
const FAMILY: libc::sa_family_t = 17;
/// `ETH_P_ALL`.
const ALL_PROTOCOLS: u16 = 3;
/// `PACKET_MR_PROMISC`.
const PROMISCUOUS: u16 = 1;
/// `virtio_net_hdr` without the count of buffers.
const VNET_HEADER: usize = 10;
const VNET_NEEDS_CSUM: u8 = 1;
const VNET_GSO_TCPV4: u8 = 1;
const VNET_GSO_TCPV6: u8 = 4;
const VNET_GSO_UDP_L4: u8 = 5;
/// Set beside the kind when ECN is in use.
const VNET_GSO_ECN: u8 = 0x80;
const VLAN_TAG: usize = 4;
/// Room in front of a frame for the VLAN tag that the kernel keeps aside.
const HEADROOM: usize = VLAN_TAG;
/// Largest frame of a virtual interface with segmentation left to it, and its headers.
const FRAME: usize = 65536 + 256;
const SOCKET_BUFFER: c_int = 16 << 20;
/// Frames that one system call sends.
const SEND: usize = 64;
/// Frames that are taken from a ring before others have their turn.
const TURN: usize = 256;

/// A socket bound to one interface.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    /// Absent where the system gives none.
    ring: Option<Ring>,
}

/// A frame with what is left to do on it.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) frame: &'a mut [u8],
    pub(super) offload: Offload,
}

/// Room for one batch of frames; one set serves all sockets of a thread.
#[derive(Debug)]
pub(crate) struct ReceiveBuffers {
    frames: Vec<Vec<u8>>,
    headers: Vec<[u8; VNET_HEADER]>,
    controls: Vec<Control>,
}

/// Room for one control message, aligned as `cmsghdr` wants it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Control([u8; 64]);

impl ReceiveBuffers {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            frames: vec![vec![0; HEADROOM + FRAME]; count],
            headers: vec![[0; VNET_HEADER]; count],
            controls: vec![Control([0; 64]); count],
        }
    }
}

impl Socket {
    /// Opens a socket that sees all frames that come in by an interface, and no others.
    pub(super) fn open(index: u32) -> io::Result<Self> {
        // Protocol 0 receives nothing until the socket is bound, so no frame of another interface
        // gets in.
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut socket = Self { fd, ring: None };
        let index = c_int::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
        let on: c_int = 1;
        socket.set(libc::SOL_PACKET, libc::PACKET_AUXDATA, &on)?;
        socket.set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, &on)?;
        socket.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &on)?;
        for (force, plain) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            // Beyond the system's limit takes CAP_NET_ADMIN; up to it is good enough then.
            socket
                .set(libc::SOL_SOCKET, force, &SOCKET_BUFFER)
                .or_else(|_| socket.set(libc::SOL_SOCKET, plain, &SOCKET_BUFFER))?;
        }
        // Frames leave at once; there is nothing to queue for.
        socket.set(libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &on)?;
        socket.ring = match Ring::new(socket.fd.as_fd(), VNET_HEADER) {
            Ok(ring) => Some(ring),
            Err(error) => {
                tracing::warn!(%error, "There is no receive ring; packets come by system calls");
                None
            }
        };
        // SAFETY: `sockaddr_ll` is plain data for which zero is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = FAMILY;
        address.sll_protocol = ALL_PROTOCOLS.to_be();
        address.sll_ifindex = index;
        let length = length_of::<libc::sockaddr_ll>();
        // SAFETY: the pointer is to a live `sockaddr_ll` of the length given.
        let bound = unsafe { libc::bind(socket.fd.as_raw_fd(), from_ref(&address).cast(), length) };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `packet_mreq` is plain data for which zero is a valid value.
        let mut membership: libc::packet_mreq = unsafe { zeroed() };
        membership.mr_ifindex = index;
        membership.mr_type = PROMISCUOUS;
        socket.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)?;
        Ok(socket)
    }

    fn set<T: Copy>(&self, level: c_int, name: c_int, value: &T) -> io::Result<()> {
        set_option(self.fd.as_fd(), level, name, value)
    }

    /// Takes the frames that wait, a turn of them.
    pub(super) fn receive(
        &mut self,
        buffers: &mut ReceiveBuffers,
        take: &mut dyn FnMut(Received<'_>),
    ) -> io::Result<()> {
        let Some(ring) = &mut self.ring else {
            let all = buffers.frames.len();
            return receive_queued(self.fd.as_fd(), buffers, all, take);
        };
        ring.take(TURN, VNET_HEADER, |next| {
            match next {
                Next::Frame(slot) => received(slot, take),
                Next::Queued => return receive_queued(self.fd.as_fd(), buffers, 1, take),
                Next::Lost => {}
            }
            Ok(())
        })
    }

    /// Sends frames; returns how many the kernel took.
    pub(super) fn send(&self, frames: &[&[u8]]) -> io::Result<usize> {
        // All zero: the frame is complete.
        let mut header = [0_u8; VNET_HEADER];
        let mut parts: Vec<[libc::iovec; 2]> = frames
            .iter()
            .take(SEND)
            .map(|frame| {
                [
                    part(header.as_mut_ptr(), header.len()),
                    part(frame.as_ptr().cast_mut(), frame.len()),
                ]
            })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = parts
            .iter_mut()
            .map(|parts| {
                // SAFETY: `mmsghdr` is plain data for which zero is a valid value.
                let mut message: libc::mmsghdr = unsafe { zeroed() };
                message.msg_hdr.msg_iov = parts.as_mut_ptr();
                message.msg_hdr.msg_iovlen = parts.len();
                message
            })
            .collect();
        let limit = u32::try_from(messages.len()).unwrap_or(0);
        let fd = self.fd.as_raw_fd();
        // SAFETY: every message points to parts, and these to buffers, that outlive the call, with
        // their true lengths; the kernel only reads them.
        let sent = unsafe { libc::sendmmsg(fd, messages.as_mut_ptr(), limit, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sets a socket option.
pub(super) fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let (fd, length) = (socket.as_raw_fd(), length_of::<T>());
    // SAFETY: the pointer is to a live value of the length given; the kernel copies it.
    let done = unsafe { libc::setsockopt(fd, level, name, from_ref(value).cast(), length) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Hands on a frame from its slot.
fn received(slot: Slot<'_>, take: &mut dyn FnMut(Received<'_>)) {
    let Slot { bytes, vlan } = slot;
    let Some(header) = bytes.first_chunk::<VNET_HEADER>() else {
        return;
    };
    let mut offload = offload(header);
    let frame = match vlan {
        // The virtio header in front is read already, so there is room for the tag.
        Some((kind, tag)) if bytes.len() >= VNET_HEADER + 12 => {
            bytes.copy_within(VNET_HEADER..VNET_HEADER + 12, VNET_HEADER - VLAN_TAG);
            bytes[VNET_HEADER + 8..VNET_HEADER + 10].copy_from_slice(&kind.to_be_bytes());
            bytes[VNET_HEADER + 10..VNET_HEADER + 12].copy_from_slice(&tag.to_be_bytes());
            if let Some(checksum) = &mut offload.checksum {
                checksum.start += VLAN_TAG;
            }
            &mut bytes[VNET_HEADER - VLAN_TAG..]
        }
        _ => &mut bytes[VNET_HEADER..],
    };
    take(Received { frame, offload });
}

/// Takes frames that wait in the socket's queue, at most `limit` and as many as there are buffers.
fn receive_queued(
    socket: BorrowedFd<'_>,
    buffers: &mut ReceiveBuffers,
    limit: usize,
    take: &mut dyn FnMut(Received<'_>),
) -> io::Result<()> {
    let ReceiveBuffers {
        frames,
        headers,
        controls,
    } = buffers;
    let mut parts: Vec<[libc::iovec; 2]> = headers
        .iter_mut()
        .zip(frames.iter_mut())
        .map(|(header, frame)| {
            let frame = &mut frame[HEADROOM..];
            [
                part(header.as_mut_ptr(), header.len()),
                part(frame.as_mut_ptr(), frame.len()),
            ]
        })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = parts
        .iter_mut()
        .zip(controls.iter_mut())
        .map(|(parts, control)| {
            // SAFETY: `mmsghdr` is plain data for which zero is a valid value.
            let mut message: libc::mmsghdr = unsafe { zeroed() };
            message.msg_hdr.msg_iov = parts.as_mut_ptr();
            message.msg_hdr.msg_iovlen = parts.len();
            message.msg_hdr.msg_control = from_mut(control).cast();
            message.msg_hdr.msg_controllen = size_of::<Control>();
            message
        })
        .collect();
    let fd = socket.as_raw_fd();
    let limit = u32::try_from(limit.min(messages.len())).unwrap_or(0);
    // SAFETY: every message points to parts, and these to buffers, that outlive the call, with
    // their true lengths; nothing else touches them meanwhile.
    let got = unsafe {
        libc::recvmmsg(
            fd,
            messages.as_mut_ptr(),
            limit,
            libc::MSG_DONTWAIT,
            null_mut(),
        )
    };
    let Ok(got) = usize::try_from(got) else {
        let error = io::Error::last_os_error();
        let later = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        );
        return if later { Ok(()) } else { Err(error) };
    };
    let filled = messages
        .iter()
        .zip(headers.iter().zip(frames.iter_mut()))
        .take(got);
    for (message, (header, buffer)) in filled {
        let whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
        let length = (message.msg_len as usize).checked_sub(VNET_HEADER);
        let (Some(length), true) = (length, whole) else {
            continue;
        };
        let mut offload = offload(header);
        let frame = match vlan_tag(&message.msg_hdr) {
            Some(tag) if length >= 12 => {
                buffer.copy_within(HEADROOM..HEADROOM + 12, 0);
                buffer[12..12 + VLAN_TAG].copy_from_slice(&tag);
                if let Some(checksum) = &mut offload.checksum {
                    checksum.start += VLAN_TAG;
                }
                &mut buffer[..HEADROOM + length]
            }
            _ => &mut buffer[HEADROOM..HEADROOM + length],
        };
        take(Received { frame, offload });
    }
    Ok(())
}

fn part(start: *mut u8, length: usize) -> libc::iovec {
    libc::iovec {
        iov_base: start.cast::<c_void>(),
        iov_len: length,
    }
}

fn offload(header: &[u8; VNET_HEADER]) -> Offload {
    let [flags, kind, ..] = *header;
    // Native byte order: the socket is a "legacy" virtio device of this host.
    let number = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
    let checksum = (flags & VNET_NEEDS_CSUM != 0).then(|| Checksum {
        start: number(6),
        offset: number(8),
    });
    let segments = match kind & !VNET_GSO_ECN {
        0 => Segments::None,
        VNET_GSO_TCPV4 | VNET_GSO_TCPV6 => Segments::Tcp,
        VNET_GSO_UDP_L4 => Segments::Udp,
        _ => Segments::Unknown,
    };
    Offload {
        checksum,
        segments,
        segment_size: number(4),
    }
}

/// The VLAN tag that the kernel took off the frame, if it did.
fn vlan_tag(message: &libc::msghdr) -> Option<[u8; VLAN_TAG]> {
    // SAFETY: the message was filled by `recvmmsg`, and its control buffer is alive.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: not null, so it points to a whole header in the control buffer, which is aligned.
        let header = unsafe { next.read() };
        let wanted = size_of::<libc::tpacket_auxdata>();
        let room = header.cmsg_len.saturating_sub(data_offset());
        if header.cmsg_level == libc::SOL_PACKET
            && header.cmsg_type == libc::PACKET_AUXDATA
            && room >= wanted
        {
            // SAFETY: as above.
            let data = unsafe { libc::CMSG_DATA(next) };
            // SAFETY: the length was checked; the data need not be aligned.
            let aux = unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
            if aux.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
                return None;
            }
            let kind = if aux.tp_status & libc::TP_STATUS_VLAN_TPID_VALID == 0 {
                0x8100
            } else {
                aux.tp_vlan_tpid
            };
            let [a, b] = kind.to_be_bytes();
            let [c, d] = aux.tp_vlan_tci.to_be_bytes();
            return Some([a, b, c, d]);
        }
        // SAFETY: as above; both pointers belong to this message.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    None
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the structures of this module are small"
)]
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn data_offset() -> usize {
    // SAFETY: a computation on the number only.
    let offset = unsafe { libc::CMSG_LEN(0) };
    offset as usize
}
