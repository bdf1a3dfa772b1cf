//! Workloads that may use source prefixes besides their own.
//!
//! The evaluator judges by who owns an address, and nobody owns one in an allowed prefix. So it is
//! asked about a twin of the model in which the workload owns the address: its packets are to be
//! judged as that workload's, whatever the address.

use std::net::IpAddr;
use std::path::Path;

use felix_bridge::Session;
use ipnet::IpNet;
use policy_model::{L4, Member, Protocol, Update, WorkloadEndpoint};

use super::*;
use crate::replay::input;

/// The end of a recorded stream.
fn recorded(name: &str) -> PolicyModel {
    let streams = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/felix-streams");
    let mut session = Session::new();
    let mut model = PolicyModel::new();
    for frame in input::frames(&streams.join(name)).unwrap() {
        if let Some(update) = session.frame(&frame).unwrap().update {
            model.apply(update).unwrap();
        }
    }
    model
}

/// Addresses that sets name and no local workload owns, and strangers.
fn strangers(model: &PolicyModel) -> Vec<IpAddr> {
    let members = model.ip_sets().flat_map(|(_, set)| set.members.iter());
    let named = members.map(|member| match member {
        Member::Net(net) => net.addr(),
        Member::Port { addr, .. } => addr,
    });
    let mut found: Vec<IpAddr> = named.filter(|addr| model.owner(*addr).is_none()).collect();
    found.push([172, 31, 7, 7].into());
    found.push([0xfd00, 0x77, 0, 0, 0, 0, 0, 7].into());
    found.sort_unstable();
    found.dedup();
    found
}

fn flows(from: &[IpAddr], model: &PolicyModel) -> Vec<Flow> {
    let local = model
        .workloads()
        .flat_map(|(_, workload)| workload.addresses());
    let outside: [IpAddr; 2] = [
        [198, 51, 100, 9].into(),
        [0x2001, 0xdb8, 9, 0, 0, 0, 0, 9].into(),
    ];
    let to: Vec<IpAddr> = local.chain(outside).collect();
    let mut flows = Vec::new();
    for (src, sport) in from.iter().zip(40_000..) {
        for dst in &to {
            for (protocol, port) in [
                (Protocol::TCP, 80),
                (Protocol::TCP, 443),
                (Protocol::UDP, 53),
            ] {
                flows.push(Flow {
                    src: *src,
                    dst: *dst,
                    protocol,
                    l4: L4::Ports {
                        src: sport,
                        dst: port,
                    },
                });
            }
        }
    }
    flows.retain(can_be_sent);
    flows
}

fn wide(addr: IpAddr) -> IpNet {
    let length = if addr.is_ipv4() { 24 } else { 64 };
    IpNet::new(addr, length).unwrap().trunc()
}

#[test]
fn packets_from_allowed_source_prefixes_are_judged_as_their_workloads_own() {
    let mut model = recorded("tiers.felix");
    let from = strangers(&model);
    let named = |workload: &WorkloadEndpoint| workload.active && !workload.tiers.is_empty();
    let ids: Vec<WorkloadId> = model
        .workloads()
        .filter(|(_, workload)| named(workload))
        .map(|(id, _)| id.clone())
        .take(3)
        .collect();
    assert_eq!(ids.len(), 3);
    let semantics = Semantics {
        node: Enforcement::node(false),
        ..Semantics::default()
    };
    let mut tried = [0; 2];
    for id in &ids {
        let own = model.workload(id).unwrap().clone();
        let mut enforcement = Enforcement::new(TargetKind::Soft, "", &semantics)
            .unwrap()
            .unwrap();
        let mut current = PolicyModel::new();
        let mut send = |model: &PolicyModel, twin: &PolicyModel, flows: &[Flow]| {
            current.replace_with(model.clone());
            let changes = current.take_changes();
            enforcement.commit(&current, &changes).unwrap();
            let mut fates = vec![Fate::Dropped; flows.len()];
            for round in rounds::rounds(flows) {
                enforcement.forget_connections(&current).unwrap();
                for batch in round.chunks(BATCH) {
                    // The twin says by which port a packet comes in, and no more.
                    let sent = enforcement.send_batch(twin, flows, batch, &mut fates);
                    sent.unwrap();
                }
            }
            fates
        };
        // The twin owns what it may use; real packets come from its port either way.
        let mut twin = model.clone();
        let mut owner = own.clone();
        owner.nets.extend(from.iter().copied().map(IpNet::from));
        twin.apply(Update::Workload(id.clone(), owner)).unwrap();
        let flows = flows(&from, &model);

        let closed = send(&model, &twin, &flows);
        let open = flows
            .iter()
            .zip(closed)
            .find(|(_, fate)| *fate != Fate::Dropped);
        assert_eq!(open, None, "{id}: without the prefixes they are spoofed");
        let mut allowed = own.clone();
        allowed.spoofed_sources = from.iter().copied().map(wide).collect();
        model.apply(Update::Workload(id.clone(), allowed)).unwrap();
        for (flow, fate) in flows.iter().zip(send(&model, &twin, &flows)) {
            let verdict = evaluate(&twin, &semantics, flow);
            let right = if verdict.allow {
                Fate::Forwarded
            } else {
                Fate::Dropped
            };
            assert_eq!(fate, right, "{id}: {flow:?}\n{verdict:#?}");
            tried[usize::from(verdict.allow)] += 1;
        }
        model.apply(Update::Workload(id.clone(), own)).unwrap();
    }
    let [denied, allowed] = tried;
    assert!(
        denied > 0 && allowed > 0,
        "{denied} denied, {allowed} allowed"
    );
}
