//! Scripts against an engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::parse::{Call, Check, Expected, Pair, Script, Statement};
use super::words::{anything, field, hex, number, part, unique};
use crate::counter::CounterValue;
use crate::engine::Engine;
use crate::entry::{ActionCall, Entry, EntryAction, EntryHandle, KeyPart};
use crate::output::Outputs;
use crate::program::TableIndex;
use crate::replicate::{CloneSession, Replica};

/// What a script did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StfReport {
    /// Packets sent.
    pub packets: usize,
    /// Frames that came and were expected.
    pub frames: usize,
    /// Counters that were checked.
    pub counters: usize,
}

/// Where a script and a program disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StfFailure {
    /// A statement cannot be carried out.
    #[error("Line {line}: {problem}")]
    Statement {
        /// One-based line.
        line: usize,
        /// Why not.
        problem: String,
    },
    /// Another frame came.
    #[error("Line {line}: port {port} sent {have}, expected {want}")]
    Frame {
        /// Line of the expectation.
        line: usize,
        /// Port.
        port: u16,
        /// Frame in hexadecimal.
        have: String,
        /// What was expected.
        want: String,
    },
    /// No frame came.
    #[error("Line {line}: port {port} sent nothing, expected {want}")]
    Missing {
        /// Line of the expectation.
        line: usize,
        /// Port.
        port: u16,
        /// What was expected.
        want: String,
    },
    /// A frame too many came.
    #[error("Port {port} sent {have}, which nothing expects")]
    Surplus {
        /// Port.
        port: u16,
        /// Frame in hexadecimal.
        have: String,
    },
}

/// Time between two packets of a script.
const PACKET_GAP_US: u64 = 1000;

impl Script {
    /// Plays the script.
    ///
    /// # Errors
    /// The first [`StfFailure`].
    pub fn run(&self, engine: &mut Engine) -> Result<StfReport, StfFailure> {
        let mut player = Player::new(engine);
        for (line, statement) in &self.statements {
            let done = player.statement(*line, statement);
            done.map_err(|problem| StfFailure::Statement {
                line: *line,
                problem,
            })?;
        }
        player.compare()?;
        Ok(player.report)
    }

    /// Adds all entries and default actions of the script and nothing else. What is there already
    /// stays as it is: a script may take an entry out and add it again.
    ///
    /// # Errors
    /// The first statement that cannot be carried out.
    pub fn set_up(&self, engine: &mut Engine) -> Result<(), StfFailure> {
        let mut player = Player::new(engine);
        for (line, statement) in &self.statements {
            let done = match statement {
                Statement::Add {
                    table,
                    priority,
                    key,
                    call,
                    ..
                } => player.is_there(table, *priority, key).and_then(|there| {
                    if there {
                        return Ok(());
                    }
                    let table = player.table(table)?;
                    let entry = player.entry(table, *priority, key, call)?;
                    let done = player.engine.insert(table, entry);
                    done.map(|_| ()).map_err(|error| error.to_string())
                }),
                Statement::SetDefault { .. } => player.statement(*line, statement),
                _ => Ok(()),
            };
            done.map_err(|problem| StfFailure::Statement {
                line: *line,
                problem,
            })?;
        }
        Ok(())
    }
}

struct Player<'e> {
    engine: &'e mut Engine,
    now_us: u64,
    out: Outputs,
    expected: BTreeMap<u16, Vec<(usize, Expected)>>,
    sent: BTreeMap<u16, Vec<Vec<u8>>>,
    /// Ports that packets come in by.
    named: BTreeSet<u16>,
    labels: HashMap<String, (TableIndex, EntryHandle)>,
    nodes: Vec<Vec<Replica>>,
    added: Vec<(TableIndex, EntryHandle)>,
    report: StfReport,
}

impl<'e> Player<'e> {
    fn new(engine: &'e mut Engine) -> Self {
        Self {
            engine,
            now_us: 0,
            out: Outputs::new(),
            expected: BTreeMap::new(),
            sent: BTreeMap::new(),
            named: BTreeSet::new(),
            labels: HashMap::new(),
            nodes: Vec::new(),
            added: Vec::new(),
            report: StfReport::default(),
        }
    }

    fn is_there(&self, table: &str, priority: Option<i32>, key: &[Pair]) -> Result<bool, String> {
        let table = self.table(table)?;
        let (key, priority) = (self.key(table, key)?, self.priority(table, priority));
        let found = self.engine.find(table, &key, priority);
        Ok(found.map_err(|error| error.to_string())?.is_some())
    }

