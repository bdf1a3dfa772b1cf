//! The whole daemon against a recorded Felix and a DPU in memory, over mutual TLS.

mod daemon;
mod rig;

use std::time::Duration;

use offload_api::host::EndpointState;
use offload_api::types::EntryView;
use table_model::TableSnapshot;

use rig::{Rig, Stream, expected};

type Test = Result<(), Box<dyn std::error::Error>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_stream_becomes_rows_on_the_dpu() -> Test {
    let stream = Stream::recorded("small");
    let rig = Rig::new(&stream.ports()).await;
    let agent = rig.start().await;
    let felix = agent.felix(stream.bytes.clone());
    rig.holds(&expected(&stream, &rig).await).await;

    let status = agent
        .status_when(|status| {
            let dpu = &status.dpu;
            status.felix.connected
                && dpu.acknowledged_generation == dpu.desired_generation
                && dpu.observed_generation == dpu.desired_generation
        })
        .await;
    let mut people = agent.people().await;
    let endpoints = people.endpoints().await?;
    assert_eq!(endpoints.len(), stream.model().workloads().len());
    for endpoint in &endpoints {
        assert_eq!(endpoint.state, EndpointState::Enforced, "{endpoint:?}");
        assert!(endpoint.port.is_some());
    }
    assert!(status.felix.connected && status.felix.in_sync && status.dpu.connected);
    assert_eq!(status.dpu.identity, "spiffe://margay/dpu-agent/dpu-1");
    assert_eq!(status.felix.sequence + 1, stream.frames as u64);
    assert!(people.drift().await?.tables.is_empty());
    let policies = people.policies().await?;
    let model = stream.model();
    assert_eq!(
        policies.len(),
        model.policies().len() + model.profiles().len()
    );
    for (id, _) in model.policies() {
        let name = format!("policies/{}", id.name);
        assert!(
            policies.iter().any(|policy| policy.name.ends_with(&name)),
            "{name}"
        );
    }
    let entries = people.entries("endpoint_port", EntryView::Observed).await?;
    assert!(!entries.is_empty());

    assert_eq!(agent.get("/readyz").await.0, 200);
    assert_eq!(agent.get("/healthz").await.0, 200);
    let page = agent.get("/metrics").await.1;
    for name in [
        "offload_sync_acknowledged_generation",
        "offload_table_desired_rows",
        "offload_host_frame_to_enforced_seconds_count",
        "offload_felix_frames_total",
    ] {
        assert!(page.contains(name), "{name} is missing in {page}");
    }

    // A CNI plugin finds a file for each.
    let files = std::fs::read_dir(rig.path("calico/endpoint-status"))?;
    assert_eq!(files.count(), endpoints.len());

    // Felix is told of every endpoint that is enforced.
    let ids: Vec<_> = stream
        .model()
        .workloads()
        .map(|(id, _)| id.clone())
        .collect();
    felix.hears_up(&ids).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_before_the_snapshot_is_complete() -> Test {
    let stream = Stream::recorded("small");
    let rig = Rig::new(&stream.ports()).await;
    let agent = rig.start().await;
    let (before, after) = stream.split_at_in_sync();
    let felix = agent.felix(before);
    agent
        .metric_when("offload_felix_frames_total", |frames| frames >= 20.0)
        .await;
    agent.status_when(|status| status.dpu.connected).await;
    let (code, missing) = agent.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(
        missing.contains("Felix") && missing.contains("DPU"),
        "{missing}"
    );
    assert_eq!(rig.dpu.seen().borrow().snapshots, 0);
    assert!(rig.dpu.state().is_empty());
    felix.says(after).await;
    rig.holds(&expected(&stream, &rig).await).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_outlive_the_daemon_and_a_target_that_begins_anew() -> Test {
    let stream = Stream::recorded("small");
    let rig = Rig::new(&stream.ports()).await;
    let agent = rig.start().await;
    let _felix = agent.felix(stream.bytes.clone());
    let want = expected(&stream, &rig).await;
    rig.holds(&want).await;
    let verdicts: Vec<_> = ["acl_verdict", "acl_verdict_default"]
        .iter()
        .filter_map(|name| p4_tables::schema().table_named(name))
        .flat_map(|table| want.table(table.id))
        .collect();
    assert!(!verdicts.is_empty());
    for row in &verdicts {
        rig.dpu.count(&row.key, 3, 300);
    }
    let total = async |agent: &rig::Agent| {
        let policies = agent.people().await.policies().await.unwrap();
        let hits = policies.iter().filter_map(|policy| policy.hits);
        hits.map(|hits| hits.packets).sum::<u64>()
    };
    let counted = total(&agent).await;
    assert!(counted > 0 && counted.is_multiple_of(3), "{counted}");
    let page = agent.get("/metrics").await.1;
    assert!(
        page.contains("offload_policy_hit_packets{policy="),
        "{page}"
    );
    agent.kill().await;

    // The target loses its counters while nobody looks.
    rig.dpu.forget_counts();
    let agent = rig.start().await;
    agent
        .status_when(|status| status.dpu.acknowledged_generation > 0)
        .await;
    assert_eq!(total(&agent).await, counted);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_daemon_writes_nothing() -> Test {
    let stream = Stream::recorded("small");
    let rig = Rig::new(&stream.ports()).await;
    let agent = rig.start().await;
    let felix = agent.felix(stream.bytes.clone());
    let want = expected(&stream, &rig).await;
    rig.holds(&want).await;
    let acks = rig.dpu.seen().borrow().acks.len();
    agent.kill().await;
    assert_eq!(rig.dpu.state(), want, "what is enforced stays");

    let agent = rig.start().await;
    rig.acked_after(acks).await;
    let again: Vec<_> = rig.dpu.seen().borrow().acks[acks..].to_vec();
    assert!(again.iter().all(|ack| ack.written == 0), "{again:?}");
    assert_eq!(rig.dpu.state(), want);
    // The relay goes on where the journal ends: no new snapshot is needed.
    let status = agent
        .status_when(|status| status.felix.connected && status.felix.in_sync)
        .await;
    assert_eq!(status.felix.sequence + 1, stream.frames as u64);
    drop(felix);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_felix_writes_the_difference() -> Test {
    let (first, second) = (Stream::recorded("restart-1"), Stream::recorded("restart-2"));
    let mut ports = first.ports();
    ports.extend(second.ports());
    let rig = Rig::new(&ports).await;
    let agent = rig.start().await;
    let felix = agent.felix(first.bytes.clone());
    let (one, two) = (expected(&first, &rig).await, expected(&second, &rig).await);
    rig.holds(&one).await;
    let acks = rig.dpu.seen().borrow().acks.len();

    felix.goes().await;
    agent.status_when(|status| !status.felix.connected).await;
    assert_eq!(rig.dpu.state(), one, "what is enforced stays");

    let _felix = agent.felix(second.bytes.clone());
    rig.holds(&two).await;
    let written: u64 = rig.dpu.seen().borrow().acks[acks..]
        .iter()
        .map(|ack| ack.written)
        .sum();
    // Frames behind the snapshot may write a row more than once; what both hold is not among them.
    let kept = one
        .iter()
        .filter(|(key, action)| two.get(key) == Some(action))
        .count();
    assert!(kept > 0, "the scenario keeps rows");
    assert!(
        written < (one.len() + two.len() - kept) as u64 * 2,
        "{written} written"
    );
    let unchanged: u64 = rig.dpu.seen().borrow().acks[acks].unchanged;
    assert!(unchanged >= kept as u64, "{unchanged} of {kept} kept");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contradiction_makes_felix_start_anew_and_what_is_enforced_stays() -> Test {
    let (first, second) = (Stream::recorded("restart-1"), Stream::recorded("restart-2"));
    let mut ports = first.ports();
    ports.extend(second.ports());
    let rig = Rig::new(&ports).await;
    let agent = rig.start().await;
    let (one, two) = (expected(&first, &rig).await, expected(&second, &rig).await);
    let felix = agent.felix(first.bytes.clone());
    rig.holds(&one).await;

    // What removes a policy that never was; behind it, what would empty the tables if it were taken.
    let next = first.frames as u64;
    let contradiction = rig::removal_of_an_unknown_policy(next);
    felix
        .says([contradiction, first.removals(next + 1)].concat())
        .await;
    let refused = "offload_model_refused_updates_total";
    agent.metric_when(refused, |count| count == 1.0).await;
    let reason = felix.ended().await;
    assert!(reason.contains("Felix has to start anew"), "{reason}");
    assert!(reason.contains("never-was"), "{reason}");
    agent.status_when(|status| !status.felix.connected).await;
    assert_eq!(rig.dpu.state(), one, "what is enforced stays");

    // Felix's next session is taken like any other.
    let _felix = agent.felix(second.bytes.clone());
    rig.holds(&two).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dpu_that_forgets_gets_everything_and_writes_nothing() -> Test {
    let stream = Stream::recorded("tiers");
    let rig = Rig::new(&stream.ports()).await;
    let agent = rig.start().await;
    let _felix = agent.felix(stream.bytes.clone());
    let want = expected(&stream, &rig).await;
    rig.holds(&want).await;
    let acks = rig.dpu.seen().borrow().acks.len();
    rig.dpu.restart();
    rig.acked_after(acks).await;
    let ack = rig.dpu.seen().borrow().acks[acks];
    assert_eq!(ack.written, 0);
    assert_eq!(rig.dpu.state(), want);
    agent
        .status_when(|status| status.dpu.connected && status.dpu.error.is_empty())
        .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_table_on_the_dpu_is_told_and_what_was_enforced_stays() -> Test {
    let stream = Stream::recorded("small");
    let rig = Rig::new(&stream.ports()).await;
    let table = p4_tables::endpoint_local_v4::TABLE;
    rig.dpu.limit(table, Some(0));
    let agent = rig.start().await;
    let _felix = agent.felix(stream.bytes.clone());
    let status = agent
        .status_when(|status| !status.dpu.error.is_empty())
        .await;
    assert!(status.dpu.error.contains("room"), "{}", status.dpu.error);
    let mut people = agent.people().await;
    let endpoints = people.endpoints().await?;
    assert!(!endpoints.is_empty());
    for endpoint in endpoints {
        assert_eq!(endpoint.state, EndpointState::Refused);
        assert!(endpoint.reason.contains("room"));
    }
    assert_eq!(rig.dpu.state(), TableSnapshot::new());
    rig.dpu.limit(table, None);
    rig.holds(&expected(&stream, &rig).await).await;
    agent
        .status_when(|status| status.dpu.error.is_empty())
        .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_opens_when_its_port_appears() -> Test {
    let stream = Stream::recorded("small");
    let rig = Rig::new(&[]).await;
    let agent = rig.start().await;
    let _felix = agent.felix(stream.bytes.clone());
    agent
        .status_when(|status| {
            status
                .endpoints
                .iter()
                .any(|count| count.state == EndpointState::NoPort && count.count > 0)
        })
        .await;
    rig.plug(&stream.ports());
    rig.holds(&expected(&stream, &rig).await).await;
    agent
        .status_when(|status| {
            status
                .endpoints
                .iter()
                .all(|count| count.count == 0 || count.state == EndpointState::Enforced)
        })
        .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_is_explained_by_both() -> Test {
    let stream = Stream::recorded("small");
    let rig = Rig::new(&stream.ports()).await;
    let agent = rig.start().await;
    let _felix = agent.felix(stream.bytes.clone());
    rig.holds(&expected(&stream, &rig).await).await;
    let mut people = agent.people().await;
    let endpoints = people.endpoints().await?;
    for source in &endpoints {
        for destination in &endpoints {
            let flow = offload_api::host::FlowQuestion {
                source: source.addresses[0].clone(),
                destination: destination.addresses[0].clone(),
                protocol: 6,
                source_port: 40000,
                destination_port: 8080,
                ..Default::default()
            };
            let answer = people.explain(flow.clone()).await?;
            assert_eq!(answer.allow, answer.rows_allow, "{flow:?}: {answer:?}");
            assert!(!answer.rows.is_empty() && !answer.decided_by.reason.is_empty());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_sockets_is_told() -> Test {
    let rig = Rig::new(&[]).await;
    let _agent = rig.start().await;
    let error = host_agent::HostAgent::bind(rig.config()).await.unwrap_err();
    let text = offload_api::error_chain(&error);
    assert!(text.contains("felix.sock"), "{text}");
    Ok(())
}

/// How long anything may take before a test gives up.
const LONG: Duration = Duration::from_secs(30);
