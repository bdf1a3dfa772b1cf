//! Flows of our own making, aimed at the edges of what the model says.
//!
//! Every local address, and each of the node's own, meets every address that a set, a net or an endpoint names, the neighbours
//! of those, and strangers, both ways; with every port at, just below and just above each range,
//! protocols that occur and some that do not, ICMP types and their neighbours. That product is
//! larger than anybody wants to send, so it is sampled: pairs and layer 4 are dealt like two decks
//! of cards of their own, so that each address and each edge comes up as often as any other. The
//! same model, count and seed give the same flows.

mod edges;

use std::collections::BTreeSet;
use std::net::IpAddr;

use policy_model::{Flow, L4, Node, PolicyModel, Protocol};

use crate::packet::can_be_sent;
use crate::random::{Deck, Random};
use edges::Edges;

const MOST_SOURCE_PORTS: u16 = 256;

/// One flow of so many is from or to the node.
const OF_NODE: usize = 5;

/// Makes up to `count` different flows. A node that packets can reach has its share of them.
pub(crate) fn flows(
    model: &PolicyModel,
    node: Option<&Node>,
    count: usize,
    seed: u64,
) -> Vec<Flow> {
    let mut edges = Edges::of(model);
    let mut random = Random::new(seed);
    let node = node
        .map(|node| model.node_addresses(node))
        .unwrap_or_default();
    edges.addresses.extend(&node);
    if node.is_empty() {
        return among(&edges, count, &mut random);
    }
    let share = count / OF_NODE;
    let mut flows = among(&edges, count - share, &mut random);
    edges.locals = node;
    // Some are flows of workloads that were made already.
    flows.extend(among(&edges, share + share / 8, &mut random));
    let mut made = BTreeSet::new();
    flows.retain(|flow| made.insert(*flow));
    flows.truncate(count);
    flows
}

/// Flows between the local addresses and all others.
fn among(edges: &Edges, count: usize, random: &mut Random) -> Vec<Flow> {
    let (v4, v6): (Vec<_>, Vec<_>) = pairs(edges).into_iter().partition(|(a, _)| a.is_ipv4());
    // Few addresses meet few edges often: more source ports then make more flows of them.
    let mut families: [Family; 2] = [(v4, Vec::new()), (v6, Vec::new())];
    let size = |(pairs, l4s): &Family| pairs.len() * l4s.len();
    let mut whole = 0;
    for sources in 1..=MOST_SOURCE_PORTS {
        for (family, v4) in families.iter_mut().zip([true, false]) {
            family.1 = edges.l4s(v4, sources);
            let any = family.0.first().copied();
            family.1.retain(|(protocol, l4)| {
                any.is_some_and(|(src, dst)| {
                    can_be_sent(&Flow {
                        src,
                        dst,
                        protocol: *protocol,
                        l4: *l4,
                    })
                })
            });
        }
        whole = families.iter().map(size).sum();
        if whole >= count {
            break;
        }
    }
    // Each family gets its part of what is asked for, and IPv6 never nothing.
    let [v4, v6] = &families;
    let part = count * size(v6) / whole.max(1);
    let six = part
        .max(count / 10)
        .max(count.saturating_sub(size(v4)))
        .min(size(v6));
    let mut flows = deal(v4, (count - six.min(count)).min(size(v4)), random);
    flows.extend(deal(v6, six.min(count), random));
    flows
}

/// Pairs of addresses, and what they may say to each other.
type Family = (Vec<(IpAddr, IpAddr)>, Vec<(Protocol, L4)>);

/// `count` different flows of one family.
fn deal((pairs, l4s): &Family, count: usize, random: &mut Random) -> Vec<Flow> {
    let flow = |pair: usize, l4: usize| Flow {
        src: pairs[pair].0,
        dst: pairs[pair].1,
        protocol: l4s[l4].0,
        l4: l4s[l4].1,
    };
    let whole = pairs.len() * l4s.len();
    if whole == 0 {
        return Vec::new();
    }
    if count >= whole {
        return (0..whole)
            .map(|n| flow(n / l4s.len(), n % l4s.len()))
            .collect();
    }
    let mut pair_deck = Deck::new(pairs.len());
    let mut l4_deck = Deck::new(l4s.len());
    let mut dealt = BTreeSet::new();
    let mut flows = Vec::with_capacity(count);
    while flows.len() < count {
        let (pair, l4) = (pair_deck.draw(random), l4_deck.draw(random));
        if dealt.insert((pair, l4)) {
            flows.push(flow(pair, l4));
        }
    }
    flows
}

/// Every local address with every address of its family that is not itself, both ways.
fn pairs(edges: &Edges) -> Vec<(IpAddr, IpAddr)> {
    let mut pairs = Vec::new();
    for local in &edges.locals {
        let others = edges
            .addresses
            .iter()
            .filter(|other| other.is_ipv4() == local.is_ipv4() && *other != local);
        for other in others {
            pairs.push((*local, *other));
            pairs.push((*other, *local));
        }
    }
    // Two local addresses have met from both sides. Sorted at the end: there may be a million.
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

#[cfg(test)]
mod tests;
