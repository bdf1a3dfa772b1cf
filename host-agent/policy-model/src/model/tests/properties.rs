//! Random histories: what counts is where they end.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::fixture::*;
use crate::*;

/// One thing that may happen to one of three sets, four endpoints or three policies.
#[derive(Clone, Debug)]
enum Event {
    Whole(u8, BTreeSet<u8>),
    Flip(u8, BTreeSet<u8>),
    RemoveSet(u8),
    Workload(u8, bool, BTreeSet<u8>),
    RemoveWorkload(u8),
    Policy(u8, u8),
    RemovePolicy(u8),
    Look,
}

fn event() -> impl Strategy<Value = Event> {
    let hosts = || proptest::collection::btree_set(0..6_u8, 0..4);
    prop_oneof![
        1 => (0..3_u8, hosts()).prop_map(|(id, members)| Event::Whole(id, members)),
        4 => (0..3_u8, hosts()).prop_map(|(id, members)| Event::Flip(id, members)),
        1 => (0..3_u8).prop_map(Event::RemoveSet),
        3 => (0..4_u8, any::<bool>(), hosts()).prop_map(|(id, up, a)| Event::Workload(id, up, a)),
        1 => (0..4_u8).prop_map(Event::RemoveWorkload),
        1 => (0..3_u8, 0..3_u8).prop_map(|(id, port)| Event::Policy(id, port)),
        1 => (0..3_u8).prop_map(Event::RemovePolicy),
        1 => Just(Event::Look),
    ]
}

fn member(host: u8) -> Member {
    net(&format!("10.0.0.{host}/32"))
}

fn set_name(id: u8) -> String {
    format!("s:{id}")
}

/// The event as an update that the model, as it is, must take; none if it makes no sense now.
fn update(model: &PolicyModel, event: &Event) -> Option<Update> {
    let all = |hosts: &BTreeSet<u8>| hosts.iter().map(|h| member(*h)).collect::<Vec<_>>();
    Some(match event {
        Event::Whole(id, hosts) => set(&set_name(*id), IpSetKind::Net, &all(hosts)),
        Event::Flip(id, hosts) => {
            let known = model.ip_set(&IpSetId::from(set_name(*id).as_str()))?;
            let (removed, added): (Vec<_>, Vec<_>) = all(hosts)
                .into_iter()
                .partition(|m| known.members.contains(m));
            delta(&set_name(*id), &added, &removed)
        }
        Event::RemoveSet(id) => {
            let id = IpSetId::from(set_name(*id).as_str());
            model.ip_set(&id)?;
            Update::IpSetRemove(id)
        }
        Event::Workload(id, active, hosts) => {
            let addresses: Vec<String> = hosts.iter().map(|h| format!("10.0.1.{h}")).collect();
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let mut endpoint = workload(&addresses);
            endpoint.active = *active;
            Update::Workload(workload_id(&id.to_string()), endpoint)
        }
        Event::RemoveWorkload(id) => {
            let id = workload_id(&id.to_string());
            model.workload(&id)?;
            Update::WorkloadRemove(id)
        }
        Event::Policy(id, port) => {
            let mut on_port = rule(Action::Allow);
            on_port.dst.ports = vec![range((*port).into(), (*port).into())];
            Update::Policy(policy_id(&id.to_string()), policy(&[on_port]))
        }
        Event::RemovePolicy(id) => {
            let id = policy_id(&id.to_string());
            model.policy(&id)?;
            Update::PolicyRemove(id)
        }
        Event::Look => return None,
    })
}

/// The shortest history that ends here.
fn snapshot(model: &PolicyModel) -> Vec<Update> {
    let sets = model.ip_sets().map(|(id, set)| Update::IpSet {
        id: id.clone(),
        kind: set.kind,
        members: set.members.sorted(),
        invalid: set.invalid.iter().cloned().collect(),
    });
    let policies = model
        .policies()
        .map(|(id, p)| Update::Policy(id.clone(), p.clone()));
    let workloads = model
        .workloads()
        .map(|(id, w)| Update::Workload(id.clone(), w.clone()));
    sets.chain(policies).chain(workloads).collect()
}

