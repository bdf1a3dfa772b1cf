//! Generated from p4/programs/margay.p4info.txtpb by `BLESS=1 cargo test -p p4-tables`.

use table_model::{
    ActionId, ActionSchema, FieldSchema, MatchKind, ParamSchema, Rank, Schema, TableId, TableSchema,
};

/// Table `endpoint_port`, 512 entries.
pub mod endpoint_port {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000001);

    /// Packs a key.
    #[must_use]
    pub fn key(ingress_port: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(ingress_port), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `workload_port`.
    pub const WORKLOAD_PORT: ActionId = ActionId(0x01000001);

    /// A row that does `workload_port`.
    #[must_use]
    pub fn workload_port(key: RowKey, mac_check: bool, limited: bool) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(mac_check), 1));
        params.extend(crate::bytes(u128::from(limited), 1));
        Row { key, action: ActionCall { action: WORKLOAD_PORT, params } }
    }

    /// P4Runtime id of `uplink_port`.
    pub const UPLINK_PORT: ActionId = ActionId(0x01000002);

    /// A row that does `uplink_port`.
    #[must_use]
    pub fn uplink_port(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: UPLINK_PORT, params } }
    }

    /// P4Runtime id of `host_port`.
    pub const HOST_PORT: ActionId = ActionId(0x01000007);

    /// A row that does `host_port`.
    #[must_use]
    pub fn host_port(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: HOST_PORT, params } }
    }

    /// P4Runtime id of `closed_port`.
    pub const CLOSED_PORT: ActionId = ActionId(0x01000003);

    /// A row that does `closed_port`.
    #[must_use]
    pub fn closed_port(key: RowKey, reason: u8) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(reason), 1));
        Row { key, action: ActionCall { action: CLOSED_PORT, params } }
    }
}

/// Table `endpoint_mac`, 4096 entries.
pub mod endpoint_mac {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000002);

    /// Packs a key.
    #[must_use]
    pub fn key(ingress_port: u16, src_mac: u64) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(ingress_port), 2));
        bytes.extend(crate::bytes(u128::from(src_mac), 6));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `permit_mac`.
    pub const PERMIT_MAC: ActionId = ActionId(0x01000004);

    /// A row that does `permit_mac`.
    #[must_use]
    pub fn permit_mac(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: PERMIT_MAC, params } }
    }
}

/// Table `endpoint_source_v4`, 4096 entries.
pub mod endpoint_source_v4 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000003);

    /// Packs a key.
    #[must_use]
    pub fn key(ingress_port: u16, src: u32, src_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(ingress_port), 2));
        bytes.extend(crate::bytes(u128::from(src), 4));
        bytes.push(src_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `source_endpoint`.
    pub const SOURCE_ENDPOINT: ActionId = ActionId(0x01000005);

    /// A row that does `source_endpoint`.
    #[must_use]
    pub fn source_endpoint(key: RowKey, chain: u32, uplink_chain: u32, node_chain: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(chain), 4));
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(node_chain), 4));
        Row { key, action: ActionCall { action: SOURCE_ENDPOINT, params } }
    }

    /// P4Runtime id of `source_node`.
    pub const SOURCE_NODE: ActionId = ActionId(0x01000008);

    /// A row that does `source_node`.
    #[must_use]
    pub fn source_node(key: RowKey, uplink_chain: u32, untracked_chain: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(untracked_chain), 4));
        Row { key, action: ActionCall { action: SOURCE_NODE, params } }
    }
}

/// Table `endpoint_source_v6`, 4096 entries.
pub mod endpoint_source_v6 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000004);

    /// Packs a key.
    #[must_use]
    pub fn key(ingress_port: u16, src: u128, src_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(ingress_port), 2));
        bytes.extend(crate::bytes(src, 16));
        bytes.push(src_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `source_endpoint`.
    pub const SOURCE_ENDPOINT: ActionId = ActionId(0x01000005);

    /// A row that does `source_endpoint`.
    #[must_use]
    pub fn source_endpoint(key: RowKey, chain: u32, uplink_chain: u32, node_chain: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(chain), 4));
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(node_chain), 4));
        Row { key, action: ActionCall { action: SOURCE_ENDPOINT, params } }
    }

    /// P4Runtime id of `source_node`.
    pub const SOURCE_NODE: ActionId = ActionId(0x01000008);

    /// A row that does `source_node`.
    #[must_use]
    pub fn source_node(key: RowKey, uplink_chain: u32, untracked_chain: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(untracked_chain), 4));
        Row { key, action: ActionCall { action: SOURCE_NODE, params } }
    }
}

