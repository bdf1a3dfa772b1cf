//! P4Runtime 9.5: multicast groups and clone sessions.

use p4runtime_proto::p4::v1::{
    BackupReplica, CloneSessionEntry, MulticastGroupEntry, PacketReplicationEngineEntry, Replica,
    entity::Entity as Kind, packet_replication_engine_entry::Type as Replication,
    replica::PortKind, update::Type, write_request::Atomicity,
};
use tonic::Code;

use crate::support::{
    BY_MAC, action, code_of, delete, entry, exact, failures, frame, insert, read, ready, update,
    write,
};

fn replica(port: &'static [u8], instance: u32) -> Replica {
    let port_kind = Some(PortKind::Port(port.into()));
    Replica {
        port_kind,
        instance,
        backup_replicas: vec![],
    }
}

#[expect(deprecated, reason = "controllers before 1.4 write it")]
fn old_replica(port: u32, instance: u32) -> Replica {
    let port_kind = Some(PortKind::EgressPort(port));
    Replica {
        port_kind,
        instance,
        backup_replicas: vec![],
    }
}

fn backup(port: &'static [u8], instance: u32) -> BackupReplica {
    let port = port.into();
    BackupReplica { port, instance }
}

fn group(id: u32, replicas: Vec<Replica>) -> Kind {
    let entry = MulticastGroupEntry {
        multicast_group_id: id,
        replicas,
        metadata: "g".into(),
    };
    Kind::PacketReplicationEngineEntry(PacketReplicationEngineEntry {
        r#type: Some(Replication::MulticastGroupEntry(entry)),
    })
}

fn session(id: u32, replicas: Vec<Replica>, length: i32) -> Kind {
    let entry = CloneSessionEntry {
        session_id: id,
        replicas,
        class_of_service: 0,
        packet_length_bytes: length,
    };
    Kind::PacketReplicationEngineEntry(PacketReplicationEngineEntry {
        r#type: Some(Replication::CloneSessionEntry(entry)),
    })
}

#[tokio::test]
async fn a_group_sends_to_all_its_ports() {
    let (switch, client) = ready().await;
    let code = async |change, kind| code_of(&client, update(change, kind)).await;
    let two = group(5, vec![replica(&[3], 1), old_replica(4, 2)]);
    assert_eq!(code(Type::Modify, two.clone()).await, Code::NotFound);
    assert_eq!(code(Type::Insert, two.clone()).await, Code::Ok);
    assert_eq!(code(Type::Insert, two.clone()).await, Code::AlreadyExists);
    let flood = entry(BY_MAC, vec![exact(1, 1)], action("flood", &[5]));
    write(&client, vec![insert(flood.clone())]).await;
    let ports = || {
        let outputs = switch.inject(1, &frame(1, 2, 0));
        outputs
            .into_iter()
            .map(|(port, _)| port)
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(), [3, 4]);
    // Ports come back as they were written.
    assert_eq!(
        read(&client, group(5, vec![])).await,
        std::slice::from_ref(&two)
    );
    assert_eq!(read(&client, group(0, vec![])).await, [two]);
    assert_eq!(read(&client, group(6, vec![])).await, []);
    assert_eq!(
        code(Type::Modify, group(5, vec![replica(&[9], 1)])).await,
        Code::Ok
    );
    assert_eq!(ports(), [9]);
    // A failed atomic batch brings the group back.
    let batch = vec![
        update(Type::Delete, group(5, vec![])),
        delete(entry(BY_MAC, vec![exact(1, 77)], action("drop", &[]))),
    ];
    assert_eq!(
        failures(&client, batch, Atomicity::RollbackOnError)
            .await
            .len(),
        2
    );
    assert_eq!(ports(), [9]);
    assert_eq!(code(Type::Delete, group(5, vec![])).await, Code::Ok);
    assert!(ports().is_empty());
    assert_eq!(code(Type::Delete, group(5, vec![])).await, Code::NotFound);
    switch.shutdown();
}

