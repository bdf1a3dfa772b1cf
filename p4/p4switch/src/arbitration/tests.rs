use super::*;

const A: ClientId = ClientId(1);
const B: ClientId = ClientId(2);
const C: ClientId = ClientId(3);

fn default_role() -> RoleName {
    RoleName::default()
}

fn id(id: u128) -> Option<ElectionId> {
    Some(ElectionId(id))
}

fn told(to: ClientId, highest: Option<ElectionId>, code: Code) -> Notice {
    Notice {
        to,
        role: default_role(),
        highest,
        code,
    }
}

/// Claims and, if it won, enthrones.
fn claim(arbitration: &mut Arbitration, client: ClientId, election: u128) -> Vec<Notice> {
    match arbitration
        .claim(client, &default_role(), id(election), None)
        .expect("accepted")
    {
        Outcome::Backup(notices) => notices,
        Outcome::Winner(mut notices) => {
            notices.extend(arbitration.enthrone(client, &default_role()));
            notices
        }
    }
}

#[test]
fn the_highest_id_wins_and_others_are_told() {
    let mut arbitration = Arbitration::default();
    assert_eq!(claim(&mut arbitration, A, 5), [told(A, id(5), Code::Ok)]);
    assert_eq!(
        claim(&mut arbitration, B, 3),
        [told(B, id(5), Code::AlreadyExists)]
    );
    assert!(arbitration.is_primary(&default_role(), id(5)));
    assert_eq!(
        claim(&mut arbitration, C, 9),
        [
            told(A, id(9), Code::AlreadyExists),
            told(B, id(9), Code::AlreadyExists),
            told(C, id(9), Code::Ok)
        ]
    );
    assert!(!arbitration.is_primary(&default_role(), id(5)));
    assert!(arbitration.is_primary(&default_role(), id(9)));
    assert_eq!(
        arbitration
            .primaries()
            .map(|(client, _)| client)
            .collect::<Vec<_>>(),
        [C]
    );
}

#[test]
fn nobody_is_promoted_when_the_primary_leaves() {
    let mut arbitration = Arbitration::default();
    claim(&mut arbitration, A, 5);
    claim(&mut arbitration, B, 4);
    assert_eq!(arbitration.leave(A), [told(B, id(5), Code::NotFound)]);
    assert!(!arbitration.is_primary(&default_role(), id(4)));
    assert!(!arbitration.is_primary(&default_role(), id(5)));
    // The old id still counts: a claim below it stays a backup.
    assert_eq!(
        claim(&mut arbitration, B, 4),
        [told(B, id(5), Code::NotFound)]
    );
    // One at it wins.
    assert_eq!(claim(&mut arbitration, B, 5), [told(B, id(5), Code::Ok)]);
}

#[test]
fn a_primary_can_step_down() {
    let mut arbitration = Arbitration::default();
    claim(&mut arbitration, A, 5);
    claim(&mut arbitration, B, 4);
    assert_eq!(
        claim(&mut arbitration, A, 1),
        [
            told(A, id(5), Code::NotFound),
            told(B, id(5), Code::NotFound)
        ]
    );
    assert_eq!(arbitration.primaries().count(), 0);
}

#[test]
fn ids_are_unique_among_live_clients() {
    let mut arbitration = Arbitration::default();
    claim(&mut arbitration, A, 5);
    assert_eq!(
        arbitration.claim(B, &default_role(), id(5), None),
        Err(ClaimError::Taken(ElectionId(5), String::new()))
    );
    // The same client may repeat its own.
    assert_eq!(claim(&mut arbitration, A, 5), [told(A, id(5), Code::Ok)]);
    arbitration.leave(A);
    assert_eq!(claim(&mut arbitration, B, 5), [told(B, id(5), Code::Ok)]);
}

#[test]
fn a_client_without_id_is_never_primary() {
    let mut arbitration = Arbitration::default();
    assert_eq!(
        arbitration.claim(A, &default_role(), None, None),
        Ok(Outcome::Backup(vec![told(A, None, Code::NotFound)]))
    );
    // An id of zero is an id.
    assert_eq!(
        claim(&mut arbitration, B, 0),
        [
            told(A, id(0), Code::AlreadyExists),
            told(B, id(0), Code::Ok)
        ]
    );
    assert!(!arbitration.is_primary(&default_role(), None));
}

#[test]
fn roles_are_apart() {
    let mut arbitration = Arbitration::default();
    let other = RoleName::new("telemetry", 0);
    assert!(!arbitration.knows(&other));
    claim(&mut arbitration, A, 5);
    assert!(
        matches!(arbitration.claim(B, &other, id(5), None), Ok(Outcome::Winner(none)) if none.is_empty())
    );
    arbitration.enthrone(B, &other);
    assert!(arbitration.is_primary(&other, id(5)));
    assert!(arbitration.is_primary(&default_role(), id(5)));
    assert_eq!(
        arbitration.claim(B, &default_role(), id(6), None),
        Err(ClaimError::RoleChanged("telemetry".to_owned()))
    );
    assert_ne!(RoleName::new("", 7), RoleName::new("", 8));
}

#[test]
fn a_winner_that_left_in_between_is_not_enthroned() {
    let mut arbitration = Arbitration::default();
    claim(&mut arbitration, A, 1);
    assert!(matches!(
        arbitration.claim(B, &default_role(), id(2), None),
        Ok(Outcome::Winner(_))
    ));
    assert!(
        !arbitration.is_primary(&default_role(), id(1)),
        "no writes while the change runs"
    );
    assert_eq!(arbitration.leave(B), [told(A, id(2), Code::NotFound)]);
    assert_eq!(arbitration.enthrone(B, &default_role()), None);
    assert_eq!(arbitration.primaries().count(), 0);
}

#[test]
fn clients_and_roles_are_bounded() {
    let mut arbitration = Arbitration::default();
    for client in 0..CLIENTS_PER_ROLE {
        claim(&mut arbitration, ClientId(client as u64), client as u128);
    }
    assert!(matches!(
        arbitration.claim(ClientId(1000), &default_role(), None, None),
        Err(ClaimError::TooManyClients(_))
    ));
    for role in 1..ROLES {
        let name = RoleName::new("", role as u64);
        arbitration
            .claim(ClientId(2000 + role as u64), &name, None, None)
            .expect("room");
    }
    let name = RoleName::new("", ROLES as u64);
    assert_eq!(
        arbitration.claim(ClientId(1), &name, None, None),
        Err(ClaimError::RoleChanged(String::new()))
    );
    assert_eq!(
        arbitration.claim(ClientId(9999), &name, None, None),
        Err(ClaimError::TooManyRoles)
    );
}
