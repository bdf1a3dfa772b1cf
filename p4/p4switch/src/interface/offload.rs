//! What the kernel leaves to the hardware, done here: checksums and segmentation.
//!
//! Between two virtual interfaces the kernel hands frames over with a checksum that only covers the
//! pseudo header and with up to 64 KiB of TCP payload. A pipeline that looks at lengths, rewrites
//! headers or sends the frame out elsewhere wants frames as on a wire.

/// What is left to do on a frame (`virtio_net_hdr`).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Offload {
    /// Where the sum starts and where, from there, it is stored; absent if it is complete.
    pub(super) checksum: Option<Checksum>,
    pub(super) segments: Segments,
    /// Payload bytes of each segment.
    pub(super) segment_size: usize,
}

/// See [`Offload::checksum`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Checksum {
    pub(super) start: usize,
    pub(super) offset: usize,
}

/// How a frame is to be cut.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Segments {
    #[default]
    None,
    Tcp,
    /// UDP datagrams of equal size (`UDP_SEGMENT`).
    Udp,
    /// Something that this switch does not cut.
    Unknown,
}

const SCTP: u8 = 132;
const TCP_SEQUENCE: usize = 4;
const TCP_OFFSET: usize = 12;
const TCP_FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;
const UDP_LENGTH: usize = 4;
const UDP_CHECKSUM: usize = 6;
const UDP_HEADER: usize = 8;
/// FIN and PSH belong to the last segment, CWR to the first.
const LAST_ONLY: u8 = 0x09;
const FIRST_ONLY: u8 = 0x80;

/// Finishes a frame and hands over what it becomes. A frame that makes no sense goes as it is.
pub(super) fn finish(frame: &mut [u8], offload: Offload, take: &mut dyn FnMut(&[u8])) {
    match (offload.segments, offload.checksum) {
        (Segments::Tcp | Segments::Udp, Some(checksum)) => {
            if cut(frame, offload, checksum.start, take).is_none() {
                take(frame);
            }
        }
        (_, Some(checksum)) => {
            complete(frame, checksum);
            take(frame);
        }
        (_, None) => take(frame),
    }
}

/// Completes the checksum that the kernel began.
fn complete(frame: &mut [u8], Checksum { start, offset }: Checksum) {
    let Some(covered) = frame.get(start..) else {
        return;
    };
    if covered.len() < offset + 2 {
        return;
    }
    let layers = network(frame);
    if offset == 8 && layers.is_some_and(|layers| layers.protocol == SCTP && layers.end == start) {
        sctp(&mut frame[start..]);
        return;
    }
    // The field holds the sum of the pseudo header, so it is summed like any other.
    let sum = !fold(sum(&frame[start..]));
    // UDP writes a sum of zero as all ones; for TCP the two are the same number.
    let sum = if sum == 0 { 0xffff } else { sum };
    frame[start + offset..][..2].copy_from_slice(&sum.to_be_bytes());
}

/// SCTP sums with CRC-32C, least significant byte first (RFC 9260, appendix A).
fn sctp(packet: &mut [u8]) {
    let Some(field) = packet.get_mut(8..12) else {
        return;
    };
    field.fill(0);
    let crc = crc32c(packet);
    packet[8..12].copy_from_slice(&crc.to_le_bytes());
}

const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        CRC32C[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8
    })
}

/// Ones' complement sum, not folded.
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let mut sum = words
        .by_ref()
        .map(|word| u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]])))
        .sum::<u64>();
    let mut tail = [0; 4];
    let rest = words.remainder();
    tail[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_be_bytes(tail));
    sum
}

#[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits above")]
fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The network header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Network {
    start: usize,
    /// Where the transport header starts.
    end: usize,
    v6: bool,
    protocol: u8,
}

