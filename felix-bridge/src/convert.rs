//! From Felix's messages to the model's updates.
//!
//! *In:* decoded messages of any dialect. *Out:* [`Converted`], at most one [`Update`] each.
//! Nothing here fails: a part that cannot be understood becomes an `invalid` value inside the
//! update, which denies, and a [`Problem`] that names the field and the value. Every message is
//! destructured field by field, so a field that is added to a message does not compile until
//! somebody decides what it means.

mod cluster;
mod endpoint;
mod hosts;
mod ip_set;
mod policy;
mod problem;
mod qos;
mod route;
mod rule;
mod text;

use std::sync::Arc;

use felix_proto::felix::to_dataplane::Payload;
use felix_proto::felix::{self};
use felix_proto::{Message, UnknownField};
use policy_model::{Config, Update};

pub use problem::{Effect, Problem};

use crate::dialect::Evidence;

/// What became of one message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Converted {
    /// The update; none if the message has no key to file it under, or says nothing known.
    pub update: Option<Update>,
    /// What could not be understood or is not enforced.
    pub problems: Vec<Problem>,
}

/// Converts one stream's messages in order. It remembers what a later message cannot be read
/// without: the kinds of the IP sets, and the parts in which older releases send a node.
#[derive(Clone, Debug, Default)]
pub struct Converter {
    sets: ip_set::Kinds,
    hosts: hosts::Hosts,
    evidence: Evidence,
}

impl Converter {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the stream has shown of its release so far.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Converts the next message.
    pub fn convert(&mut self, message: Message) -> Converted {
        let Message {
            sequence: _, // checked by the session
            payload,
            unknown,
        } = message;
        let mut problems = Vec::new();
        let Some(payload) = payload else {
            problems.push(nothing_known(&unknown));
            return Converted {
                update: None,
                problems,
            };
        };
        self.evidence.see(&payload);
        let mut report = problem::Report::new(unknown);
        let update = self.payload(payload, &mut report);
        problems.extend(report.finish());
        Converted { update, problems }
    }

