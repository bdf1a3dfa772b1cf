use bytes::BytesMut;
use felix_proto::felix::to_dataplane::Payload;
use felix_proto::felix::{self, ToDataplane};
use policy_model::Update;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

const ID: SessionId = SessionId([7; 16]);

fn body(sequence_number: u64, payload: Payload) -> Bytes {
    ToDataplane {
        sequence_number,
        payload: Some(payload),
    }
    .encode_to_vec()
    .into()
}

fn stream() -> Vec<Bytes> {
    let set = |members: &[&str]| {
        Payload::IpsetUpdate(felix::IpSetUpdate {
            id: "s:a".to_owned(),
            members: members.iter().map(|&member| member.to_owned()).collect(),
            r#type: 2,
        })
    };
    let delta = |added: &str, removed: &str| {
        Payload::IpsetDeltaUpdate(felix::IpSetDeltaUpdate {
            id: "s:a".to_owned(),
            added_members: vec![added.to_owned()],
            removed_members: vec![removed.to_owned()],
        })
    };
    [
        Payload::ConfigUpdate(felix::ConfigUpdate::default()),
        set(&["10.0.0.1/32", "10.0.0.2/32"]),
        Payload::InSync(felix::InSync {}),
        delta("10.0.0.3/32", "10.0.0.1/32"),
        delta("10.0.0.4/32", "10.0.0.3/32"),
    ]
    .into_iter()
    .zip(0..)
    .map(|(payload, sequence)| body(sequence, payload))
    .collect()
}

fn members(played: &Played) -> Vec<String> {
    played
        .updates
        .iter()
        .filter_map(|update| match update {
            Update::IpSet { members, .. } => Some(format!("{members:?}")),
            _ => None,
        })
        .collect()
}

fn written(directory: &Path) -> Journal {
    let mut journal = Journal::create(directory, Role::Current, ID, &Mirror::new(), 0).unwrap();
    journal.append(&stream()).unwrap();
    journal
}

#[test]
fn what_was_written_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path());
    let (_, back) = Journal::recover(directory.path(), Role::Current)
        .unwrap()
        .unwrap();
    assert_eq!((back.id, back.torn), (ID, 0));
    assert_eq!(back.session.next_sequence(), 5);
    assert!(back.session.in_sync());
    assert_eq!(back.played.updates.last(), Some(&Update::InSync));
    let sets = members(&back.played);
    assert_eq!(sets.len(), 1);
    assert!(
        sets[0].contains("10.0.0.2") && sets[0].contains("10.0.0.4") && !sets[0].contains("0.0.1"),
        "{sets:?}"
    );
}

#[test]
fn a_compacted_journal_plays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path());
    let (_, plain) = Journal::recover(directory.path(), Role::Current)
        .unwrap()
        .unwrap();
    Journal::create(
        directory.path(),
        Role::Current,
        ID,
        plain.session.mirror(),
        plain.session.next_sequence(),
    )
    .unwrap();
    let (mut journal, compact) = Journal::recover(directory.path(), Role::Current)
        .unwrap()
        .unwrap();
    assert_eq!(compact.played, plain.played);
    let further = body(5, Payload::Encapsulation(felix::Encapsulation::default()));
    journal.append(&[further]).unwrap();
    let (_, further) = Journal::recover(directory.path(), Role::Current)
        .unwrap()
        .unwrap();
    assert_eq!(further.session.next_sequence(), 6);
}

#[test]
fn no_file_and_an_empty_file_hold_nothing() {
    let directory = tempfile::tempdir().unwrap();
    assert!(
        Journal::recover(directory.path(), Role::Current)
            .unwrap()
            .is_none()
    );
    fs::write(directory.path().join(CURRENT), b"").unwrap();
    assert!(
        Journal::recover(directory.path(), Role::Current)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_pending_session_becomes_the_current_one() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path());
    let other = SessionId([8; 16]);
    let mut pending =
        Journal::create(directory.path(), Role::Pending, other, &Mirror::new(), 0).unwrap();
    pending.append(&stream()[..2]).unwrap();
    let (_, current) = Journal::recover(directory.path(), Role::Current)
        .unwrap()
        .unwrap();
    assert_eq!(current.id, ID);
    pending.promote().unwrap();
    pending.append(&stream()[2..]).unwrap();
    let (_, current) = Journal::recover(directory.path(), Role::Current)
        .unwrap()
        .unwrap();
    assert_eq!((current.id, current.session.next_sequence()), (other, 5));
    assert!(
        Journal::recover(directory.path(), Role::Pending)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = Journal::create(
        Path::new("/nowhere/at/all"),
        Role::Current,
        ID,
        &Mirror::new(),
        0,
    )
    .unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

proptest! {
    /// Whatever the cut or the flipped byte, recovery yields a prefix of the frames or nothing, and
    /// the file it leaves can be appended to.
    #[test]
    fn a_torn_tail_costs_only_the_tail(cut in 0_usize..2000, flip in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path());
        let path = directory.path().join(CURRENT);
        let whole = fs::read(&path).unwrap();
        let cut = cut % whole.len();
        let mut torn = BytesMut::from(&whole[..]);
        if flip {
            torn[cut] ^= 0x40;
        } else {
            torn.truncate(cut);
        }
        fs::write(&path, &torn).unwrap();
        let Some((mut journal, back)) = Journal::recover(directory.path(), Role::Current).unwrap()
        else {
            return Ok(());
        };
        let next = back.session.next_sequence();
        prop_assert!(next <= 5);
        let missing = &stream()[usize::try_from(next).unwrap()..];
        journal.append(missing).unwrap();
        let (_, again) = Journal::recover(directory.path(), Role::Current).unwrap().unwrap();
        prop_assert_eq!(again.session.next_sequence(), 5);
        prop_assert_eq!(again.torn, 0);
        prop_assert_eq!(members(&again.played).len(), 1);
    }
}
