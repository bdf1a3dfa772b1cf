use super::*;

fn pod(name: &str) -> WorkloadId {
    WorkloadId {
        orchestrator: Arc::from("k8s"),
        workload: Arc::from(name),
        endpoint: Arc::from("eth0"),
    }
}

fn payloads(board: &StatusBoard) -> Vec<Payload> {
    board
        .take(usize::MAX)
        .iter()
        .filter_map(|body| FromDataplane::decode(&body[..]).unwrap().payload)
        .collect()
}

fn words(payloads: &[Payload]) -> Vec<String> {
    payloads
        .iter()
        .map(|payload| match payload {
            Payload::WorkloadEndpointStatusUpdate(update) => {
                let id = update.id.clone().unwrap();
                format!(
                    "{} {}",
                    id.workload_id,
                    update.status.clone().unwrap().status
                )
            }
            Payload::WorkloadEndpointStatusRemove(remove) => {
                format!("{} gone", remove.id.clone().unwrap().workload_id)
            }
            Payload::DataplaneInSync(_) => "in sync".to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn only_the_latest_word_is_sent_and_only_once() {
    let board = StatusBoard::new();
    board.workload(pod("a/p"), Some(EndpointStatus::Down));
    board.workload(pod("a/p"), Some(EndpointStatus::Up));
    board.workload(pod("a/q"), Some(EndpointStatus::Error));
    assert_eq!(words(&payloads(&board)), ["a/p up", "a/q error"]);
    board.workload(pod("a/p"), Some(EndpointStatus::Up));
    assert_eq!(payloads(&board), []);
    board.workload(pod("a/q"), None);
    assert_eq!(words(&payloads(&board)), ["a/q gone"]);
}

#[test]
fn a_new_felix_hears_everything_again() {
    let board = StatusBoard::new();
    board.workload(pod("a/p"), Some(EndpointStatus::Up));
    board.workload(pod("a/q"), Some(EndpointStatus::Up));
    board.in_sync();
    assert_eq!(payloads(&board).len(), 3);
    board.workload(pod("a/q"), None);
    board.repeat(false);
    assert_eq!(words(&payloads(&board)), ["a/p up", "a/q gone", "in sync"]);
    board.repeat(true);
    assert_eq!(words(&payloads(&board)), ["a/p up"]);
    board.in_sync();
    assert_eq!(words(&payloads(&board)), ["in sync"]);
}
