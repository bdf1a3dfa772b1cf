//! The server, with a relay played by the test.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use felix_bridge::server::{Event, Server, ServerConfig, ServerError, SessionControl};
use felix_bridge::{EndpointStatus, LINK_VERSION, Problem, SessionId, StatusBoard, Unit};
use felix_proto::felix::from_dataplane::Payload;
use policy_model::{Update, WorkloadId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::recording::{bodies, play};
use crate::state::State;

/// Far beyond what anything here takes; a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server as host-agent runs it.
pub(crate) struct Agent {
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) board: StatusBoard,
    control: SessionControl,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Agent {
    pub(crate) fn start(directory: &Path) -> Self {
        let config = ServerConfig {
            socket: directory.join("felix.sock"),
            state: directory.join("state"),
            queue: 4,
        };
        let (server, events) = Server::bind(&config).unwrap();
        let board = server.status();
        let control = server.control();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ignored = stopped.await;
        }));
        Self {
            events,
            board,
            control,
            stop,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        let Self {
            events,
            board: _,
            control: _,
            stop,
            task,
        } = self;
        drop(events);
        let _ended = stop.send(());
        match task.await.unwrap() {
            Ok(()) | Err(ServerError::ConsumerGone) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Follows events until the stream's message `next` is next; gives state and what was seen.
    pub(crate) async fn follow(&mut self, view: &mut View, next: u64) {
        while view.next < next {
            let event = self.event().await;
            view.see(event);
        }
    }

    pub(crate) async fn until_ended(&mut self, view: &mut View) -> String {
        loop {
            let event = self.event().await;
            if let Event::SessionEnded { reason, .. } = &event {
                let reason = reason.clone();
                view.see(event);
                return reason;
            }
            view.see(event);
        }
    }
}

/// What a consumer of events knows.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) next: u64,
    pub(crate) snapshots: Vec<bool>,
    pub(crate) resumed_at: Vec<u64>,
    pub(crate) updates: usize,
    pub(crate) problems: Vec<Problem>,
}

impl View {
    pub(crate) fn see(&mut self, event: Event) {
        match event {
            Event::Snapshot {
                from_journal,
                next,
                updates,
                problems,
                session: _,
            } => {
                assert_eq!(updates.last(), Some(&Update::InSync));
                self.state = State::of(&updates);
                self.next = next;
                self.snapshots.push(from_journal);
                self.problems = problems;
            }
            Event::Updates {
                next,
                updates,
                problems,
                session: _,
            } => {
                for update in &updates {
                    self.state.apply(update);
                }
                self.updates += updates.len();
                self.next = next;
                self.problems.extend(problems);
            }
            Event::SessionStarted { resumed_at, .. } => self.resumed_at.push(resumed_at),
            Event::SessionEnded { .. } => {}
        }
    }
}

/// A relay.
pub(crate) struct FakeRelay {
    stream: UnixStream,
    buffer: BytesMut,
}

impl FakeRelay {
    pub(crate) async fn greet(directory: &Path, session: u8, oldest: u64, newest: u64) -> Self {
        let stream = UnixStream::connect(directory.join("felix.sock"))
            .await
            .unwrap();
        let mut relay = Self {
            stream,
            buffer: BytesMut::new(),
        };
        relay
            .say(&Unit::Hello {
                version: LINK_VERSION,
                session: SessionId([session; 16]),
                oldest,
                newest,
            })
            .await;
        relay
    }

