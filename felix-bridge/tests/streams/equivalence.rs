//! A mirror says what its stream said.

use felix_bridge::Session;
use policy_model::{PolicyModel, Update};

use crate::recording::{RECORDINGS, bodies, play};
use crate::state::State;

#[test]
fn a_mirror_plays_to_the_same_state_as_its_stream() {
    for (name, frames) in RECORDINGS {
        let play = play(name);
        let mirror = play.session.mirror();
        let (session, played) = Session::resume(mirror, frames as u64).unwrap();
        assert_eq!(
            State::of(&played.updates),
            State::of(&play.updates),
            "{name}"
        );
        assert!(played.updates.len() <= play.updates.len(), "{name}");
        // And once more: the mirror of the mirror.
        assert!(session.mirror().bodies().eq(mirror.bodies()), "{name}");
        assert_eq!(session.next_sequence(), frames as u64, "{name}");
    }
}

/// Wherever a session is cut, its mirror and the rest of the stream give the whole.
#[test]
fn a_session_resumes_at_any_frame() {
    for name in ["tiers", "overlay", "small", "small-v3.30"] {
        let bodies = bodies(name);
        let whole = State::of(&play(name).updates);
        for cut in 0..=bodies.len() {
            let frame = |index: usize| felix_proto::Frame {
                index: index as u64,
                offset: 0,
                body: bodies[index].clone(),
            };
            let mut first = Session::new();
            for index in 0..cut {
                first.frame(&frame(index)).unwrap();
            }
            let (mut second, played) = Session::resume(first.mirror(), cut as u64).unwrap();
            let mut state = State::of(&played.updates);
            for index in cut..bodies.len() {
                let received = second.frame(&frame(index)).unwrap();
                state.apply(&received.update.unwrap());
            }
            assert_eq!(state, whole, "{name} cut at {cut}");
        }
    }
}

/// The model takes every update of every recording, and a mirror leaves it in the same state.
#[test]
fn the_model_takes_streams_and_mirrors_alike() {
    fn model(updates: &[Update]) -> PolicyModel {
        let mut model = PolicyModel::new();
        for update in updates {
            model.apply(update.clone()).unwrap();
        }
        assert!(model.in_sync());
        model
    }
    for (name, _) in RECORDINGS {
        let play = play(name);
        let stream = model(&play.updates);
        let mirror = model(&play.session.play().unwrap().updates);
        assert!(mirror.ip_sets().eq(stream.ip_sets()), "{name}");
        assert!(mirror.policies().eq(stream.policies()), "{name}");
        assert!(mirror.profiles().eq(stream.profiles()), "{name}");
        assert!(mirror.workloads().eq(stream.workloads()), "{name}");
        assert!(
            mirror.host_endpoints().eq(stream.host_endpoints()),
            "{name}"
        );
        assert!(mirror.routes().eq(stream.routes()), "{name}");
        assert!(mirror.hosts().eq(stream.hosts()), "{name}");
        assert!(mirror.vteps().eq(stream.vteps()), "{name}");
        assert!(mirror.services().eq(stream.services()), "{name}");
    }
}