    fn statement(&mut self, line: usize, statement: &Statement) -> Result<(), String> {
        match statement {
            Statement::Packet { port, bytes } => {
                self.named.insert(*port);
                self.now_us += PACKET_GAP_US;
                self.out.clear();
                self.engine
                    .process(*port, bytes, self.now_us, &mut self.out);
                for frame in self.out.frames() {
                    self.sent
                        .entry(frame.port)
                        .or_default()
                        .push(frame.bytes.clone());
                }
                self.report.packets += 1;
            }
            Statement::Expect { port, frame } => {
                self.expected
                    .entry(*port)
                    .or_default()
                    .push((line, frame.clone()));
            }
            Statement::NoPacket | Statement::Nothing => {}
            Statement::Add {
                table,
                priority,
                key,
                call,
                label,
            } => {
                let table = self.table(table)?;
                let entry = self.entry(table, *priority, key, call)?;
                let handle = self
                    .engine
                    .insert(table, entry)
                    .map_err(|error| error.to_string())?;
                self.added.push((table, handle));
                if let Some(label) = label {
                    self.labels
                        .insert(label.trim_start_matches('$').to_owned(), (table, handle));
                }
            }
            Statement::SetDefault { table, call } => {
                let table = self.table(table)?;
                let call = self.call(table, call)?;
                self.engine
                    .set_default(table, call)
                    .map_err(|error| error.to_string())?;
            }
            Statement::RemoveAll => {
                for (table, handle) in std::mem::take(&mut self.added) {
                    let _ = self.engine.delete(table, handle);
                }
            }
            Statement::Remove {
                table,
                priority,
                key,
            } => {
                let table = self.table(table)?;
                let parts = self.key(table, key)?;
                let priority = self.priority(table, *priority);
                let found = self.engine.find(table, &parts, priority);
                let handle = found.map_err(|error| error.to_string())?;
                let handle = handle.ok_or("there is no such entry")?;
                self.engine
                    .delete(table, handle)
                    .map_err(|error| error.to_string())?;
            }
            Statement::CheckCounter {
                counter,
                cell,
                check,
            } => {
                self.check_counter(counter, cell, check.as_ref())?;
            }
            other => self.configure(other)?,
        }
        Ok(())
    }

