//! Calico policy as values, the store behind the in-sync gate, and the reference evaluator.
//!
//! *In:* [`Update`]s, this crate's own vocabulary; `felix-bridge` is their first producer. *Out:*
//! a [`PolicyModel`] that can be read and that says what changed ([`ChangeSet`]), and the
//! [`evaluate`] oracle, slow and obvious, which explains each decision. The compiler reads the
//! same model and shares nothing else with the evaluator.

#![forbid(unsafe_code)]

mod changes;
mod endpoint;
mod evaluate;
mod failsafe;
#[cfg(test)]
mod fixture;
mod flow;
mod host;
mod ids;
mod ip_set;
mod limit;
mod members;
mod model;
mod names;
mod network;
mod owners;
mod refuse;
mod rule;
mod semantics;
mod update;

pub use changes::ChangeSet;
pub use endpoint::{HostEndpoint, Tier, WorkloadEndpoint};
pub use evaluate::{Decision, Judge, Leg, Step, StepAction, Verdict, evaluate};
pub use failsafe::FailsafePort;
pub use flow::{Direction, Flow, L4};
pub use host::{Crossing, HostList, HostLists};
pub use ids::{HostEndpointId, IpSetId, PolicyId, PolicyKind, ProfileId, RuleId, WorkloadId};
pub use ip_set::{IpSet, IpSetKind, Member};
pub use limit::{DirectionLimits, Limit, Limits};
pub use members::Members;
pub use model::{Labels, ModelError, PolicyModel, WireguardPeer};
pub use names::{FAILSAFE_TIER, HOST_TIER, PROFILE_TIER};
pub use network::{
    Encapsulation, HostMetadata, IpPool, Route, RouteTypes, Service, ServiceId, ServicePort, Vtep,
};
pub use refuse::{Refusal, RefusalReason, Subject};
pub use rule::{
    Action, Family, HttpMatch, Icmp, InvalidRule, Policy, PortRange, Profile, Protocol, Rule,
    RuleNotes, Side,
};
pub use semantics::{Config, HttpHandling, Node, Semantics};
pub use update::Update;
