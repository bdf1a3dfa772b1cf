//! The part of Felix: starts the relay as its dataplane driver, says what was recorded, and hears
//! what comes back.
//!
//! When the driver dies, a real Felix exits and its supervisor starts it anew: the next session
//! begins with a whole snapshot of the present, numbered from 0. So does this one.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use felix_bridge::Session;
use felix_proto::felix::from_dataplane::Payload;
use felix_proto::{Decoder, Frame, decode_from};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::process::Launcher;

/// How long a dead Felix stays away. A real one takes 2 s to exit and then its supervisor's time.
const AWAY: Duration = Duration::from_millis(300);
/// Longest status message that Felix would take.
const STATUS_LIMIT: usize = 1 << 20;

/// What has been said and heard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Talk {
    /// Frames of the recording that were said, in whatever form.
    pub(super) played: usize,
    /// Sessions begun.
    pub(super) sessions: u32,
    /// The sequence number of the last frame of this session.
    pub(super) sequence: Option<u64>,
    /// Process id of the relay.
    pub(super) relay: Option<u32>,
    /// Status of endpoints, as Felix would note it.
    pub(super) endpoints: BTreeMap<String, String>,
    /// Status messages of any kind.
    pub(super) heard: u64,
    /// Why nothing can be said any more.
    pub(super) broken: Option<String>,
}

/// What a Felix is to do.
#[derive(Debug)]
enum Order {
    /// Play until so many frames of the recording have been said.
    Play(usize),
    /// Say these bytes, whatever they are.
    #[cfg(test)]
    Say(Vec<u8>),
}

/// A Felix that can be told how far to play.
#[derive(Debug)]
pub(super) struct Player {
    orders: mpsc::UnboundedSender<Order>,
    talk: watch::Receiver<Talk>,
}

impl Player {
    /// Starts the first session and plays nothing yet.
    pub(super) fn start(launcher: &Launcher, socket: PathBuf, frames: Vec<Frame>) -> Self {
        let (orders, taken) = mpsc::unbounded_channel();
        let (said, talk) = watch::channel(Talk::default());
        let felix = Felix {
            launcher: launcher.clone(),
            socket,
            frames,
            orders: taken,
            goal: 0,
            said,
        };
        tokio::spawn(felix.live());
        Self { orders, talk }
    }

    /// Plays until `count` frames of the recording have been said.
    pub(super) fn play_to(&self, count: usize) {
        // A Felix that is gone says so in `Talk::broken`.
        let _ = self.orders.send(Order::Play(count));
    }

    /// Says what no recording holds.
    #[cfg(test)]
    pub(super) fn say(&self, bytes: Vec<u8>) {
        let _ = self.orders.send(Order::Say(bytes));
    }

    /// What has been said and heard so far; waits for changes.
    pub(super) fn talk(&self) -> watch::Receiver<Talk> {
        self.talk.clone()
    }
}

struct Felix {
    launcher: Launcher,
    socket: PathBuf,
    frames: Vec<Frame>,
    orders: mpsc::UnboundedReceiver<Order>,
    goal: usize,
    said: watch::Sender<Talk>,
}

/// Why a session is over.
enum End {
    /// The driver is gone.
    Driver,
    /// Nobody wants to hear more.
    Enough,
}

impl Felix {
    async fn live(mut self) {
        loop {
            match self.session().await {
                Ok(End::Driver) => {
                    tracing::debug!("the dataplane driver is gone; Felix starts anew");
                    sleep(AWAY).await;
                }
                Ok(End::Enough) => return,
                Err(error) => {
                    let broken = Some(error.to_string());
                    self.said.send_modify(|talk| talk.broken = broken);
                    return;
                }
            }
        }
    }

    async fn session(&mut self) -> io::Result<End> {
        let (mut driver, mut to, from) = self.driver()?;
        let relay = driver.id();
        let played = self.said.borrow().played;
        self.said.send_modify(|talk| {
            talk.sessions += 1;
            talk.sequence = None;
            talk.relay = relay;
        });
        let hearing = tokio::spawn(hear(from, self.said.clone()));
        let end = tokio::select! {
            end = self.say(&mut to, played) => end,
            _ = driver.wait() => Ok(End::Driver),
        };
        hearing.abort();
        match end {
            // A closed pipe is a driver that is gone.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Driver),
            end => end,
        }
    }