#[tokio::test]
async fn a_session_clones_and_cuts() {
    let (switch, client) = ready().await;
    let mirror = entry(BY_MAC, vec![exact(1, 1)], action("mirror", &[3, 8]));
    let clones = session(8, vec![replica(&[6], 0)], 20);
    write(
        &client,
        vec![insert(mirror), update(Type::Insert, clones.clone())],
    )
    .await;
    let mut outputs: Vec<_> = switch
        .inject(1, &frame(1, 2, 0))
        .into_iter()
        .map(|(port, frame)| (port, frame.len()))
        .collect();
    outputs.sort_unstable();
    assert_eq!(outputs, [(3, 60), (6, 20)]);
    assert_eq!(read(&client, session(0, vec![], 0)).await, [clones]);
    assert_eq!(
        code_of(&client, update(Type::Delete, session(8, vec![], 0))).await,
        Code::Ok
    );
    assert_eq!(switch.inject(1, &frame(1, 2, 0)).len(), 1);
    switch.shutdown();
}

#[tokio::test]
async fn wrong_replicas_are_refused() {
    let (switch, client) = ready().await;
    let code = async |kind| code_of(&client, update(Type::Insert, kind)).await;
    let no_port = Replica {
        port_kind: None,
        instance: 1,
        backup_replicas: vec![],
    };
    for kind in [
        group(0, vec![]),
        group(0x1_0000, vec![]),
        session(0, vec![], 0),
        session(5, vec![], -1),
        group(5, vec![no_port]),
        group(5, vec![replica(&[], 1)]),
        group(5, vec![replica(&[1, 0, 0], 1)]),
        group(5, vec![replica(&[3], 0x1_0000)]),
        group(5, vec![replica(&[3], 1), old_replica(3, 1)]),
        // The drop port.
        group(5, vec![replica(&[1, 0xff], 1)]),
    ] {
        assert_eq!(code(kind.clone()).await, Code::InvalidArgument, "{kind:?}");
    }
    let backed = |port: &'static [u8], instance| Replica {
        backup_replicas: vec![backup(port, instance)],
        ..replica(&[3], 1)
    };
    for wrong in [backed(&[3], 2), backed(&[], 1), backed(&[1, 0xff], 1)] {
        let kind = group(5, vec![wrong]);
        assert_eq!(code(kind.clone()).await, Code::InvalidArgument, "{kind:?}");
    }
    let twice = group(5, vec![backed(&[4], 7), replica(&[4], 7)]);
    assert_eq!(code(twice).await, Code::InvalidArgument);
    // The controller's number of the CPU port.
    assert_eq!(
        code(session(5, vec![replica(&[0xff, 0xff, 0xff, 0xfd], 1)], 0)).await,
        Code::Ok
    );
    switch.shutdown();
}

#[tokio::test]
async fn backups_take_over_while_a_port_is_down() {
    let (switch, client) = ready().await;
    let backed = Replica {
        backup_replicas: vec![backup(&[4], 8), backup(&[5], 9)],
        ..replica(&[3], 7)
    };
    let both = group(5, vec![backed, replica(&[6], 1)]);
    write(&client, vec![update(Type::Insert, both.clone())]).await;
    assert_eq!(read(&client, group(5, vec![])).await, [both]);
    let flood = entry(BY_MAC, vec![exact(1, 1)], action("flood", &[5]));
    write(&client, vec![insert(flood)]).await;
    let ports = || {
        let outputs = switch.inject(1, &frame(1, 2, 0));
        outputs
            .into_iter()
            .map(|(port, _)| port)
            .collect::<Vec<_>>()
    };
    let set = |port, up| switch.set_port(port, up).expect("taken");
    assert_eq!(ports(), [3, 6]);
    set(3, false);
    assert_eq!(ports(), [4, 6]);
    set(4, false);
    assert_eq!(ports(), [5, 6]);
    // Nothing is up: the replica itself again.
    set(5, false);
    assert_eq!(ports(), [3, 6]);
    set(4, true);
    assert_eq!(ports(), [4, 6]);
    set(3, true);
    assert_eq!(ports(), [3, 6]);
    switch.shutdown();
}
