//! What the DPU is and which ports it has, kept up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use offload_api::client::{CallError, DpuClient};
use offload_api::error_chain;
use offload_api::types::{DeviceInfo, DevicePort, PortRole};
use policy_compiler::{HostPort, Port, Site, Uplink};
use table_model::Capability;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tracing::{debug, warn};

/// Time between looks when all is well.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time between looks when an endpoint waits for its port, or the last look failed.
const SOON: Duration = Duration::from_millis(50);

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Inventory {
    pub(crate) device: DeviceInfo,
    pub(crate) capability: Capability,
    pub(crate) site: Site,
}

/// The state of the search.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Found {
    /// The last inventory; stays when the DPU goes away.
    pub(crate) inventory: Option<Arc<Inventory>>,
    /// Why there is no newer one.
    pub(crate) error: Option<String>,
}

/// Looks again and again while there is a connection.
pub(crate) async fn follow(
    mut client: watch::Receiver<Option<DpuClient>>,
    found: watch::Sender<Found>,
    hurry: Arc<Notify>,
    fingerprint: u64,
) {
    loop {
        let connection = client.borrow_and_update().clone();
        match connection {
            None => {
                if client.changed().await.is_err() {
                    return;
                }
            }
            Some(connection) => {
                let looked = look(&connection, fingerprint).await;
                let pause = if looked.is_ok() { INTERVAL } else { SOON };
                found.send_if_modified(|found| put(found, looked));
                tokio::select! {
                    changed = client.changed() => if changed.is_err() {
                        return;
                    },
                    () = tokio::time::sleep(pause) => {}
                    () = async { hurry.notified().await; tokio::time::sleep(SOON).await } => {}
                }
            }
        }
    }
}

fn put(found: &mut Found, looked: Result<Inventory, String>) -> bool {
    match looked {
        Ok(inventory) => {
            let same = found.inventory.as_deref() == Some(&inventory);
            if !same {
                found.inventory = Some(Arc::new(inventory));
            }
            found.error.take().is_some() || !same
        }
        Err(error) => {
            if found.error.as_ref() == Some(&error) {
                return false;
            }
            debug!(error, "no inventory from the DPU");
            found.error = Some(error);
            true
        }
    }
}

async fn look(client: &DpuClient, fingerprint: u64) -> Result<Inventory, String> {
    let all = async {
        let device = client.device().await?;
        let capability = client.capability().await?;
        let ports = client.ports().await?;
        Ok::<_, CallError>((device, capability, ports))
    };
    let (device, capability, ports) = timeout(Duration::from_secs(10), all)
        .await
        .map_err(|_| "the DPU agent does not answer".to_owned())?
        .map_err(|error| error_chain(&error))?;
    if capability.schema_fingerprint != fingerprint {
        return Err(format!(
            "the DPU agent's pipeline is {:016x}, this agent's {fingerprint:016x}: install both of \
             one release",
            capability.schema_fingerprint
        ));
    }
    Ok(Inventory {
        device,
        capability: capability.capability,
        site: site(ports),
    })
}

/// The compiler's picture of the ports.
fn site(ports: Vec<DevicePort>) -> Site {
    let mut workload_ports = BTreeMap::new();
    let mut uplink: Option<Uplink> = None;
    let mut host: Option<HostPort> = None;
    for port in ports {
        let DevicePort {
            number,
            interface,
            mac,
            role,
        } = port;
        match role {
            PortRole::Other => {}
            PortRole::Host => match (mac, host) {
                (_, Some(_)) => warn!(interface, "a second port of the node itself is not used"),
                (None, None) => warn!(
                    interface,
                    "the node's own port cannot be used without a MAC"
                ),
                (Some(mac), None) => host = Some(HostPort { number, mac }),
            },
            PortRole::Workload => {
                workload_ports.insert(interface, Port { number, mac });
            }
            PortRole::Uplink {
                addresses,
                next_hop_mac,
                neighbours,
            } => {
                if uplink.is_some() {
                    warn!(interface, "a second uplink is not used in this release");
                    continue;
                }
                let Some(mac) = mac else {
                    warn!(interface, "an uplink without a MAC cannot be used");
                    continue;
                };
                uplink = Some(Uplink {
                    port: number,
                    interface,
                    mac,
                    addresses,
                    // A MAC that nobody has: packets without a neighbour are lost on the wire
                    // rather than flooded.
                    next_hop_mac: next_hop_mac.unwrap_or_default(),
                    neighbours,
                });
            }
        }
    }
    Site {
        workload_ports,
        uplink,
        host,
        gateway_mac: p4_tables::GATEWAY_MAC,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: u16, interface: &str, role: PortRole) -> DevicePort {
        DevicePort {
            number,
            interface: interface.to_owned(),
            mac: Some([2, 0, 0, 0, 0, 1]),
            role,
        }
    }

    fn uplink(next_hop_mac: Option<[u8; 6]>) -> PortRole {
        PortRole::Uplink {
            addresses: vec!["10.0.0.1".parse().unwrap()],
            next_hop_mac,
            neighbours: Vec::new(),
        }
    }

    #[test]
    fn ports_become_a_site() {
        let site = site(vec![
            port(0, "eth0", uplink(Some([9; 6]))),
            port(1, "cali1", PortRole::Workload),
            port(2, "mgmt", PortRole::Other),
            port(3, "eth1", uplink(None)),
            port(4, "pf0hpf", PortRole::Host),
            port(5, "pf1hpf", PortRole::Host),
        ]);
        assert_eq!(site.workload_ports.keys().collect::<Vec<_>>(), ["cali1"]);
        assert_eq!(site.workload_ports["cali1"].number, 1);
        let uplink = site.uplink.unwrap();
        assert_eq!((uplink.port, uplink.next_hop_mac), (0, [9; 6]));
        assert_eq!(site.host.map(|host| host.number), Some(4));
    }

    #[test]
    fn a_port_of_the_node_without_a_mac_is_none() {
        let mut wrong = port(0, "pf0hpf", PortRole::Host);
        wrong.mac = None;
        assert_eq!(site(vec![wrong]).host, None);
    }

    #[test]
    fn an_uplink_without_a_mac_is_none() {
        let mut wrong = port(0, "eth0", uplink(None));
        wrong.mac = None;
        assert_eq!(site(vec![wrong]).uplink, None);
    }
}
