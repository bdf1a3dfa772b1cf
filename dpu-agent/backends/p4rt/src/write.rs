//! Writes: batches, several under way, an outcome for each update.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dpu_backend::{Outcome, WriteReport};
use p4runtime_proto::client::{Ready, WriteError};
use p4runtime_proto::p4::v1::Update as WireUpdate;
use p4runtime_proto::p4::v1::write_request::Atomicity;
use p4runtime_proto::{Client, UpdateError};
use table_model::Update;
use tokio::task::JoinSet;
use tonic::Code;

use crate::codec;
use crate::connection::{P4rt, chain};

/// Updates with their places in the report.
type Batch = Vec<(usize, WireUpdate)>;

impl P4rt {
    pub(crate) async fn write_phase(&mut self, updates: &[Update]) -> WriteReport {
        let client = match self.session() {
            Ok(session) => Arc::clone(&session.client),
            Err(error) => {
                return WriteReport::all(updates.len(), Outcome::Lost(error.to_string().into()));
            }
        };
        // What nobody answers is lost.
        let mut report = WriteReport::all(updates.len(), Outcome::Lost("No answer".into()));
        let schema = Arc::clone(&self.pipeline.schema);
        let mut batches: VecDeque<Batch> = VecDeque::new();
        let mut places = (0..updates.len()).peekable();
        let mut under_way: JoinSet<Vec<(usize, Outcome)>> = JoinSet::new();
        let mut lost: Option<Arc<str>> = None;
        loop {
            // Encoding goes on while batches are under way.
            while under_way.len() < self.target.in_flight.max(1) && lost.is_none() {
                if batches.is_empty() && places.peek().is_some() {
                    let mut batch = Batch::with_capacity(self.target.batch);
                    for place in places.by_ref().take(self.target.batch.max(1)) {
                        match codec::encode(&schema, &updates[place]) {
                            Ok(update) => batch.push((place, update)),
                            Err(error) => {
                                report.outcomes[place] = Outcome::Refused(error.to_string().into());
                            }
                        }
                    }
                    batches.push_back(batch);
                }
                let Some(batch) = batches.pop_front() else {
                    break;
                };
                if !batch.is_empty() {
                    under_way.spawn(send(Arc::clone(&client), batch, self.target.deadline));
                }
            }
            let Some(done) = under_way.join_next().await else {
                break;
            };
            for (place, outcome) in done.unwrap_or_default() {
                if let Outcome::Lost(text) = &outcome {
                    lost.get_or_insert_with(|| Arc::clone(text));
                }
                report.outcomes[place] = outcome;
            }
        }
        if let Some(text) = lost {
            for place in batches
                .into_iter()
                .flatten()
                .map(|(place, _)| place)
                .chain(places)
            {
                report.outcomes[place] = Outcome::Lost(Arc::clone(&text));
            }
            // What is unknown stays unknown until everything was read over a new session.
            self.session = None;
        }
        for (update, outcome) in updates.iter().zip(&report.outcomes) {
            let table = update.key().table;
            let default = schema
                .table(table)
                .is_ok_and(|table| table.fields.is_empty());
            if default && *outcome == Outcome::Ok {
                match update {
                    Update::Insert(_) | Update::Modify(_) => self.defaults.insert(table),
                    Update::Delete(_) => self.defaults.remove(&table),
                };
            }
        }
        report
    }
}

/// Sends a batch. A server that refuses it as a whole without saying which update is to blame gets
/// the halves, down to single updates.
async fn send(
    client: Arc<Client<Ready>>,
    batch: Batch,
    deadline: Duration,
) -> Vec<(usize, Outcome)> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut rest = vec![batch];
    while let Some(batch) = rest.pop() {
        let places: Vec<usize> = batch.iter().map(|(place, _)| *place).collect();
        let updates: Vec<WireUpdate> = batch.into_iter().map(|(_, update)| update).collect();
        let single = updates.len() == 1;
        // Kept only where it may have to be cut.
        let again = (!single).then(|| updates.clone());
        let write = client.write(updates, Atomicity::ContinueOnError);
        let all = |outcome: Outcome| places.iter().map(move |place| (*place, outcome.clone()));
        match tokio::time::timeout(deadline, write).await {
            Ok(Ok(())) => outcomes.extend(all(Outcome::Ok)),
            Ok(Err(WriteError::Updates { errors, .. })) => {
                let first = outcomes.len();
                outcomes.extend(all(Outcome::Ok));
                for error in errors {
                    if let Some(place) = outcomes.get_mut(first + error.index) {
                        place.1 = outcome_of(&error);
                    }
                }
            }
            Ok(Err(WriteError::Refused { code, source })) => match (verdict(code), again) {
                // Not ours to write any more, or no pipeline: nothing is known, start over.
                (Verdict::Session, _) => {
                    let text = chain(source.as_ref());
                    outcomes.extend(all(Outcome::Lost(text.into())));
                }
                (Verdict::Update(outcome), None) => {
                    outcomes.extend(all(outcome(source.message())));
                }
                (Verdict::Update(_), Some(updates)) => {
                    let mut batch: Batch = places.iter().copied().zip(updates).collect();
                    let second = batch.split_off(batch.len() / 2);
                    rest.push(second);
                    rest.push(batch);
                }
            },
            Ok(Err(error @ WriteError::Lost { .. })) => {
                outcomes.extend(all(Outcome::Lost(chain(&error).into())));
            }
            Err(_) => {
                let text = format!("No answer to a write within {deadline:?}");
                outcomes.extend(all(Outcome::Lost(text.into())));
            }
        }
    }
    outcomes
}

enum Verdict {
    Session,
    Update(fn(&str) -> Outcome),
}

/// What a refusal of a whole request means.
fn verdict(code: Code) -> Verdict {
    match code {
        Code::PermissionDenied | Code::Unauthenticated | Code::FailedPrecondition => {
            Verdict::Session
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Verdict::Update(match code {
            Code::AlreadyExists => |_| Outcome::Exists,
            Code::NotFound => |_| Outcome::Missing,
            Code::ResourceExhausted => |_| Outcome::Full,
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => {
                |text| Outcome::Refused(text.into())
            }
            _ => |text| Outcome::Failed(text.into()),
        }),
    }
}

fn outcome_of(error: &UpdateError) -> Outcome {
    let text = || {
        if error.message.is_empty() {
            format!("{:?} without a word", error.code).into()
        } else {
            Arc::from(error.message.as_str())
        }
    };
    match error.code {
        Code::AlreadyExists => Outcome::Exists,
        Code::NotFound => Outcome::Missing,
        Code::ResourceExhausted => Outcome::Full,
        Code::InvalidArgument
        | Code::OutOfRange
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::FailedPrecondition => Outcome::Refused(text()),
        // bmv2 answers UNKNOWN to a full table, a const table and whatever else it does not like.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Outcome::Failed(text()),
    }
}
