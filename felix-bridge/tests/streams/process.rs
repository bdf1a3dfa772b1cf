//! The relay as a process, with a Felix played by the test.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use bytes::Bytes;
use command_fds::{CommandFdExt, FdMapping};
use felix_proto::Decoder;
use felix_proto::felix::from_dataplane::Payload;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::time::timeout;

use crate::recording::{bodies, framed, play, raw};
use crate::server::{Agent, PATIENCE, View};
use crate::state::State;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_felix-bridge"));
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Felix with its driver.
struct Felix {
    to: Option<pipe::Sender>,
    from: pipe::Receiver,
    decoder: Decoder,
    driver: Child,
}

impl Felix {
    fn start(directory: &Path) -> Self {
        let (child_reads, we_write) = std::io::pipe().unwrap();
        let (we_read, child_writes) = std::io::pipe().unwrap();
        let mut command = program();
        command.env("MARGAY_FELIX_SOCKET", directory.join("felix.sock"));
        command
            .fd_mappings(vec![
                FdMapping {
                    parent_fd: child_reads.into(),
                    child_fd: 3,
                },
                FdMapping {
                    parent_fd: child_writes.into(),
                    child_fd: 4,
                },
            ])
            .unwrap();
        let driver = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            to: Some(pipe::Sender::from_owned_fd(we_write.into()).unwrap()),
            from: pipe::Receiver::from_owned_fd(we_read.into()).unwrap(),
            decoder: Decoder::default(),
            driver,
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        let to = self.to.as_mut().unwrap();
        timeout(PATIENCE, to.write_all(bytes))
            .await
            .unwrap()
            .unwrap();
    }

    async fn send(&mut self, bodies: &[Bytes]) {
        self.write(&framed(bodies)).await;
    }

    /// Reads until host-agent has said what is wanted.
    async fn hears(&mut self, wanted: impl Fn(&Payload) -> bool) {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                let payload = felix_proto::decode_from(&frame).unwrap().unwrap();
                if wanted(&payload) {
                    return;
                }
                continue;
            }
            let mut chunk = [0; 256];
            let read = timeout(PATIENCE, self.from.read(&mut chunk)).await;
            let length = read.unwrap().unwrap();
            assert!(length > 0, "the driver closed its pipe");
            self.decoder.push(&chunk[..length]);
        }
    }

    fn close(&mut self) {
        self.to = None;
    }

    fn pid(&self) -> nix::unistd::Pid {
        let id = self.driver.id().unwrap();
        nix::unistd::Pid::from_raw(i32::try_from(id).unwrap())
    }

    /// How the driver ended, and what it said.
    async fn ended(mut self) -> (ExitStatus, String) {
        let mut text = String::new();
        let mut stderr = self.driver.stderr.take().unwrap();
        let reading = stderr.read_to_string(&mut text);
        timeout(PATIENCE, reading).await.unwrap().unwrap();
        let status = timeout(PATIENCE, self.driver.wait())
            .await
            .unwrap()
            .unwrap();
        (status, text)
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn a_stream_goes_through_whole_and_status_comes_back() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let mut felix = Felix::start(directory.path());
    let tiers = bodies("tiers");
    felix.send(&tiers).await;
    let mut view = View::default();
    agent.follow(&mut view, tiers.len() as u64).await;
    assert_eq!(view.state, State::of(&play("tiers").updates));

    felix
        .hears(|payload| matches!(payload, Payload::ProcessStatusUpdate(_)))
        .await;

    felix.close();
    let reason = agent.until_ended(&mut view).await;
    assert_eq!(reason, "Felix closed its pipe");
    let (status, text) = felix.ended().await;
    assert!(status.success(), "{text}");
    agent.stop().await;
}

#[tokio::test]
async fn felix_may_start_before_host_agent() {
    let directory = directory();
    let mut felix = Felix::start(directory.path());
    let small = bodies("small");
    felix.send(&small).await;
    let mut agent = Agent::start(directory.path());
    let mut view = View::default();
    agent.follow(&mut view, small.len() as u64).await;
    assert_eq!(view.state, State::of(&play("small").updates));
    agent.stop().await;
}

