//! The store against its promises.

mod properties;

use crate::fixture::*;
use crate::*;

fn set_of<'a>(model: &'a PolicyModel, id: &str) -> &'a IpSet {
    model.ip_set(&IpSetId::from(id)).unwrap()
}

fn listed(changes: &ChangeSet) -> Vec<String> {
    changes
        .memberships()
        .map(|(id, member)| format!("{id} {member}"))
        .collect()
}

#[test]
fn a_refused_update_leaves_the_model_as_it_was() {
    let (a, b, c) = (net("10.0.0.1/32"), net("10.0.0.2/32"), net("10.0.0.3/32"));
    let mut model = model([set("s", IpSetKind::Net, &[a, b])]);
    model.take_changes();
    let before = model.clone();
    let invalid = |added: &[&str], removed: &[&str]| Update::IpSetDelta {
        id: IpSetId::from("s"),
        added: vec![c],
        removed: vec![a],
        invalid_added: added.iter().map(|s| (*s).to_owned()).collect(),
        invalid_removed: removed.iter().map(|s| (*s).to_owned()).collect(),
    };
    let id = || IpSetId::from("s");
    let not_member = |member: &str| ModelError::NotMember {
        set: id(),
        member: member.into(),
    };
    let cases = [
        (
            delta("t", &[], &[]),
            ModelError::UnknownIpSet(IpSetId::from("t")),
        ),
        (
            delta("s", &[c, a], &[b]),
            ModelError::AlreadyMember {
                set: id(),
                member: "10.0.0.1/32".into(),
            },
        ),
        (
            delta("s", &[c], &[a, net("10.0.0.9/32")]),
            not_member("10.0.0.9/32"),
        ),
        (delta("s", &[], &[a, a]), not_member("10.0.0.1/32")),
        (
            delta("s", &[], &[net("10.0.0.1/31")]),
            not_member("10.0.0.1/31"),
        ),
        (invalid(&[], &["what"]), not_member("what")),
        (
            invalid(&["what", "what"], &[]),
            ModelError::AlreadyMember {
                set: id(),
                member: "what".into(),
            },
        ),
        (
            delta("s", &[c, service("10.0.0.1", Protocol::TCP, 1)], &[]),
            ModelError::WrongShape {
                set: id(),
                kind: IpSetKind::Net,
                member: service("10.0.0.1", Protocol::TCP, 1),
            },
        ),
        (
            set("s", IpSetKind::Ip, &[c, net("10.0.0.0/24")]),
            ModelError::WrongShape {
                set: id(),
                kind: IpSetKind::Ip,
                member: net("10.0.0.0/24"),
            },
        ),
        (
            Update::IpSetRemove(IpSetId::from("t")),
            ModelError::UnknownIpSet(IpSetId::from("t")),
        ),
        (
            Update::PolicyRemove(policy_id("p")),
            ModelError::UnknownPolicy(policy_id("p")),
        ),
        (
            Update::ProfileRemove(ProfileId::from("p")),
            ModelError::UnknownProfile(ProfileId::from("p")),
        ),
        (
            Update::WorkloadRemove(workload_id("w")),
            ModelError::UnknownWorkload(workload_id("w")),
        ),
        (
            Update::HostEndpointRemove(HostEndpointId::from("h")),
            ModelError::UnknownHostEndpoint(HostEndpointId::from("h")),
        ),
    ];
    for (update, error) in cases {
        assert_eq!(model.apply(update.clone()), Err(error), "{update:?}");
        assert_eq!(model, before, "{update:?}");
        assert!(model.changes().is_empty(), "{update:?}");
    }
}

#[test]
fn additions_come_before_removals() {
    let (wide, narrow) = (net("10.0.0.0/24"), net("10.0.0.1/32"));
    let mut model = model([set("s", IpSetKind::Net, &[narrow])]);
    model.apply(delta("s", &[wide], &[narrow])).unwrap();
    assert_eq!(set_of(&model, "s").members.sorted(), [wide]);
    model.apply(delta("s", &[narrow], &[narrow])).unwrap();
    assert_eq!(set_of(&model, "s").members.sorted(), [wide]);
}

