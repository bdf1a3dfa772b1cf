//! After every single update each leg's verdict is that of before or that of after.

use policy_model::Member;
use proptest::prelude::*;

use super::*;
use crate::generate::change;

/// What a flow's chains come to, if there are such chains.
type Legs = [Option<String>; 6];

fn legs(walker: &Walker, port: u16, flow: &Flow) -> Legs {
    walker.chains(port, flow)
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

/// Whether both ends of a flow are among the members that a delta moves. A rule may ask both, and a
/// set's gains come before its losses: for a moment both ends may be in it that never were together.
fn moves_both_ends(update: &Update, flow: &Flow) -> bool {
    let Update::IpSetDelta { added, removed, .. } = update else {
        return false;
    };
    let moved = |addr: std::net::IpAddr| {
        added.iter().chain(removed).any(|member| match member {
            Member::Net(net) => net.contains(&addr),
            Member::Port { addr: there, .. } => *there == addr,
        })
    };
    moved(flow.src) && moved(flow.dst)
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn every_update_leaves_each_leg_as_before_or_as_after(
        seed in any::<u64>(),
        steps in 1_usize..12,
    ) {
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
            let whole = update.clone();
            model.apply(update).unwrap();
            probes.extend(flows(&mut choices, &model, 12));
            let next = commit(&mut compiler, &mut model);
            let mut after = walker.clone();
            apply(&mut after, &next);
            let mut probed = Vec::new();
            probes.retain(|flow| !moves_both_ends(&whole, flow));
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
    }
}
