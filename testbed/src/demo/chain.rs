//! The chain as it runs on a node and its DPU: Felix, relay, host agent, DPU agent, switch. All are
//! processes of their own, with their own sockets in one folder and mutual TLS between the agents.

mod settings;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use felix_proto::Frame;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use offload_api::host::{HostClient, HostStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::device::Device;
use super::kill::Victim;
use super::player::Player;
use super::process::{Daemon, Launcher};
use super::{DemoError, Mode};
use crate::lab::Topology;

/// Longest wait for a process to answer, or for the chain to be whole.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// How long a killed daemon stays away.
const AWAY: Duration = Duration::from_millis(300);
/// Entries that the DPU agent has written since it started.
const WRITTEN: &str = "offload_dpu_operations_total{kind=\"update\"}";

/// Where everything listens.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) folder: PathBuf,
    pub(super) switch: SocketAddr,
    pub(super) dpu: SocketAddr,
    pub(super) dpu_http: SocketAddr,
    pub(super) host_http: SocketAddr,
}

impl Places {
    /// Free ports; kept by the daemons over restarts, so they cannot be picked by each.
    fn in_folder(folder: &Path) -> Result<Self, DemoError> {
        let listeners: Result<Vec<TcpListener>, _> = (0..4)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect();
        let listeners = listeners.map_err(DemoError::Folder)?;
        let addresses: Result<Vec<SocketAddr>, _> =
            listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses.map_err(DemoError::Folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            switch: addresses[0],
            dpu: addresses[1],
            dpu_http: addresses[2],
            host_http: addresses[3],
        })
    }

    pub(super) fn packet_socket(&self) -> PathBuf {
        self.folder.join("packets.sock")
    }

    pub(super) fn felix_socket(&self) -> PathBuf {
        self.folder.join("felix.sock")
    }

    pub(super) fn host_socket(&self) -> PathBuf {
        self.folder.join("host-agent.sock")
    }
}

/// A running chain.
#[derive(Debug)]
pub(super) struct Chain {
    places: Places,
    switch: Daemon,
    dpu: Daemon,
    host: Daemon,
    player: Player,
}

impl Chain {
    /// Starts everything, the switch first. With namespaces the interfaces have to be there.
    pub(super) async fn start(
        launcher: &Launcher,
        folder: &Path,
        topology: &Topology,
        mode: Mode,
        frames: Vec<Frame>,
    ) -> Result<Self, DemoError> {
        let places = Places::in_folder(folder)?;
        settings::write(&places, topology).map_err(DemoError::Folder)?;
        let mut switch = Daemon::new(
            launcher,
            "p4switch",
            settings::switch(&places, topology, mode),
        );
        switch.start()?;
        answers(&mut switch, places.switch, launcher).await?;
        let mut dpu = Daemon::new(launcher, "dpu-agent", settings::agent(&places, "dpu-agent"));
        dpu.start()?;
        answers(&mut dpu, places.dpu, launcher).await?;
        let mut host = Daemon::new(
            launcher,
            "host-agent",
            settings::agent(&places, "host-agent"),
        );
        host.start()?;
        answers(&mut host, places.host_http, launcher).await?;
        let player = Player::start(launcher, places.felix_socket(), frames);
        Ok(Self {
            places,
            switch,
            dpu,
            host,
            player,
        })
    }

    /// Where the switch takes frames in memory.
    pub(super) fn packet_socket(&self) -> PathBuf {
        self.places.packet_socket()
    }

    /// Plays up to and with this frame and waits until all of it is enforced; how long that took
    /// from the last byte.
    pub(super) async fn play(&mut self, frame: usize) -> Result<Duration, DemoError> {
        self.player.play_to(frame + 1);
        let mut talk = self.player.talk();
        let said = talk.wait_for(|talk| talk.played > frame || talk.broken.is_some());
        let said = timeout(PATIENCE, said).await;
        let broken = match said {
            Ok(Ok(talk)) => talk.broken.clone(),
            Ok(Err(_)) => Some("the player ended".to_owned()),
            Err(_) => Some(format!("nobody reads frame {frame}")),
        };
        if let Some(reason) = broken {
            return Err(DemoError::Felix { reason });
        }
        let started = Instant::now();
        self.whole().await?;
        Ok(started.elapsed())
    }

    /// Waits until what Felix has said is enforced and everybody is connected.
    pub(super) async fn whole(&mut self) -> Result<HostStatus, DemoError> {
        let end = Instant::now() + PATIENCE;
        let mut client = None;
        loop {
            self.alive()?;
            let status = self.status(&mut client).await;
            if let Some(status) = &status
                && self.is_whole(status)
            {
                return Ok(status.clone());
            }
            if Instant::now() > end {
                return Err(DemoError::NotEnforced {
                    status: format!("{status:?}"),
                });
            }
            sleep(LOOK).await;
        }
    }

    fn is_whole(&self, status: &HostStatus) -> bool {
        let talk = self.player.talk();
        let said = talk.borrow().sequence;
        status.felix.connected
            && status.felix.in_sync
            && said == Some(status.felix.enforced)
            && status.dpu.connected
            && status.dpu.desired_generation == status.dpu.acknowledged_generation
    }

    async fn status(&self, client: &mut Option<HostClient>) -> Option<HostStatus> {
        if client.is_none() {
            *client = HostClient::connect(&self.places.host_socket()).await.ok();
        }
        let status = client.as_mut()?.status().await.ok();
        if status.is_none() {
            *client = None;
        }
        status
    }