fn network(frame: &[u8]) -> Option<Network> {
    let mut at = 12;
    loop {
        let kind = frame.get(at..at + 2)?;
        at += 2;
        match u16::from_be_bytes([kind[0], kind[1]]) {
            0x8100 | 0x88a8 => at += 2,
            0x0800 => {
                let first = *frame.get(at)?;
                let end = at + usize::from(first & 0x0f) * 4;
                let protocol = *frame.get(at + 9)?;
                return Some(Network {
                    start: at,
                    end,
                    v6: false,
                    protocol,
                });
            }
            0x86dd => {
                let protocol = *frame.get(at + 6)?;
                return Some(Network {
                    start: at,
                    end: at + 40,
                    v6: true,
                    protocol,
                });
            }
            _ => return None,
        }
    }
}

/// Cuts a frame into segments; `None` if its headers make no sense.
fn cut(
    frame: &[u8],
    offload: Offload,
    transport: usize,
    take: &mut dyn FnMut(&[u8]),
) -> Option<()> {
    let network = network(frame)?;
    let tcp = offload.segments == Segments::Tcp;
    let header = if tcp {
        usize::from(frame.get(transport + TCP_OFFSET)? >> 4) * 4
    } else {
        UDP_HEADER
    };
    let payload_start = transport + header;
    let payload = frame.get(payload_start..)?;
    if offload.segment_size == 0 || network.end > transport || header < UDP_HEADER {
        return None;
    }
    let sequence = if tcp {
        let bytes = frame.get(transport + TCP_SEQUENCE..)?.first_chunk::<4>()?;
        u32::from_be_bytes(*bytes)
    } else {
        0
    };
    let identification = frame.get(network.start + 4..)?.first_chunk::<2>()?;
    let identification = u16::from_be_bytes(*identification);
    let count = payload.len().div_ceil(offload.segment_size).max(1);
    let mut segment = Vec::with_capacity(payload_start + offload.segment_size);
    for (at, part) in payload.chunks(offload.segment_size).enumerate() {
        segment.clear();
        segment.extend_from_slice(&frame[..payload_start]);
        segment.extend_from_slice(part);
        let step = u16::try_from(at % 0x1_0000).unwrap_or(0);
        lengths(&mut segment, network, identification.wrapping_add(step))?;
        let packet = &mut segment[transport..];
        let checksum = if tcp {
            let offset = u32::try_from(at * offload.segment_size).unwrap_or(0);
            packet[TCP_SEQUENCE..][..4]
                .copy_from_slice(&sequence.wrapping_add(offset).to_be_bytes());
            if at > 0 {
                packet[TCP_FLAGS] &= !FIRST_ONLY;
            }
            if at + 1 < count {
                packet[TCP_FLAGS] &= !LAST_ONLY;
            }
            TCP_CHECKSUM
        } else {
            let length = u16::try_from(packet.len()).ok()?;
            packet[UDP_LENGTH..][..2].copy_from_slice(&length.to_be_bytes());
            UDP_CHECKSUM
        };
        let pseudo = pseudo_header(&segment, network, transport, tcp);
        let packet = &mut segment[transport..];
        packet[checksum..][..2].copy_from_slice(&pseudo.to_be_bytes());
        complete(
            &mut segment,
            Checksum {
                start: transport,
                offset: checksum,
            },
        );
        take(&segment);
    }
    Some(())
}

/// Sets the lengths in the network header, and for IPv4 identification and checksum.
fn lengths(segment: &mut [u8], network: Network, identification: u16) -> Option<()> {
    let total = segment.len() - network.start;
    let header = segment.get_mut(network.start..network.end)?;
    if network.v6 {
        let length = u16::try_from(total - 40).ok()?;
        header[4..6].copy_from_slice(&length.to_be_bytes());
        return Some(());
    }
    if header.len() < 20 {
        return None;
    }
    header[2..4].copy_from_slice(&u16::try_from(total).ok()?.to_be_bytes());
    header[4..6].copy_from_slice(&identification.to_be_bytes());
    header[10..12].fill(0);
    let checksum = !fold(sum(header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

fn pseudo_header(segment: &[u8], network: Network, transport: usize, tcp: bool) -> u16 {
    let addresses = if network.v6 { 8..40 } else { 12..20 };
    let addresses = &segment[network.start..][addresses];
    let length = (segment.len() - transport) as u64;
    let protocol = if tcp { 6 } else { 17 };
    fold(sum(addresses) + length + protocol)
}

#[cfg(test)]
mod tests;