/// Table `endpoint_local_v4`, 4096 entries.
pub mod endpoint_local_v4 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000005);

    /// Packs a key.
    #[must_use]
    pub fn key(dst: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(dst), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `local_endpoint`.
    pub const LOCAL_ENDPOINT: ActionId = ActionId(0x01000006);

    /// A row that does `local_endpoint`.
    #[must_use]
    pub fn local_endpoint(key: RowKey, port: u16, mac: u64, chain: u32, uplink_chain: u32, untracked_chain: u32, limited: bool) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(port), 2));
        params.extend(crate::bytes(u128::from(mac), 6));
        params.extend(crate::bytes(u128::from(chain), 4));
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(untracked_chain), 4));
        params.extend(crate::bytes(u128::from(limited), 1));
        Row { key, action: ActionCall { action: LOCAL_ENDPOINT, params } }
    }

    /// P4Runtime id of `local_node`.
    pub const LOCAL_NODE: ActionId = ActionId(0x01000009);

    /// A row that does `local_node`.
    #[must_use]
    pub fn local_node(key: RowKey, port: u16, mac: u64, uplink_chain: u32, untracked_chain: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(port), 2));
        params.extend(crate::bytes(u128::from(mac), 6));
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(untracked_chain), 4));
        Row { key, action: ActionCall { action: LOCAL_NODE, params } }
    }
}

/// Table `endpoint_local_v6`, 4096 entries.
pub mod endpoint_local_v6 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000006);

    /// Packs a key.
    #[must_use]
    pub fn key(dst: u128) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(dst, 16));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `local_endpoint`.
    pub const LOCAL_ENDPOINT: ActionId = ActionId(0x01000006);

    /// A row that does `local_endpoint`.
    #[must_use]
    pub fn local_endpoint(key: RowKey, port: u16, mac: u64, chain: u32, uplink_chain: u32, untracked_chain: u32, limited: bool) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(port), 2));
        params.extend(crate::bytes(u128::from(mac), 6));
        params.extend(crate::bytes(u128::from(chain), 4));
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(untracked_chain), 4));
        params.extend(crate::bytes(u128::from(limited), 1));
        Row { key, action: ActionCall { action: LOCAL_ENDPOINT, params } }
    }

    /// P4Runtime id of `local_node`.
    pub const LOCAL_NODE: ActionId = ActionId(0x01000009);

    /// A row that does `local_node`.
    #[must_use]
    pub fn local_node(key: RowKey, port: u16, mac: u64, uplink_chain: u32, untracked_chain: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(port), 2));
        params.extend(crate::bytes(u128::from(mac), 6));
        params.extend(crate::bytes(u128::from(uplink_chain), 4));
        params.extend(crate::bytes(u128::from(untracked_chain), 4));
        Row { key, action: ActionCall { action: LOCAL_NODE, params } }
    }
}

/// Table `acl_host_v4`, 262144 entries.
pub mod acl_host_v4 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000010);

    /// Packs a key.
    #[must_use]
    pub fn key(addr: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(addr), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `host_label`.
    pub const HOST_LABEL: ActionId = ActionId(0x01000010);

    /// A row that does `host_label`.
    #[must_use]
    pub fn host_label(key: RowKey, label: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(label), 4));
        Row { key, action: ActionCall { action: HOST_LABEL, params } }
    }
}

/// Table `acl_host_v6`, 262144 entries.
pub mod acl_host_v6 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000011);

    /// Packs a key.
    #[must_use]
    pub fn key(addr: u128) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(addr, 16));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `host_label`.
    pub const HOST_LABEL: ActionId = ActionId(0x01000010);

    /// A row that does `host_label`.
    #[must_use]
    pub fn host_label(key: RowKey, label: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(label), 4));
        Row { key, action: ActionCall { action: HOST_LABEL, params } }
    }
}

/// Table `acl_net_v4`, 65536 entries.
pub mod acl_net_v4 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000012);

    /// Packs a key.
    #[must_use]
    pub fn key(addr: u32, addr_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(addr), 4));
        bytes.push(addr_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `net_label`.
    pub const NET_LABEL: ActionId = ActionId(0x01000011);

    /// A row that does `net_label`.
    #[must_use]
    pub fn net_label(key: RowKey, label: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(label), 4));
        Row { key, action: ActionCall { action: NET_LABEL, params } }
    }
}

/// Table `acl_net_v6`, 65536 entries.
pub mod acl_net_v6 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000013);

    /// Packs a key.
    #[must_use]
    pub fn key(addr: u128, addr_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(addr, 16));
        bytes.push(addr_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `net_label`.
    pub const NET_LABEL: ActionId = ActionId(0x01000011);

    /// A row that does `net_label`.
    #[must_use]
    pub fn net_label(key: RowKey, label: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(label), 4));
        Row { key, action: ActionCall { action: NET_LABEL, params } }
    }
}

/// Table `acl_service_v4`, 65536 entries.
pub mod acl_service_v4 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000014);

    /// Packs a key.
    #[must_use]
    pub fn key(addr: u32, protocol: u8, port: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(addr), 4));
        bytes.extend(crate::bytes(u128::from(protocol), 1));
        bytes.extend(crate::bytes(u128::from(port), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `service_label`.
    pub const SERVICE_LABEL: ActionId = ActionId(0x01000012);

    /// A row that does `service_label`.
    #[must_use]
    pub fn service_label(key: RowKey, label: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(label), 4));
        Row { key, action: ActionCall { action: SERVICE_LABEL, params } }
    }
}

