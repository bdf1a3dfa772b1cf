//! `offloadctl` as a process against a host agent that is made up.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use offload_api::host::{
    self, Decision, Diff, Direction, Drift, Endpoint, EndpointCount, EndpointState, Explanation,
    FlowQuestion, HitCount, HostApi, HostEntry, HostRefused, HostStatus, Leg, LegStep, NamedValue,
    Policy, Refusal, RowDiff, RowLeg, RowStep, RuleCounter, TableDiff, TableDrift, TableRow,
};
use offload_api::types::{DropCounter, EntryView, Page, PageRequest, TableUsage};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::timeout;

/// A host agent with nothing behind it.
struct Fake {
    drift: Drift,
    /// What the rows say, whatever the policies say.
    rows_allow: bool,
    endpoints: usize,
    flushes: AtomicU32,
    dpu_away: bool,
    states: watch::Sender<HostStatus>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            drift: Drift::default(),
            rows_allow: true,
            endpoints: 2,
            flushes: AtomicU32::new(0),
            dpu_away: false,
            states: watch::Sender::new(status()),
        }
    }
}

fn status() -> HostStatus {
    let mut status = HostStatus {
        node: "node-a".to_owned(),
        uptime: 77,
        policies: 3,
        refusals: 1,
        endpoints: vec![EndpointCount {
            state: EndpointState::NoPort,
            count: 4,
        }],
        ..HostStatus::default()
    };
    status.dpu.error = "the target is away".to_owned();
    status.dpu.desired_generation = 12;
    status.felix.in_sync = true;
    status
}

