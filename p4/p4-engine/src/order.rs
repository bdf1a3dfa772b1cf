//! Puts the blocks of compiled code into an order in which what follows lies behind: actions
//! first, then parser, checks and pipelines, each in topological order but for loops.
//!
//! A vector of packets that took different ways runs the way that is furthest behind first; in
//! this order its packets meet again where the ways meet. Jumps to jumps go straight on the way.

use std::collections::HashMap;

use crate::ir::{Code, NOWHERE, Op, Pc, SelectCase, Slot, Source};

/// How a block ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Nothing follows, or what follows is found at run time.
    Closed,
    /// The block at this place follows.
    Falls(Pc),
    /// The last operation jumps or goes on here.
    Branches(Pc),
}

/// Orders the code; every place in it changes.
pub(crate) fn arrange(code: &mut Code) {
    let starts = starts(code);
    let ends: HashMap<Pc, (Pc, End)> = starts
        .iter()
        .enumerate()
        .map(|(at, start)| {
            let next = starts.get(at + 1).copied();
            (*start, end(code, *start, next))
        })
        .collect();
    let order = order(code, &ends);
    emit(code, &ends, &order);
}

fn target(op: &Op) -> Option<Pc> {
    let mut op = *op;
    op.target_mut().copied()
}

fn closes(op: &Op) -> bool {
    matches!(
        op,
        Op::Jump { .. }
            | Op::Apply { .. }
            | Op::SelectState { .. }
            | Op::Return
            | Op::Exit
            | Op::End
    )
}

fn entries(code: &Code) -> [Pc; 5] {
    [
        code.parser,
        code.verify,
        code.ingress,
        code.egress,
        code.update,
    ]
}