fn memberships(model: &PolicyModel) -> BTreeSet<(IpSetId, Member)> {
    model
        .ip_sets()
        .flat_map(|(id, set)| set.members.sorted().into_iter().map(|m| (id.clone(), m)))
        .collect()
}

fn owners(model: &PolicyModel) -> BTreeMap<u8, Option<WorkloadId>> {
    (0..6)
        .map(|host| (host, model.owner([10, 0, 1, host].into()).cloned()))
        .collect()
}

/// What the changes must and may name, given what was there at the last look.
fn check_changes(before: &PolicyModel, after: &PolicyModel, changes: &ChangeSet) {
    let listed: BTreeSet<_> = changes
        .memberships()
        .map(|(id, member)| (id.clone(), member))
        .collect();
    let (was, is) = (memberships(before), memberships(after));
    assert_eq!(listed, was.symmetric_difference(&is).cloned().collect());
    assert!(changes.members.values().all(|members| !members.is_empty()));
    for id in (0..3).map(|id| IpSetId::from(set_name(id).as_str())) {
        if before.ip_set(&id).is_some() != after.ip_set(&id).is_some() {
            assert!(changes.sets.contains(&id));
        }
    }
    for id in (0..3).map(|id: u8| policy_id(&id.to_string())) {
        if before.policy(&id) != after.policy(&id) {
            assert!(changes.policies.contains(&id));
        }
    }
    for id in (0..4).map(|id: u8| workload_id(&id.to_string())) {
        if before.workload(&id) != after.workload(&id) {
            assert!(changes.workloads.contains(&id));
        }
    }
    let (was, is) = (owners(before), owners(after));
    for host in 0..6 {
        if was[&host] != is[&host] {
            for id in [&was[&host], &is[&host]].into_iter().flatten() {
                assert!(
                    changes.workloads.contains(id),
                    "{id} won or lost 10.0.1.{host}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn deltas_end_where_a_snapshot_ends_and_changes_tell_the_difference(
        events in proptest::collection::vec(event(), 0..40),
    ) {
        let mut model = PolicyModel::new();
        let mut looked = model.clone();
        for event in &events {
            if let Some(update) = update(&model, event) {
                model.apply(update).unwrap();
            } else if matches!(event, Event::Look) {
                let changes = model.take_changes();
                check_changes(&looked, &model, &changes);
                looked = model.clone();
            }
        }
        let changes = model.take_changes();
        check_changes(&looked, &model, &changes);
        let mut fresh = PolicyModel::new();
        for update in snapshot(&model) {
            fresh.apply(update).unwrap();
        }
        prop_assert_eq!(&fresh, &model);
        prop_assert_eq!(owners(&fresh), owners(&model));
    }

    #[test]
    fn a_replacement_equals_the_new_session_alone(
        before in proptest::collection::vec(event(), 0..30),
        pending in proptest::collection::vec(event(), 0..10),
        session in proptest::collection::vec(event(), 0..30),
    ) {
        let play = |model: &mut PolicyModel, events: &[Event]| {
            for event in events {
                if let Some(update) = update(model, event) {
                    model.apply(update).unwrap();
                }
            }
        };
        let mut live = PolicyModel::new();
        play(&mut live, &before);
        live.take_changes();
        let looked = live.clone();
        play(&mut live, &pending);
        let mut new = PolicyModel::new();
        play(&mut new, &session);
        live.replace_with(new.clone());
        prop_assert_eq!(&live, &new);
        prop_assert_eq!(owners(&live), owners(&new));
        check_changes(&looked, &live, &live.changes().clone());
        live.take_changes();
        live.replace_with(new);
        prop_assert!(live.take_changes().is_empty());
    }
}