    fn payload(&mut self, payload: Payload, report: &mut problem::Report) -> Option<Update> {
        match payload {
            Payload::InSync(felix::InSync {}) => Some(Update::InSync),
            Payload::ConfigUpdate(update) => Some(config(update)),
            Payload::IpsetUpdate(update) => self.sets.update(update, report),
            Payload::IpsetDeltaUpdate(update) => self.sets.delta(update, report),
            Payload::IpsetRemove(remove) => self.sets.remove(remove, report),
            Payload::ActiveProfileUpdate(update) => policy::profile_update(update, report),
            Payload::ActiveProfileRemove(remove) => policy::profile_remove(remove, report),
            Payload::ActivePolicyUpdate(update) => policy::policy_update(update, report),
            Payload::ActivePolicyRemove(remove) => policy::policy_remove(remove, report),
            Payload::HostEndpointUpdate(update) => endpoint::host_update(update, report),
            Payload::HostEndpointRemove(remove) => endpoint::host_remove(remove, report),
            Payload::WorkloadEndpointUpdate(update) => endpoint::workload_update(update, report),
            Payload::WorkloadEndpointRemove(remove) => endpoint::workload_remove(remove, report),
            Payload::HostMetadataUpdate(update) => self.hosts.update(update, report),
            Payload::HostMetadataRemove(remove) => self.hosts.remove(remove),
            Payload::HostMetadataV6Update(update) => self.hosts.v6_update(update, report),
            Payload::HostMetadataV6Remove(remove) => self.hosts.v6_remove(remove),
            Payload::HostMetadataV4v6Update(update) => self.hosts.v4v6_update(update, report),
            Payload::HostMetadataV4v6Remove(remove) => self.hosts.v4v6_remove(remove),
            Payload::IpamPoolUpdate(update) => cluster::pool_update(update, report),
            Payload::IpamPoolRemove(felix::IpamPoolRemove { id }) => Some(Update::IpPoolRemove(id)),
            Payload::ServiceAccountUpdate(felix::ServiceAccountUpdate { id, labels }) => {
                let id = cluster::service_account(id, report)?;
                Some(Update::ServiceAccount(id, labels))
            }
            Payload::ServiceAccountRemove(felix::ServiceAccountRemove { id }) => {
                cluster::service_account(id, report).map(Update::ServiceAccountRemove)
            }
            Payload::NamespaceUpdate(felix::NamespaceUpdate { id, labels }) => {
                let id = cluster::namespace(id, report)?;
                Some(Update::Namespace(id, labels))
            }
            Payload::NamespaceRemove(felix::NamespaceRemove { id }) => {
                cluster::namespace(id, report).map(Update::NamespaceRemove)
            }
            Payload::RouteUpdate(update) => route::update(update, report),
            Payload::RouteRemove(remove) => route::remove(&remove, report),
            Payload::VtepUpdate(update) => Some(route::vtep(update, report)),
            Payload::VtepRemove(felix::VxlanTunnelEndpointRemove { node }) => {
                Some(Update::VtepRemove(node))
            }
            Payload::WireguardEndpointUpdate(felix::WireguardEndpointUpdate {
                hostname,
                public_key,
                interface_ipv4_addr,
            }) => Some(Update::Wireguard {
                addr: report.optional_addr("interface_ipv4_addr", &interface_ipv4_addr),
                node: hostname,
                v6: false,
                key: public_key,
            }),
            Payload::WireguardEndpointRemove(felix::WireguardEndpointRemove { hostname }) => {
                Some(Update::WireguardRemove {
                    node: hostname,
                    v6: false,
                })
            }
            Payload::WireguardEndpointV6Update(felix::WireguardEndpointV6Update {
                hostname,
                public_key_v6,
                interface_ipv6_addr,
            }) => Some(Update::Wireguard {
                addr: report.optional_addr("interface_ipv6_addr", &interface_ipv6_addr),
                node: hostname,
                v6: true,
                key: public_key_v6,
            }),
            Payload::WireguardEndpointV6Remove(felix::WireguardEndpointV6Remove { hostname }) => {
                Some(Update::WireguardRemove {
                    node: hostname,
                    v6: true,
                })
            }
            Payload::GlobalBgpConfigUpdate(update) => Some(cluster::bgp(update)),
            Payload::Encapsulation(felix::Encapsulation {
                ipip_enabled,
                vxlan_enabled,
                vxlan_enabled_v6,
                no_encap_enabled,
            }) => Some(Update::Encapsulation(policy_model::Encapsulation {
                ipip: ipip_enabled,
                vxlan: vxlan_enabled,
                vxlan_v6: vxlan_enabled_v6,
                no_encap: no_encap_enabled,
            })),
            Payload::ServiceUpdate(update) => Some(cluster::service(update, report)),
            Payload::ServiceRemove(felix::ServiceRemove { name, namespace }) => {
                Some(Update::ServiceRemove(policy_model::ServiceId {
                    namespace: Arc::from(namespace),
                    name: Arc::from(name),
                }))
            }
        }
    }
}

fn config(update: felix::ConfigUpdate) -> Update {
    let felix::ConfigUpdate {
        config,
        source_to_raw_config: _, // already merged into `config`
        message: _,              // for people
    } = update;
    Update::Config(Config { values: config })
}

fn nothing_known(unknown: &[UnknownField]) -> Problem {
    let what = unknown.first().map_or_else(
        || "a message without any content".to_owned(),
        |field| {
            format!(
                "a message of a type that this program does not know (number {}); it was skipped, \
                 as it is of a newer Felix than 3.33",
                field.number
            )
        },
    );
    Problem {
        about: "ToDataplane".to_owned(),
        what,
        effect: Effect::Skipped,
    }
}

#[cfg(test)]
mod tests;
