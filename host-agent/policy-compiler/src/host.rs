//! Which lists of host endpoints the legs of workloads and of the node meet.

use ipnet::IpNet;
use policy_model::{
    Crossing, Direction, HostEndpointId, HostList, HostLists, PolicyModel, ProfileId, Refusal,
    Semantics, Tier,
};

use crate::endpoint::Needs;
use crate::fold::Failsafes;

/// Lists, and the direction of the policies in them.
pub(crate) type Asked<'a> = (HostLists<'a>, Direction);

/// What host endpoints ask of packets from and to workloads.
#[derive(Clone, Debug)]
pub(crate) struct ForWorkload<'a> {
    /// Of what leaves a workload for another one or for the network, where it leaves the workload.
    pub from: Option<Asked<'a>>,
    /// Likewise for the node.
    pub to_node: Option<Asked<'a>>,
    /// Of what goes to a workload, where it gets there.
    pub to: Option<Asked<'a>>,
    /// At the uplink.
    pub uplink_in: Option<Asked<'a>>,
    pub uplink_out: Option<Asked<'a>>,
    pub untracked: Option<Asked<'a>>,
    pub failsafes: Failsafes,
}

impl<'a> ForWorkload<'a> {
    pub(crate) fn new(model: &'a PolicyModel, semantics: &Semantics) -> Self {
        use Crossing::{Uplink, Workload};
        use Direction::{Egress, Ingress};
        use HostList::{Forward, PreDnat, Untracked};
        let lists = |crossing, list, direction| {
            let lists = model.host_lists(semantics, crossing, list, direction)?;
            Some((lists, direction))
        };
        Self {
            from: lists(Workload, Forward, Ingress),
            to_node: lists(Workload, PreDnat, Ingress),
            to: lists(Workload, Forward, Egress),
            uplink_in: lists(Uplink, Forward, Ingress),
            uplink_out: lists(Uplink, Forward, Egress),
            untracked: lists(Uplink, Untracked, Ingress),
            failsafes: failsafes(model),
        }
    }

    /// Lists that are folded for the source's address.
    pub(crate) fn at_source(&self) -> impl Iterator<Item = Asked<'a>> {
        [self.from, self.to_node, self.uplink_out]
            .into_iter()
            .flatten()
    }

    /// Lists that are folded for the destination's address.
    fn at_destination(&self) -> impl Iterator<Item = Asked<'a>> {
        [self.to, self.uplink_in, self.untracked]
            .into_iter()
            .flatten()
    }

    /// Nets that failsafe ports tell sources apart by, where a workload is the source.
    pub(crate) fn failsafe_nets(&self) -> impl Iterator<Item = IpNet> {
        let asked = [self.from, self.to_node].into_iter().flatten();
        let any = asked
            .map(|(lists, _)| lists)
            .any(|lists| lists.has_failsafes());
        let inbound = self.failsafes.inbound.iter();
        inbound.filter_map(move |port| port.net.filter(|_| any))
    }

    /// Adds what the lists are made from.
    pub(crate) fn need(&self, model: &PolicyModel, needs: &mut Needs) {
        for (lists, policies) in self.at_source() {
            needs.host(model, &lists, policies, Direction::Egress);
        }
        for (lists, policies) in self.at_destination() {
            needs.host(model, &lists, policies, Direction::Ingress);
        }
    }
}

/// What host endpoints ask of packets from and to the node, inwards and outwards.
#[derive(Clone, Debug)]
pub(crate) struct ForNode<'a> {
    pub normal: [Option<Asked<'a>>; 2],
    pub untracked: [Option<Asked<'a>>; 2],
    pub failsafes: Failsafes,
}

impl<'a> ForNode<'a> {
    pub(crate) fn new(model: &'a PolicyModel, semantics: &Semantics) -> Self {
        let lists = |list| {
            [Direction::Ingress, Direction::Egress].map(|direction| {
                let uplink = Crossing::Uplink;
                let lists = model.host_lists(semantics, uplink, list, direction)?;
                Some((lists, direction))
            })
        };
        Self {
            normal: lists(HostList::Normal),
            untracked: lists(HostList::Untracked),
            failsafes: failsafes(model),
        }
    }

    /// Adds what the lists are made from.
    pub(crate) fn need(&self, model: &PolicyModel, needs: &mut Needs) {
        for (lists, direction) in self.normal.iter().chain(&self.untracked).flatten() {
            needs.host(model, lists, *direction, *direction);
        }
    }
}

fn failsafes(model: &PolicyModel) -> Failsafes {
    let config = model.config();
    // What cannot be read has the lists refused.
    Failsafes {
        inbound: config.failsafe_inbound().unwrap_or_default(),
        outbound: config.failsafe_outbound().unwrap_or_default(),
    }
}

/// Everything about host endpoints that legs depend on, their policies' contents aside: a leg has to
/// be looked at again if it differs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct HostView {
    /// For legs of workloads.
    pub workloads: (Vec<Option<Lists>>, Failsafes, bool),
    /// For legs of the node.
    pub node: (Vec<Option<Lists>>, Failsafes),
}

/// [`HostLists`] by value, with what is wrong with the endpoint or the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lists {
    id: HostEndpointId,
    pre_dnat: Vec<Tier>,
    tiers: Vec<Tier>,
    profiles: Vec<ProfileId>,
    refusal: Option<Refusal>,
}

impl HostView {
    pub(crate) fn new(model: &PolicyModel, semantics: &Semantics) -> Self {
        let own = |asked: &Option<Asked<'_>>| {
            asked.as_ref().map(|(lists, direction)| Lists {
                id: lists.id.clone(),
                pre_dnat: lists.pre_dnat.to_vec(),
                tiers: lists.tiers.to_vec(),
                profiles: lists.profiles.to_vec(),
                refusal: model.host_refusal(lists, *direction, semantics),
            })
        };
        let ForWorkload {
            from,
            to_node,
            to,
            uplink_in,
            uplink_out,
            untracked,
            failsafes,
        } = ForWorkload::new(model, semantics);
        let for_workloads = [from, to_node, to, uplink_in, uplink_out, untracked];
        let reaches_host = model.config().endpoint_reaches_host();
        let node = ForNode::new(model, semantics);
        let for_node = node.normal.iter().chain(&node.untracked);
        Self {
            workloads: (
                for_workloads.iter().map(own).collect(),
                if for_workloads.iter().any(Option::is_some) {
                    failsafes
                } else {
                    Failsafes::default()
                },
                reaches_host,
            ),
            node: (for_node.map(own).collect(), node.failsafes),
        }
    }
}