/// Where the blocks start, in order.
fn starts(code: &Code) -> Vec<Pc> {
    let mut starts: Vec<Pc> = entries(code).to_vec();
    for (op, after) in code.ops.iter().zip(1..) {
        starts.extend(target(op));
        if closes(op) || target(op).is_some() {
            starts.push(after);
        }
    }
    for table in &code.tables {
        starts.push(table.no_default);
        for one in &table.targets {
            starts.extend([one.action, one.hit, one.miss]);
        }
    }
    for select in &code.selects {
        starts.push(select.default);
        starts.extend(select.cases.iter().map(|case| match case {
            SelectCase::Masked { to, .. } | SelectCase::ValueSet { to, .. } => *to,
        }));
    }
    starts.retain(|start| (*start as usize) < code.ops.len());
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Where the operations of a block end, and what follows.
fn end(code: &Code, start: Pc, next: Option<Pc>) -> (Pc, End) {
    let end = next.unwrap_or_else(|| Pc::try_from(code.ops.len()).unwrap_or(NOWHERE));
    let last = (end > start)
        .then(|| code.ops.get(end as usize - 1))
        .flatten();
    let end_of = match (last, next) {
        (Some(Op::Jump { to }), _) => return (end - 1, End::Falls(*to)),
        (Some(op), _) if closes(op) => End::Closed,
        (Some(op), Some(next)) if target(op).is_some() => End::Branches(next),
        (_, Some(next)) => End::Falls(next),
        (_, None) => End::Closed,
    };
    (end, end_of)
}

/// Goes over blocks that do nothing but go on.
fn thread(ends: &HashMap<Pc, (Pc, End)>, mut to: Pc) -> Pc {
    // As often as there are blocks: a loop of jumps stays a loop.
    for _ in 0..ends.len() {
        match ends.get(&to) {
            Some((end, End::Falls(next))) if *end == to => to = *next,
            _ => break,
        }
    }
    to
}

/// What may follow a block; what is visited last (the first here) comes to lie right behind.
fn successors(code: &Code, ends: &HashMap<Pc, (Pc, End)>, start: Pc) -> Vec<Pc> {
    let Some((end, kind)) = ends.get(&start).copied() else {
        return Vec::new();
    };
    let mut list = Vec::new();
    let last = (end > start)
        .then(|| code.ops.get(end as usize - 1))
        .flatten();
    match last {
        Some(Op::Apply { table }) => {
            let table = &code.tables[usize::from(*table)];
            list.push(table.no_default);
            for one in &table.targets {
                list.extend([one.hit, one.miss]);
            }
        }
        Some(Op::SelectState { x }) => {
            let select = &code.selects[usize::from(*x)];
            list.push(select.default);
            list.extend(select.cases.iter().map(|case| match case {
                SelectCase::Masked { to, .. } | SelectCase::ValueSet { to, .. } => *to,
            }));
        }
        Some(op) => list.extend(target(op)),
        None => {}
    }
    match kind {
        End::Falls(next) | End::Branches(next) => list.push(next),
        End::Closed => {}
    }
    list.iter().rev().map(|to| thread(ends, *to)).collect()
}

/// Blocks in reverse postorder, part by part.
fn order(code: &Code, ends: &HashMap<Pc, (Pc, End)>) -> Vec<Pc> {
    let mut order = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let actions = code
        .tables
        .iter()
        .flat_map(|table| table.targets.iter().map(|one| one.action));
    let roots = actions.chain(entries(code));
    for root in roots {
        let root = thread(ends, root);
        if !ends.contains_key(&root) || !seen.insert(root) {
            continue;
        }
        let mut post = Vec::new();
        let mut stack = vec![(root, successors(code, ends, root))];
        while let Some((block, rest)) = stack.last_mut() {
            match rest.pop() {
                None => {
                    post.push(*block);
                    stack.pop();
                }
                Some(next) => {
                    if ends.contains_key(&next) && seen.insert(next) {
                        stack.push((next, successors(code, ends, next)));
                    }
                }
            }
        }
        order.extend(post.into_iter().rev());
    }
    order
}

/// Writes the code anew in this order.
fn emit(code: &mut Code, ends: &HashMap<Pc, (Pc, End)>, order: &[Pc]) {
    let mut ops: Vec<Op> = Vec::with_capacity(code.ops.len());
    let mut places: HashMap<Pc, Pc> = HashMap::new();
    for (at, start) in order.iter().enumerate() {
        let behind = order.get(at + 1).copied();
        places.insert(*start, Pc::try_from(ops.len()).unwrap_or(NOWHERE));
        let Some((end, kind)) = ends.get(start).copied() else {
            continue;
        };
        ops.extend_from_slice(&code.ops[*start as usize..end as usize]);
        let next = match kind {
            End::Closed => continue,
            End::Falls(next) | End::Branches(next) => thread(ends, next),
        };
        if Some(next) == behind {
            continue;
        }
        let inverted = match (kind, ops.last()) {
            (End::Branches(_), Some(op)) => invert(op, next).filter(|_| {
                let to = target(op).map(|to| thread(ends, to));
                to == behind && to.is_some()
            }),
            _ => None,
        };
        match (inverted, ops.last_mut()) {
            (Some(op), Some(last)) => *last = op,
            _ => ops.push(Op::Jump { to: next }),
        }
    }
    code.ops = ops;
    let place = |to: &mut Pc| {
        if let Some(at) = places.get(&thread(ends, *to)) {
            *to = *at;
        }
    };
    for op in &mut code.ops {
        op.target_mut().into_iter().for_each(&place);
    }
    for table in &mut code.tables {
        place(&mut table.no_default);
        for one in &mut table.targets {
            place(&mut one.action);
            place(&mut one.hit);
            place(&mut one.miss);
        }
    }
    for select in &mut code.selects {
        place(&mut select.default);
        for case in &mut select.cases {
            match case {
                SelectCase::Masked { to, .. } | SelectCase::ValueSet { to, .. } => place(to),
            }
        }
    }
    let starts = [
        &mut code.parser,
        &mut code.verify,
        &mut code.ingress,
        &mut code.egress,
        &mut code.update,
    ];
    starts.into_iter().for_each(place);
}

/// The opposite branch, to the other place.
fn invert(op: &Op, to: Pc) -> Option<Op> {
    Some(match *op {
        Op::JumpIfZero { a, .. } => Op::JumpIfNotZero { a, to },
        Op::JumpIfNotZero { a, .. } => Op::JumpIfZero { a, to },
        Op::JumpIfEq { a, b, .. } => Op::JumpIfNe { a, b, to },
        Op::JumpIfNe { a, b, .. } => Op::JumpIfEq { a, b, to },
        _ => return None,
    })
}

/// Notes which actions only hand over arguments and constants, and what.
pub(crate) fn note_copies(code: &mut Code, constants: usize, values: &[u64]) {
    let Code { ops, tables, .. } = code;
    for target in tables.iter_mut().flat_map(|table| &mut table.targets) {
        let mut copies = Vec::new();
        let arguments = target.params..target.params + target.limbs;
        let known = |slot: Slot| {
            if arguments.contains(&slot) {
                return Some(Source::Argument(slot - target.params));
            }
            let at = usize::from(slot).checked_sub(constants)?;
            values.get(at).copied().map(Source::Number)
        };
        let body = ops.get(target.action as usize..).unwrap_or_default();
        let whole = body.iter().find_map(|op| match *op {
            Op::Return => Some(true),
            Op::Copy { d, a } => match known(a) {
                Some(source) if !arguments.contains(&d) => {
                    copies.push((d, source));
                    None
                }
                _ => Some(false),
            },
            Op::CopyN { d, a, n } => {
                for limb in 0..n {
                    match known(a + limb) {
                        Some(source) if !arguments.contains(&(d + limb)) => {
                            copies.push((d + limb, source));
                        }
                        _ => return Some(false),
                    }
                }
                None
            }
            _ => Some(false),
        });
        let does_nothing = target.action == NOWHERE;
        if does_nothing || whole == Some(true) {
            target.copies = Some(copies.into());
        }
    }
}
