//! Two sessions of one node.

use policy_model::Update;

use crate::recording::play;
use crate::state::State;

/// What both hold is the same value under the same key, so that subtraction finds nothing to write.
#[test]
fn what_both_sessions_hold_has_equal_values() {
    let first = State::of(&play("restart-1").updates);
    let second = State::of(&play("restart-2").updates);
    let same = |key: &str| first.latest.get(key) == second.latest.get(key);
    // The scenario: a pod went, another took its address, a policy went, a policy changed.
    let differing: Vec<&String> = first
        .latest
        .keys()
        .chain(second.latest.keys())
        .filter(|key| !same(key))
        .collect();
    for key in &differing {
        assert!(
            ["policy", "workload", "profile", "account", "namespace"]
                .iter()
                .any(|kind| key.starts_with(kind)),
            "{key}"
        );
    }
    assert!(!differing.is_empty());
    let unchanged = first.latest.keys().filter(|key| same(key)).count();
    assert!(unchanged >= 8, "{unchanged}");
    assert!(
        second
            .latest
            .values()
            .any(|update| matches!(update, Update::Workload(..)))
    );
}