#[test]
fn overlapping_nets_live_beside_each_other_and_go_by_exact_net() {
    let nets = [net("10.0.0.0/8"), net("10.0.0.0/24"), net("10.0.0.0/32")];
    let mut model = model([set("s", IpSetKind::Net, &nets)]);
    model.apply(delta("s", &[], &[nets[1]])).unwrap();
    assert_eq!(set_of(&model, "s").members.sorted(), [nets[0], nets[2]]);
    assert!(
        set_of(&model, "s")
            .members
            .holds("10.0.0.77".parse().unwrap())
    );
}

#[test]
fn memberships_that_came_back_are_not_changes() {
    let (a, b) = (net("10.0.0.1/32"), net("10.0.0.2/32"));
    let mut model = model([set("s", IpSetKind::Net, &[a])]);
    let first = model.take_changes();
    assert_eq!(listed(&first), ["s 10.0.0.1/32"]);
    assert!(first.sets.contains(&IpSetId::from("s")));
    model.apply(delta("s", &[b], &[a])).unwrap();
    model.apply(delta("s", &[a], &[b])).unwrap();
    assert!(model.take_changes().is_empty());
    model.apply(delta("s", &[b], &[])).unwrap();
    model.apply(set("s", IpSetKind::Net, &[b])).unwrap();
    model.apply(delta("s", &[a], &[])).unwrap();
    let changes = model.take_changes();
    assert_eq!(listed(&changes), ["s 10.0.0.2/32"]);
    assert!(changes.sets.is_empty(), "the set itself is as it was");
}

#[test]
fn a_set_that_goes_takes_its_memberships_with_it() {
    let (a, b) = (net("10.0.0.1/32"), net("10.0.0.2/32"));
    let mut model = model([set("s", IpSetKind::Net, &[a, b])]);
    model.take_changes();
    model
        .apply(Update::IpSetRemove(IpSetId::from("s")))
        .unwrap();
    model.apply(set("s", IpSetKind::Net, &[a])).unwrap();
    let changes = model.take_changes();
    assert_eq!(listed(&changes), ["s 10.0.0.2/32"]);
    assert!(changes.sets.contains(&IpSetId::from("s")));
}

#[test]
fn repeated_content_is_no_change() {
    let mut endpoint = workload(&["10.0.0.1"]);
    endpoint.profiles = profile_ids(&["open"]);
    let updates = [
        Update::Config(Config::default()),
        set("s", IpSetKind::Net, &[net("10.0.0.1/32")]),
        Update::Policy(policy_id("p"), policy(&[rule(Action::Allow)])),
        Update::Profile(ProfileId::from("open"), profile(&[])),
        Update::Workload(workload_id("w"), endpoint),
        Update::HostEndpoint(HostEndpointId::from("h"), HostEndpoint::default()),
        Update::Route("10.0.0.0/26".parse().unwrap(), Route::default()),
        Update::HostMetadata("node-a".into(), HostMetadata::default()),
        Update::InSync,
    ];
    let mut model = model(updates.clone());
    assert!(model.in_sync());
    let all = model.take_changes();
    assert!(all.in_sync && all.hosts && !all.routes.is_empty() && !all.policies.is_empty());
    assert!(!all.config, "nothing is set, as before");
    for update in updates {
        model.apply(update).unwrap();
    }
    assert_eq!(model.take_changes(), ChangeSet::default());
}

