//! The pipeline that a target must run.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use p4runtime_proto::p4::config::v1::P4Info;
use p4runtime_proto::p4::v1::ForwardingPipelineConfig;
use p4runtime_proto::p4::v1::forwarding_pipeline_config::Cookie;
use prost::Message;
use table_model::{ActionCall, Schema, TableId};
use thiserror::Error;

use crate::codec;

/// The counter of dropped packets in our pipeline.
const DROP_COUNTER: &str = "drop_reason";

/// A compiled program with its schema.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub(crate) schema: Arc<Schema>,
    pub(crate) config: ForwardingPipelineConfig,
    pub(crate) cookie: u64,
    /// What default entries are before anyone writes them.
    pub(crate) initial: BTreeMap<TableId, ActionCall>,
    pub(crate) drop_counter: Option<u32>,
}

/// Why a pipeline cannot be used.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The p4info does not parse.
    #[error("The p4info of the pipeline is not a P4Info message")]
    P4Info(#[from] prost::DecodeError),
}

impl Pipeline {
    /// The pipeline under `p4/programs`.
    ///
    /// # Errors
    /// The p4info that was built in does not parse.
    pub fn built_in() -> Result<Self, PipelineError> {
        Self::new(
            Arc::new(p4_tables::schema().clone()),
            p4_tables::P4INFO_BINARY,
            p4_tables::BMV2_JSON.as_bytes(),
        )
    }

    /// A pipeline from its schema, its p4info in binary form, and what the target loads.
    ///
    /// # Errors
    /// The p4info does not parse.
    pub fn new(
        schema: Arc<Schema>,
        p4info: &[u8],
        device_config: &[u8],
    ) -> Result<Self, PipelineError> {
        let info = P4Info::decode(p4info)?;
        let initial = info
            .tables
            .iter()
            .filter_map(|table| {
                let id = TableId(table.preamble.as_ref()?.id);
                let call = table.initial_default_action.as_ref()?;
                Some((id, codec::initial(schema.table(id).ok()?, call)?))
            })
            .collect();
        let drop_counter = info.counters.iter().find_map(|counter| {
            let preamble = counter.preamble.as_ref()?;
            let ours = preamble.name == DROP_COUNTER || preamble.alias == DROP_COUNTER;
            ours.then_some(preamble.id)
        });
        let cookie = fingerprint([p4info, device_config]);
        Ok(Self {
            schema,
            config: ForwardingPipelineConfig {
                p4info: Some(info),
                p4_device_config: Bytes::copy_from_slice(device_config),
                cookie: Some(Cookie { cookie }),
            },
            cookie,
            initial,
            drop_counter,
        })
    }

    /// Tells pipelines apart; the target keeps it as the pipeline's cookie.
    #[must_use]
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// The schema that rows are packed for.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
}

/// FNV-1a with 64 bits: it must stay the same from release to release, or an upgrade that changes no
/// pipeline would empty the tables.
fn fingerprint(parts: [&[u8]; 2]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Where one part ends belongs to what is hashed.
        hash = (hash ^ 0xff).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pipeline_has_what_the_back_end_needs() {
        let pipeline = Pipeline::built_in().unwrap();
        assert!(pipeline.drop_counter.is_some());
        let initial = &pipeline.initial[&p4_tables::acl_settings::TABLE];
        let table = pipeline
            .schema
            .table(p4_tables::acl_settings::TABLE)
            .unwrap();
        let action = table.action(initial.action).unwrap();
        // margay.p4: default_action = settings(0, 4789, 1, 1).
        assert_eq!(action.params(initial).unwrap(), [0, 4789, 1, 1]);
    }

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        // The published test vectors of 64-bit FNV-1a for "" and "a", continued by the part marks.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let empty = 0xcbf2_9ce4_8422_2325;
        assert_eq!(fingerprint([b"", b""]), step(step(empty, 0xff), 0xff));
        let a = 0xaf63_dc4c_8601_ec8c;
        assert_eq!(fingerprint([b"a", b""]), step(step(a, 0xff), 0xff));
        assert_ne!(fingerprint([b"ab", b"c"]), fingerprint([b"a", b"bc"]));
    }
}
