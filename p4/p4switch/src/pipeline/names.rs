//! Types that controllers name by strings (`p4runtime_translation(…, string)`, P4Runtime 8.4.6).
//!
//! The data plane knows numbers only, so the switch gives each name a number when it is first
//! written. A name that is itself a decimal number gets that number where it is free, so that port
//! `"1"` is port 1; others get the lowest free one. A number that the data plane shows and that has
//! no name is shown as its decimal text.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use p4_engine::Value;
use p4runtime_proto::p4::config::v1::{
    P4Info, P4NamedType, p4_new_type_spec::Representation, p4_new_type_translation::SdnType,
};

use crate::failure::Failure;

/// Names of one type; so many strings of the longest kind are 64 MiB.
const NAMES: usize = 1 << 16;
/// Longest name in bytes.
const LONGEST: usize = 1024;

#[derive(Debug, Default)]
struct Given {
    by_name: HashMap<Bytes, u64>,
    by_number: BTreeMap<u64, Bytes>,
    /// No number below is free.
    lowest: u64,
}

/// The names of one type, shared by all that has this type.
#[derive(Debug)]
pub(crate) struct Names {
    /// Name of the type in P4.
    type_name: String,
    given: RwLock<Given>,
}

/// How controllers write the values of a field, parameter or member.
#[derive(Clone, Debug, Default)]
pub(crate) enum Form {
    /// As numbers.
    #[default]
    Number,
    /// As strings.
    Name(Arc<Names>),
}

impl Names {
    fn new(type_name: &str) -> Self {
        Self {
            type_name: type_name.to_owned(),
            given: RwLock::default(),
        }
    }

    /// The number of a name; a new name gets one if `allocate` says so.
    pub(crate) fn number(
        &self,
        name: &[u8],
        bits: usize,
        allocate: bool,
    ) -> Result<Value, Failure> {
        let known = |given: &Given| given.by_name.get(name).copied().map(Value::from);
        let read = self.given.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known(&read) {
            return Ok(number);
        }
        drop(read);
        let shown = || String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned();
        if !allocate {
            let free = decimal(name, bits).filter(|number| {
                let given = self.given.read().unwrap_or_else(PoisonError::into_inner);
                !given.by_number.contains_key(number)
            });
            return free.map(Value::from).ok_or_else(|| {
                Failure::not_found(format!(
                    "Nothing of type {} has the name {:?}",
                    self.type_name,
                    shown()
                ))
            });
        }
        if name.len() > LONGEST {
            return Err(Failure::invalid(format!(
                "A name of type {} has {} bytes; {LONGEST} are the most",
                self.type_name,
                name.len()
            )));
        }
        let mut given = self.given.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known(&given) {
            return Ok(number);
        }
        let room = 1_u64.checked_shl(u32::try_from(bits).unwrap_or(64));
        let room = room.unwrap_or(u64::MAX);
        let wanted = decimal(name, bits).filter(|number| !given.by_number.contains_key(number));
        let number = match wanted {
            Some(number) => number,
            None => {
                while given.by_number.contains_key(&given.lowest) {
                    given.lowest += 1;
                }
                given.lowest
            }
        };
        if number >= room || given.by_name.len() >= NAMES {
            return Err(Failure::exhausted(format!(
                "Type {} has {} names; there is no number for {:?}",
                self.type_name,
                given.by_name.len(),
                shown()
            )));
        }
        let name = Bytes::copy_from_slice(name);
        given.by_number.insert(number, name.clone());
        given.by_name.insert(name, number);
        Ok(Value::from(number))
    }

    /// The name of a number.
    pub(crate) fn name(&self, number: &Value) -> Bytes {
        let number = number.limb(0);
        let given = self.given.read().unwrap_or_else(PoisonError::into_inner);
        match given.by_number.get(&number) {
            Some(name) => name.clone(),
            None => Bytes::from(number.to_string()),
        }
    }

    /// Takes over the names of the same type in an earlier program.
    fn inherit(&self, before: &Self) {
        let before = before.given.read().unwrap_or_else(PoisonError::into_inner);
        let mut given = self.given.write().unwrap_or_else(PoisonError::into_inner);
        *given = Given {
            by_name: before.by_name.clone(),
            by_number: before.by_number.clone(),
            lowest: before.lowest,
        };
    }
}

/// The number that a name spells in the only way in which [`Names::name`] spells it.
fn decimal(name: &[u8], bits: usize) -> Option<u64> {
    let number: u64 = std::str::from_utf8(name).ok()?.parse().ok()?;
    let fits = Value::from(number).bit_len() <= bits;
    (fits && number.to_string().as_bytes() == name).then_some(number)
}

/// The string types of a program, by the name of the type.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamedTypes(BTreeMap<String, Arc<Names>>);

impl NamedTypes {
    pub(super) fn load(p4info: &P4Info) -> Self {
        let types = p4info.type_info.iter().flat_map(|info| &info.new_types);
        let named = types.filter(|(_, spec)| {
            matches!(
                &spec.representation,
                Some(Representation::TranslatedType(translation))
                    if matches!(translation.sdn_type, Some(SdnType::SdnString(_)))
            )
        });
        Self(
            named
                .map(|(name, _)| (name.clone(), Arc::new(Names::new(name))))
                .collect(),
        )
    }

    /// How values of this type are written.
    pub(super) fn form(&self, of: Option<&P4NamedType>) -> Form {
        of.and_then(|of| self.0.get(&of.name))
            .map_or(Form::Number, |names| Form::Name(Arc::clone(names)))
    }

    /// Takes over what the types of an earlier program named.
    pub(crate) fn inherit(&self, before: &Self) {
        for (name, names) in &self.0 {
            if let Some(before) = before.0.get(name) {
                names.inherit(before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn names_get_numbers_and_come_back() {
        let names = Names::new("port");
        let number = |name: &str| names.number(name.as_bytes(), 2, true);
        assert_eq!(number("1"), Ok(Value::from(1_u64)));
        assert_eq!(number("a"), Ok(Value::from(0_u64)));
        assert_eq!(number("b"), Ok(Value::from(2_u64)));
        assert_eq!(number("a"), Ok(Value::from(0_u64)));
        // 01 is not how 1 is spelled.
        assert_eq!(number("01"), Ok(Value::from(3_u64)));
        assert_eq!(number("c").expect_err("full").code, Code::ResourceExhausted);
        assert_eq!(names.name(&Value::from(2_u64)), Bytes::from("b"));
        assert_eq!(names.name(&Value::from(9_u64)), Bytes::from("9"));
        let unknown = names.number(b"nobody", 2, false).expect_err("unknown");
        assert_eq!(unknown.code, Code::NotFound);
        let long = names.number(&[b'x'; 2000], 64, true).expect_err("too long");
        assert_eq!(long.code, Code::InvalidArgument);
    }
}