/// Table `acl_service_v6`, 65536 entries.
pub mod acl_service_v6 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000015);

    /// Packs a key.
    #[must_use]
    pub fn key(addr: u128, protocol: u8, port: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(addr, 16));
        bytes.extend(crate::bytes(u128::from(protocol), 1));
        bytes.extend(crate::bytes(u128::from(port), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `service_label`.
    pub const SERVICE_LABEL: ActionId = ActionId(0x01000012);

    /// A row that does `service_label`.
    #[must_use]
    pub fn service_label(key: RowKey, label: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(label), 4));
        Row { key, action: ActionCall { action: SERVICE_LABEL, params } }
    }
}

/// Table `acl_host_group`, 1048576 entries.
pub mod acl_host_group {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000016);

    /// Packs a key.
    #[must_use]
    pub fn key(class: u32, label: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(class), 4));
        bytes.extend(crate::bytes(u128::from(label), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `host_group`.
    pub const HOST_GROUP: ActionId = ActionId(0x01000013);

    /// A row that does `host_group`.
    #[must_use]
    pub fn host_group(key: RowKey, set: u32, group: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(set), 4));
        params.extend(crate::bytes(u128::from(group), 4));
        Row { key, action: ActionCall { action: HOST_GROUP, params } }
    }
}

/// Table `acl_net_group`, 131072 entries.
pub mod acl_net_group {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000017);

    /// Packs a key.
    #[must_use]
    pub fn key(class: u32, label: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(class), 4));
        bytes.extend(crate::bytes(u128::from(label), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `net_group`.
    pub const NET_GROUP: ActionId = ActionId(0x01000014);

    /// A row that does `net_group`.
    #[must_use]
    pub fn net_group(key: RowKey, set: u32, group: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(set), 4));
        params.extend(crate::bytes(u128::from(group), 4));
        Row { key, action: ActionCall { action: NET_GROUP, params } }
    }
}

/// Table `acl_pair_group`, 262144 entries.
pub mod acl_pair_group {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000018);

    /// Packs a key.
    #[must_use]
    pub fn key(class: u32, host_set: u32, net_set: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(class), 4));
        bytes.extend(crate::bytes(u128::from(host_set), 4));
        bytes.extend(crate::bytes(u128::from(net_set), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `pair_group`.
    pub const PAIR_GROUP: ActionId = ActionId(0x01000015);

    /// A row that does `pair_group`.
    #[must_use]
    pub fn pair_group(key: RowKey, group: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(group), 4));
        Row { key, action: ActionCall { action: PAIR_GROUP, params } }
    }
}

/// Table `acl_port`, 131072 entries.
pub mod acl_port {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000019);

    /// Packs a key.
    #[must_use]
    pub fn key(ports: u32, protocol: u8, port: u16, port_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(ports), 4));
        bytes.extend(crate::bytes(u128::from(protocol), 1));
        bytes.extend(crate::bytes(u128::from(port), 2));
        bytes.push(port_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `port_group`.
    pub const PORT_GROUP: ActionId = ActionId(0x01000016);

    /// A row that does `port_group`.
    #[must_use]
    pub fn port_group(key: RowKey, group: u16) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(group), 2));
        Row { key, action: ActionCall { action: PORT_GROUP, params } }
    }
}

/// Table `acl_source_port`, 32768 entries.
pub mod acl_source_port {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000020);

    /// Packs a key.
    #[must_use]
    pub fn key(source_ports: u32, protocol: u8, port: u16, port_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(source_ports), 4));
        bytes.extend(crate::bytes(u128::from(protocol), 1));
        bytes.extend(crate::bytes(u128::from(port), 2));
        bytes.push(port_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `source_port_group`.
    pub const SOURCE_PORT_GROUP: ActionId = ActionId(0x01000017);

    /// A row that does `source_port_group`.
    #[must_use]
    pub fn source_port_group(key: RowKey, group: u16) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(group), 2));
        Row { key, action: ActionCall { action: SOURCE_PORT_GROUP, params } }
    }
}

/// Table `acl_verdict`, 524288 entries.
pub mod acl_verdict {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000021);

    /// Packs a key.
    #[must_use]
    pub fn key(class: u32, group: u32, port_group: u16, source_port_group: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(class), 4));
        bytes.extend(crate::bytes(u128::from(group), 4));
        bytes.extend(crate::bytes(u128::from(port_group), 2));
        bytes.extend(crate::bytes(u128::from(source_port_group), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `allow`.
    pub const ALLOW: ActionId = ActionId(0x01000018);

    /// A row that does `allow`.
    #[must_use]
    pub fn allow(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: ALLOW, params } }
    }

    /// P4Runtime id of `deny`.
    pub const DENY: ActionId = ActionId(0x01000019);

    /// A row that does `deny`.
    #[must_use]
    pub fn deny(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: DENY, params } }
    }

    /// P4Runtime id of `next_policy`.
    pub const NEXT_POLICY: ActionId = ActionId(0x0100001b);

    /// A row that does `next_policy`.
    #[must_use]
    pub fn next_policy(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: NEXT_POLICY, params } }
    }

    /// P4Runtime id of `next_tier`.
    pub const NEXT_TIER: ActionId = ActionId(0x0100001c);

    /// A row that does `next_tier`.
    #[must_use]
    pub fn next_tier(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: NEXT_TIER, params } }
    }
}

