//! Protobuf to [`Operation`](crate::operation::Operation)s and
//! [`Query`](crate::operation::Query)s, and answers back to protobuf. No message passes this door.

mod action;
mod answer;
mod array;
mod digest;
mod key;
mod meter;
mod notice;
mod plain;
mod profile;
mod query;
mod replication;
mod table_entry;
mod update;
mod value_set;

pub(crate) use self::{
    answer::Answer,
    digest::position as digest_position,
    notice::{digest_list, idle_entries},
    plain::plain,
    query::query,
    update::{object_of, update},
};

use p4_engine::Value;

use crate::{failure::Failure, pipeline::Form};

/// Settings of the switch that translation depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Port number that stands for the controller.
    pub(crate) cpu: Option<u16>,
    /// Port number that means drop.
    pub(crate) drop: u16,
}

/// A byte string of at most `bits` bits (P4Runtime 8.4); `what` is named in the failure.
fn number(bytes: &[u8], bits: usize, what: impl Fn() -> String) -> Result<Value, Failure> {
    if bytes.is_empty() {
        return Err(Failure::invalid(format!(
            "{} is an empty byte string; zero is written as one zero byte",
            what()
        )));
    }
    let value = Value::from_be_bytes(bytes);
    let needs = value.bit_len();
    if needs > bits {
        return Err(Failure::invalid(format!(
            "{} needs {needs} bits and has {bits}",
            what()
        )));
    }
    Ok(value)
}

/// A number, or a name that stands for one; a new name gets a number if `allocate` says so.
fn written(
    bytes: &[u8],
    bits: usize,
    form: &Form,
    allocate: bool,
    what: impl Fn() -> String,
) -> Result<Value, Failure> {
    match form {
        Form::Number => number(bytes, bits, what),
        Form::Name(_) if bytes.is_empty() => {
            Err(Failure::invalid(format!("{} is an empty name", what())))
        }
        Form::Name(names) => names.number(bytes, bits, allocate),
    }
}
