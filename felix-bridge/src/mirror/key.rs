//! Under which key a message is filed.

use felix_proto::felix::{self, to_dataplane::Payload};

/// Class and name. Classes are in Felix's own order within a burst, so a replay never names what
/// comes later.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    class: Class,
    name: String,
}

impl Key {
    pub(super) fn is_config(&self) -> bool {
        self.class == Class::Config
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Class {
    Config,
    Policy,
    Profile,
    Workload,
    HostEndpoint,
    ServiceAccount,
    Namespace,
    Vtep,
    Route,
    Wireguard,
    WireguardV6,
    Host,
    HostV6,
    HostV4V6,
    Pool,
    Encapsulation,
    Bgp,
    Service,
}

/// What a message does to the mirror.
pub(super) enum Change {
    /// Replaces what is filed under the key.
    Put(Key),
    /// Clears the key.
    Remove(Key),
    /// Completes the snapshot.
    InSync,
    /// Says nothing that can be filed.
    Nothing,
}

/// IP sets are folded by the caller and are nothing here.
pub(super) fn change(payload: &Payload) -> Change {
    use Change::{Put, Remove};
    let key = |class: Class, name: String| Key { class, name };
    match payload {
        Payload::InSync(_) => Change::InSync,
        Payload::IpsetUpdate(_) | Payload::IpsetDeltaUpdate(_) | Payload::IpsetRemove(_) => {
            Change::Nothing
        }
        Payload::ConfigUpdate(_) => Put(key(Class::Config, String::new())),
        Payload::ActiveProfileUpdate(update) => {
            named(Class::Profile, update.id.as_ref().map(profile), Put)
        }
        Payload::ActiveProfileRemove(remove) => {
            named(Class::Profile, remove.id.as_ref().map(profile), Remove)
        }
        Payload::ActivePolicyUpdate(update) => {
            named(Class::Policy, update.id.as_ref().map(policy), Put)
        }
        Payload::ActivePolicyRemove(remove) => {
            named(Class::Policy, remove.id.as_ref().map(policy), Remove)
        }
        Payload::HostEndpointUpdate(update) => {
            named(Class::HostEndpoint, update.id.as_ref().map(host), Put)
        }
        Payload::HostEndpointRemove(remove) => {
            named(Class::HostEndpoint, remove.id.as_ref().map(host), Remove)
        }
        Payload::WorkloadEndpointUpdate(update) => {
            named(Class::Workload, update.id.as_ref().map(workload), Put)
        }
        Payload::WorkloadEndpointRemove(remove) => {
            named(Class::Workload, remove.id.as_ref().map(workload), Remove)
        }
        Payload::HostMetadataUpdate(update) => Put(key(Class::Host, update.hostname.clone())),
        Payload::HostMetadataRemove(remove) => Remove(key(Class::Host, remove.hostname.clone())),
        Payload::HostMetadataV6Update(update) => Put(key(Class::HostV6, update.hostname.clone())),
        Payload::HostMetadataV6Remove(remove) => {
            Remove(key(Class::HostV6, remove.hostname.clone()))
        }
        Payload::HostMetadataV4v6Update(update) => {
            Put(key(Class::HostV4V6, update.hostname.clone()))
        }
        Payload::HostMetadataV4v6Remove(remove) => {
            Remove(key(Class::HostV4V6, remove.hostname.clone()))
        }
        Payload::IpamPoolUpdate(update) => Put(key(Class::Pool, update.id.clone())),
        Payload::IpamPoolRemove(remove) => Remove(key(Class::Pool, remove.id.clone())),
        Payload::ServiceAccountUpdate(update) => {
            named(Class::ServiceAccount, update.id.as_ref().map(account), Put)
        }
        Payload::ServiceAccountRemove(remove) => {
            let name = remove.id.as_ref().map(account);
            named(Class::ServiceAccount, name, Remove)
        }
        Payload::NamespaceUpdate(update) => {
            let name = update.id.as_ref().map(|id| id.name.clone());
            named(Class::Namespace, name, Put)
        }
        Payload::NamespaceRemove(remove) => {
            let name = remove.id.as_ref().map(|id| id.name.clone());
            named(Class::Namespace, name, Remove)
        }
        Payload::RouteUpdate(update) => Put(key(Class::Route, update.dst.clone())),
        Payload::RouteRemove(remove) => Remove(key(Class::Route, remove.dst.clone())),
        Payload::VtepUpdate(update) => Put(key(Class::Vtep, update.node.clone())),
        Payload::VtepRemove(remove) => Remove(key(Class::Vtep, remove.node.clone())),
        Payload::WireguardEndpointUpdate(update) => {
            Put(key(Class::Wireguard, update.hostname.clone()))
        }
        Payload::WireguardEndpointRemove(remove) => {
            Remove(key(Class::Wireguard, remove.hostname.clone()))
        }
        Payload::WireguardEndpointV6Update(update) => {
            Put(key(Class::WireguardV6, update.hostname.clone()))
        }
        Payload::WireguardEndpointV6Remove(remove) => {
            Remove(key(Class::WireguardV6, remove.hostname.clone()))
        }
        Payload::GlobalBgpConfigUpdate(_) => Put(key(Class::Bgp, String::new())),
        Payload::Encapsulation(_) => Put(key(Class::Encapsulation, String::new())),
        Payload::ServiceUpdate(update) => {
            Put(key(Class::Service, pair(&update.namespace, &update.name)))
        }
        Payload::ServiceRemove(remove) => {
            Remove(key(Class::Service, pair(&remove.namespace, &remove.name)))
        }
    }
}

fn named(class: Class, name: Option<String>, change: fn(Key) -> Change) -> Change {
    name.map_or(Change::Nothing, |name| change(Key { class, name }))
}

/// Names do not hold the separator, so joined parts stay apart.
fn pair(first: &str, second: &str) -> String {
    format!("{first}\0{second}")
}

fn profile(id: &felix::ProfileId) -> String {
    id.name.clone()
}

fn policy(id: &felix::PolicyId) -> String {
    let felix::PolicyId {
        tier: _, // not part of the identity
        name,
        namespace,
        kind,
    } = id;
    format!("{kind}\0{namespace}\0{name}")
}

fn host(id: &felix::HostEndpointId) -> String {
    id.endpoint_id.clone()
}

fn workload(id: &felix::WorkloadEndpointId) -> String {
    let felix::WorkloadEndpointId {
        orchestrator_id,
        workload_id,
        endpoint_id,
    } = id;
    format!("{orchestrator_id}\0{workload_id}\0{endpoint_id}")
}

fn account(id: &felix::ServiceAccountId) -> String {
    pair(&id.namespace, &id.name)
}