    /// The relay with its two pipes.
    fn driver(&self) -> io::Result<(Child, pipe::Sender, pipe::Receiver)> {
        let (theirs_in, ours_out) = io::pipe()?;
        let (ours_in, theirs_out) = io::pipe()?;
        let mut command = self.launcher.command("felix-bridge")?;
        command
            .env("MARGAY_FELIX_SOCKET", &self.socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.launcher.log("felix-bridge")?);
        let pipes = vec![
            FdMapping {
                parent_fd: OwnedFd::from(theirs_in),
                child_fd: 3,
            },
            FdMapping {
                parent_fd: OwnedFd::from(theirs_out),
                child_fd: 4,
            },
        ];
        command.fd_mappings(pipes).map_err(io::Error::other)?;
        let child = Command::from(command).kill_on_drop(true).spawn()?;
        Ok((
            child,
            pipe::Sender::from_owned_fd(ours_out.into())?,
            pipe::Receiver::from_owned_fd(ours_in.into())?,
        ))
    }

    async fn say(&mut self, to: &mut pipe::Sender, played: usize) -> io::Result<End> {
        let mut sequence = 0;
        if played > 0 {
            for body in snapshot(&self.frames[..played])? {
                write(to, &body, Some(sequence)).await?;
                sequence += 1;
            }
            self.note(played, sequence);
        }
        let fresh = played == 0;
        let mut next = played;
        loop {
            while next < self.goal.min(self.frames.len()) {
                let renumbered = (!fresh).then_some(sequence);
                write(to, &self.frames[next].body, renumbered).await?;
                next += 1;
                sequence += 1;
                self.note(next, sequence);
            }
            match self.orders.recv().await {
                Some(Order::Play(goal)) => self.goal = self.goal.max(goal),
                #[cfg(test)]
                Some(Order::Say(bytes)) => to.write_all(&bytes).await?,
                None => return Ok(End::Enough),
            }
        }
    }

    fn note(&self, played: usize, said: u64) {
        self.said.send_modify(|talk| {
            talk.played = played;
            talk.sequence = said.checked_sub(1);
        });
    }
}

/// What a Felix that starts now says of the state that these frames left.
fn snapshot(frames: &[Frame]) -> io::Result<Vec<Vec<u8>>> {
    let mut session = Session::new();
    for frame in frames {
        session.frame(frame).map_err(io::Error::other)?;
    }
    Ok(session.mirror().bodies().map(Into::into).collect())
}

/// One frame. A `sequence` given replaces the recorded one: of a field that comes twice the last
/// counts.
async fn write(to: &mut pipe::Sender, body: &[u8], sequence: Option<u64>) -> io::Result<()> {
    let mut field = Vec::new();
    if let Some(mut value) = sequence {
        // Field 15, a varint.
        field.push(15 << 3);
        while value >= 0x80 {
            field.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        field.push(u8::try_from(value).unwrap_or(0));
    }
    let length = (body.len() + field.len()) as u64;
    let bytes = [&length.to_le_bytes(), body, &field].concat();
    to.write_all(&bytes).await
}

/// Notes what the driver says until it says no more.
async fn hear(mut from: pipe::Receiver, said: watch::Sender<Talk>) {
    let mut decoder = Decoder::new(STATUS_LIMIT);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        decoder.push(&buffer[..length]);
        while let Ok(Some(frame)) = decoder.next_frame() {
            let Ok(Some(payload)) = decode_from(&frame) else {
                continue;
            };
            said.send_modify(|talk| {
                talk.heard += 1;
                note_status(&mut talk.endpoints, payload);
            });
        }
    }
}

fn note_status(endpoints: &mut BTreeMap<String, String>, payload: Payload) {
    match payload {
        Payload::WorkloadEndpointStatusUpdate(update) => {
            if let (Some(id), Some(status)) = (update.id, update.status) {
                endpoints.insert(id.workload_id, status.status);
            }
        }
        Payload::WorkloadEndpointStatusRemove(remove) => {
            if let Some(id) = remove.id {
                endpoints.remove(&id.workload_id);
            }
        }
        _ => {}
    }
}
