#![expect(clippy::cast_possible_truncation, reason = "frames of tests are small")]

use proptest::prelude::*;

use super::*;

/// An Ethernet frame with an IPv4 or IPv6 header (addresses 1 and 2) in front of `transport`.
fn frame(v6: bool, protocol: u8, vlan: bool, transport: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    if vlan {
        frame.extend([0x81, 0, 0, 7]);
    }
    let length = transport.len() as u16;
    if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend(1_u128.to_be_bytes());
        frame.extend(2_u128.to_be_bytes());
    } else {
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((length + 20).to_be_bytes());
        frame.extend([0x12, 0x34, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    }
    frame.extend(transport);
    frame
}

/// Ones' complement sum the slow way: RFC 1071 in 16-bit steps.
fn slow_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    sum as u16
}

/// Whether a receiver would take the transport checksum of a frame without VLAN tag.
fn verifies(frame: &[u8]) -> bool {
    let network = network(frame).expect("network header");
    let transport = &frame[network.end..];
    let addresses = if network.v6 { 8..40 } else { 12..20 };
    let mut covered = frame[network.start..][addresses].to_vec();
    covered.extend((transport.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, network.protocol]);
    covered.extend(transport);
    let header = network.v6 || slow_sum(&frame[network.start..network.end]) == 0xffff;
    header && slow_sum(&covered) == 0xffff
}

fn finished(mut given: Vec<u8>, offload: Offload) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    finish(&mut given, offload, &mut |frame| out.push(frame.to_vec()));
    out
}

fn tcp_header(sequence: u32, flags: u8) -> Vec<u8> {
    let mut header = vec![0x9c, 0x40, 0x1f, 0x90];
    header.extend(sequence.to_be_bytes());
    header.extend([0, 0, 0, 9, 0x60, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 1, 1]);
    header
}

#[test]
fn a_frame_that_is_complete_goes_as_it_is() {
    let given = frame(false, 17, false, &[1, 2, 3, 4, 0, 8, 0, 0]);
    assert_eq!(finished(given.clone(), Offload::default()), [given]);
}

#[test]
fn crc32c_of_the_check_string() {
    // The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn sctp_gets_its_own_sum() {
    let mut packet = vec![0x13, 0x88, 0x13, 0x89, 0, 0, 0, 1, 0, 0, 0, 0];
    packet.extend(b"chunk");
    let want = crc32c(&packet).to_le_bytes();
    let given = frame(false, 132, false, &packet);
    let start = given.len() - packet.len();
    let checksum = Some(Checksum { start, offset: 8 });
    let out = finished(
        given,
        Offload {
            checksum,
            ..Offload::default()
        },
    );
    assert_eq!(out[0][start + 8..start + 12], want);
}

#[test]
fn tcp_is_cut_and_each_segment_verifies() {
    let payload: Vec<u8> = (0..3500_u32).map(|at| (at % 251) as u8).collect();
    for v6 in [false, true] {
        // CWR, ACK, PSH and FIN set.
        let mut transport = tcp_header(0xffff_fff0, 0x99);
        transport.extend(&payload);
        let given = frame(v6, 6, false, &transport);
        let start = given.len() - transport.len();
        let offload = Offload {
            checksum: Some(Checksum { start, offset: 16 }),
            segments: Segments::Tcp,
            segment_size: 1448,
        };
        let out = finished(given, offload);
        assert_eq!(out.len(), 3);
        let mut joined: Vec<u8> = Vec::new();
        for (at, segment) in out.iter().enumerate() {
            assert!(verifies(segment), "segment {at}");
            let tcp = &segment[start..];
            let sequence = u32::from_be_bytes(tcp[4..8].try_into().expect("four bytes"));
            assert_eq!(sequence, 0xffff_fff0_u32.wrapping_add(at as u32 * 1448));
            joined.extend(&tcp[24..]);
        }
        let flags: Vec<u8> = out.iter().map(|segment| segment[start + 13]).collect();
        assert_eq!(flags, [0x90, 0x10, 0x19]);
        assert_eq!(joined, payload);
        if !v6 {
            let ids: Vec<_> = out
                .iter()
                .map(|segment| [segment[18], segment[19]])
                .collect();
            assert_eq!(ids, [[0x12, 0x34], [0x12, 0x35], [0x12, 0x36]]);
        }
    }
}

#[test]
fn udp_is_cut_into_datagrams() {
    let mut transport = vec![0, 1, 0, 2, 0, 0, 0, 0];
    transport.extend([7; 250]);
    let given = frame(false, 17, false, &transport);
    let offload = Offload {
        checksum: Some(Checksum {
            start: 34,
            offset: 6,
        }),
        segments: Segments::Udp,
        segment_size: 100,
    };
    let out = finished(given, offload);
    let lengths: Vec<_> = out.iter().map(|frame| [frame[38], frame[39]]).collect();
    assert_eq!(lengths, [[0, 108], [0, 108], [0, 58]]);
    assert!(out.iter().all(|frame| verifies(frame)));
}

#[test]
fn nonsense_is_passed_on_without_a_panic() {
    let given = frame(false, 6, false, &tcp_header(1, 0x10));
    for start in 0..given.len() + 4 {
        for segments in [
            Segments::None,
            Segments::Tcp,
            Segments::Udp,
            Segments::Unknown,
        ] {
            let checksum = Some(Checksum { start, offset: 16 });
            let out = finished(
                given.clone(),
                Offload {
                    checksum,
                    segments,
                    segment_size: 7,
                },
            );
            assert!(!out.is_empty() || segments != Segments::None);
        }
    }
}

proptest! {
    #[test]
    fn partial_sums_are_completed(
        v6: bool,
        vlan: bool,
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut transport = vec![0, 1, 0, 2, 0, 0, 0, 0];
        transport.extend(&payload);
        let length = (transport.len() as u16).to_be_bytes();
        transport[4..6].copy_from_slice(&length);
        let given = frame(v6, 17, false, &transport);
        let layers = network(&given).expect("network header");
        let start = layers.end;
        // What the kernel leaves: the folded sum of the pseudo header.
        let pseudo = pseudo_header(&given, layers, start, false);
        let mut given = frame(v6, 17, vlan, &transport);
        let start = if vlan { start + 4 } else { start };
        given[start + 6..start + 8].copy_from_slice(&pseudo.to_be_bytes());
        if !v6 {
            let ip = start - 20;
            let header = !slow_sum(&given[ip..start]);
            given[ip + 10..ip + 12].copy_from_slice(&header.to_be_bytes());
        }
        let checksum = Some(Checksum { start, offset: 6 });
        let out = finished(given, Offload { checksum, ..Offload::default() });
        prop_assert_eq!(out.len(), 1);
        prop_assert!(verifies(&out[0]));
    }

    #[test]
    fn sums_agree_with_the_slow_one(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let fast = fold(sum(&bytes));
        let slow = slow_sum(&bytes);
        prop_assert!(fast == slow || (fast.is_multiple_of(0xffff) && slow.is_multiple_of(0xffff)));
    }

    #[test]
    fn any_bytes_are_taken(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
        start in 0_usize..130,
        offset in 0_usize..20,
        kind in 0_u8..3,
        segment_size in 0_usize..40,
    ) {
        let segments = [Segments::None, Segments::Tcp, Segments::Udp][usize::from(kind)];
        let checksum = Some(Checksum { start, offset });
        finish(&mut bytes, Offload { checksum, segments, segment_size }, &mut |_| ());
    }
}
