//! Why a packet went where it went.

use std::fmt;

use serde::Serialize;

/// What dropped a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// `mark_to_drop` (or the drop port) at the end of ingress.
    IngressDrop,
    /// `mark_to_drop` (or the drop port) at the end of egress.
    EgressDrop,
    /// The multicast group has no member or does not exist.
    NoReplica,
    /// The packet went round more often than the engine allows.
    PassLimit,
    /// The packet ran more operations than the engine allows.
    StepLimit,
    /// `assert` or `assume` did not hold.
    Assertion,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IngressDrop => "marked to drop at the end of ingress",
            Self::EgressDrop => "marked to drop at the end of egress",
            Self::NoReplica => "its multicast group has no replica",
            Self::PassLimit => "it went round too often",
            Self::StepLimit => "it ran too many steps",
            Self::Assertion => "an assertion does not hold",
        })
    }
}

/// How a packet came to a pipeline (`instance_type` of v1model).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Instance {
    /// From a port, or from ingress as unicast.
    #[default]
    Normal,
    /// A clone made at the end of ingress.
    IngressClone,
    /// A clone made at the end of egress.
    EgressClone,
    /// Back from egress.
    Recirculate,
    /// A replica of a multicast group.
    Replication,
    /// Back from ingress.
    Resubmit,
}

impl Instance {
    /// The number that the program sees (bmv2's simple_switch).
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Normal => 0,
            Self::IngressClone => 1,
            Self::EgressClone => 2,
            Self::Recirculate => 4,
            Self::Replication => 5,
            Self::Resubmit => 6,
        }
    }
}

/// One key field at a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedField {
    /// Name of the field or parameter.
    pub name: String,
    /// Its value in hexadecimal.
    pub value: String,
}

/// One step of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[non_exhaustive]
pub enum TraceEvent {
    /// A pass through parser and ingress begins.
    Ingress {
        /// Port that it came in by.
        port: u16,
        /// Length in bytes.
        length: usize,
        /// How it came.
        instance: Instance,
    },
    /// A pass through egress and deparser begins.
    Egress {
        /// Port that it is to leave by.
        port: u16,
        /// How it came.
        instance: Instance,
    },
    /// A parser state was entered.
    ParserState {
        /// Its name.
        name: String,
    },
    /// A header was extracted.
    Extracted {
        /// Its instance name.
        header: String,
        /// Offset in the packet in bytes.
        offset: usize,
    },
    /// The parser stopped; ingress runs nevertheless.
    ParserError {
        /// Name of the error.
        error: String,
    },
    /// A table was applied.
    Table {
        /// Its name.
        table: String,
        /// Key of the packet.
        key: Vec<TracedField>,
        /// An entry matched.
        hit: bool,
        /// Priority of the entry, where entries have one.
        #[serde(skip_serializing_if = "Option::is_none")]
        priority: Option<i32>,
        /// What the entry matches, one text for each key field.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        entry: Vec<TracedField>,
        /// The action that runs; none if there is no default.
        #[serde(skip_serializing_if = "Option::is_none")]
        action: Option<String>,
        /// Its arguments.
        args: Vec<TracedField>,
    },
    /// A condition was evaluated.
    Condition {
        /// As in the source.
        text: String,
        /// What came out.
        result: bool,
    },
    /// An action runs.
    Action {
        /// Its name.
        name: String,
    },
    /// A primitive that decides where the packet goes.
    Primitive {
        /// Its name.
        name: String,
        /// File and line.
        place: String,
    },
    /// A message of `log_msg`.
    Log {
        /// The text.
        text: String,
    },
    /// A register cell was read.
    RegisterRead {
        /// Array.
        register: String,
        /// Cell.
        index: u64,
        /// Value in hexadecimal.
        value: String,
    },
    /// A register cell was written.
    RegisterWrite {
        /// Array.
        register: String,
        /// Cell.
        index: u64,
        /// Value in hexadecimal.
        value: String,
    },
    /// A counter cell was incremented.
    Count {
        /// Array.
        counter: String,
        /// Cell.
        index: u64,
    },
    /// A copy was made.
    Cloned {
        /// Clone session.
        session: u16,
        /// At the end of ingress or of egress.
        instance: Instance,
    },
    /// A digest was sent.
    Digest {
        /// Name of the list.
        name: String,
    },
    /// The packet goes through ingress again.
    Again {
        /// Resubmitted or recirculated.
        instance: Instance,
    },
    /// The packet is replicated.
    Multicast {
        /// Group.
        group: u16,
        /// Replicas.
        copies: usize,
    },
    /// The packet is gone.
    Dropped {
        /// Why.
        reason: DropReason,
        /// The assertion or the primitive that did it, if known.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A frame left.
    Sent {
        /// Port.
        port: u16,
        /// Length in bytes.
        length: usize,
    },
}

/// All steps of a packet, in order. Prints as text; serialises as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The steps.
    pub events: Vec<TraceEvent>,
}

