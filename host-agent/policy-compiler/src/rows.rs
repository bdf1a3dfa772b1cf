//! Rows of the policy tables, by family where a table has two.

use p4_tables::{
    acl_class_default, acl_host_group, acl_host_v4, acl_host_v6, acl_net_group, acl_net_v4,
    acl_net_v6, acl_pair_group, acl_port, acl_service_v4, acl_service_v6, acl_source_port,
    acl_verdict, acl_verdict_default,
};
use policy_model::Family;
use table_model::{Row, RowKey};

use crate::class::Ruling;
use crate::label::Key;
use crate::nets::low;
use crate::partition::PortRow;

pub(crate) fn host_group_key(class: u32, label: u32) -> RowKey {
    acl_host_group::key(class, label)
}

pub(crate) fn host_group(class: u32, label: u32, set: u32, group: u32) -> Row {
    acl_host_group::host_group(host_group_key(class, label), set, group)
}

pub(crate) fn net_group_key(class: u32, label: u32) -> RowKey {
    acl_net_group::key(class, label)
}

pub(crate) fn net_group(class: u32, label: u32, set: u32, group: u32) -> Row {
    acl_net_group::net_group(net_group_key(class, label), set, group)
}

pub(crate) fn pair_group(class: u32, host_set: u32, net_set: u32, group: u32) -> Row {
    acl_pair_group::pair_group(acl_pair_group::key(class, host_set, net_set), group)
}

pub(crate) fn class_default(class: u32, verdict: Ruling) -> Row {
    let key = acl_class_default::key(class);
    match verdict {
        Ruling::Allow(rule) => acl_class_default::allow(key, rule),
        Ruling::Deny(rule) => acl_class_default::deny(key, rule),
        Ruling::NextPolicy => acl_class_default::next_policy(key),
        Ruling::NextTier(rule) => acl_class_default::next_tier(key, rule),
    }
}

pub(crate) fn verdict_default(class: u32, group: u32, verdict: Ruling) -> Row {
    let key = acl_verdict_default::key(class, group);
    match verdict {
        Ruling::Allow(rule) => acl_verdict_default::allow(key, rule),
        Ruling::Deny(rule) => acl_verdict_default::deny(key, rule),
        Ruling::NextPolicy => acl_verdict_default::next_policy(key),
        Ruling::NextTier(rule) => acl_verdict_default::next_tier(key, rule),
    }
}

pub(crate) fn verdict(
    class: u32,
    group: u32,
    (port_group, source_group): (usize, usize),
    verdict: Ruling,
) -> Row {
    // A partition has no more groups than 16 bits can number.
    let narrow = |group: usize| u16::try_from(group).unwrap_or(u16::MAX);
    let key = acl_verdict::key(class, group, narrow(port_group), narrow(source_group));
    match verdict {
        Ruling::Allow(rule) => acl_verdict::allow(key, rule),
        Ruling::Deny(rule) => acl_verdict::deny(key, rule),
        Ruling::NextPolicy => acl_verdict::next_policy(key),
        Ruling::NextTier(rule) => acl_verdict::next_tier(key, rule),
    }
}

pub(crate) fn port(ports: u32, row: &PortRow) -> Row {
    let key = acl_port::key(ports, row.protocol, row.port, row.prefix_len);
    acl_port::port_group(key, row.group)
}

pub(crate) fn source_port(ports: u32, row: &PortRow) -> Row {
    let key = acl_source_port::key(ports, row.protocol, row.port, row.prefix_len);
    acl_source_port::source_port_group(key, row.group)
}

pub(crate) fn host_key(family: Family, key: Key) -> RowKey {
    match (family, key.service()) {
        (Family::V4, None) => acl_host_v4::key(low(key.addr())),
        (Family::V6, None) => acl_host_v6::key(key.addr()),
        (Family::V4, Some((protocol, port))) => {
            acl_service_v4::key(low(key.addr()), protocol, port)
        }
        (Family::V6, Some((protocol, port))) => acl_service_v6::key(key.addr(), protocol, port),
    }
}

pub(crate) fn host(family: Family, key: Key, label: u32) -> Row {
    let row_key = host_key(family, key);
    match (family, key.service()) {
        (Family::V4, None) => acl_host_v4::host_label(row_key, label),
        (Family::V6, None) => acl_host_v6::host_label(row_key, label),
        (Family::V4, Some(_)) => acl_service_v4::service_label(row_key, label),
        (Family::V6, Some(_)) => acl_service_v6::service_label(row_key, label),
    }
}

pub(crate) fn net_key(family: Family, (addr, prefix_len): (u128, u8)) -> RowKey {
    match family {
        Family::V4 => acl_net_v4::key(low(addr), prefix_len),
        Family::V6 => acl_net_v6::key(addr, prefix_len),
    }
}

pub(crate) fn net(family: Family, net: (u128, u8), label: u32) -> Row {
    let key = net_key(family, net);
    match family {
        Family::V4 => acl_net_v4::net_label(key, label),
        Family::V6 => acl_net_v6::net_label(key, label),
    }
}
