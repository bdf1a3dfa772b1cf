//! After every single update each leg's verdict is that of before or that of after.

use std::cell::Cell;

use policy_model::Member;
use proptest::prelude::*;

use super::*;
use crate::generate::change;

/// What a flow's chains come to, if there are such chains.
type Legs = [Option<String>; 6];

fn legs(walker: &Walker, port: u16, flow: &Flow) -> Legs {
    walker.chains(port, flow)
}

/// Whether a change of a set moves both ends of a flow in or out of it: the local end is folded into
/// the class and the remote one is in a label, so these are the flows for which a commit has stages.
fn moves_both_ends(
    update: &Update,
    before: &PolicyModel,
    after: &PolicyModel,
    flow: &Flow,
) -> bool {
    let (Update::IpSet { id, .. } | Update::IpSetDelta { id, .. } | Update::IpSetRemove(id)) =
        update
    else {
        return false;
    };
    let members = |model: &PolicyModel, addr| {
        let set = model.ip_set(id)?;
        let ports = set.members.sorted().into_iter();
        let ports = ports.filter(|m| matches!(m, Member::Port { addr: a, .. } if *a == addr));
        Some((set.members.holds(addr), ports.collect::<Vec<_>>()))
    };
    [flow.src, flow.dst]
        .iter()
        .all(|addr| members(before, *addr) != members(after, *addr))
}

/// Flows between local endpoints and the members that a delta moves.
fn at_members(choices: &mut Choices, model: &PolicyModel, update: &Update) -> Vec<Flow> {
    let Update::IpSetDelta { added, removed, .. } = update else {
        return Vec::new();
    };
    let mut edges = Edges::of(model);
    edges.addresses = added
        .iter()
        .chain(removed)
        .map(|member| match member {
            Member::Net(net) => net.addr(),
            Member::Port { addr, .. } => *addr,
        })
        .collect();
    edges
        .services
        .retain(|(addr, ..)| edges.addresses.contains(addr));
    (0..30).filter_map(|_| flow(choices, &edges)).collect()
}

#[test]
fn every_update_leaves_each_leg_as_before_or_as_after() {
    let tried = Cell::new(0_usize);
    let both_ends = Cell::new(0_usize);
    let ordinary = std::env::var_os("PROPTEST_CASES").is_none();
    let config = cases(80);
    let cases = (any::<u64>(), 1_usize..12);
    proptest!(config, |((seed, steps) in cases)| {
        let size = Size::SMALL;
        let (mut choices, mut model) = generated(seed, size);
        let mut compiler = new_compiler(seed, semantics(seed.is_multiple_of(3)));
        let mut walker = Walker::default();
        apply(&mut walker, &commit(&mut compiler, &mut model));
        for _ in 0..steps {
            let mut probes = flows(&mut choices, &model, 12);
            let update = change(&mut choices, size, &model);
            let told = format!("{update:?}");
            probes.extend(at_members(&mut choices, &model, &update));
            let before = model.clone();
            model.apply(update.clone()).unwrap();
            probes.extend(flows(&mut choices, &model, 12));
            let both = probes
                .iter()
                .filter(|flow| moves_both_ends(&update, &before, &model, flow));
            both_ends.set(both_ends.get() + both.count());
            let next = commit(&mut compiler, &mut model);
            let mut after = walker.clone();
            apply(&mut after, &next);
            let mut probed = Vec::new();
            for flow in probes {
                let mut ports = vec![
                    walker.ingress_port(&flow, UPLINK),
                    after.ingress_port(&flow, UPLINK),
                ];
                ports.dedup();
                for port in ports {
                    let ends = [legs(&walker, port, &flow), legs(&after, port, &flow)];
                    probed.push((flow, port, ends));
                }
            }
            for (number, phase) in next.phases.iter().enumerate() {
                // Any order inside a phase is legal.
                let mut updates = phase.updates.clone();
                for last in (1..updates.len()).rev() {
                    updates.swap(last, choices.below(last + 1));
                }
                let every = updates.len().div_ceil(40);
                for (place, update) in updates.into_iter().enumerate() {
                    let line = format!("{update:?}");
                    walker.apply(update).unwrap();
                    if place % every != 0 {
                        continue;
                    }
                    for (flow, port, ends) in &probed {
                        let now = legs(&walker, *port, flow);
                        tried.set(tried.get() + 1);
                        for (leg, now) in now.into_iter().enumerate() {
                            prop_assert!(
                                ends.iter().any(|end| end[leg] == now),
                                "{told}\nphase {number}, after {line}\n{flow:?} at port {port}: \
                                 leg {leg} is {now:?}, before and after are {ends:?}"
                            );
                        }
                    }
                }
            }
        }
    });
    println!(
        "CASES {} flows over rows between two writes of a random change",
        tried.get()
    );
    let both_ends = both_ends.get();
    println!("of {both_ends} flows the change moves both ends");
    assert!(!ordinary || both_ends > 0);
    assert!(
        !ordinary || tried.get() >= 100_000 * nightly() as usize,
        "{}",
        tried.get()
    );
}
