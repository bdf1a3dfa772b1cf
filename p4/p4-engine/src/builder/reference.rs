//! Names into places: fields, headers, stacks, unions, also with an index known only at run time.

use super::arith::narrow;
use super::{Builder, Built, Fault, Place};
use crate::expr::Expr;
use crate::ir::{Op, Slot};

/// One header, or one of several by an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderRef {
    One(u16),
    /// Candidates in order, and the slot of the index.
    Indexed(Vec<u16>, Slot),
}

/// One union, or one of several by an index.
enum UnionRef {
    One(u16),
    Indexed(Vec<u16>, Slot),
}

impl Builder<'_> {
    /// Where a field lies. The hidden field `$valid$` has one bit.
    pub(crate) fn field(&self, header: &str, field: &str) -> Built<Place> {
        let index = self.header_index(header)?;
        let layout = self.layout.header(index);
        if field == "$valid$" {
            return Ok(Place {
                slot: layout.valid,
                bits: 1,
                limbs: 1,
                signed: false,
            });
        }
        let found = layout.field(field);
        let found = found.ok_or_else(|| Fault::Unresolved("Field", format!("{header}.{field}")))?;
        if found.varbit {
            return Err(Fault::Unsupported(format!(
                "arithmetic on the varbit field {header}.{field}"
            )));
        }
        Ok(Place {
            slot: found.slot,
            bits: usize::from(found.bits),
            limbs: usize::from(found.limbs),
            signed: found.signed,
        })
    }

    /// The slot that says where a varbit field's bits are.
    pub(crate) fn varbit_field(&self, header: &str, field: &str) -> Built<Option<Slot>> {
        let layout = self.layout.header(self.header_index(header)?);
        Ok(layout
            .field(field)
            .filter(|found| found.varbit)
            .map(|found| found.slot))
    }

    pub(crate) fn header_index(&self, name: &str) -> Built<u16> {
        let found = self.layout.header_index(name);
        found.ok_or_else(|| Fault::Unresolved("Header", name.to_owned()))
    }

    /// Reads a field of an element that is found at run time into a temporary.
    pub(crate) fn element_field(&mut self, expr: &Expr) -> Built<Place> {
        let (candidates, index) = self.element_places(expr)?;
        let first = *candidates
            .first()
            .ok_or_else(|| Fault::Malformed("an empty stack".into()))?;
        let Some(i) = index else { return Ok(first) };
        let x = self.access(&candidates)?;
        let d = self.temporary(first.limbs)?;
        self.emit(Op::LoadIndexed {
            d,
            x,
            i,
            n: narrow(first.limbs),
        });
        Ok(Place { slot: d, ..first })
    }

    /// Writes a field of an element: straight if known, else through the index.
    pub(crate) fn assign_element(&mut self, to: &Expr, from: &Expr) -> Built<()> {
        let (candidates, index) = self.element_places(to)?;
        let first = *candidates
            .first()
            .ok_or_else(|| Fault::Malformed("an empty stack".into()))?;
        let Some(i) = index else {
            return self.assign(first, from);
        };
        let a = self.materialize(from, first.bits)?;
        let x = self.access(&candidates)?;
        self.emit(Op::StoreIndexed {
            x,
            i,
            a,
            n: narrow(first.limbs),
        });
        Ok(())
    }

    /// The places that a field reference may mean, and the slot of the index if there are several.
    pub(crate) fn element_places(&mut self, expr: &Expr) -> Built<(Vec<Place>, Option<Slot>)> {
        match expr {
            Expr::StackField(stack, field) => {
                let headers = self.stack_headers(stack)?;
                let index = self.last_index(stack)?;
                let places = self.places(&headers, |builder, name| builder.field(name, field))?;
                Ok((places, Some(index)))
            }
            Expr::UnionStackField(stack, member, field) => {
                let (headers, next) = self.union_member_headers(stack, member)?;
                let index = self.before(next)?;
                let places = self.places(&headers, |builder, name| builder.field(name, field))?;
                Ok((places, Some(index)))
            }
            Expr::Member(of, at) => {
                let (headers, index) = match self.header_ref(of)? {
                    HeaderRef::One(header) => (vec![header], None),
                    HeaderRef::Indexed(headers, index) => (headers, Some(index)),
                };
                let places = self.places(&headers, |builder, name| {
                    let layout = builder.layout.header(builder.header_index(name)?);
                    let field = layout.fields.get(*at).map(|field| field.name.clone());
                    // The hidden field follows the declared ones.
                    let field = field
                        .or_else(|| (*at == layout.fields.len()).then(|| "$valid$".to_owned()));
                    let field =
                        field.ok_or_else(|| Fault::Unresolved("Field", format!("{name}[{at}]")))?;
                    builder.field(name, &field)
                })?;
                Ok((places, index))
            }
            _ => Err(Fault::Malformed("not a field".to_owned())),
        }
    }

    fn places(
        &self,
        headers: &[u16],
        find: impl Fn(&Self, &str) -> Built<Place>,
    ) -> Built<Vec<Place>> {
        headers
            .iter()
            .map(|header| find(self, &self.layout.header(*header).name))
            .collect()
    }

    /// Registers a list of places to index into.
    pub(crate) fn access(&mut self, places: &[Place]) -> Built<u16> {
        let slots: Box<[Slot]> = places.iter().map(|place| place.slot).collect();
        let at = self.code.accesses.iter().position(|known| *known == slots);
        let at = at.unwrap_or_else(|| {
            self.code.accesses.push(slots);
            self.code.accesses.len() - 1
        });
        small_index(at, "indexed accesses")
    }

    /// What a header expression means.
    pub(crate) fn header_ref(&mut self, expr: &Expr) -> Built<HeaderRef> {
        match expr {
            Expr::Header(name) => self.header_index(name).map(HeaderRef::One),
            Expr::Binary(op, stack, index) if op == "dereference_header_stack" => {
                let Expr::Stack(stack) = &**stack else {
                    return Err(Fault::Malformed(
                        "an index into something not a stack".into(),
                    ));
                };
                let headers = self.stack_headers(stack)?;
                if let Some(at) = constant_index(index) {
                    let header = headers.get(at).copied();
                    return header.map(HeaderRef::One).ok_or_else(|| {
                        Fault::Malformed(format!("index {at} is outside of stack {stack}"))
                    });
                }
                let index = self.one_limb(index)?;
                Ok(HeaderRef::Indexed(headers, index))
            }
            Expr::Member(of, member) => {
                let pick = |builder: &Self, union: u16| {
                    let headers = &builder.layout.unions[usize::from(union)].headers;
                    headers
                        .get(*member)
                        .copied()
                        .ok_or_else(|| Fault::Malformed(format!("a union has no member {member}")))
                };
                match self.union_ref(of)? {
                    UnionRef::One(union) => pick(self, union).map(HeaderRef::One),
                    UnionRef::Indexed(unions, index) => {
                        let headers: Built<Vec<u16>> =
                            unions.iter().map(|union| pick(self, *union)).collect();
                        Ok(HeaderRef::Indexed(headers?, index))
                    }
                }
            }
            _ => Err(Fault::Malformed("not a header".to_owned())),
        }
    }

    fn union_ref(&mut self, expr: &Expr) -> Built<UnionRef> {
        match expr {
            Expr::Union(name) => {
                let found = self.layout.union_index(name);
                let found = found.ok_or_else(|| Fault::Unresolved("Header union", name.clone()))?;
                Ok(UnionRef::One(found))
            }
            Expr::Binary(op, stack, index) if op == "dereference_union_stack" => {
                let Expr::UnionStack(name) = &**stack else {
                    return Err(Fault::Malformed(
                        "an index into something not a stack".into(),
                    ));
                };
                let unions = self.union_stack(name)?.unions.clone();
                if let Some(at) = constant_index(index) {
                    let union = unions.get(at).copied();
                    return union.map(UnionRef::One).ok_or_else(|| {
                        Fault::Malformed(format!("index {at} is outside of stack {name}"))
                    });
                }
                let index = self.one_limb(index)?;
                Ok(UnionRef::Indexed(unions, index))
            }
            _ => Err(Fault::Malformed("not a header union".to_owned())),
        }
    }

    /// True if the expression is a header by its form.
    pub(super) fn is_header(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Header(_) => true,
            Expr::Binary(op, ..) => op == "dereference_header_stack",
            Expr::Member(of, _) => match &**of {
                Expr::Union(_) => true,
                Expr::Binary(op, ..) => op == "dereference_union_stack",
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn header_valid(&mut self, expr: &Expr) -> Built<Slot> {
        let valid = |builder: &Self, header: u16| Place {
            slot: builder.layout.header(header).valid,
            bits: 1,
            limbs: 1,
            signed: false,
        };
        match self.header_ref(expr)? {
            HeaderRef::One(header) => Ok(valid(self, header).slot),
            HeaderRef::Indexed(headers, i) => {
                let places: Vec<Place> =
                    headers.iter().map(|header| valid(self, *header)).collect();
                let x = self.access(&places)?;
                let d = self.temporary(1)?;
                self.emit(Op::LoadIndexed { d, x, i, n: 1 });
                Ok(d)
            }
        }
    }

    pub(super) fn union_valid(&mut self, expr: &Expr) -> Built<Slot> {
        let UnionRef::One(union) = self.union_ref(expr)? else {
            return Err(Fault::Unsupported(
                "validity of a union found at run time".to_owned(),
            ));
        };
        let headers = self.layout.unions[usize::from(union)].headers.clone();
        let mut any = self.small(0)?;
        for header in headers {
            let d = self.temporary(1)?;
            self.emit(Op::Or {
                d,
                a: any,
                b: self.layout.header(header).valid,
            });
            any = d;
        }
        Ok(any)
    }

    pub(super) fn header_equal(&mut self, negate: bool, left: &Expr, right: &Expr) -> Built<Slot> {
        let (HeaderRef::One(a), HeaderRef::One(b)) =
            (self.header_ref(left)?, self.header_ref(right)?)
        else {
            return Err(Fault::Unsupported(
                "comparison of headers found at run time".to_owned(),
            ));
        };
        if self.layout.header(a).type_name != self.layout.header(b).type_name {
            return Err(Fault::Malformed(
                "headers of different types are compared".to_owned(),
            ));
        }
        let d = self.temporary(1)?;
        self.emit(Op::HeaderEq { d, a, b });
        if negate {
            let one = self.small(1)?;
            self.emit(Op::Xor { d, a: d, b: one });
        }
        Ok(d)
    }

    /// True if the expression is a varbit field.
    pub(super) fn is_varbit(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Field(header, field) => matches!(self.varbit_field(header, field), Ok(Some(_))),
            _ => false,
        }
    }

    pub(super) fn varbit_equal(&mut self, negate: bool, left: &Expr, right: &Expr) -> Built<Slot> {
        let slot = |expr: &Expr| match expr {
            Expr::Field(header, field) => self
                .varbit_field(header, field)?
                .ok_or_else(|| Fault::Malformed(format!("{header}.{field} is not a varbit"))),
            _ => Err(Fault::Malformed("not a varbit".to_owned())),
        };
        let (a, b) = (slot(left)?, slot(right)?);
        let d = self.temporary(1)?;
        self.emit(Op::VarbitEq { d, a, b });
        if negate {
            let one = self.small(1)?;
            self.emit(Op::Xor { d, a: d, b: one });
        }
        Ok(d)
    }

    /// The slot of a stack's next index.
    pub(super) fn stack_next(&self, expr: &Expr) -> Built<Slot> {
        match expr {
            Expr::Stack(name) => {
                let index = self.stack(name)?;
                Ok(self.layout.stacks[usize::from(index)].next)
            }
            Expr::UnionStack(name) => Ok(self.union_stack(name)?.next),
            _ => Err(Fault::Malformed("not a stack".to_owned())),
        }
    }

    pub(crate) fn stack(&self, name: &str) -> Built<u16> {
        let found = self.layout.stack_index(name);
        found.ok_or_else(|| Fault::Unresolved("Header stack", name.to_owned()))
    }

    fn union_stack(&self, name: &str) -> Built<&crate::layout::UnionStackLayout> {
        let found = self.layout.union_stack_index(name);
        let found = found.ok_or_else(|| Fault::Unresolved("Union stack", name.to_owned()))?;
        Ok(&self.layout.union_stacks[usize::from(found)])
    }

    fn stack_headers(&self, name: &str) -> Built<Vec<u16>> {
        let index = self.stack(name)?;
        Ok(self.layout.stacks[usize::from(index)].headers.clone())
    }

    /// The headers that are this member of each union of a stack, and the stack's index slot.
    pub(crate) fn union_member_headers(
        &self,
        stack: &str,
        member: &str,
    ) -> Built<(Vec<u16>, Slot)> {
        let stack = self.union_stack(stack)?;
        let at = stack.members.iter().position(|name| name == member);
        let at = at.ok_or_else(|| Fault::Unresolved("Union member", member.to_owned()))?;
        let unions = stack
            .unions
            .iter()
            .map(|union| &self.layout.unions[usize::from(*union)]);
        Ok((unions.map(|union| union.headers[at]).collect(), stack.next))
    }

    fn last_index(&mut self, stack: &str) -> Built<Slot> {
        let next = self.layout.stacks[usize::from(self.stack(stack)?)].next;
        self.before(next)
    }

    fn before(&mut self, next: Slot) -> Built<Slot> {
        let d = self.temporary(1)?;
        let one = self.small(1)?;
        self.emit(Op::Sub { d, a: next, b: one });
        Ok(d)
    }

    /// Emits `op` for the one header meant, or guarded by the index for each candidate.
    pub(crate) fn for_header(
        &mut self,
        header: &HeaderRef,
        mut op: impl FnMut(u16) -> Op,
    ) -> Built<()> {
        match header {
            HeaderRef::One(header) => self.emit(op(*header)),
            HeaderRef::Indexed(headers, index) => {
                let done = self.label();
                for (at, header) in headers.iter().enumerate() {
                    let next = self.label();
                    let at = self.small(at as u64)?;
                    self.emit(Op::JumpIfNe {
                        a: *index,
                        b: at,
                        to: next,
                    });
                    self.emit(op(*header));
                    self.emit(Op::Jump { to: done });
                    self.bind(next);
                }
                self.bind(done);
            }
        }
        Ok(())
    }
}

pub(crate) fn small_index(at: usize, what: &'static str) -> Built<u16> {
    u16::try_from(at).map_err(|_| Fault::TooLarge(what, at, usize::from(u16::MAX)))
}

fn constant_index(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Number {
            negative: false,
            magnitude,
        } => magnitude.as_u64().and_then(|at| usize::try_from(at).ok()),
        _ => None,
    }
}