#[test]
fn the_lowest_active_claimant_owns_an_address_whoever_came_first() {
    let addr = "10.0.0.1".parse().unwrap();
    let mut model = model([Update::Workload(workload_id("b"), workload(&["10.0.0.1"]))]);
    assert_eq!(model.owner(addr), Some(&workload_id("b")));
    model.take_changes();

    let mut down = workload(&["10.0.0.1"]);
    down.active = false;
    model
        .apply(Update::Workload(workload_id("a"), down))
        .unwrap();
    assert_eq!(
        model.owner(addr),
        Some(&workload_id("b")),
        "a is not active"
    );

    model
        .apply(Update::Workload(workload_id("a"), workload(&["10.0.0.1"])))
        .unwrap();
    assert_eq!(model.owner(addr), Some(&workload_id("a")));
    assert!(
        model.take_changes().workloads.contains(&workload_id("b")),
        "b lost it"
    );

    model
        .apply(Update::WorkloadRemove(workload_id("a")))
        .unwrap();
    assert_eq!(model.owner(addr), Some(&workload_id("b")));
    assert!(
        model.take_changes().workloads.contains(&workload_id("b")),
        "b won it"
    );

    model
        .apply(Update::Workload(workload_id("b"), workload(&["10.0.0.2"])))
        .unwrap();
    assert_eq!(model.owner(addr), None);
}

#[test]
fn only_single_addresses_are_owned() {
    let mut wide = workload(&[]);
    wide.nets = vec!["10.0.0.0/24".parse().unwrap()];
    let model = model([Update::Workload(workload_id("w"), wide)]);
    assert_eq!(model.owner("10.0.0.0".parse().unwrap()), None);
}

#[test]
fn a_new_session_replaces_the_state_by_difference() {
    let keep = policy(&[rule(Action::Allow)]);
    let mut live = model([
        set("s:gone", IpSetKind::Net, &[net("10.0.0.9/32")]),
        set("s:same", IpSetKind::Net, &[net("10.0.0.1/32")]),
        set("s:grown", IpSetKind::Net, &[net("10.0.0.1/32")]),
        Update::Policy(policy_id("same"), keep.clone()),
        Update::Policy(policy_id("changed"), keep.clone()),
        Update::Policy(policy_id("gone"), keep.clone()),
        Update::Workload(workload_id("old"), workload(&["10.0.0.5"])),
        Update::Workload(workload_id("same"), workload(&["10.0.0.6"])),
        Update::InSync,
    ]);
    live.take_changes();
    let new = model([
        set("s:same", IpSetKind::Net, &[net("10.0.0.1/32")]),
        set(
            "s:grown",
            IpSetKind::Net,
            &[net("10.0.0.1/32"), net("10.0.0.2/32")],
        ),
        Update::Policy(policy_id("same"), keep),
        Update::Policy(policy_id("changed"), policy(&[rule(Action::Deny)])),
        Update::Workload(workload_id("new"), workload(&["10.0.0.5"])),
        Update::Workload(workload_id("same"), workload(&["10.0.0.6"])),
        Update::InSync,
    ]);
    live.replace_with(new.clone());
    assert_eq!(live, new);
    assert_eq!(
        live.owner("10.0.0.5".parse().unwrap()),
        Some(&workload_id("new"))
    );
    let changes = live.take_changes();
    assert_eq!(
        listed(&changes),
        ["s:gone 10.0.0.9/32", "s:grown 10.0.0.2/32"]
    );
    assert_eq!(changes.sets, [IpSetId::from("s:gone")].into());
    assert_eq!(
        changes.policies,
        [policy_id("changed"), policy_id("gone")].into()
    );
    assert_eq!(
        changes.workloads,
        [workload_id("new"), workload_id("old")].into()
    );
    assert!(!changes.in_sync, "it was in sync before");
    live.replace_with(new);
    assert!(live.take_changes().is_empty());
}

#[test]
fn change_sets_merge_and_memberships_net_out() {
    let a = net("10.0.0.1/32");
    let mut model = model([set("s", IpSetKind::Net, &[])]);
    model.take_changes();
    model.apply(delta("s", &[a], &[])).unwrap();
    let mut changes = model.take_changes();
    assert_eq!(changes.membership_count(), 1);
    model.apply(delta("s", &[], &[a])).unwrap();
    changes.merge(model.take_changes());
    assert!(changes.is_empty());
}