/// host-agent goes away again and again in the middle of a busy stream.
#[tokio::test]
async fn restarts_of_host_agent_lose_and_repeat_nothing() {
    let directory = directory();
    let churn = &bodies("churn")[..12_000];
    let mut session = felix_bridge::Session::new();
    let mut updates = Vec::new();
    for (index, body) in churn.iter().enumerate() {
        let frame = felix_proto::Frame {
            index: index as u64,
            offset: 0,
            body: body.clone(),
        };
        updates.extend(session.frame(&frame).unwrap().update);
    }
    let whole = State::of(&updates);

    let mut felix = Felix::start(directory.path());
    let mut agent = Agent::start(directory.path());
    let mut view = View::default();
    let mut sent = 0;
    let mut highest = 0;
    for stop_at in [900, 3_500, 4_000, 9_000] {
        // Felix writes on while nobody has asked host-agent to stop yet, and while it is away.
        let ahead = stop_at + 500;
        felix.send(&churn[sent..ahead]).await;
        sent = ahead;
        if stop_at > 3_181 {
            agent.follow(&mut view, stop_at as u64).await;
        }
        agent.stop().await;
        agent = Agent::start(directory.path());
        let seen = view.next;
        view = View::default();
        while view.resumed_at.is_empty() {
            let event = agent.event().await;
            view.see(event);
        }
        let resumed = view.resumed_at[0];
        assert!(
            resumed >= seen && resumed >= highest,
            "{resumed} after {seen}"
        );
        highest = resumed;
        if view.next > 0 {
            // The journal's snapshot ends where Felix's stream is taken up.
            assert_eq!(view.next, resumed);
        }
    }
    felix.send(&churn[sent..]).await;
    agent.follow(&mut view, churn.len() as u64).await;
    assert_eq!(view.state, whole);
    agent.stop().await;
}

#[tokio::test]
async fn a_killed_relay_changes_nothing_that_is_enforced() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let mut felix = Felix::start(directory.path());
    let first = bodies("restart-1");
    felix.send(&first).await;
    let mut view = View::default();
    agent.follow(&mut view, first.len() as u64).await;
    let kept = view.state.clone();
    felix.driver.start_kill().unwrap();
    agent.until_ended(&mut view).await;
    assert_eq!(view.state, kept);

    // Felix ends with its driver; the next one sends a snapshot.
    let mut felix = Felix::start(directory.path());
    let second = bodies("restart-2");
    felix.send(&second).await;
    view.next = 0;
    agent.follow(&mut view, second.len() as u64).await;
    assert_eq!(view.state, State::of(&play("restart-2").updates));
    assert_eq!(view.snapshots, [false, false]);
    agent.stop().await;
}

#[tokio::test]
async fn a_truncated_stream_is_used_up_to_the_cut_and_named() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let mut felix = Felix::start(directory.path());
    let small = raw("small");
    felix.write(&small[..small.len() - 5]).await;
    felix.close();
    let frames = bodies("small").len() as u64;
    let mut view = View::default();
    agent.follow(&mut view, frames - 1).await;
    let reason = agent.until_ended(&mut view).await;
    assert!(reason.contains("ends at byte"), "{reason}");
    let (status, text) = felix.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(text.contains(&format!("frame {}", frames - 1)), "{text}");
    agent.stop().await;
}

#[tokio::test]
async fn a_frame_of_two_to_the_32_bytes_is_refused() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let mut felix = Felix::start(directory.path());
    let small = bodies("small");
    felix.send(&small).await;
    let mut view = View::default();
    agent.follow(&mut view, small.len() as u64).await;
    felix.write(&(1_u64 << 32).to_le_bytes()).await;
    let (status, text) = felix.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(text.contains("4294967296"), "{text}");
    agent.until_ended(&mut view).await;
    assert_eq!(view.state, State::of(&play("small").updates));
    agent.stop().await;
}

#[tokio::test]
async fn a_lost_journal_makes_felix_start_anew() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let mut felix = Felix::start(directory.path());
    let small = bodies("small");
    felix.send(&small).await;
    let mut view = View::default();
    agent.follow(&mut view, small.len() as u64).await;
    // What comes behind the acknowledgement has arrived, so has that: the relay lets go of frames.
    agent.board.in_sync();
    felix
        .hears(|payload| matches!(payload, Payload::DataplaneInSync(_)))
        .await;
    agent.stop().await;
    std::fs::remove_dir_all(directory.path().join("state")).unwrap();
    let agent = Agent::start(directory.path());
    let (status, text) = felix.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(text.contains("Felix has to start anew"), "{text}");
    agent.stop().await;
}

#[tokio::test]
async fn a_termination_signal_ends_it_quietly() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let felix = Felix::start(directory.path());
    // It listens for signals before it connects.
    let mut view = View::default();
    while view.resumed_at.is_empty() {
        let event = agent.event().await;
        view.see(event);
    }
    nix::sys::signal::kill(felix.pid(), nix::sys::signal::Signal::SIGTERM).unwrap();
    let (status, text) = felix.ended().await;
    assert_eq!(status.code(), Some(0), "{text}");
    agent.stop().await;
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    let output = program().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("start it from Felix") && text.contains("Descriptor 3"),
        "{text}"
    );
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    let output = program().arg("--sokcet").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = program().args(["--log", "=="]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--log"), "{text}");
}
