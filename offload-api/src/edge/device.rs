//! Device, capability, ports.

use table_model::{Atomicity, Capability, Flip, TableId, TableLimit};

use super::{EdgeError, address, enumeration, mac, mac_bytes, net, segment};
use crate::proto;
use crate::types::{DeviceCapability, DeviceInfo, DevicePort, DeviceState, PortRole};

impl From<DeviceState> for proto::DeviceState {
    fn from(state: DeviceState) -> Self {
        match state {
            DeviceState::Connecting => Self::Connecting,
            DeviceState::Reading => Self::Reading,
            DeviceState::Ready => Self::Ready,
        }
    }
}

pub(super) fn device_state(value: i32, message: &'static str) -> Result<DeviceState, EdgeError> {
    match enumeration(value, message, "state")? {
        proto::DeviceState::Unspecified => Err(EdgeError::unset(message, "state")),
        proto::DeviceState::Connecting => Ok(DeviceState::Connecting),
        proto::DeviceState::Reading => Ok(DeviceState::Reading),
        proto::DeviceState::Ready => Ok(DeviceState::Ready),
    }
}

impl From<DeviceInfo> for proto::Device {
    fn from(device: DeviceInfo) -> Self {
        let DeviceInfo {
            name,
            agent_version,
            target,
            schema_fingerprint,
            state,
            state_detail,
        } = device;
        Self {
            name: format!("devices/{name}"),
            agent_version,
            target,
            schema_fingerprint,
            state: proto::DeviceState::from(state).into(),
            state_detail,
        }
    }
}

impl TryFrom<proto::Device> for DeviceInfo {
    type Error = EdgeError;

    fn try_from(message: proto::Device) -> Result<Self, EdgeError> {
        let proto::Device {
            name,
            agent_version,
            target,
            schema_fingerprint,
            state,
            state_detail,
        } = message;
        Ok(Self {
            name: segment(&name, "devices", "Device", "name")?.to_owned(),
            agent_version,
            target,
            schema_fingerprint,
            state: device_state(state, "Device")?,
            state_detail,
        })
    }
}

impl From<DeviceCapability> for proto::Capability {
    fn from(record: DeviceCapability) -> Self {
        let DeviceCapability {
            capability:
                Capability {
                    target,
                    flip,
                    atomicity,
                    batch,
                    limits,
                },
            schema_fingerprint,
        } = record;
        let flip = match flip {
            Flip::Modify => proto::Flip::Modify,
            Flip::ShadowInsert => proto::Flip::ShadowInsert,
            Flip::DefaultAction => proto::Flip::DefaultAction,
        };
        let atomicity = match atomicity {
            Atomicity::ContinueOnError => proto::Atomicity::ContinueOnError,
            Atomicity::RollbackOnError => proto::Atomicity::RollbackOnError,
            Atomicity::Dataplane => proto::Atomicity::Dataplane,
        };
        Self {
            name: "devices/-/capability".to_owned(),
            target,
            flip: flip.into(),
            atomicity: atomicity.into(),
            batch: u64::try_from(batch).unwrap_or(u64::MAX),
            limits: limits
                .into_iter()
                .map(|TableLimit { table, entries }| proto::TableLimit {
                    table: table.0,
                    entries,
                })
                .collect(),
            schema_fingerprint,
        }
    }
}

impl TryFrom<proto::Capability> for DeviceCapability {
    type Error = EdgeError;

