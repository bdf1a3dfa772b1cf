//! From the bytes of Felix's frames to rows that `p4switch`, a process of its own, has committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backend_p4rt::{P4rt, Pipeline, Target};
use dpu_backend::Backend;
use felix_bridge::Session;
use felix_proto::felix::to_dataplane::Payload;
use felix_proto::felix::{InSync, IpSetDeltaUpdate, IpSetUpdate, ToDataplane, ip_set_update};
use felix_proto::{Decoder, encode};
use policy_compiler::generate::Choices;
use policy_compiler::generate::shapes::Shape;
use policy_model::Update;
use prost::bytes::BytesMut;
use table_model::{Capability, Phase};
use tokio::runtime::Runtime;

use super::super::BenchError;
use super::super::peer::{Kind, PeerError, Switch};
use super::super::report::Report;
use super::clock::on_core;
use super::compile::some_pods;
use super::node::Node;

/// Pods that stop at once, and start at once, with seven member updates each.
const PODS: u32 = 10_000;

/// Name of the rate's figure.
pub(super) const RATE: &str = "Felix frame to committed, 10 000 pods of 7 sets in a batch";

/// A switch and the connection that programs it.
pub(super) struct Device {
    switch: Switch,
    backend: P4rt,
    capability: Capability,
}

impl Device {
    /// Starts a switch with the project's pipeline.
    ///
    /// # Errors
    /// It does not start or refuses.
    pub(super) fn start(runtime: &Runtime) -> Result<Self, BenchError> {
        let switch = Switch::start(&Kind::p4switch()?, &[])?;
        let failed = |error: &dyn std::error::Error| PeerError::Control {
            name: "p4switch",
            reason: offload_api::error_chain(error),
        };
        let pipeline = Pipeline::built_in().map_err(|error| failed(&error))?;
        let target = Target::new(switch.address(), switch.device_id());
        let mut backend = P4rt::new(target, Arc::new(pipeline));
        let capability = runtime.block_on(backend.connect());
        let capability = capability.map_err(|error| failed(&error))?;
        Ok(Self {
            switch,
            backend,
            capability,
        })
    }

    /// What it can hold.
    pub(super) fn capability(&self) -> Capability {
        self.capability.clone()
    }

    /// Writes phase after phase; how many updates there were.
    ///
    /// # Errors
    /// A row was not taken.
    pub(super) fn write(
        &mut self,
        runtime: &Runtime,
        phases: &[Phase],
    ) -> Result<usize, BenchError> {
        let mut count = 0;
        for phase in phases {
            let report = runtime.block_on(self.backend.write(&phase.updates));
            if let Some(outcome) = report.outcomes.iter().find(|one| !one.is_applied()) {
                let reason = format!("a row was not taken: {outcome:?}");
                let name = self.switch.name;
                return Err(PeerError::Control { name, reason }.into());
            }
            count += phase.updates.len();
        }
        Ok(count)
    }
}

/// Measures.
pub(super) fn measure(
    rounds: u32,
    runtime: &Runtime,
    report: &mut Report,
) -> Result<(), BenchError> {
    let shape = Shape::SEVEN_SETS;
    let mut device = Device::start(runtime)?;
    let (mut node, commit) = Node::new(&shape, device.capability())?;
    let began = Instant::now();
    let rows = device.write(runtime, &commit.phases)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = rows as f64 / began.elapsed().as_secs_f64();
    report.sample("first commit written", "rows/s", rate);
    drop(commit);

    let mut felix = Felix::default();
    let mut stream = Stream::default();
    shape.each(|update| {
        // The rest went into the model without frames.
        if matches!(update, Update::IpSet { .. } | Update::InSync) {
            felix.say(update);
        }
    });
    stream.take(&felix.sent())?;

    let groups = shape.groups();
    let mut choices = Choices::new(11);
    for _ in 0..rounds {
        let pods = some_pods(&mut choices, &shape, PODS);
        let mut parts = [Duration::ZERO; 3];
        let mut all = Duration::ZERO;
        let mut written = 0;
        for start in [false, true] {
            for update in shape.pods_move(&groups, &pods, start) {
                felix.say(update);
            }
            let bytes = felix.sent();
            let began = Instant::now();
            let (applied, read) = on_core(|| node.apply(stream.take(&bytes)?));
            applied?;
            let (commit, compiled) = on_core(|| node.commit());
            let commit = commit?;
            let (done, wrote) = on_core(|| device.write(runtime, &commit.phases));
            written += done?;
            all += began.elapsed();
            for (part, time) in parts.iter_mut().zip([read, compiled, wrote]) {
                *part += time;
            }
        }
        let updates = 2.0 * f64::from(u32::try_from(pods.len()).unwrap_or(0) * shape.sets_a_pod);
        report.sample(RATE, "member updates/s", updates / all.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let rows = written as f64 / updates;
        report.sample("  rows written for a member update", "rows", rows);
        let names = ["decode and apply", "compile", "write, the client's part"];
        for (name, part) in names.iter().zip(parts) {
            let each = part.as_secs_f64() / updates * 1e9;
            report.sample(&format!("  {name}"), "ns on a core", each);
        }
        let wall = all.as_secs_f64() / updates * 1e9;
        report.sample("  all of it on the wall", "ns", wall);
    }
    Ok(())
}

/// The part of Felix: messages as frames, numbered.
#[derive(Debug, Default)]
struct Felix {
    next: u64,
    bytes: BytesMut,
}

impl Felix {
    fn say(&mut self, update: Update) {
        let texts =
            |members: Vec<policy_model::Member>| members.iter().map(ToString::to_string).collect();
        let payload = match update {
            Update::IpSet { id, members, .. } => Payload::IpsetUpdate(IpSetUpdate {
                id: id.to_string(),
                members: texts(members),
                r#type: ip_set_update::IpSetType::Net.into(),
            }),
            Update::IpSetDelta {
                id, added, removed, ..
            } => Payload::IpsetDeltaUpdate(IpSetDeltaUpdate {
                id: id.to_string(),
                added_members: texts(added),
                removed_members: texts(removed),
            }),
            Update::InSync => Payload::InSync(InSync {}),
            _ => return,
        };
        let message = ToDataplane {
            sequence_number: self.next,
            payload: Some(payload),
        };
        self.next += 1;
        encode(&message, &mut self.bytes);
    }

    /// What was said since the last time.
    fn sent(&mut self) -> BytesMut {
        self.bytes.split()
    }
}

/// The agent's end of the stream.
#[derive(Debug, Default)]
struct Stream {
    decoder: Decoder,
    session: Session,
}

impl Stream {
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<Update>, BenchError> {
        let mut updates = Vec::new();
        // As they come out of a pipe.
        for piece in bytes.chunks(65_536) {
            self.decoder.push(piece);
            while let Some(frame) = self.decoder.next_frame()? {
                updates.extend(self.session.frame(&frame)?.update);
            }
        }
        Ok(updates)
    }
}
