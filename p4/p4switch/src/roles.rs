//! What a role may do (`Role.config`, P4Runtime 5.3).
//!
//! The specification leaves the scheme open. This server reads the one of Stratum
//! (`stratum.P4RoleConfig`): objects by their P4 ids, who hears of packets, who may push a pipeline.
//! A role without config may do everything that no other role has for itself alone.

use std::{collections::BTreeSet, sync::Arc};

use p4runtime_proto::p4::v1::PacketMetadata;
use prost::Message;
use thiserror::Error;

/// Last part of the type URL that is understood.
const SCHEME: &str = "stratum.P4RoleConfig";
/// Objects that one role may name.
const OBJECTS: usize = 1 << 16;

#[derive(Clone, PartialEq, Message)]
struct WireFilter {
    #[prost(uint32, tag = "1")]
    metadata_id: u32,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WireConfig {
    #[prost(uint32, repeated, tag = "1")]
    exclusive_p4_ids: Vec<u32>,
    #[prost(uint32, repeated, tag = "2")]
    shared_p4_ids: Vec<u32>,
    #[prost(message, optional, tag = "3")]
    packet_in_filter: Option<WireFilter>,
    #[prost(bool, tag = "4")]
    receives_packet_ins: bool,
    #[prost(bool, tag = "5")]
    can_push_pipeline: bool,
}

/// A role's config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RoleConfig {
    /// Objects that no other role may touch.
    pub(crate) exclusive: BTreeSet<u32>,
    shared: BTreeSet<u32>,
    packet_filter: Option<(u32, Vec<u8>)>,
    pub(crate) receives_packets: bool,
    pub(crate) pushes_pipelines: bool,
}

/// Why a config is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum RoleConfigError {
    #[error("Role configs are read in the scheme {SCHEME}; this one is {0:?}")]
    Scheme(String),
    #[error("The role config is malformed: {0}")]
    Malformed(String),
    #[error("The role config names {0} objects, {OBJECTS} are the most")]
    TooLarge(usize),
}

impl RoleConfig {
    /// Reads the `Any` of a role.
    pub(crate) fn read(config: &prost_types::Any) -> Result<Self, RoleConfigError> {
        let scheme = config.type_url.rsplit('/').next().unwrap_or_default();
        if scheme != SCHEME {
            return Err(RoleConfigError::Scheme(config.type_url.clone()));
        }
        let wire = WireConfig::decode(config.value.as_slice())
            .map_err(|error| RoleConfigError::Malformed(error.to_string()))?;
        let objects = wire.exclusive_p4_ids.len() + wire.shared_p4_ids.len();
        if objects > OBJECTS {
            return Err(RoleConfigError::TooLarge(objects));
        }
        Ok(Self {
            exclusive: wire.exclusive_p4_ids.into_iter().collect(),
            shared: wire.shared_p4_ids.into_iter().collect(),
            packet_filter: wire
                .packet_in_filter
                .map(|filter| (filter.metadata_id, filter.value)),
            receives_packets: wire.receives_packet_ins,
            pushes_pipelines: wire.can_push_pipeline,
        })
    }

    /// Whether both roles cannot be there at a time: what one has for itself the other has too.
    pub(crate) fn conflicts_with(&self, other: &Self) -> bool {
        let has = |role: &Self, id: &u32| role.exclusive.contains(id) || role.shared.contains(id);
        self.exclusive.iter().any(|id| has(other, id))
            || other.exclusive.iter().any(|id| has(self, id))
    }

    /// Whether the role has the object with this id.
    pub(crate) fn names(&self, id: u32) -> bool {
        self.exclusive.contains(&id) || self.shared.contains(&id)
    }

    /// Whether the role is to hear of a packet with this metadata.
    pub(crate) fn takes_packet(&self, metadata: &[PacketMetadata]) -> bool {
        self.receives_packets
            && self.packet_filter.as_ref().is_none_or(|(id, value)| {
                let mut metadata = metadata.iter();
                metadata.any(|field| field.metadata_id == *id && field.value == *value)
            })
    }
}

/// What the sender of a request may do.
#[derive(Clone, Default, Debug)]
pub(crate) struct Access {
    /// `None` for full access.
    pub(crate) own: Option<Arc<RoleConfig>>,
    /// What others have for themselves alone.
    pub(crate) others: Option<Arc<BTreeSet<u32>>>,
}

impl Access {
    /// Whether the object with this id may be touched. Replication has no ids, so only roles with
    /// full access may touch it.
    pub(crate) fn allows(&self, id: Option<u32>) -> bool {
        match (&self.own, id) {
            (Some(config), Some(id)) => config.names(id),
            (Some(_), None) => false,
            (None, Some(id)) => self
                .others
                .as_ref()
                .is_none_or(|others| !others.contains(&id)),
            (None, None) => true,
        }
    }

    /// Whether nothing is out of reach.
    pub(crate) fn is_full(&self) -> bool {
        self.own.is_none() && self.others.is_none()
    }

    /// Whether the object with this id may be read; what others have for themselves may.
    pub(crate) fn sees(&self, id: Option<u32>) -> bool {
        match (&self.own, id) {
            (Some(config), Some(id)) => config.names(id),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(exclusive: &[u32], shared: &[u32]) -> prost_types::Any {
        let wire = WireConfig {
            exclusive_p4_ids: exclusive.to_vec(),
            shared_p4_ids: shared.to_vec(),
            packet_in_filter: Some(WireFilter {
                metadata_id: 1,
                value: vec![7],
            }),
            receives_packet_ins: true,
            can_push_pipeline: false,
        };
        prost_types::Any {
            type_url: format!("type.googleapis.com/{SCHEME}"),
            value: wire.encode_to_vec(),
        }
    }

    #[test]
    fn a_config_bounds_its_role_and_keeps_others_out() {
        let one = RoleConfig::read(&any(&[1], &[2])).expect("read");
        let other = RoleConfig::read(&any(&[3], &[2])).expect("read");
        let third = RoleConfig::read(&any(&[], &[1])).expect("read");
        assert!(!one.conflicts_with(&other));
        assert!(one.conflicts_with(&third) && third.conflicts_with(&one));
        let access = Access {
            own: Some(Arc::new(one)),
            others: None,
        };
        assert!(access.allows(Some(1)) && access.allows(Some(2)));
        assert!(!access.allows(Some(3)) && !access.allows(None));
        let full = Access {
            own: None,
            others: Some(Arc::new([1].into())),
        };
        assert!(!full.allows(Some(1)) && full.sees(Some(1)) && full.allows(None));
    }

    #[test]
    fn packets_are_filtered_by_metadata() {
        let config = RoleConfig::read(&any(&[], &[])).expect("read");
        let field = |metadata_id, value: &'static [u8]| PacketMetadata {
            metadata_id,
            value: value.into(),
        };
        assert!(config.takes_packet(&[field(2, &[1]), field(1, &[7])]));
        assert!(!config.takes_packet(&[field(1, &[8])]));
        assert!(!config.takes_packet(&[]));
    }

    #[test]
    fn other_schemes_are_named_in_the_refusal() {
        let other = prost_types::Any {
            type_url: "type.googleapis.com/other.Scheme".to_owned(),
            value: Vec::new(),
        };
        let refused = RoleConfig::read(&other).expect_err("refused");
        assert!(refused.to_string().contains("other.Scheme"));
        let broken = prost_types::Any {
            value: vec![0xff],
            ..any(&[], &[])
        };
        assert!(matches!(
            RoleConfig::read(&broken),
            Err(RoleConfigError::Malformed(_))
        ));
    }
}