/// Table `acl_verdict_default`, 524288 entries.
pub mod acl_verdict_default {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000022);

    /// Packs a key.
    #[must_use]
    pub fn key(class: u32, group: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(class), 4));
        bytes.extend(crate::bytes(u128::from(group), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `allow`.
    pub const ALLOW: ActionId = ActionId(0x01000018);

    /// A row that does `allow`.
    #[must_use]
    pub fn allow(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: ALLOW, params } }
    }

    /// P4Runtime id of `deny`.
    pub const DENY: ActionId = ActionId(0x01000019);

    /// A row that does `deny`.
    #[must_use]
    pub fn deny(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: DENY, params } }
    }

    /// P4Runtime id of `next_policy`.
    pub const NEXT_POLICY: ActionId = ActionId(0x0100001b);

    /// A row that does `next_policy`.
    #[must_use]
    pub fn next_policy(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: NEXT_POLICY, params } }
    }

    /// P4Runtime id of `next_tier`.
    pub const NEXT_TIER: ActionId = ActionId(0x0100001c);

    /// A row that does `next_tier`.
    #[must_use]
    pub fn next_tier(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: NEXT_TIER, params } }
    }
}

/// Table `acl_settings`, 1024 entries.
pub mod acl_settings {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000023);

    /// Packs a key.
    #[must_use]
    pub fn key() -> RowKey {
        RowKey { table: TABLE, bytes: smallvec::SmallVec::new() }
    }

    /// P4Runtime id of `settings`.
    pub const SETTINGS: ActionId = ActionId(0x01000020);

    /// A row that does `settings`.
    #[must_use]
    pub fn settings(key: RowKey, epoch: u16, vxlan_port: u16, drop_vxlan: bool, drop_ipip: bool) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(epoch), 2));
        params.extend(crate::bytes(u128::from(vxlan_port), 2));
        params.extend(crate::bytes(u128::from(drop_vxlan), 1));
        params.extend(crate::bytes(u128::from(drop_ipip), 1));
        Row { key, action: ActionCall { action: SETTINGS, params } }
    }
}

/// Table `acl_chain`, 131072 entries.
pub mod acl_chain {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000024);

    /// Packs a key.
    #[must_use]
    pub fn key(chain: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(chain), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `step`.
    pub const STEP: ActionId = ActionId(0x0100001a);

    /// A row that does `step`.
    #[expect(clippy::too_many_arguments, reason = "one for each parameter")]
    #[must_use]
    pub fn step(key: RowKey, class: u32, ports: u32, source_ports: u32, next: u32, pass: u32, accept: u32, reason: u8) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(class), 4));
        params.extend(crate::bytes(u128::from(ports), 4));
        params.extend(crate::bytes(u128::from(source_ports), 4));
        params.extend(crate::bytes(u128::from(next), 4));
        params.extend(crate::bytes(u128::from(pass), 4));
        params.extend(crate::bytes(u128::from(accept), 4));
        params.extend(crate::bytes(u128::from(reason), 1));
        Row { key, action: ActionCall { action: STEP, params } }
    }
}

/// Table `acl_class_default`, 131072 entries.
pub mod acl_class_default {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000025);

    /// Packs a key.
    #[must_use]
    pub fn key(class: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(class), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `allow`.
    pub const ALLOW: ActionId = ActionId(0x01000018);

    /// A row that does `allow`.
    #[must_use]
    pub fn allow(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: ALLOW, params } }
    }

    /// P4Runtime id of `deny`.
    pub const DENY: ActionId = ActionId(0x01000019);

    /// A row that does `deny`.
    #[must_use]
    pub fn deny(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: DENY, params } }
    }

    /// P4Runtime id of `next_policy`.
    pub const NEXT_POLICY: ActionId = ActionId(0x0100001b);

    /// A row that does `next_policy`.
    #[must_use]
    pub fn next_policy(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: NEXT_POLICY, params } }
    }

    /// P4Runtime id of `next_tier`.
    pub const NEXT_TIER: ActionId = ActionId(0x0100001c);

    /// A row that does `next_tier`.
    #[must_use]
    pub fn next_tier(key: RowKey, rule: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rule), 4));
        Row { key, action: ActionCall { action: NEXT_TIER, params } }
    }
}

