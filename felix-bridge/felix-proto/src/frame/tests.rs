use proptest::prelude::*;

use super::*;
use crate::felix::{InSync, ToDataplane, to_dataplane::Payload};

fn stream(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for body in bodies {
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        out.extend_from_slice(body);
    }
    out
}

fn drain(decoder: &mut Decoder) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

#[test]
fn encodes_length_then_body() {
    let mut out = BytesMut::new();
    let message = ToDataplane {
        sequence_number: 3,
        payload: Some(Payload::InSync(InSync {})),
    };
    encode(&message, &mut out);
    // Field 15 varint 3 is 78 03, field 1 of length 0 is 0a 00.
    assert_eq!(out[..8], [4, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(out[8..], [0x0a, 0x00, 0x78, 0x03]);
}

#[test]
fn two_to_the_32_bytes_are_refused_without_room_for_them() {
    let mut decoder = Decoder::default();
    decoder.push(&stream(&[vec![1, 2, 3]]));
    decoder.push(&(1_u64 << 32).to_le_bytes());
    assert!(decoder.next_frame().unwrap().is_some());
    let error = decoder.next_frame().unwrap_err();
    assert_eq!(
        error,
        FrameError::Oversized {
            index: 1,
            offset: 11,
            length: 1 << 32,
            limit: DEFAULT_LIMIT
        }
    );
    let text = error.to_string();
    assert!(
        text.contains("byte 11") && text.contains("4294967296"),
        "{text}"
    );
    assert_eq!(decoder.pending(), 0);
    assert_eq!(decoder.finish(), Err(error));
}

#[test]
fn a_body_of_just_the_limit_passes() {
    let mut decoder = Decoder::new(4);
    decoder.push(&stream(&[vec![7; 4], vec![7; 5]]));
    assert_eq!(decoder.next_frame().unwrap().unwrap().body.len(), 4);
    assert!(matches!(
        decoder.next_frame(),
        Err(FrameError::Oversized { length: 5, .. })
    ));
}

#[test]
fn truncation_says_where() {
    let mut decoder = Decoder::default();
    decoder.push(&stream(&[vec![9; 10]])[..5]);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(
        decoder.finish(),
        Err(FrameError::TruncatedHeader {
            index: 0,
            offset: 0,
            have: 5,
            end: 5
        })
    );
    let mut decoder = Decoder::default();
    decoder.push(&stream(&[vec![9; 2], vec![9; 10]])[..21]);
    assert_eq!(drain(&mut decoder).unwrap().len(), 1);
    assert_eq!(
        decoder.finish(),
        Err(FrameError::TruncatedBody {
            index: 1,
            offset: 10,
            have: 3,
            want: 10,
            end: 21
        })
    );
}

#[test]
fn gzip_is_named() {
    let mut decoder = Decoder::default();
    decoder.push(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(decoder.next_frame(), Err(FrameError::Compressed));
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_frames(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        cuts in prop::collection::vec(1_usize..30, 1..40),
    ) {
        let bytes = stream(&bodies);
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let mut rest = &bytes[..];
        let mut cut = cuts.iter().cycle();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*cut.next().unwrap()));
            rest = after;
            decoder.push(piece);
            frames.extend(drain(&mut decoder).unwrap());
        }
        prop_assert_eq!(decoder.finish(), Ok(()));
        let found: Vec<Vec<u8>> = frames.iter().map(|frame| frame.body.to_vec()).collect();
        prop_assert_eq!(found, bodies);
        let mut offset = 0;
        for (index, frame) in frames.iter().enumerate() {
            prop_assert_eq!((frame.index, frame.offset), (index as u64, offset));
            offset += 8 + frame.body.len() as u64;
        }
    }

    #[test]
    fn garbage_never_panics_and_never_grows_past_what_came(
        bytes in prop::collection::vec(any::<u8>(), 0..4096),
        limit in 0_usize..10_000,
    ) {
        let mut decoder = Decoder::new(limit);
        decoder.push(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            prop_assert!(frame.body.len() <= limit);
            let _ignored = crate::decode(&frame);
        }
        prop_assert!(decoder.pending() <= bytes.len());
        let _ignored = decoder.finish();
    }
}
