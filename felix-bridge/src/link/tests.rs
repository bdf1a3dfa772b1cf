use proptest::prelude::*;

use super::*;

fn unit() -> impl Strategy<Value = Unit> {
    prop_oneof![
        (any::<u16>(), any::<[u8; 16]>(), any::<u64>(), any::<u64>()).prop_map(
            |(version, session, oldest, newest)| Unit::Hello {
                version,
                session: SessionId(session),
                oldest,
                newest,
            }
        ),
        any::<u64>().prop_map(|next| Unit::Resume { next }),
        ".{0,40}".prop_map(|reason| Unit::Refuse { reason }),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|body| Unit::Frame(body.into())),
        any::<u64>().prop_map(|next| Unit::Ack { next }),
        ".{0,40}".prop_map(|reason| Unit::Bye { reason }),
    ]
}

proptest! {
    #[test]
    fn units_come_back_whatever_the_pieces(
        units in prop::collection::vec(unit(), 0..12),
        piece in 1_usize..50,
    ) {
        let mut bytes = BytesMut::new();
        for unit in &units {
            unit.encode(&mut bytes);
        }
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(unit) = Unit::decode(&mut buffer).unwrap() {
                found.push(unit);
            }
        }
        prop_assert_eq!(found, units);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = Unit::decode(&mut buffer) {}
    }
}

#[test]
fn limits_and_kinds_are_kept() {
    let mut buffer = BytesMut::from(&[4, 0xff, 0xff, 0xff, 0xff][..]);
    assert!(matches!(
        Unit::decode(&mut buffer),
        Err(LinkError::Oversized { kind: 4, .. })
    ));
    let mut buffer = BytesMut::from(&[9, 0, 0, 0, 0][..]);
    assert_eq!(Unit::decode(&mut buffer), Err(LinkError::Kind(9)));
    let mut buffer = BytesMut::from(&[5, 2, 0, 0, 0, 1, 1][..]);
    assert_eq!(Unit::decode(&mut buffer), Err(LinkError::Content(5)));
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let mut buffer = BytesMut::new();
    Unit::Bye {
        reason: "ä".repeat(TEXT_LIMIT),
    }
    .encode(&mut buffer);
    let Ok(Some(Unit::Bye { reason })) = Unit::decode(&mut buffer) else {
        panic!("not a farewell");
    };
    assert_eq!(reason, "ä".repeat(TEXT_LIMIT / 2));
}