/// Table `route_v4`, 65536 entries.
pub mod route_v4 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000030);

    /// Packs a key.
    #[must_use]
    pub fn key(dst: u32, dst_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(dst), 4));
        bytes.push(dst_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `route`.
    pub const ROUTE: ActionId = ActionId(0x01000021);

    /// A row that does `route`.
    #[must_use]
    pub fn route(key: RowKey, next_hop: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(next_hop), 4));
        Row { key, action: ActionCall { action: ROUTE, params } }
    }

    /// P4Runtime id of `to_host`.
    pub const TO_HOST: ActionId = ActionId(0x01000022);

    /// A row that does `to_host`.
    #[must_use]
    pub fn to_host(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: TO_HOST, params } }
    }

    /// P4Runtime id of `blackhole`.
    pub const BLACKHOLE: ActionId = ActionId(0x01000023);

    /// A row that does `blackhole`.
    #[must_use]
    pub fn blackhole(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: BLACKHOLE, params } }
    }
}

/// Table `route_v6`, 65536 entries.
pub mod route_v6 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000031);

    /// Packs a key.
    #[must_use]
    pub fn key(dst: u128, dst_prefix_len: u8) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(dst, 16));
        bytes.push(dst_prefix_len);
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `route`.
    pub const ROUTE: ActionId = ActionId(0x01000021);

    /// A row that does `route`.
    #[must_use]
    pub fn route(key: RowKey, next_hop: u32) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(next_hop), 4));
        Row { key, action: ActionCall { action: ROUTE, params } }
    }

    /// P4Runtime id of `to_host`.
    pub const TO_HOST: ActionId = ActionId(0x01000022);

    /// A row that does `to_host`.
    #[must_use]
    pub fn to_host(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: TO_HOST, params } }
    }

    /// P4Runtime id of `blackhole`.
    pub const BLACKHOLE: ActionId = ActionId(0x01000023);

    /// A row that does `blackhole`.
    #[must_use]
    pub fn blackhole(key: RowKey) -> Row {
        let params = smallvec::SmallVec::new();
        Row { key, action: ActionCall { action: BLACKHOLE, params } }
    }
}

/// Table `route_next_hop`, 4096 entries.
pub mod route_next_hop {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000032);

    /// Packs a key.
    #[must_use]
    pub fn key(next_hop: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(next_hop), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `next_hop`.
    pub const NEXT_HOP: ActionId = ActionId(0x01000024);

    /// A row that does `next_hop`.
    #[must_use]
    pub fn next_hop(key: RowKey, port: u16, src_mac: u64, dst_mac: u64) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(port), 2));
        params.extend(crate::bytes(u128::from(src_mac), 6));
        params.extend(crate::bytes(u128::from(dst_mac), 6));
        Row { key, action: ActionCall { action: NEXT_HOP, params } }
    }
}

/// Table `gateway_v4`, 256 entries.
pub mod gateway_v4 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000033);

    /// Packs a key.
    #[must_use]
    pub fn key(uplink: bool, addr: u32) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(uplink), 1));
        bytes.extend(crate::bytes(u128::from(addr), 4));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `gateway`.
    pub const GATEWAY: ActionId = ActionId(0x01000025);

    /// A row that does `gateway`.
    #[must_use]
    pub fn gateway(key: RowKey, mac: u64) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(mac), 6));
        Row { key, action: ActionCall { action: GATEWAY, params } }
    }
}

/// Table `gateway_v6`, 256 entries.
pub mod gateway_v6 {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000034);

    /// Packs a key.
    #[must_use]
    pub fn key(uplink: bool, addr: u128) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(uplink), 1));
        bytes.extend(crate::bytes(addr, 16));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `gateway`.
    pub const GATEWAY: ActionId = ActionId(0x01000025);

    /// A row that does `gateway`.
    #[must_use]
    pub fn gateway(key: RowKey, mac: u64) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(mac), 6));
        Row { key, action: ActionCall { action: GATEWAY, params } }
    }
}

/// Table `limit_egress_packets`, 512 entries.
pub mod limit_egress_packets {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000040);

    /// Packs a key.
    #[must_use]
    pub fn key(port: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(port), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `measure_egress_packets`.
    pub const MEASURE_EGRESS_PACKETS: ActionId = ActionId(0x01000026);

    /// A row that does `measure_egress_packets`.
    #[must_use]
    pub fn measure_egress_packets(key: RowKey, rate: u64, burst: u64, peak_rate: u64, peak_burst: u64) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rate), 8));
        params.extend(crate::bytes(u128::from(burst), 8));
        params.extend(crate::bytes(u128::from(peak_rate), 8));
        params.extend(crate::bytes(u128::from(peak_burst), 8));
        Row { key, action: ActionCall { action: MEASURE_EGRESS_PACKETS, params } }
    }
}

/// Table `limit_egress_bytes`, 512 entries.
pub mod limit_egress_bytes {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000041);

    /// Packs a key.
    #[must_use]
    pub fn key(port: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(port), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `measure_egress_bytes`.
    pub const MEASURE_EGRESS_BYTES: ActionId = ActionId(0x01000027);

    /// A row that does `measure_egress_bytes`.
    #[must_use]
    pub fn measure_egress_bytes(key: RowKey, rate: u64, burst: u64, peak_rate: u64, peak_burst: u64) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rate), 8));
        params.extend(crate::bytes(u128::from(burst), 8));
        params.extend(crate::bytes(u128::from(peak_rate), 8));
        params.extend(crate::bytes(u128::from(peak_burst), 8));
        Row { key, action: ActionCall { action: MEASURE_EGRESS_BYTES, params } }
    }
}