    fn try_from(message: proto::Capability) -> Result<Self, EdgeError> {
        const NAME: &str = "Capability";
        let proto::Capability {
            name: _, // One device a server: the name says nothing.
            target,
            flip,
            atomicity,
            batch,
            limits,
            schema_fingerprint,
        } = message;
        let flip = match enumeration(flip, NAME, "flip")? {
            proto::Flip::Unspecified => return Err(EdgeError::unset(NAME, "flip")),
            proto::Flip::Modify => Flip::Modify,
            proto::Flip::ShadowInsert => Flip::ShadowInsert,
            proto::Flip::DefaultAction => Flip::DefaultAction,
        };
        let atomicity = match enumeration(atomicity, NAME, "atomicity")? {
            proto::Atomicity::Unspecified => return Err(EdgeError::unset(NAME, "atomicity")),
            proto::Atomicity::ContinueOnError => Atomicity::ContinueOnError,
            proto::Atomicity::RollbackOnError => Atomicity::RollbackOnError,
            proto::Atomicity::Dataplane => Atomicity::Dataplane,
        };
        if batch == 0 {
            return Err(EdgeError::unset(NAME, "batch"));
        }
        Ok(Self {
            capability: Capability {
                target,
                flip,
                atomicity,
                batch: usize::try_from(batch).unwrap_or(usize::MAX),
                limits: limits
                    .into_iter()
                    .map(|proto::TableLimit { table, entries }| TableLimit {
                        table: TableId(table),
                        entries,
                    })
                    .collect(),
            },
            schema_fingerprint,
        })
    }
}

impl From<DevicePort> for proto::Port {
    fn from(port: DevicePort) -> Self {
        let DevicePort {
            number,
            interface,
            mac,
            role,
        } = port;
        let (role, addresses, next_hop_mac, neighbours) = match role {
            PortRole::Workload => (proto::PortRole::Workload, Vec::new(), None, Vec::new()),
            PortRole::Host => (proto::PortRole::Host, Vec::new(), None, Vec::new()),
            PortRole::Other => (proto::PortRole::Other, Vec::new(), None, Vec::new()),
            PortRole::Uplink {
                addresses,
                next_hop_mac,
                neighbours,
            } => (proto::PortRole::Uplink, addresses, next_hop_mac, neighbours),
        };
        Self {
            name: format!("devices/-/ports/{number}"),
            number: number.into(),
            interface,
            mac: mac_bytes(mac),
            role: role.into(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            next_hop_mac: mac_bytes(next_hop_mac),
            neighbours: neighbours
                .into_iter()
                .map(|(net, mac)| proto::Neighbour {
                    net: net.to_string(),
                    mac: mac.to_vec(),
                })
                .collect(),
        }
    }
}

impl TryFrom<proto::Port> for DevicePort {
    type Error = EdgeError;

    fn try_from(message: proto::Port) -> Result<Self, EdgeError> {
        const NAME: &str = "Port";
        let proto::Port {
            name: _, // `number` is the identity.
            number,
            interface,
            mac: port_mac,
            role,
            addresses,
            next_hop_mac,
            neighbours,
        } = message;
        let number = u16::try_from(number)
            .ok()
            .filter(|number| *number <= 510)
            .ok_or_else(|| EdgeError::new(NAME, "number", format!("has {number}, not 0 to 510")))?;
        let role = match enumeration(role, NAME, "role")? {
            proto::PortRole::Unspecified => return Err(EdgeError::unset(NAME, "role")),
            proto::PortRole::Workload => PortRole::Workload,
            proto::PortRole::Host => PortRole::Host,
            proto::PortRole::Other => PortRole::Other,
            proto::PortRole::Uplink => PortRole::Uplink {
                addresses: addresses
                    .iter()
                    .map(|text| address(text, NAME, "addresses"))
                    .collect::<Result<_, _>>()?,
                next_hop_mac: mac(&next_hop_mac, NAME, "next_hop_mac")?,
                neighbours: neighbours
                    .into_iter()
                    .map(
                        |proto::Neighbour {
                             net: behind,
                             mac: hop,
                         }| {
                            let hop = mac(&hop, "Neighbour", "mac")?
                                .ok_or_else(|| EdgeError::unset("Neighbour", "mac"))?;
                            Ok((net(&behind, "Neighbour", "net")?, hop))
                        },
                    )
                    .collect::<Result<_, EdgeError>>()?,
            },
        };
        Ok(Self {
            number,
            interface,
            mac: mac(&port_mac, NAME, "mac")?,
            role,
        })
    }
}
