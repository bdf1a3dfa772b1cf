//! Frames into the model, changes into the target, flows at their frame.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use felix_bridge::{Effect, Session, SessionError};
use felix_proto::Frame;
use policy_model::{Decision, ModelError, PolicyModel, Semantics, Update, Verdict, evaluate};
use serde_json::Value;
use thiserror::Error;

use super::enforce::{EnforceError, Enforcement};
use super::flows::{Expected, Trial};
use super::points::{Plan, Share};
use super::report::{self, Report, Seconds, State, Summary};
use super::trial::Answer;
use super::{Args, generate};
use crate::progress::Progress;

/// Why playing ended early.
#[derive(Debug, Error)]
pub(crate) enum PlayError {
    /// The stream says what no stream says.
    #[error("Frame {frame} of stream {} cannot be used", path.display())]
    Session {
        /// The stream.
        path: PathBuf,
        /// From 0.
        frame: usize,
        /// Why.
        source: SessionError,
    },
    /// The stream contradicts itself.
    #[error(
        "Frame {frame} of stream {} does not fit what came before; what is enforced stays",
        path.display()
    )]
    Model {
        /// The stream.
        path: PathBuf,
        /// From 0.
        frame: usize,
        /// Why.
        source: ModelError,
    },
    /// The stream ends before its snapshot is complete.
    #[error(
        "Stream {} ends after {frames} frames without an in-sync message, so nothing of it may be \
         enforced. Record it for longer",
        path.display()
    )]
    NotInSync {
        /// The stream.
        path: PathBuf,
        /// How many it has.
        frames: usize,
    },
    /// The stream has no such frame.
    #[error(
        "Stream {} has {frames} frames, the last one is {}: there is no frame {until} to stop after. \
         Give --until a smaller number",
        path.display(),
        frames.saturating_sub(1)
    )]
    Until {
        /// The stream.
        path: PathBuf,
        /// How many it has.
        frames: usize,
        /// What was asked for.
        until: usize,
    },
    /// The target.
    #[error(transparent)]
    Enforce(#[from] EnforceError),
    /// Standard output.
    #[error("The report cannot be written to standard output")]
    Output(#[from] std::io::Error),
}

/// One of the streams to play.
pub(crate) struct Part<'a> {
    /// Its file, for people.
    pub(crate) path: &'a Path,
    /// What it says.
    pub(crate) frames: &'a [Frame],
    /// It is the last one, to which flows belong.
    pub(crate) last: bool,
    /// Its part of the points at which flows are made.
    pub(crate) share: Share,
}

/// Plays streams, one after the other.
pub(crate) struct Player {
    semantics: Semantics,
    commit_every: usize,
    plan: Plan,
    until: Option<usize>,
    tried: u64,
    trials: Vec<Trial>,
    model: PolicyModel,
    enforcement: Option<Enforcement>,
    frames: u64,
    problems: u64,
    started: Instant,
    store: Duration,
    evaluate: Duration,
    writes: Vec<u64>,
    rewritten: u64,
    progress: Progress,
}

impl Player {
    /// With an empty model and a target that is empty too.
    ///
    /// # Errors
    /// The target cannot be started or reached.
    pub(crate) fn new(args: &Args, trials: Vec<Trial>) -> Result<Self, PlayError> {
        let semantics = args.semantics();
        Ok(Self {
            enforcement: Enforcement::new(args.target, &args.bmv2, &semantics)?,
            semantics,
            commit_every: usize::try_from(args.commit_every).unwrap_or(usize::MAX),
            plan: Plan::new(args),
            until: args.until,
            tried: 0,
            trials,
            model: PolicyModel::new(),
            frames: 0,
            problems: 0,
            started: Instant::now(),
            store: Duration::ZERO,
            evaluate: Duration::ZERO,
            writes: Vec::new(),
            rewritten: 0,
            progress: Progress::new(),
        })
    }