/// Table `limit_ingress_packets`, 512 entries.
pub mod limit_ingress_packets {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000042);

    /// Packs a key.
    #[must_use]
    pub fn key(port: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(port), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `measure_ingress_packets`.
    pub const MEASURE_INGRESS_PACKETS: ActionId = ActionId(0x01000028);

    /// A row that does `measure_ingress_packets`.
    #[must_use]
    pub fn measure_ingress_packets(key: RowKey, rate: u64, burst: u64, peak_rate: u64, peak_burst: u64) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rate), 8));
        params.extend(crate::bytes(u128::from(burst), 8));
        params.extend(crate::bytes(u128::from(peak_rate), 8));
        params.extend(crate::bytes(u128::from(peak_burst), 8));
        Row { key, action: ActionCall { action: MEASURE_INGRESS_PACKETS, params } }
    }
}

/// Table `limit_ingress_bytes`, 512 entries.
pub mod limit_ingress_bytes {
    use table_model::{ActionCall, ActionId, Row, RowKey, TableId};

    /// P4Runtime id.
    pub const TABLE: TableId = TableId(0x02000043);

    /// Packs a key.
    #[must_use]
    pub fn key(port: u16) -> RowKey {
        let mut bytes = smallvec::SmallVec::new();
        bytes.extend(crate::bytes(u128::from(port), 2));
        RowKey { table: TABLE, bytes }
    }

    /// P4Runtime id of `measure_ingress_bytes`.
    pub const MEASURE_INGRESS_BYTES: ActionId = ActionId(0x01000029);

    /// A row that does `measure_ingress_bytes`.
    #[must_use]
    pub fn measure_ingress_bytes(key: RowKey, rate: u64, burst: u64, peak_rate: u64, peak_burst: u64) -> Row {
        let mut params = smallvec::SmallVec::new();
        params.extend(crate::bytes(u128::from(rate), 8));
        params.extend(crate::bytes(u128::from(burst), 8));
        params.extend(crate::bytes(u128::from(peak_rate), 8));
        params.extend(crate::bytes(u128::from(peak_burst), 8));
        Row { key, action: ActionCall { action: MEASURE_INGRESS_BYTES, params } }
    }
}