    async fn say(&mut self, unit: &Unit) {
        let mut out = BytesMut::new();
        unit.encode(&mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    pub(crate) async fn send(&mut self, bodies: &[Bytes]) {
        for body in bodies {
            self.say(&Unit::Frame(body.clone())).await;
        }
    }

    pub(crate) async fn hear(&mut self) -> Option<Unit> {
        timeout(PATIENCE, async {
            loop {
                if let Some(unit) = Unit::decode(&mut self.buffer).unwrap() {
                    return Some(unit);
                }
                if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                    return None;
                }
            }
        })
        .await
        .unwrap()
    }

    /// The next unit that is neither an acknowledgement nor a frame.
    pub(crate) async fn answer(&mut self) -> Unit {
        loop {
            match self.hear().await.unwrap() {
                Unit::Ack { .. } | Unit::Frame(_) => {}
                other => return other,
            }
        }
    }

    async fn acknowledged(&mut self, want: u64) {
        loop {
            if let Unit::Ack { next } = self.hear().await.unwrap()
                && next >= want
            {
                return;
            }
        }
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn nothing_is_handed_on_before_the_snapshot_is_complete() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let bodies = bodies("tiers");
    let in_sync = play_until_in_sync("tiers");
    let mut relay = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    assert_eq!(relay.answer().await, Unit::Resume { next: 0 });
    relay.send(&bodies[..in_sync]).await;
    relay.acknowledged(in_sync as u64).await;
    assert!(matches!(
        agent.event().await,
        Event::SessionStarted { resumed_at: 0, .. }
    ));
    assert!(agent.events.try_recv().is_err());
    relay.send(&bodies[in_sync..]).await;
    let mut view = View::default();
    agent.follow(&mut view, bodies.len() as u64).await;
    assert_eq!(view.state, State::of(&play("tiers").updates));
    assert_eq!(view.snapshots, [false]);
    assert!(!view.problems.is_empty());
    agent.stop().await;
}

/// Number of frames before `InSync`.
fn play_until_in_sync(name: &str) -> usize {
    let play = play(name);
    let in_sync = |update: &Update| *update == Update::InSync;
    play.updates.iter().position(in_sync).unwrap()
}

#[tokio::test]
async fn an_agent_that_restarts_goes_on_where_its_journal_ends() {
    let directory = directory();
    let bodies = bodies("tiers");
    let whole = State::of(&play("tiers").updates);
    let in_sync = play_until_in_sync("tiers");
    // Before, at and after the end of the snapshot.
    for cut in [1, in_sync, in_sync + 1, in_sync + 7, bodies.len()] {
        let session = u8::try_from(cut).unwrap();
        let mut agent = Agent::start(directory.path());
        let mut relay = FakeRelay::greet(directory.path(), session, 0, 0).await;
        assert_eq!(relay.answer().await, Unit::Resume { next: 0 });
        relay.send(&bodies[..cut]).await;
        relay.acknowledged(cut as u64).await;
        let drained = tokio::spawn(async move {
            while agent.events.try_recv().is_ok() {}
            agent.stop().await;
        });
        drained.await.unwrap();

        let mut agent = Agent::start(directory.path());
        let next = cut as u64;
        let mut relay = FakeRelay::greet(directory.path(), session, 0, next).await;
        let answer = tokio::join!(relay.answer(), async {
            let mut view = View::default();
            while view.resumed_at.is_empty() {
                let event = agent.event().await;
                view.see(event);
            }
            view
        });
        let (unit, mut view) = answer;
        assert_eq!(unit, Unit::Resume { next }, "cut at {cut}");
        assert_eq!(view.resumed_at, [next], "cut at {cut}");
        relay.send(&bodies[cut..]).await;
        agent.follow(&mut view, bodies.len() as u64).await;
        assert_eq!(view.state, whole, "cut at {cut}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn the_old_session_stays_until_the_new_one_is_complete() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let (first, second) = (bodies("restart-1"), bodies("restart-2"));
    let mut view = View::default();
    let mut relay = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    relay.send(&first).await;
    agent.follow(&mut view, first.len() as u64).await;
    let kept = view.state.clone();
    drop(relay);
    agent.until_ended(&mut view).await;

    let in_sync = play_until_in_sync("restart-2");
    let mut relay = FakeRelay::greet(directory.path(), 2, 0, 0).await;
    assert_eq!(relay.answer().await, Unit::Resume { next: 0 });
    relay.send(&second[..in_sync]).await;
    relay.acknowledged(in_sync as u64).await;
    while let Ok(event) = agent.events.try_recv() {
        view.see(event);
    }
    assert_eq!(view.state, kept);
    // Even a restart in between keeps the old one, and goes on with the new one.
    agent.stop().await;
    let mut agent = Agent::start(directory.path());
    let event = agent.event().await;
    assert!(matches!(
        event,
        Event::Snapshot {
            from_journal: true,
            ..
        }
    ));
    view.see(event);
    assert_eq!(view.state, kept);
    let next = in_sync as u64;
    let mut relay = FakeRelay::greet(directory.path(), 2, next, next).await;
    assert_eq!(relay.answer().await, Unit::Resume { next });
    relay.send(&second[in_sync..]).await;
    view.next = 0;
    agent.follow(&mut view, second.len() as u64).await;
    assert_eq!(view.state, State::of(&play("restart-2").updates));
    // The first session does not come back.
    let mut old = FakeRelay::greet(directory.path(), 1, 0, first.len() as u64).await;
    assert!(matches!(
        old.answer().await,
        Unit::Refuse { .. } | Unit::Resume { next: 0 }
    ));
    agent.stop().await;
}

#[tokio::test]
async fn a_newer_session_replaces_a_live_one_for_good() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let mut old = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    assert_eq!(old.answer().await, Unit::Resume { next: 0 });
    let mut new = FakeRelay::greet(directory.path(), 2, 0, 0).await;
    assert_eq!(new.answer().await, Unit::Resume { next: 0 });
    assert!(matches!(old.answer().await, Unit::Refuse { .. }));
    let mut again = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    let Unit::Refuse { reason } = again.answer().await else {
        panic!("the old session came back");
    };
    assert!(reason.contains("newer"), "{reason}");
    let small = bodies("small");
    new.send(&small).await;
    let mut view = View::default();
    agent.follow(&mut view, small.len() as u64).await;
    assert_eq!(view.state, State::of(&play("small").updates));
    agent.stop().await;
}

#[tokio::test]
async fn a_gap_ends_the_session_and_leaves_what_is_enforced() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let small = bodies("small");
    let in_sync = play_until_in_sync("small");
    let mut relay = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    relay.send(&small[..=in_sync]).await;
    let mut view = View::default();
    agent.follow(&mut view, in_sync as u64 + 1).await;
    let kept = view.state.clone();
    relay.send(&small[in_sync + 2..in_sync + 3]).await;
    let heard = relay.answer_refused().await;
    assert!(heard.contains("sequence number"), "{heard}");
    let reason = agent.until_ended(&mut view).await;
    assert!(
        reason.contains("Restart Felix") && reason.contains(&(in_sync + 2).to_string()),
        "{reason}"
    );
    assert_eq!(view.state, kept);
    agent.stop().await;
}

impl FakeRelay {
    /// Past the answer to the greeting.
    async fn answer_refused(&mut self) -> String {
        loop {
            if let Unit::Refuse { reason } = self.answer().await {
                return reason;
            }
        }
    }
}

#[tokio::test]
async fn a_frame_that_is_no_message_ends_the_session() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let mut relay = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    relay.send(&[Bytes::from_static(&[0x3a, 0x7f])]).await;
    let reason = relay.answer_refused().await;
    assert!(reason.contains("frame 0"), "{reason}");
    let mut view = View::default();
    agent.until_ended(&mut view).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_consumer_can_ask_for_a_new_snapshot() {
    let directory = directory();
    let mut agent = Agent::start(directory.path());
    let small = bodies("small");
    let mut relay = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    relay.send(&small).await;
    let mut view = View::default();
    agent.follow(&mut view, small.len() as u64).await;
    let kept = view.state.clone();
    let session = SessionId([1; 16]);
    agent
        .control
        .start_anew(session, "the model has parted".to_owned());
    assert_eq!(relay.answer_refused().await, "the model has parted");
    agent.until_ended(&mut view).await;
    assert_eq!(view.state, kept);
    let mut again = FakeRelay::greet(directory.path(), 1, 0, small.len() as u64).await;
    again.answer_refused().await;
    let mut relay = FakeRelay::greet(directory.path(), 2, 0, 0).await;
    relay.send(&small).await;
    view.next = 0;
    agent.follow(&mut view, small.len() as u64).await;
    assert_eq!(view.snapshots, [false, false]);
    agent.stop().await;
}

#[tokio::test]
async fn a_session_whose_beginning_is_lost_is_refused() {
    let directory = directory();
    let agent = Agent::start(directory.path());
    let mut relay = FakeRelay::greet(directory.path(), 9, 17, 40).await;
    let reason = relay.answer_refused().await;
    assert!(reason.contains("journal"), "{reason}");
    agent.stop().await;
}

#[tokio::test]
async fn a_relay_of_another_release_is_told_so() {
    let directory = directory();
    let agent = Agent::start(directory.path());
    let mut relay = FakeRelay {
        stream: UnixStream::connect(directory.path().join("felix.sock"))
            .await
            .unwrap(),
        buffer: BytesMut::new(),
    };
    relay
        .say(&Unit::Hello {
            version: LINK_VERSION + 1,
            session: SessionId([3; 16]),
            oldest: 0,
            newest: 0,
        })
        .await;
    let reason = relay.answer_refused().await;
    assert!(reason.contains("release"), "{reason}");
    agent.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_socket_is_refused() {
    let directory = directory();
    let agent = Agent::start(directory.path());
    let config = ServerConfig {
        socket: directory.path().join("felix.sock"),
        state: directory.path().join("other"),
        queue: 4,
    };
    let error = Server::bind(&config).err().unwrap();
    assert!(matches!(error, ServerError::InUse { .. }), "{error}");
    agent.stop().await;
}

#[tokio::test]
async fn felix_hears_a_sign_of_life_and_the_state_of_endpoints() {
    let directory = directory();
    let agent = Agent::start(directory.path());
    let pod = WorkloadId {
        orchestrator: "k8s".into(),
        workload: "shop/web-1".into(),
        endpoint: "eth0".into(),
    };
    agent.board.workload(pod.clone(), Some(EndpointStatus::Up));
    let mut relay = FakeRelay::greet(directory.path(), 1, 0, 0).await;
    let (mut alive, mut up) = (false, false);
    while !(alive && up) {
        let Some(Unit::Frame(body)) = relay.hear().await else {
            continue;
        };
        let frame = felix_proto::Frame {
            index: 0,
            offset: 0,
            body,
        };
        match felix_proto::decode_from(&frame).unwrap().unwrap() {
            Payload::ProcessStatusUpdate(status) => {
                assert!(status.iso_timestamp.ends_with('Z') && status.uptime >= 0.0);
                alive = true;
            }
            Payload::WorkloadEndpointStatusUpdate(update) => {
                assert_eq!(update.id.unwrap().workload_id, "shop/web-1");
                assert_eq!(update.status.unwrap().status, "up");
                up = true;
            }
            other => panic!("{other:?}"),
        }
    }
    agent.board.workload(pod, None);
    loop {
        if let Some(Unit::Frame(body)) = relay.hear().await {
            let frame = felix_proto::Frame {
                index: 0,
                offset: 0,
                body,
            };
            if let Some(Payload::WorkloadEndpointStatusRemove(_)) =
                felix_proto::decode_from(&frame).unwrap()
            {
                break;
            }
        }
    }
    agent.stop().await;
}