impl Trace {
    /// Why the packet was dropped, if nothing of it left.
    #[must_use]
    pub fn drop_reason(&self) -> Option<DropReason> {
        let sent = self
            .events
            .iter()
            .any(|event| matches!(event, TraceEvent::Sent { .. }));
        let mut dropped = self.events.iter().filter_map(|event| match event {
            TraceEvent::Dropped { reason, .. } => Some(*reason),
            _ => None,
        });
        if sent { None } else { dropped.next_back() }
    }

    pub(crate) fn push(&mut self, event: TraceEvent) {
        self.events.push(event);
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events
            .iter()
            .try_for_each(|event| writeln!(f, "{event}"))
    }
}

struct List<'a>(&'a [TracedField]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, field) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}={}", field.name, field.value)?;
        }
        Ok(())
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingress {
                port,
                length,
                instance,
            } => {
                write!(f, "ingress  port {port}, {length} bytes")?;
                if *instance == Instance::Normal {
                    Ok(())
                } else {
                    write!(f, ", {instance:?}")
                }
            }
            Self::Egress { port, instance } => {
                write!(f, "egress   port {port}")?;
                if *instance == Instance::Normal {
                    Ok(())
                } else {
                    write!(f, ", {instance:?}")
                }
            }
            Self::ParserState { name } => write!(f, "  state    {name}"),
            Self::Extracted { header, offset } => write!(f, "  extract  {header} at {offset}"),
            Self::ParserError { error } => write!(f, "  parser error {error}"),
            Self::Table {
                table,
                key,
                hit,
                priority,
                entry,
                action,
                args,
            } => {
                let result = if *hit { "hit" } else { "miss" };
                write!(f, "  table    {table}({}): {result}", List(key))?;
                if *hit {
                    write!(f, " [{}]", List(entry))?;
                }
                if let Some(priority) = priority {
                    write!(f, " priority {priority}")?;
                }
                match action {
                    Some(action) => write!(f, " -> {action}({})", List(args)),
                    None => f.write_str(" -> no action"),
                }
            }
            Self::Condition { text, result } => write!(f, "  if       {text}: {result}"),
            Self::Action { name } => write!(f, "  action   {name}"),
            Self::Primitive { name, place } => write!(f, "  {name} at {place}"),
            Self::Log { text } => write!(f, "  log      {text}"),
            Self::RegisterRead {
                register,
                index,
                value,
            } => {
                write!(f, "  register {register}[{index}] is {value}")
            }
            Self::RegisterWrite {
                register,
                index,
                value,
            } => {
                write!(f, "  register {register}[{index}] := {value}")
            }
            Self::Count { counter, index } => write!(f, "  count    {counter}[{index}]"),
            Self::Cloned { session, instance } => {
                write!(f, "cloned   session {session}, {instance:?}")
            }
            Self::Digest { name } => write!(f, "digest   {name}"),
            Self::Again { instance } => write!(f, "again    {instance:?}"),
            Self::Multicast { group, copies } => {
                write!(f, "multicast group {group}, {copies} copies")
            }
            Self::Dropped { reason, by } => {
                write!(f, "dropped  {reason}")?;
                by.as_ref().map_or(Ok(()), |by| write!(f, " ({by})"))
            }
            Self::Sent { port, length } => write!(f, "sent     port {port}, {length} bytes"),
        }
    }
}