/// The schema of all tables.
pub(crate) fn build_schema() -> Schema {
    Schema {
        fingerprint: 0x40575b67ef45914f,
        tables: vec![
            TableSchema {
                id: TableId(0x02000001),
                name: "endpoint_port".to_owned(),
                size: 512,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "ingress_port".to_owned(), bits: 9, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000001),
                        name: "workload_port".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "mac_check".to_owned(), bits: 1 },
                            ParamSchema { id: 2, name: "limited".to_owned(), bits: 1 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000002),
                        name: "uplink_port".to_owned(),
                        params: vec![
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000007),
                        name: "host_port".to_owned(),
                        params: vec![
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000003),
                        name: "closed_port".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "reason".to_owned(), bits: 8 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000002),
                name: "endpoint_mac".to_owned(),
                size: 4096,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "ingress_port".to_owned(), bits: 9, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "src_mac".to_owned(), bits: 48, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000004),
                        name: "permit_mac".to_owned(),
                        params: vec![
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000003),
                name: "endpoint_source_v4".to_owned(),
                size: 4096,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "ingress_port".to_owned(), bits: 9, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "src".to_owned(), bits: 32, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000005),
                        name: "source_endpoint".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "chain".to_owned(), bits: 32 },
                            ParamSchema { id: 2, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 3, name: "node_chain".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000008),
                        name: "source_node".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 2, name: "untracked_chain".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000004),
                name: "endpoint_source_v6".to_owned(),
                size: 4096,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "ingress_port".to_owned(), bits: 9, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "src".to_owned(), bits: 128, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000005),
                        name: "source_endpoint".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "chain".to_owned(), bits: 32 },
                            ParamSchema { id: 2, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 3, name: "node_chain".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000008),
                        name: "source_node".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 2, name: "untracked_chain".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000005),
                name: "endpoint_local_v4".to_owned(),
                size: 4096,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "dst".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000006),
                        name: "local_endpoint".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "port".to_owned(), bits: 9 },
                            ParamSchema { id: 2, name: "mac".to_owned(), bits: 48 },
                            ParamSchema { id: 3, name: "chain".to_owned(), bits: 32 },
                            ParamSchema { id: 4, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 5, name: "untracked_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 6, name: "limited".to_owned(), bits: 1 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000009),
                        name: "local_node".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "port".to_owned(), bits: 9 },
                            ParamSchema { id: 2, name: "mac".to_owned(), bits: 48 },
                            ParamSchema { id: 3, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 4, name: "untracked_chain".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000006),
                name: "endpoint_local_v6".to_owned(),
                size: 4096,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "dst".to_owned(), bits: 128, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000006),
                        name: "local_endpoint".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "port".to_owned(), bits: 9 },
                            ParamSchema { id: 2, name: "mac".to_owned(), bits: 48 },
                            ParamSchema { id: 3, name: "chain".to_owned(), bits: 32 },
                            ParamSchema { id: 4, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 5, name: "untracked_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 6, name: "limited".to_owned(), bits: 1 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000009),
                        name: "local_node".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "port".to_owned(), bits: 9 },
                            ParamSchema { id: 2, name: "mac".to_owned(), bits: 48 },
                            ParamSchema { id: 3, name: "uplink_chain".to_owned(), bits: 32 },
                            ParamSchema { id: 4, name: "untracked_chain".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000010),
                name: "acl_host_v4".to_owned(),
                size: 262144,
                rank: Rank::Label,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "addr".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000010),
                        name: "host_label".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "label".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000011),
                name: "acl_host_v6".to_owned(),
                size: 262144,
                rank: Rank::Label,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "addr".to_owned(), bits: 128, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000010),
                        name: "host_label".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "label".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000012),
                name: "acl_net_v4".to_owned(),
                size: 65536,
                rank: Rank::Label,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "addr".to_owned(), bits: 32, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000011),
                        name: "net_label".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "label".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000013),
                name: "acl_net_v6".to_owned(),
                size: 65536,
                rank: Rank::Label,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "addr".to_owned(), bits: 128, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000011),
                        name: "net_label".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "label".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000014),
                name: "acl_service_v4".to_owned(),
                size: 65536,
                rank: Rank::Label,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "addr".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "protocol".to_owned(), bits: 8, kind: MatchKind::Exact },
                    FieldSchema { id: 3, name: "port".to_owned(), bits: 16, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000012),
                        name: "service_label".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "label".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000015),
                name: "acl_service_v6".to_owned(),
                size: 65536,
                rank: Rank::Label,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "addr".to_owned(), bits: 128, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "protocol".to_owned(), bits: 8, kind: MatchKind::Exact },
                    FieldSchema { id: 3, name: "port".to_owned(), bits: 16, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000012),
                        name: "service_label".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "label".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000016),
                name: "acl_host_group".to_owned(),
                size: 1048576,
                rank: Rank::Body,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "class".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "label".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000013),
                        name: "host_group".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "set".to_owned(), bits: 32 },
                            ParamSchema { id: 2, name: "group".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000017),
                name: "acl_net_group".to_owned(),
                size: 131072,
                rank: Rank::Body,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "class".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "label".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000014),
                        name: "net_group".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "set".to_owned(), bits: 32 },
                            ParamSchema { id: 2, name: "group".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000018),
                name: "acl_pair_group".to_owned(),
                size: 262144,
                rank: Rank::Body,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "class".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "host_set".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 3, name: "net_set".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000015),
                        name: "pair_group".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "group".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000019),
                name: "acl_port".to_owned(),
                size: 131072,
                rank: Rank::Body,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "ports".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "protocol".to_owned(), bits: 8, kind: MatchKind::Exact },
                    FieldSchema { id: 3, name: "port".to_owned(), bits: 16, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000016),
                        name: "port_group".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "group".to_owned(), bits: 16 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000020),
                name: "acl_source_port".to_owned(),
                size: 32768,
                rank: Rank::Body,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "source_ports".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "protocol".to_owned(), bits: 8, kind: MatchKind::Exact },
                    FieldSchema { id: 3, name: "port".to_owned(), bits: 16, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000017),
                        name: "source_port_group".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "group".to_owned(), bits: 16 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000021),
                name: "acl_verdict".to_owned(),
                size: 524288,
                rank: Rank::Body,
                counted: true,
                fields: vec![
                    FieldSchema { id: 1, name: "class".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "group".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 3, name: "port_group".to_owned(), bits: 16, kind: MatchKind::Exact },
                    FieldSchema { id: 4, name: "source_port_group".to_owned(), bits: 16, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000018),
                        name: "allow".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000019),
                        name: "deny".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x0100001b),
                        name: "next_policy".to_owned(),
                        params: vec![
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x0100001c),
                        name: "next_tier".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000022),
                name: "acl_verdict_default".to_owned(),
                size: 524288,
                rank: Rank::Body,
                counted: true,
                fields: vec![
                    FieldSchema { id: 1, name: "class".to_owned(), bits: 32, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "group".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000018),
                        name: "allow".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000019),
                        name: "deny".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x0100001b),
                        name: "next_policy".to_owned(),
                        params: vec![
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x0100001c),
                        name: "next_tier".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000023),
                name: "acl_settings".to_owned(),
                size: 1024,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000020),
                        name: "settings".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "epoch".to_owned(), bits: 16 },
                            ParamSchema { id: 2, name: "vxlan_port".to_owned(), bits: 16 },
                            ParamSchema { id: 3, name: "drop_vxlan".to_owned(), bits: 1 },
                            ParamSchema { id: 4, name: "drop_ipip".to_owned(), bits: 1 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000024),
                name: "acl_chain".to_owned(),
                size: 131072,
                rank: Rank::Body,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "chain".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x0100001a),
                        name: "step".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "class".to_owned(), bits: 32 },
                            ParamSchema { id: 2, name: "ports".to_owned(), bits: 32 },
                            ParamSchema { id: 3, name: "source_ports".to_owned(), bits: 32 },
                            ParamSchema { id: 4, name: "next".to_owned(), bits: 32 },
                            ParamSchema { id: 5, name: "pass".to_owned(), bits: 32 },
                            ParamSchema { id: 6, name: "accept".to_owned(), bits: 32 },
                            ParamSchema { id: 7, name: "reason".to_owned(), bits: 8 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000025),
                name: "acl_class_default".to_owned(),
                size: 131072,
                rank: Rank::Body,
                counted: true,
                fields: vec![
                    FieldSchema { id: 1, name: "class".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000018),
                        name: "allow".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000019),
                        name: "deny".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x0100001b),
                        name: "next_policy".to_owned(),
                        params: vec![
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x0100001c),
                        name: "next_tier".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "rule".to_owned(), bits: 32 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000030),
                name: "route_v4".to_owned(),
                size: 65536,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "dst".to_owned(), bits: 32, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000021),
                        name: "route".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "next_hop".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000022),
                        name: "to_host".to_owned(),
                        params: vec![
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000023),
                        name: "blackhole".to_owned(),
                        params: vec![
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000031),
                name: "route_v6".to_owned(),
                size: 65536,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "dst".to_owned(), bits: 128, kind: MatchKind::Lpm },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000021),
                        name: "route".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "next_hop".to_owned(), bits: 32 },
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000022),
                        name: "to_host".to_owned(),
                        params: vec![
                        ],
                    },
                    ActionSchema {
                        id: ActionId(0x01000023),
                        name: "blackhole".to_owned(),
                        params: vec![
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000032),
                name: "route_next_hop".to_owned(),
                size: 4096,
                rank: Rank::Body,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "next_hop".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000024),
                        name: "next_hop".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "port".to_owned(), bits: 9 },
                            ParamSchema { id: 2, name: "src_mac".to_owned(), bits: 48 },
                            ParamSchema { id: 3, name: "dst_mac".to_owned(), bits: 48 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000033),
                name: "gateway_v4".to_owned(),
                size: 256,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "uplink".to_owned(), bits: 1, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "addr".to_owned(), bits: 32, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000025),
                        name: "gateway".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "mac".to_owned(), bits: 48 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000034),
                name: "gateway_v6".to_owned(),
                size: 256,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "uplink".to_owned(), bits: 1, kind: MatchKind::Exact },
                    FieldSchema { id: 2, name: "addr".to_owned(), bits: 128, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000025),
                        name: "gateway".to_owned(),
                        params: vec![
                            ParamSchema { id: 1, name: "mac".to_owned(), bits: 48 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000040),
                name: "limit_egress_packets".to_owned(),
                size: 512,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "port".to_owned(), bits: 9, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000026),
                        name: "measure_egress_packets".to_owned(),
                        params: vec![
                            ParamSchema { id: 4294967280, name: "rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967281, name: "burst".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967282, name: "peak_rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967283, name: "peak_burst".to_owned(), bits: 63 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000041),
                name: "limit_egress_bytes".to_owned(),
                size: 512,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "port".to_owned(), bits: 9, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000027),
                        name: "measure_egress_bytes".to_owned(),
                        params: vec![
                            ParamSchema { id: 4294967280, name: "rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967281, name: "burst".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967282, name: "peak_rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967283, name: "peak_burst".to_owned(), bits: 63 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000042),
                name: "limit_ingress_packets".to_owned(),
                size: 512,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "port".to_owned(), bits: 9, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000028),
                        name: "measure_ingress_packets".to_owned(),
                        params: vec![
                            ParamSchema { id: 4294967280, name: "rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967281, name: "burst".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967282, name: "peak_rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967283, name: "peak_burst".to_owned(), bits: 63 },
                        ],
                    },
                ],
            },
            TableSchema {
                id: TableId(0x02000043),
                name: "limit_ingress_bytes".to_owned(),
                size: 512,
                rank: Rank::Pointer,
                counted: false,
                fields: vec![
                    FieldSchema { id: 1, name: "port".to_owned(), bits: 9, kind: MatchKind::Exact },
                ],
                actions: vec![
                    ActionSchema {
                        id: ActionId(0x01000029),
                        name: "measure_ingress_bytes".to_owned(),
                        params: vec![
                            ParamSchema { id: 4294967280, name: "rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967281, name: "burst".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967282, name: "peak_rate".to_owned(), bits: 63 },
                            ParamSchema { id: 4294967283, name: "peak_burst".to_owned(), bits: 63 },
                        ],
                    },
                ],
            },
        ],
    }
}