    fn configure(&mut self, statement: &Statement) -> Result<(), String> {
        match statement {
            Statement::MirroringAdd { session, port } => {
                let replicas = vec![Replica {
                    port: *port,
                    instance: 0,
                }];
                let config = CloneSession {
                    replicas,
                    ..CloneSession::default()
                };
                self.engine.set_clone_session(*session, config);
            }
            Statement::MirroringAddGroup { session, group } => {
                let config = CloneSession {
                    multicast_group: Some(*group),
                    ..CloneSession::default()
                };
                self.engine.set_clone_session(*session, config);
            }
            Statement::MirroringDelete { session } => {
                self.engine.remove_clone_session(*session);
            }
            Statement::GroupCreate { group } => self.engine.set_multicast_group(*group, Vec::new()),
            Statement::NodeCreate { rid, ports } => {
                let replica = |port: &u16| Replica {
                    port: *port,
                    instance: *rid,
                };
                self.nodes.push(ports.iter().map(replica).collect());
            }
            Statement::NodeAssociate { group, node } => {
                let node = self.nodes.get(*node).ok_or("there is no such node")?;
                let mut replicas = self.engine.multicast_group(*group).to_vec();
                replicas.extend(node);
                self.engine.set_multicast_group(*group, replicas);
            }
            Statement::RegisterWrite {
                register,
                cell,
                value,
            } => {
                let index = self
                    .engine
                    .program()
                    .registers()
                    .iter()
                    .map(|one| &one.name);
                let name = unique(index, register)?;
                let index = self
                    .engine
                    .program()
                    .register(&name)
                    .ok_or("no such register")?;
                let value = number(value)?;
                let done = self.engine.set_register(index, *cell, &value);
                done.map_err(|error| error.to_string())?;
            }
            Statement::RegisterReset { register } => {
                let names = self
                    .engine
                    .program()
                    .registers()
                    .iter()
                    .map(|one| &one.name);
                let name = unique(names, register)?;
                let index = self
                    .engine
                    .program()
                    .register(&name)
                    .ok_or("no such register")?;
                self.engine.reset_register(index);
            }
            Statement::CounterWrite {
                counter,
                cell,
                packets,
                bytes,
            } => {
                let names = self.engine.program().counters().iter().map(|one| &one.name);
                let name = unique(names, counter)?;
                let index = self
                    .engine
                    .program()
                    .counter(&name)
                    .ok_or("no such counter")?;
                let cell = self.engine.counter_mut(index).get_mut(*cell);
                let cell = cell.ok_or("there is no such cell")?;
                *cell = CounterValue {
                    packets: *packets,
                    bytes: *bytes,
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn table(&self, name: &str) -> Result<TableIndex, String> {
        let names = self
            .engine
            .program()
            .tables()
            .iter()
            .map(|table| &table.name);
        let full = unique(names, name)?;
        self.engine
            .program()
            .table(&full)
            .ok_or_else(|| format!("there is no table {name}"))
    }

    fn priority(&self, table: TableIndex, given: Option<i32>) -> i32 {
        let info = self.engine.program().table_info(table);
        // An entry without priority is as low as can be.
        if info.needs_priority {
            given.unwrap_or(1).max(1)
        } else {
            0
        }
    }

    fn entry(
        &self,
        table: TableIndex,
        priority: Option<i32>,
        key: &[Pair],
        call: &Call,
    ) -> Result<Entry, String> {
        Ok(Entry {
            key: self.key(table, key)?,
            priority: self.priority(table, priority),
            action: EntryAction::Call(self.call(table, call)?),
        })
    }

    fn call(&self, table: TableIndex, call: &Call) -> Result<ActionCall, String> {
        let program = self.engine.program();
        let own = &program.table_info(table).actions;
        let name = unique(
            own.iter().map(|one| &program.action_info(*one).name),
            &call.action,
        )?;
        let action = program.table_action(table, &name);
        let action = action.ok_or_else(|| format!("there is no action {name}"))?;
        let params = &program.action_info(action).params;
        let args = params.iter().map(|param| {
            let given = call.args.iter().find(|(name, _)| *name == param.name);
            let (_, value) =
                given.ok_or_else(|| format!("{name} lacks the argument {}", param.name))?;
            number(value)
        });
        let args = args.collect::<Result<_, String>>()?;
        if let Some((extra, _)) = call
            .args
            .iter()
            .find(|(name, _)| params.iter().all(|param| param.name != *name))
        {
            return Err(format!("{name} takes no argument {extra}"));
        }
        Ok(ActionCall { action, args })
    }

    fn key(&self, table: TableIndex, key: &[Pair]) -> Result<Vec<KeyPart>, String> {
        let fields = &self.engine.program().table_info(table).fields;
        let mut parts: Vec<KeyPart> = fields.iter().map(anything).collect();
        for (name, value) in key {
            let at = field(fields, name).ok_or_else(|| format!("there is no key {name}"))?;
            parts[at] = part(&fields[at], value)?;
        }
        Ok(parts)
    }

    fn check_counter(
        &mut self,
        name: &str,
        cell: &str,
        check: Option<&Check>,
    ) -> Result<(), String> {
        let program = self.engine.program();
        let names = program.counters().iter().map(|counter| &counter.name);
        let full = unique(names, name)?;
        let index = program
            .counter(&full)
            .ok_or_else(|| format!("there is no counter {name}"))?;
        let value = match cell.strip_prefix('$') {
            Some(label) => {
                let found = self.labels.get(label);
                let (table, handle) = found.ok_or_else(|| format!("there is no entry {label}"))?;
                self.engine.entry_counter(*table, *handle)
            }
            None => {
                let at = number(cell)?
                    .as_u64()
                    .and_then(|at| usize::try_from(at).ok());
                let cells = self.engine.counter(index);
                *at.and_then(|at| cells.get(at))
                    .ok_or("there is no such cell")?
            }
        };
        self.report.counters += 1;
        let Some(check) = check else { return Ok(()) };
        let have = if check.bytes {
            value.bytes
        } else {
            value.packets
        };
        let holds = match check.op.as_str() {
            "==" => have == check.number,
            "!=" => have != check.number,
            "<" => have < check.number,
            "<=" => have <= check.number,
            ">" => have > check.number,
            ">=" => have >= check.number,
            other => return Err(format!("the operator {other} is not known")),
        };
        if holds {
            return Ok(());
        }
        Err(format!(
            "the counter is {have}, not {} {}",
            check.op, check.number
        ))
    }

    fn compare(&mut self) -> Result<(), StfFailure> {
        for (port, expected) in &self.expected {
            let mut sent = self.sent.remove(port).unwrap_or_default().into_iter();
            for (line, want) in expected {
                let (line, port, want_text) = (*line, *port, want.to_string());
                match sent.next() {
                    Some(frame) if want.matches(&frame) => self.report.frames += 1,
                    Some(frame) => {
                        let have = hex(&frame);
                        return Err(StfFailure::Frame {
                            line,
                            port,
                            have,
                            want: want_text,
                        });
                    }
                    None => {
                        return Err(StfFailure::Missing {
                            line,
                            port,
                            want: want_text,
                        });
                    }
                }
            }
            if let Some(frame) = sent.next() {
                return Err(StfFailure::Surplus {
                    port: *port,
                    have: hex(&frame),
                });
            }
        }
        // Ports that the script never names are not there for it.
        let mut named = self
            .sent
            .iter()
            .filter(|(port, _)| self.named.contains(port));
        let rest = named.find_map(|(port, frames)| Some((*port, frames.first()?)));
        match rest {
            Some((port, frame)) => Err(StfFailure::Surplus {
                port,
                have: hex(frame),
            }),
            None => Ok(()),
        }
    }
}
