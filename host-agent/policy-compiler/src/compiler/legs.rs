//! Legs of one local address: lists folded, classes in place, sections linked.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use policy_model::{Direction, Family, IpSetId, PolicyModel, WorkloadEndpoint};

use super::{Compiler, place};
use crate::chain::{MAX_STEPS, Placed, PlacedStep, Section, links};
use crate::fold::{Failsafes, Fold};
use crate::host::Asked;
use crate::journal::Journal;
use crate::nets::family_of;

/// Steps of each section of a host endpoint. A chain has two of them at most, besides a step of the
/// node and a workload's own, which get what is left.
const HOST_STEPS: usize = MAX_STEPS / 6;

/// Folds for one local address, or prefix that an endpoint may send from.
#[derive(Debug)]
pub(super) struct Legs<'a> {
    pub compiler: &'a mut Compiler,
    pub model: &'a PolicyModel,
    pub local: IpNet,
    /// Classes in use, one entry a section and step.
    pub classes: &'a mut Vec<(Family, u32)>,
    /// Nodes in use, one entry a pointer and step.
    pub nodes: &'a mut Vec<u32>,
    pub journal: &'a mut Journal,
    asked: HashMap<IpSetId, bool, FixedState>,
}

/// A section in place, none if everything passes it; or why it cannot be.
pub(super) type Put = Result<Option<Placed>, String>;

impl<'a> Legs<'a> {
    pub(super) fn new(
        compiler: &'a mut Compiler,
        model: &'a PolicyModel,
        local: IpNet,
        (classes, nodes): (&'a mut Vec<(Family, u32)>, &'a mut Vec<u32>),
        journal: &'a mut Journal,
    ) -> Self {
        Self {
            compiler,
            model,
            local,
            classes,
            nodes,
            journal,
            asked: HashMap::default(),
        }
    }

    /// A workload's own policies and profiles. `alone` if no host endpoint has a section beside.
    pub(super) fn workload(
        &mut self,
        endpoint: &WorkloadEndpoint,
        direction: Direction,
        alone: bool,
    ) -> Put {
        let most = if alone {
            MAX_STEPS
        } else {
            MAX_STEPS - 3 * HOST_STEPS
        };
        self.put(direction, direction, most, |fold| {
            Some(fold.workload(endpoint))
        })
    }

    /// Lists of a host endpoint, for the destination's end or the source's.
    pub(super) fn host(
        &mut self,
        direction: Direction,
        asked: Option<&Asked<'_>>,
        failsafes: &Failsafes,
    ) -> Put {
        let Some((lists, policies)) = asked else {
            return Ok(None);
        };
        let semantics = &self.compiler.semantics;
        let refused = self.model.host_refusal(lists, *policies, semantics);
        let refused = refused.is_some();
        self.put(direction, *policies, HOST_STEPS, |fold| {
            if refused {
                Some(fold.refused(lists.list))
            } else {
                fold.host(lists, failsafes)
            }
        })
    }

    /// Denies what these lists would judge.
    pub(super) fn deny(&mut self, direction: Direction, asked: &Asked<'_>) -> Put {
        let (lists, policies) = asked;
        self.put(direction, *policies, HOST_STEPS, |fold| {
            Some(fold.refused(lists.list))
        })
    }

    /// What the node takes from a workload whatever its policy.
    pub(super) fn router_icmp(&mut self) -> Put {
        self.put(Direction::Egress, Direction::Egress, 1, |fold| {
            fold.router_icmp()
        })
    }

    /// The node drops what its workloads send it.
    pub(super) fn endpoint_to_host(&mut self) -> Put {
        self.put(Direction::Egress, Direction::Egress, 1, |fold| {
            Some(fold.endpoint_to_host())
        })
    }

    /// The chain of these sections, 0 if there is none.
    pub(super) fn link(&mut self, sections: &[&Option<Placed>]) -> u32 {
        let sections: Vec<&Placed> = sections.iter().filter_map(|s| s.as_ref()).collect();
        let chains = &mut self.compiler.shared.chains;
        chains.link(&sections, self.nodes, self.journal)
    }

    fn put(
        &mut self,
        direction: Direction,
        policies: Direction,
        most: usize,
        fold: impl FnOnce(&mut Fold<'_>) -> Option<Section>,
    ) -> Put {
        let family = family_of(&self.local);
        let compiler = &mut *self.compiler;
        let plane = &mut compiler.planes[place(family)];
        let mut folding = Fold {
            model: self.model,
            atoms: &mut plane.atoms,
            rules: &mut compiler.shared.rules,
            family,
            direction,
            policies,
            local: self.local,
            own_ports: &mut compiler.own_ports,
            ahead: &compiler.ahead,
            asked: std::mem::take(&mut self.asked),
        };
        let section = fold(&mut folding);
        self.asked = folding.asked;
        let Some(section) = section else {
            return Ok(None);
        };
        let links = links(
            &section.steps,
            (compiler.short_leg, most),
            direction,
            family,
        );
        let mut steps = Vec::with_capacity(links.len());
        let mut classes = Vec::with_capacity(links.len());
        for link in links {
            let index = plane
                .intern_class(link.program, &mut compiler.shared, self.journal)
                .map_err(|_| {
                    let local = self.local;
                    format!("its rules tell more than 65536 groups of ports apart at {local}")
                })?;
            let class = &plane.classes[index];
            steps.push(PlacedStep {
                class: class.id,
                ports: class.ports,
                source_ports: class.source_ports,
                next: link.next,
                pass: link.pass,
            });
            classes.push((family, index));
        }
        self.classes.extend(classes);
        Ok(Some(Placed {
            steps,
            reason: section.owner.reason(section.direction) as u8,
            accepts_all: section.accepts_all,
        }))
    }
}
