//! Nodes: one message since 3.33, three before.
//!
//! Until 3.32 a node comes as a bare IPv4 address (`HostMetadataUpdate`), a bare IPv6 address
//! (`HostMetadataV6Update`), and both with labels and AS number (`HostMetadataV4V6Update`). The
//! model holds one value for a node, so the parts are put together here.

use std::collections::BTreeMap;

use felix_proto::felix;
use ipnet::IpNet;
use policy_model::{HostMetadata, Update};

use super::problem::Report;

#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(BTreeMap<String, Parts>);

#[derive(Clone, Debug, Default)]
struct Parts {
    main: Option<HostMetadata>,
    v6: Option<IpNet>,
    both: Option<HostMetadata>,
}

impl Hosts {
    pub(super) fn update(
        &mut self,
        update: felix::HostMetadataUpdate,
        report: &mut Report,
    ) -> Option<Update> {
        let felix::HostMetadataUpdate {
            hostname,
            ipv4_addr,
            ipv6_addr,
            asnumber,
            labels,
        } = update;
        let value = metadata(&hostname, &ipv4_addr, &ipv6_addr, asnumber, labels, report);
        self.change(hostname, |parts| parts.main = Some(value))
    }

    pub(super) fn remove(&mut self, remove: felix::HostMetadataRemove) -> Option<Update> {
        let felix::HostMetadataRemove {
            hostname,
            ipv4_addr: _, // repeats what goes
        } = remove;
        self.change(hostname, |parts| parts.main = None)
    }

    pub(super) fn v6_update(
        &mut self,
        update: felix::HostMetadataV6Update,
        report: &mut Report,
    ) -> Option<Update> {
        let felix::HostMetadataV6Update {
            hostname,
            ipv6_addr,
        } = update;
        report.about("node", &hostname);
        let value = report.optional_interface("ipv6_addr", &ipv6_addr);
        self.change(hostname, |parts| parts.v6 = value)
    }

    pub(super) fn v6_remove(&mut self, remove: felix::HostMetadataV6Remove) -> Option<Update> {
        let felix::HostMetadataV6Remove {
            hostname,
            ipv6_addr: _, // repeats what goes
        } = remove;
        self.change(hostname, |parts| parts.v6 = None)
    }

    pub(super) fn v4v6_update(
        &mut self,
        update: felix::HostMetadataV4v6Update,
        report: &mut Report,
    ) -> Option<Update> {
        let felix::HostMetadataV4v6Update {
            hostname,
            ipv4_addr,
            ipv6_addr,
            asnumber,
            labels,
        } = update;
        let value = metadata(&hostname, &ipv4_addr, &ipv6_addr, asnumber, labels, report);
        self.change(hostname, |parts| parts.both = Some(value))
    }

    pub(super) fn v4v6_remove(&mut self, remove: felix::HostMetadataV4v6Remove) -> Option<Update> {
        let felix::HostMetadataV4v6Remove {
            hostname,
            ipv4_addr: _, // repeats what goes
        } = remove;
        self.change(hostname, |parts| parts.both = None)
    }

    fn change(&mut self, hostname: String, change: impl FnOnce(&mut Parts)) -> Option<Update> {
        let parts = self.0.entry(hostname.clone()).or_default();
        change(parts);
        Some(match parts.whole() {
            Some(whole) => Update::HostMetadata(hostname, whole),
            None => {
                self.0.remove(&hostname);
                Update::HostMetadataRemove(hostname)
            }
        })
    }
}

impl Parts {
    /// The fullest part leads, the others fill what it leaves open.
    fn whole(&self) -> Option<HostMetadata> {
        let Self { main, v6, both } = self;
        if main.is_none() && v6.is_none() && both.is_none() {
            return None;
        }
        let mut whole = both.clone().or_else(|| main.clone()).unwrap_or_default();
        if let Some(main) = main {
            whole.v4 = whole.v4.or(main.v4);
            whole.v6 = whole.v6.or(main.v6);
        }
        whole.v6 = whole.v6.or(*v6);
        Some(whole)
    }
}

fn metadata(
    hostname: &str,
    v4: &str,
    v6: &str,
    as_number: String,
    labels: BTreeMap<String, String>,
    report: &mut Report,
) -> HostMetadata {
    report.about("node", hostname);
    HostMetadata {
        v4: report.optional_interface("ipv4_addr", v4),
        v6: report.optional_interface("ipv6_addr", v6),
        as_number,
        labels,
    }
}
