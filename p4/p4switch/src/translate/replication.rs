//! Multicast groups and clone sessions (P4Runtime 9.5).

use std::collections::BTreeSet;

use bytes::Bytes;
use p4runtime_proto::{
    bytestring,
    p4::v1::{
        CloneSessionEntry, MulticastGroupEntry, PacketReplicationEngineEntry, Replica,
        packet_replication_engine_entry::Type as Kind, replica::PortKind, update::Type,
    },
};

use super::Ports;
use crate::{
    failure::Failure,
    operation::{BackupSpec, Change, GivenPort, Group, Operation, ReplicaSpec, Session},
};

/// The controller's number of the CPU port (`SDN_PORT_CPU`).
const SDN_CPU: u128 = 0xffff_fffd;
/// Largest multicast group and clone session, as in bmv2.
const LARGEST: u16 = 0x7fff;

pub(super) fn update(
    ports: Ports,
    change: Type,
    given: PacketReplicationEngineEntry,
) -> Result<Operation, Failure> {
    match given.r#type {
        Some(Kind::MulticastGroupEntry(entry)) => multicast(ports, change, entry),
        Some(Kind::CloneSessionEntry(entry)) => clone(ports, change, entry),
        None => Err(Failure::invalid("The packet replication entry has no type")),
    }
}

fn multicast(ports: Ports, change: Type, given: MulticastGroupEntry) -> Result<Operation, Failure> {
    let group = id(given.multicast_group_id, "multicast group")?;
    let config = |given: MulticastGroupEntry| {
        Ok::<_, Failure>(Group {
            replicas: replicas(ports, &given.replicas)?,
            metadata: Bytes::copy_from_slice(&given.metadata),
        })
    };
    Ok(Operation::Multicast {
        group,
        change: match change {
            Type::Insert => Change::Insert(config(given)?),
            Type::Modify => Change::Modify(config(given)?),
            Type::Delete | Type::Unspecified => Change::Delete,
        },
    })
}

fn clone(ports: Ports, change: Type, given: CloneSessionEntry) -> Result<Operation, Failure> {
    let session = id(given.session_id, "clone session")?;
    let config = |given: CloneSessionEntry| {
        if given.class_of_service != 0 {
            return Err(Failure::unimplemented(
                "Classes of service are not supported; leave class_of_service at 0",
            ));
        }
        let length = u32::try_from(given.packet_length_bytes)
            .map_err(|_| Failure::invalid("packet_length_bytes is negative"))?;
        Ok(Session {
            replicas: replicas(ports, &given.replicas)?,
            length,
        })
    };
    Ok(Operation::Clone {
        session,
        change: match change {
            Type::Insert => Change::Insert(config(given)?),
            Type::Modify => Change::Modify(config(given)?),
            Type::Delete | Type::Unspecified => Change::Delete,
        },
    })
}

/// The id of a group or session, which may not be 0.
pub(super) fn id(given: u32, what: &str) -> Result<u16, Failure> {
    u16::try_from(given)
        .ok()
        .filter(|id| (1..=LARGEST).contains(id))
        .ok_or_else(|| {
            Failure::invalid(format!(
                "The id of a {what} goes from 1 to {LARGEST}, {given} given"
            ))
        })
}

fn replicas(ports: Ports, given: &[Replica]) -> Result<Vec<ReplicaSpec>, Failure> {
    let mut seen = BTreeSet::new();
    let mut once = |port: u16, instance: u16| {
        if seen.insert((port, instance)) {
            return Ok(());
        }
        Err(Failure::invalid(format!(
            "Port {port} with instance {instance} is there twice"
        )))
    };
    given
        .iter()
        .map(|replica| {
            let (number, given) = match &replica.port_kind {
                Some(PortKind::Port(bytes)) => {
                    (sdn_port(bytes)?, GivenPort::Bytes(canonical(bytes)))
                }
                #[expect(deprecated, reason = "controllers before 1.4 write it")]
                Some(PortKind::EgressPort(number)) => {
                    (u128::from(*number), GivenPort::Number(*number))
                }
                None => return Err(Failure::invalid("A replica has no port")),
            };
            let port = port(ports, number)?;
            let instance = instance(replica.instance)?;
            once(port, instance)?;
            let backups = replica
                .backup_replicas
                .iter()
                .map(|given| {
                    let backup = self::port(ports, sdn_port(&given.port)?)?;
                    if backup == port {
                        return Err(Failure::invalid(format!(
                            "The backup of a replica has the replica's own port {port}"
                        )));
                    }
                    let instance = self::instance(given.instance)?;
                    once(backup, instance)?;
                    Ok(BackupSpec {
                        port: backup,
                        given: canonical(&given.port),
                        instance,
                    })
                })
                .collect::<Result<_, Failure>>()?;
            Ok(ReplicaSpec {
                port,
                given,
                instance,
                backups,
            })
        })
        .collect()
}

fn sdn_port(bytes: &[u8]) -> Result<u128, Failure> {
    bytestring::decode(bytes, 32)
        .map_err(|error| Failure::invalid(format!("Port of a replica: {error}")))
}

fn canonical(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytestring::canonical(bytes))
}

fn instance(given: u32) -> Result<u16, Failure> {
    u16::try_from(given)
        .map_err(|_| Failure::invalid(format!("Instance {given} needs over 16 bits")))
}

fn port(ports: Ports, number: u128) -> Result<u16, Failure> {
    if number == SDN_CPU {
        return ports
            .cpu
            .ok_or_else(|| Failure::invalid("The switch runs without a CPU port (--cpu-port)"));
    }
    port_number(number)
        .ok()
        .filter(|port| *port != ports.drop)
        .ok_or_else(|| Failure::invalid(format!("{number} is no port that a replica can go to")))
}

/// A port of the data plane.
pub(super) fn port_number(number: u128) -> Result<u16, Failure> {
    u16::try_from(number).map_err(|_| Failure::invalid(format!("{number} is no port")))
}