    /// Plays one stream to its end, the last one to where it is to stop.
    ///
    /// # Errors
    /// See [`PlayError`].
    pub(crate) fn play(&mut self, part: &Part<'_>, report: &mut Report) -> Result<(), PlayError> {
        let Part { path, last, .. } = *part;
        let until = self.until.filter(|_| last);
        let frames = match until {
            None => part.frames,
            Some(until) => part.frames.get(..=until).ok_or_else(|| PlayError::Until {
                path: path.to_owned(),
                frames: part.frames.len(),
                until,
            })?,
        };
        let mut schedule = if last {
            self.schedule(frames.len())
        } else {
            BTreeMap::new()
        };
        let mut points = BTreeMap::new();
        if until.is_some() {
            points.extend(self.plan.there(frames.len() - 1));
        }
        let mut session = Session::new();
        // The first session's snapshot fills the model itself, which is not in sync before; a later
        // one fills a model of its own, and the old state stays until it is complete.
        let mut staged = self.model.in_sync().then(PolicyModel::new);
        let mut restarted = false;
        let before = self.writes_so_far();
        for (index, frame) in frames.iter().enumerate() {
            let update = self.decode(path, index, frame, &mut session)?;
            let came_in_sync = matches!(update, Some(Update::InSync));
            let started = Instant::now();
            if let Some(update) = update {
                let model = staged.as_mut().unwrap_or(&mut self.model);
                model.apply(update).map_err(|source| PlayError::Model {
                    path: path.to_owned(),
                    frame: index,
                    source,
                })?;
            }
            if came_in_sync {
                if let Some(staged) = staged.take() {
                    self.model.replace_with(staged);
                    restarted = true;
                }
                points.append(&mut self.plan.points(part, index, frames.len()));
            }
            self.store += started.elapsed();
            let mut due = schedule.remove(&index).unwrap_or_default();
            if let Some(count) = points.get(&index) {
                due.extend(self.make(part.share.index, index, *count));
            }
            let flush = came_in_sync
                || !due.is_empty()
                || index + 1 == frames.len()
                || (index + 1).is_multiple_of(self.commit_every);
            if flush && self.model.in_sync() && staged.is_none() {
                self.commit(std::mem::take(&mut restarted))?;
            }
            if !due.is_empty() {
                self.try_flows(&due, report)?;
            }
            self.progress
                .show(|| format!("frame {} of {}", index + 1, frames.len()));
        }
        if !session.in_sync() && until.is_none() {
            return Err(PlayError::NotInSync {
                path: path.to_owned(),
                frames: frames.len(),
            });
        }
        self.writes.push(self.writes_so_far() - before);
        Ok(())
    }

    /// The last words.
    ///
    /// # Errors
    /// The target cannot be read.
    pub(crate) fn finish(self) -> Result<Summary, PlayError> {
        self.progress.clear();
        let (refusals, refused_policies) = report::refused(&self.model.refusals(&self.semantics));
        let mut summary = Summary {
            summary: true,
            target: "none".into(),
            frames: self.frames,
            writes: self.writes,
            rewritten: self.rewritten,
            refused_policies,
            refusals,
            problems: self.problems,
            state: State::of(&self.model),
            points: self.tried,
            seconds: Seconds {
                total: self.started.elapsed().as_secs_f64(),
                store: self.store.as_secs_f64(),
                evaluate: self.evaluate.as_secs_f64(),
                ..Seconds::default()
            },
            ..Summary::default()
        };
        if let Some(enforcement) = self.enforcement {
            enforcement.finish(&self.model, &mut summary)?;
        }
        Ok(summary)
    }

    fn writes_so_far(&self) -> u64 {
        self.enforcement.as_ref().map_or(0, Enforcement::writes)
    }

