//! A chain of processes with ports in memory, played a recording and then made to suffer.

use std::collections::BTreeSet;
use std::sync::Once;

use felix_proto::Frame;
use felix_proto::felix::{ToDataplane, to_dataplane::Payload};
use prost::Message;

use super::super::*;
use offload_api::host::{HostClient, Refusal};

/// The last frame of the snapshot of `small`.
pub(super) const SNAPSHOT: usize = 29;

/// A chain that has enforced the snapshot of `small`.
pub(super) struct Rig {
    pub(super) chain: Chain,
    pub(super) plan: Plan,
    pub(super) lab: Lab,
    pub(super) launcher: Launcher,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Plays the snapshot; `live` is what Felix can be told to say after it.
    pub(super) async fn start(live: Vec<Payload>) -> Self {
        let mut stream = Stream::open("small").unwrap();
        stream.frames.truncate(SNAPSHOT + 1);
        for payload in live {
            let index = stream.frames.len() as u64;
            stream.frames.push(frame(index, payload));
        }
        let folder = tempfile::tempdir().unwrap();
        let launcher = launcher(folder.path());
        let plan = Plan::of(&stream, 600).unwrap();
        let topology = Arc::new(plan.topology.clone());
        let frames = stream.frames.clone();
        let mut chain = Chain::start(&launcher, folder.path(), &topology, Mode::Memory, frames)
            .await
            .unwrap();
        let packets = chain.packet_socket();
        let lab = Lab::Memory(memory::Lab::build(topology, &packets).await.unwrap());
        chain.play(SNAPSHOT).await.unwrap();
        Self {
            chain,
            plan,
            lab,
            launcher,
            folder,
        }
    }

    /// Finds the switch's packet socket again after the switch was killed.
    pub(super) async fn reconnect(&mut self) {
        if let Lab::Memory(lab) = &mut self.lab {
            lab.reconnect().await.unwrap();
        }
    }

    /// All entries of the switch.
    pub(super) async fn entries(&self) -> BTreeSet<Vec<u8>> {
        let device = self.chain.device().await.unwrap();
        device.entries().await.unwrap()
    }

    /// Packets of a stage do what the evaluator says.
    pub(super) async fn agrees(&mut self, stage: usize) {
        let stage = &self.plan.stages[stage];
        let report = try_packets(&self.chain, &mut self.lab, &self.plan, stage).await;
        let report = report.unwrap();
        assert_eq!(report.differ, 0, "{}", report.text());
    }

    /// What is not enforced exactly, as `offloadctl` shows it.
    pub(super) async fn refusals(&self) -> Vec<Refusal> {
        let client = HostClient::connect(&self.chain.host_socket()).await;
        client.unwrap().refusals().await.unwrap()
    }

    /// What a process has logged, once it says `words`.
    pub(super) async fn log_says(&self, program: &str, words: &[&str]) {
        let path = self.launcher.log_path(program);
        for _ in 0..2000 {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            if words.iter().all(|word| log.contains(word)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        panic!("{program} does not say {words:?}:\n{log}");
    }

    /// The folder of settings and certificates.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A message of Felix as a frame of a recording.
pub(super) fn frame(index: u64, payload: Payload) -> Frame {
    let message = ToDataplane {
        sequence_number: index,
        payload: Some(payload),
    };
    Frame {
        index,
        offset: 0,
        body: message.encode_to_vec().into(),
    }
}

/// The programs as cargo builds them for the profile that this test runs in.
fn launcher(logs: &Path) -> Launcher {
    static BUILT: Once = Once::new();
    let own = std::env::current_exe().unwrap();
    // target/PROFILE/deps/testbed-HASH
    let folder = own.parent().and_then(Path::parent).unwrap().to_owned();
    BUILT.call_once(|| {
        let mut build = crate::cargo::cargo();
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
    });
    Launcher::over(folder.join("testbed"), folder, logs).unwrap()
}

/// Runs on this test's thread, with which its processes end.
pub(super) fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}