fn entry(value: &str) -> HostEntry {
    let named = |name: &str| NamedValue {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    HostEntry {
        fields: vec![named("addr")],
        action: "host_label".to_owned(),
        params: vec![named("label")],
    }
}

fn decision(rule: Option<u32>) -> Decision {
    Decision {
        direction: Some(Direction::Ingress),
        tier: "default".to_owned(),
        namespace: "shop".to_owned(),
        policy: "db-only-api".to_owned(),
        rule,
        rule_id: "abc".to_owned(),
        reason: "it says so".to_owned(),
        written: BTreeMap::from([(
            "original_src_selector".to_owned(),
            "app == 'api'".to_owned(),
        )]),
        annotations: BTreeMap::from([("ticket".to_owned(), "42".to_owned())]),
    }
}

impl HostApi for Fake {
    async fn status(&self) -> Result<HostStatus, HostRefused> {
        Ok(status())
    }

    fn watch(&self) -> watch::Receiver<HostStatus> {
        self.states.subscribe()
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, HostRefused> {
        let endpoint = |number| Endpoint {
            name: format!("endpoints/k8s/shop/web-{number}/eth0"),
            interface: format!("cali{number}"),
            port: (number > 0).then_some(7),
            mac: "02:00:00:00:00:01".to_owned(),
            addresses: vec!["10.65.0.2".to_owned(), "fd00::2".to_owned()],
            state: EndpointState::Closed,
            reason: "a rule of it is not understood".to_owned(),
            generation: 12,
            policies: vec!["default: shop/db-only-api".to_owned()],
            unenforced: BTreeMap::from([("qos".to_owned(), "10 Mbit/s".to_owned())]),
        };
        Ok((0..self.endpoints).map(endpoint).collect())
    }

    async fn policies(&self) -> Result<Vec<Policy>, HostRefused> {
        Ok(vec![Policy {
            name: "namespaces/shop/policies/db-only-api".to_owned(),
            kind: "NetworkPolicy".to_owned(),
            tier: "default".to_owned(),
            staged: false,
            rules: vec![RuleCounter {
                direction: Some(Direction::Egress),
                index: 3,
                id: "abc".to_owned(),
                action: "allow".to_owned(),
                packets: Some(99),
                bytes: Some(9900),
            }],
            refusals: Vec::new(),
            endpoints: 5,
            hits: Some(HitCount {
                packets: 120,
                bytes: 12_000,
            }),
            end_of_tier: None,
            removed_rules: Some(HitCount {
                packets: 21,
                bytes: 2_100,
            }),
        }])
    }

    async fn refusals(&self) -> Result<Vec<Refusal>, HostRefused> {
        Ok(vec![Refusal {
            subject: "policies/http-only".to_owned(),
            direction: Some(Direction::Ingress),
            rule: Some(1),
            reason: "an HTTP match cannot be judged".to_owned(),
        }])
    }

    async fn tables(&self) -> Result<Vec<TableUsage>, HostRefused> {
        Ok(vec![TableUsage {
            name: "acl_host_v4".to_owned(),
            id: 0x0200_000a,
            size: 1000,
            desired: 10,
            observed: 9,
        }])
    }

    async fn entries(
        &self,
        table: String,
        view: EntryView,
        page: PageRequest,
    ) -> Result<Page<HostEntry>, HostRefused> {
        if table != "acl_host_v4" {
            return Err(HostRefused::NotFound(format!(
                "There is no table {table:?}"
            )));
        }
        let value = match view {
            EntryView::Observed => "10.0.0.1",
            EntryView::Desired => "10.0.0.2",
        };
        // Two pages, so that the client has to ask twice.
        Ok(Page {
            items: vec![entry(value)],
            next: page.token.is_empty().then(|| "more".to_owned()),
        })
    }

    async fn explain(&self, flow: FlowQuestion) -> Result<Explanation, HostRefused> {
        if flow.destination_port != 5432 {
            return Err(HostRefused::Unavailable("not in sync".to_owned()));
        }
        Ok(Explanation {
            allow: true,
            rows_allow: self.rows_allow,
            decided_by: decision(Some(1)),
            legs: vec![Leg {
                endpoint: "endpoints/k8s/shop/db-0/eth0".to_owned(),
                direction: Some(Direction::Ingress),
                allow: true,
                decision: decision(Some(1)),
                steps: vec![LegStep {
                    at: decision(None),
                    action: "pass".to_owned(),
                }],
            }],
            rows: vec!["acl_verdict -> allow".to_owned()],
            rule_agrees: true,
            before: vec![TableRow {
                table: "endpoint_port".to_owned(),
                entry: entry("7"),
            }],
            row_legs: vec![RowLeg {
                endpoint: "endpoints/k8s/shop/db-0/eth0".to_owned(),
                direction: Some(Direction::Ingress),
                allow: true,
                decision: decision(Some(1)),
                steps: vec![RowStep {
                    says: "allow".to_owned(),
                    rule: Some(decision(Some(1))),
                    rows: vec![TableRow {
                        table: "acl_verdict".to_owned(),
                        entry: entry("0x12"),
                    }],
                }],
                hits: Some(HitCount {
                    packets: 77,
                    bytes: 7_700,
                }),
                hits_error: String::new(),
            }],
            drop: String::new(),
            ingress_port: 7,
            out_port: Some(9),
        })
    }

    async fn diff(&self, limit: usize) -> Result<Diff, HostRefused> {
        let mut table = TableDiff {
            table: "acl_host_v4".to_owned(),
            felix: 10,
            host: 10,
            dpu: 10,
            target: 10,
            ..TableDiff::default()
        };
        if self.drift != Drift::default() {
            table.target = 9;
            table.differing = 30;
            let row = RowDiff {
                fields: entry("10.0.0.3").fields,
                felix: "host_label label=0x1".to_owned(),
                host: "host_label label=0x1".to_owned(),
                dpu: "host_label label=0x1".to_owned(),
                target: String::new(),
            };
            table.rows = vec![row; 30.min(limit)];
        }
        Ok(Diff {
            generation: 12,
            tables: vec![table],
        })
    }

    async fn drift(&self) -> Result<Drift, HostRefused> {
        Ok(self.drift.clone())
    }

    async fn drops(&self) -> Result<Vec<DropCounter>, HostRefused> {
        Ok(vec![DropCounter {
            code: 5,
            reason: "spoofed_source".to_owned(),
            packets: 41,
            bytes: 4100,
        }])
    }

    async fn flush_connections(&self) -> Result<u32, HostRefused> {
        if self.dpu_away {
            return Err(HostRefused::Unavailable("the DPU is away".to_owned()));
        }
        Ok(self.flushes.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

struct Rig {
    dir: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Rig {
    async fn new(fake: Fake) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = host::bind(&dir.path().join("agent.sock")).await.unwrap();
        let server = tokio::spawn(async move {
            host::serve(listener, Arc::new(fake), std::future::pending())
                .await
                .unwrap();
        });
        Self { dir, server }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    async fn ask(&self, words: &[&str]) -> Output {
        run(&self.socket(), words).await
    }

    async fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["-o", "json"]).collect();
        let output = self.ask(&words).await;
        assert_eq!(output.stderr, b"", "{}", err(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

async fn run(socket: &std::path::Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_offloadctl"))
        .arg("--socket")
        .arg(socket)
        .args(words)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn every_command_answers_people() {
    let rig = Rig::new(Fake::default()).await;
    for (words, parts) in [
        (
            vec!["status"],
            vec![
                "node-a",
                "in-sync yes",
                "4 no-port",
                "desired 12",
                "the target is away",
            ],
        ),
        (
            vec!["endpoints"],
            vec![
                "k8s/shop/web-1/eth0",
                "fd00::2",
                "closed",
                "not understood",
                "qos 10 Mbit/s",
            ],
        ),
        (
            vec!["policy", "--rules"],
            vec![
                "shop/policies/db-only-api",
                "99",
                "egress 3",
                "http-only ingress rule 1",
            ],
        ),
        (vec!["tables"], vec!["acl_host_v4", "0x0200000a", "1000"]),
        (
            vec!["tables", "acl_host_v4"],
            vec!["addr=10.0.0.1", "host_label"],
        ),
        (
            vec!["tables", "acl_host_v4", "--desired"],
            vec!["addr=10.0.0.2"],
        ),
        (
            vec!["explain", "10.0.0.1", "10.0.0.2", "tcp", "5432"],
            vec![
                "allow: tier default, policy shop/db-only-api, rule 1",
                "end of tier",
                "rows (allow): in by port 7, out by port 9",
                "original_src_selector: app == 'api'",
                "annotation ticket: 42",
                "Felix's rule id: abc",
                "step 1: allow by tier default, policy shop/db-only-api, rule 1",
                "has counted 77 packets, 7700 bytes",
            ],
        ),
        (vec!["drift"], vec!["exactly"]),
        (vec!["diff"], vec!["acl_host_v4", "generation 12: equal"]),
        (vec!["counters"], vec!["spoofed_source", "41"]),
    ] {
        let output = rig.ask(&words).await;
        assert!(output.status.success(), "{words:?}: {}", err(&output));
        let text = out(&output);
        for part in parts {
            assert!(text.contains(part), "{words:?} lacks {part:?}:\n{text}");
        }
    }
}

#[tokio::test]
async fn every_command_answers_programs() {
    let rig = Rig::new(Fake::default()).await;
    let status = rig.json(&["status"]).await;
    assert_eq!(status["dpu"]["desired_generation"], 12);
    assert_eq!(status["endpoints"][0]["state"], "no-port");
    let endpoints = rig.json(&["endpoints"]).await;
    assert_eq!(endpoints[1]["port"], 7);
    assert_eq!(endpoints[0]["port"], Value::Null);
    assert_eq!(endpoints[0]["mac"], "02:00:00:00:00:01");
    let policy = rig.json(&["policy"]).await;
    assert_eq!(policy["policies"][0]["rules"][0]["direction"], "egress");
    assert_eq!(policy["refusals"][0]["rule"], 1);
    let entries = rig.json(&["tables", "acl_host_v4"]).await;
    assert_eq!(entries.as_array().unwrap().len(), 2, "both pages");
    let explain = rig
        .json(&["explain", "10.0.0.1", "10.0.0.2", "6", "5432"])
        .await;
    assert_eq!(explain["legs"][0]["steps"][0]["at"]["rule"], Value::Null);
    assert_eq!(explain["row_legs"][0]["hits"]["packets"], 77);
    assert_eq!(explain["before"][0]["table"], "endpoint_port");
    let diff = rig.json(&["diff"]).await;
    assert_eq!(diff["tables"][0]["differing"], 0);
    assert_eq!(rig.json(&["drift"]).await["repaired"], 0);
    assert_eq!(rig.json(&["counters"]).await["drops"][0]["packets"], 41);
}

#[tokio::test]
async fn connections_are_forgotten_only_if_it_is_meant() {
    let rig = Rig::new(Fake::default()).await;
    let asked = rig.ask(&["flush-connections"]).await;
    assert_eq!(asked.status.code(), Some(1));
    assert!(err(&asked).contains("--yes"), "{}", err(&asked));
    // The first that is done is number 1: the one without --yes never got there.
    let done = rig.ask(&["flush-connections", "--yes"]).await;
    assert!(done.status.success(), "{}", err(&done));
    assert!(out(&done).contains("epoch 1"), "{}", out(&done));
    assert_eq!(rig.json(&["flush-connections", "--yes"]).await["epoch"], 2);

    let alone = Rig::new(Fake {
        dpu_away: true,
        ..Fake::default()
    })
    .await;
    let failed = alone.ask(&["flush-connections", "--yes"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(err(&failed).contains("Not possible now: the DPU is away"));
}

#[tokio::test]
async fn long_lists_are_read_to_the_end() {
    let rig = Rig::new(Fake {
        endpoints: 2345,
        ..Fake::default()
    })
    .await;
    let endpoints = rig.json(&["endpoints"]).await;
    assert_eq!(endpoints.as_array().unwrap().len(), 2345);
}

#[tokio::test]
async fn a_name_narrows_policies() {
    let rig = Rig::new(Fake::default()).await;
    let policy = rig.json(&["policy", "http-only"]).await;
    assert_eq!(policy["policies"].as_array().unwrap().len(), 0);
    assert_eq!(policy["refusals"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_exits_with_one() {
    let rig = Rig::new(Fake {
        rows_allow: false,
        drift: Drift {
            generation: 3,
            tables: vec![TableDrift {
                table: "acl_port".to_owned(),
                missing: vec![entry("10.0.0.3")],
                ..TableDrift::default()
            }],
            repaired: 0,
        },
        ..Fake::default()
    })
    .await;
    let explain = rig
        .ask(&["explain", "10.0.0.1", "10.0.0.2", "tcp", "5432"])
        .await;
    assert_eq!(explain.status.code(), Some(1));
    assert!(out(&explain).contains("WRONG"));
    let diff = rig.ask(&["diff", "--limit", "3"]).await;
    assert_eq!(diff.status.code(), Some(1));
    assert!(
        out(&diff).contains("30 rows differ, 3 shown"),
        "{}",
        out(&diff)
    );
    assert!(out(&diff).contains("DIFFERENT"), "{}", out(&diff));
    let drift = rig.ask(&["drift"]).await;
    assert_eq!(drift.status.code(), Some(1));
    assert!(out(&drift).contains("missing") && out(&drift).contains("10.0.0.3"));
}

#[tokio::test]
async fn refusals_and_wrong_words_are_told() {
    let rig = Rig::new(Fake::default()).await;
    for (words, code, part) in [
        (vec!["tables", "acl"], 1, "There is no table \"acl\""),
        (
            vec!["explain", "10.0.0.1", "10.0.0.2", "tcp", "80"],
            1,
            "not in sync",
        ),
        (
            vec!["explain", "10.0.0.1", "10.0.0", "tcp", "80"],
            1,
            "\"10.0.0\" is no IP address",
        ),
        (
            vec!["explain", "10.0.0.1", "10.0.0.2", "tcp"],
            1,
            "needs a PORT",
        ),
        (vec!["nonsense"], 2, "nonsense"),
        (vec!["status", "-o", "xml"], 2, "xml"),
    ] {
        let output = rig.ask(&words).await;
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert!(err(&output).contains(part), "{words:?}: {}", err(&output));
        assert_eq!(output.stdout, b"");
    }
}

#[tokio::test]
async fn no_daemon_is_told_with_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("nobody.sock");
    let output = run(&socket, &["status"]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = err(&output);
    assert!(
        text.contains("nobody.sock") && text.contains("start host-agent"),
        "{text}"
    );
    // A socket that a dead daemon left behind says the same.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let text = err(&run(&socket, &["status"]).await);
    assert!(text.contains("No host agent answers"), "{text}");
}

#[tokio::test]
async fn watch_prints_a_line_for_each_state() {
    let fake = Fake::default();
    let states = fake.states.clone();
    let rig = Rig::new(fake).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_offloadctl"))
        .arg("--socket")
        .arg(rig.socket())
        .args(["watch", "-o", "json"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for want in [12, 13, 14] {
        states.send_if_modified(|state| {
            std::mem::replace(&mut state.dpu.desired_generation, want) != want
        });
        let line = timeout(Duration::from_secs(20), lines.next_line()).await;
        let state: Value = serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap();
        assert_eq!(state["dpu"]["desired_generation"], want);
    }
}

#[tokio::test]
async fn certificates_are_issued_for_other_machines() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    let words = [
        "pki",
        "--dir",
        pki.to_str().unwrap(),
        "--dpu-agent",
        "dpu-7",
    ];
    let output = run(&dir.path().join("x"), &words).await;
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("dpu-agent.pem"));
    assert!(pki.join("ca.pem").exists());
    let again = run(&dir.path().join("x"), &words).await;
    assert!(out(&again).contains("already"));
    let nobody = run(&dir.path().join("x"), &["pki", "--dir", "y"]).await;
    assert_eq!(nobody.status.code(), Some(1));
}