    fn decode(
        &mut self,
        path: &Path,
        index: usize,
        frame: &Frame,
        session: &mut Session,
    ) -> Result<Option<Update>, PlayError> {
        let started = Instant::now();
        let received = session.frame(frame).map_err(|source| PlayError::Session {
            path: path.to_owned(),
            frame: index,
            source,
        })?;
        self.store += started.elapsed();
        self.frames += 1;
        for problem in &received.problems {
            self.problems += 1;
            match problem.effect {
                Effect::Denies | Effect::Skipped => {
                    tracing::warn!(frame = index, "{problem}");
                }
                Effect::NotEnforced => tracing::debug!(frame = index, "{problem}"),
            }
        }
        Ok(received.update)
    }

    /// The flows of the file by the frame after which they are tried.
    fn schedule(&mut self, frames: usize) -> BTreeMap<usize, Vec<Trial>> {
        let end = frames.saturating_sub(1);
        let mut schedule: BTreeMap<usize, Vec<Trial>> = BTreeMap::new();
        for mut trial in std::mem::take(&mut self.trials) {
            let mut at = trial.at.unwrap_or(end);
            if self.until.is_some() && at != end {
                // The file speaks of another moment.
                trial.expected = Expected::default();
                at = end;
            }
            if at > end {
                tracing::warn!(
                    id = %trial.id,
                    "The flow asks for frame {at}; the stream ends with frame {end}, where it is tried",
                );
            }
            schedule.entry(at.min(end)).or_default().push(trial);
        }
        schedule
    }

    fn make(&mut self, stream: usize, frame: usize, count: usize) -> Vec<Trial> {
        self.tried += 1;
        let seed = self.plan.seed.wrapping_add(frame as u64);
        let node = (!self.semantics.policy_only).then_some(&self.semantics.node);
        let flows = generate::flows(&self.model, node, count, seed);
        let name = match (self.plan.everywhere(), stream) {
            (true, stream) if stream > 0 => format!("g{stream}.{frame}"),
            _ => format!("g{frame}"),
        };
        let trial = |(index, flow)| Trial {
            id: Value::String(format!("{name}-{index}")),
            at: Some(frame),
            flow,
            expected: Expected::default(),
        };
        flows.into_iter().enumerate().map(trial).collect()
    }

    fn commit(&mut self, restarted: bool) -> Result<(), PlayError> {
        let changes = self.model.take_changes();
        let Some(enforcement) = &mut self.enforcement else {
            return Ok(());
        };
        if restarted {
            self.rewritten += enforcement.commit_session(&self.model, &changes)?;
        } else if !changes.is_empty() {
            enforcement.commit(&self.model, &changes)?;
        }
        Ok(())
    }

    fn try_flows(&mut self, due: &[Trial], report: &mut Report) -> Result<(), PlayError> {
        let started = Instant::now();
        let verdicts: Vec<_> = due.iter().map(|trial| self.judge(trial)).collect();
        self.evaluate += started.elapsed();
        let fates = match &mut self.enforcement {
            Some(enforcement) => {
                let flows: Vec<_> = due.iter().map(|trial| trial.flow).collect();
                let fates = enforcement.send(&self.model, &flows, &mut self.progress)?;
                fates.into_iter().map(Some).collect()
            }
            None => vec![None; due.len()],
        };
        for ((trial, verdict), fate) in due.iter().zip(&verdicts).zip(fates) {
            let answer = Answer::new(trial, verdict, fate);
            if answer.checks().verdict == Some(false) || answer.checks().traces == Some(false) {
                tracing::debug!(
                    id = %trial.id,
                    legs = ?verdict.legs.iter().map(policy_model::Leg::trace).collect::<Vec<_>>(),
                    expected = ?trial.expected.legs,
                    "Differs from Calico",
                );
            }
            report.answer(&answer)?;
        }
        Ok(())
    }

    /// Before the snapshot is complete nothing is allowed.
    fn judge(&self, trial: &Trial) -> Verdict {
        if self.model.in_sync() {
            return evaluate(&self.model, &self.semantics, &trial.flow);
        }
        Verdict {
            allow: false,
            legs: Vec::new(),
            decided_by: Decision {
                reason: "The snapshot is not complete.".into(),
                ..Decision::default()
            },
        }
    }
}