    /// Fails if a daemon has ended by itself.
    fn alive(&mut self) -> Result<(), DemoError> {
        for daemon in [&mut self.switch, &mut self.dpu, &mut self.host] {
            if let Some(status) = daemon.ended() {
                return Err(DemoError::Ended {
                    program: daemon.name(),
                    status: status.to_string(),
                    log: daemon.last_words(),
                });
            }
        }
        Ok(())
    }

    /// A fresh look at the switch.
    pub(super) async fn device(&self) -> Result<Device, DemoError> {
        Device::connect(self.places.switch).await
    }

    /// Entries that the DPU agent has written since it started.
    pub(super) async fn writes(&self) -> Result<u64, DemoError> {
        let text = get(self.places.dpu_http, "/metrics")
            .await
            .map_err(|source| DemoError::Start {
                program: "dpu-agent",
                source,
            })?;
        let values = text.lines().filter(|line| line.starts_with(WRITTEN));
        let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that the text format spells as a float"
        )]
        Ok(values.sum::<f64>() as u64)
    }

    /// Status of endpoints as told to Felix.
    pub(super) fn told_to_felix(&self) -> std::collections::BTreeMap<String, String> {
        self.player.talk().borrow().endpoints.clone()
    }

    /// Felix, for tests that put words into its mouth.
    #[cfg(test)]
    pub(super) fn player(&self) -> &Player {
        &self.player
    }

    /// Starts an agent again with other arguments behind its own.
    #[cfg(test)]
    pub(super) async fn restart_with(
        &mut self,
        victim: Victim,
        arguments: &[&str],
    ) -> Result<(), DemoError> {
        let daemon = match victim {
            Victim::DpuAgent => &mut self.dpu,
            _ => &mut self.host,
        };
        daemon.kill().await?;
        daemon.add(arguments);
        daemon.start()
    }

    /// What the host agent says of itself, once it answers and `wanted` holds.
    #[cfg(test)]
    pub(super) async fn status_when(
        &mut self,
        wanted: impl Fn(&HostStatus) -> bool,
    ) -> Result<HostStatus, DemoError> {
        let end = Instant::now() + PATIENCE;
        let mut client = None;
        loop {
            let status = self.status(&mut client).await;
            if let Some(status) = &status
                && wanted(status)
            {
                return Ok(status.clone());
            }
            if Instant::now() > end {
                return Err(DemoError::NotEnforced {
                    status: format!("{status:?}"),
                });
            }
            sleep(LOOK).await;
        }
    }

    /// Where `offloadctl` asks.
    #[cfg(test)]
    pub(super) fn host_socket(&self) -> PathBuf {
        self.places.host_socket()
    }

    /// Kills one part with SIGKILL, brings it back after a while and waits until the chain is
    /// whole; how long that took from the new start.
    pub(super) async fn restart(&mut self, victim: Victim) -> Result<Duration, DemoError> {
        let entries = self.device().await?.entries().await?;
        match victim {
            Victim::Relay => {
                let mut talk = self.player.talk();
                let sessions = talk.borrow().sessions;
                let relay = talk.borrow().relay.and_then(|id| i32::try_from(id).ok());
                if let Some(relay) = relay {
                    kill(Pid::from_raw(relay), Signal::SIGKILL).map_err(|error| {
                        DemoError::Start {
                            program: "felix-bridge",
                            source: error.into(),
                        }
                    })?;
                }
                let again = talk.wait_for(|talk| talk.sessions > sessions);
                let again = timeout(PATIENCE, again).await;
                if !matches!(again, Ok(Ok(_))) {
                    return Err(DemoError::Felix {
                        reason: "Felix did not start again".to_owned(),
                    });
                }
            }
            Victim::HostAgent => again(&mut self.host).await?,
            Victim::DpuAgent => again(&mut self.dpu).await?,
            Victim::P4switch | Victim::All => again(&mut self.switch).await?,
        }
        let started = Instant::now();
        self.whole().await?;
        let end = Instant::now() + PATIENCE;
        loop {
            // A switch that has just begun has nothing yet, or nobody to answer.
            let now = match self.device().await {
                Ok(device) => device.entries().await.unwrap_or_default(),
                Err(_) => std::collections::BTreeSet::new(),
            };
            if now == entries {
                return Ok(started.elapsed());
            }
            if Instant::now() > end {
                let (had, has) = (entries.len(), now.len());
                return Err(DemoError::EntriesLost { had, has });
            }
            sleep(LOOK).await;
        }
    }
}

async fn again(daemon: &mut Daemon) -> Result<(), DemoError> {
    daemon.kill().await?;
    sleep(AWAY).await;
    daemon.start()
}

/// Waits until somebody listens.
async fn answers(
    daemon: &mut Daemon,
    at: SocketAddr,
    launcher: &Launcher,
) -> Result<(), DemoError> {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(at).await.is_err() {
        if let Some(status) = daemon.ended() {
            return Err(DemoError::Ended {
                program: daemon.name(),
                status: status.to_string(),
                log: daemon.last_words(),
            });
        }
        if Instant::now() > end {
            return Err(DemoError::Silent {
                program: daemon.name(),
                log: launcher.log_path(daemon.name()),
            });
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// A page over HTTP/1.0.
async fn get(at: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
