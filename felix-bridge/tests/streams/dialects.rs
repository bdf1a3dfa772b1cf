//! The same scenario as four releases send it.

use std::collections::BTreeMap;
use std::sync::Arc;

use felix_bridge::Dialect;
use policy_model::{PolicyId, PolicyKind, RuleId, Tier, Update};

use crate::recording::play;
use crate::state::State;

/// What a release cannot say, or says about itself, is levelled; all else has to agree.
fn levelled(name: &str) -> State {
    let mut state = State::of(&play(name).updates);
    let latest = std::mem::take(&mut state.latest);
    state.latest = latest
        .into_values()
        .filter_map(|update| match update {
            // Names its own version.
            Update::Config(_) => None,
            Update::Policy(id, mut policy) => {
                let id = unstated(id);
                // Hashes over the rules and the policy's name, which the releases spell differently.
                for rule in policy.inbound.iter_mut().chain(&mut policy.outbound) {
                    rule.id = RuleId::from("");
                }
                Some((format!("policy {id}"), Update::Policy(id, policy)))
            }
            Update::Workload(id, mut endpoint) => {
                for tier in &mut endpoint.tiers {
                    let Tier {
                        ingress, egress, ..
                    } = tier;
                    for id in ingress.iter_mut().chain(egress) {
                        *id = unstated(id.clone());
                    }
                }
                Some((format!("workload {id}"), Update::Workload(id, endpoint)))
            }
            // Allowed uses came with 3.31's API and 3.33's message.
            Update::IpPool(id, mut pool) => {
                pool.uses.clear();
                Some((format!("pool {id}"), Update::IpPool(id, pool)))
            }
            // 3.33 gave the message a field.
            Update::Encapsulation(mut encapsulation) => {
                encapsulation.no_encap = false;
                Some((
                    "encapsulation".to_owned(),
                    Update::Encapsulation(encapsulation),
                ))
            }
            other => Some((format!("{other:?}"), other)),
        })
        .collect();
    state
}

/// Kinds came with 3.32.
fn unstated(id: PolicyId) -> PolicyId {
    PolicyId {
        kind: PolicyKind::Unstated,
        ..id
    }
}

#[test]
fn four_releases_leave_the_same_state() {
    let newest = levelled("small");
    assert!(!newest.sets.is_empty() && newest.latest.len() > 10);
    for name in ["small-v3.30", "small-v3.31", "small-v3.32"] {
        let state = levelled(name);
        assert_eq!(state.sets, newest.sets, "{name}");
        for (key, update) in &newest.latest {
            assert_eq!(state.latest.get(key), Some(update), "{name}: {key}");
        }
        assert_eq!(state.latest.len(), newest.latest.len(), "{name}");
    }
}

#[test]
fn identities_are_whole_in_every_dialect() {
    for name in ["small-v3.30", "small-v3.31", "small-v3.32", "small"] {
        let mut seen: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for update in play(name).updates {
            if let Update::Policy(id, policy) = update {
                assert_eq!(&*policy.tier, "default", "{name}: {id}");
                seen.insert(id.name, id.namespace);
            }
        }
        let seen: Vec<(&str, &str)> = seen
            .iter()
            .map(|(name, space)| (&**name, &**space))
            .collect();
        assert_eq!(
            seen,
            [
                ("default.db-only-api", "shop"),
                ("default.metrics", ""),
                ("knp.default.web-allow-lan", "shop"),
            ],
            "{name}"
        );
    }
}

#[test]
fn the_stream_tells_its_release() {
    for (name, at_least, at_most) in [
        ("small-v3.30", Dialect::V3_30, Dialect::V3_31),
        ("small-v3.31", Dialect::V3_30, Dialect::V3_31),
        ("small-v3.32", Dialect::V3_32, Dialect::V3_32),
        ("small", Dialect::V3_33, Dialect::V3_33),
    ] {
        let session = play(name).session;
        let evidence = session.evidence();
        assert_eq!(
            (evidence.at_least, evidence.at_most),
            (at_least, at_most),
            "{name}"
        );
    }
}
