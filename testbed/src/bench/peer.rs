//! A switch under measurement, as a process of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use p4runtime_proto::client::Ready;
use p4runtime_proto::p4::v1::ForwardingPipelineConfig;
use p4runtime_proto::{Client, ElectionId};
use thiserror::Error;

use super::wire::PORTS;

/// Time that a switch may take to listen.
const START: Duration = Duration::from_secs(20);
const DEVICE_ID: u64 = 1;
/// The name of our own switch.
const OURS: &str = "p4switch";
/// The kernel's ticks of a second, in what it tells of processes.
const TICKS: f64 = 100.0;

/// Why a switch cannot be measured.
#[derive(Debug, Error)]
pub(super) enum PeerError {
    /// No such program.
    #[error("{} cannot be run", program.display())]
    NotInstalled {
        /// What was run.
        program: PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// It ended.
    #[error("{name} ended with {status} when it should have listened")]
    Ended {
        /// Who.
        name: &'static str,
        /// How.
        status: String,
    },
    /// It does not listen.
    #[error("{name} does not listen within {START:?}")]
    Silent {
        /// Who.
        name: &'static str,
    },
    /// No connection.
    #[error("{name} cannot be programmed: {reason}")]
    Control {
        /// Who.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// No process or address.
    #[error("The operating system gave no process or socket")]
    System(#[from] std::io::Error),
    /// The checked-in program.
    #[error("The p4info of the bench is broken")]
    P4Info(#[from] prost::DecodeError),
}

/// Which switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    /// For people.
    pub(super) name: &'static str,
    program: PathBuf,
    flags: &'static [&'static str],
}

impl Kind {
    /// Ours, from beside this program.
    ///
    /// # Errors
    /// This program's own file cannot be found.
    pub(super) fn p4switch() -> Result<Self, PeerError> {
        Ok(Self {
            name: OURS,
            program: std::env::current_exe()?.with_file_name("p4switch"),
            flags: &["--log-level", "error"],
        })
    }

    /// The behavioral model.
    pub(super) fn bmv2(program: &str) -> Self {
        Self {
            name: "bmv2",
            program: program.into(),
            flags: &["--log-level", "off"],
        }
    }

    /// Whether it is there.
    pub(super) fn is_installed(&self) -> bool {
        let mut ask = Command::new(&self.program);
        ask.arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ask.status().is_ok()
    }
}

/// A running switch; it ends with this value.
#[derive(Debug)]
pub(super) struct Switch {
    /// Who.
    pub(super) name: &'static str,
    child: Child,
    address: String,
    election: u128,
}

impl Switch {
    /// Starts it with these interfaces as ports.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub(super) fn start(kind: &Kind, ports: &[(u16, &str)]) -> Result<Self, PeerError> {
        let address = free_address()?;
        let thrift = free_address()?;
        let thrift = thrift.rsplit(':').next().unwrap_or("9090");
        let mut command = supervised(kind)?;
        command.args(["--no-p4", "--device-id", &DEVICE_ID.to_string()]);
        command.args(kind.flags).args(["--thrift-port", thrift]);
        for (port, interface) in ports {
            command.args(["-i", &format!("{port}@{interface}")]);
        }
        command.arg("--notifications-addr").arg(format!(
            "ipc:///tmp/margay-{}-bench.ipc",
            std::process::id()
        ));
        command.args(["--", "--grpc-server-addr", &address]);
        let mut switch = Self::spawn(kind, command, address)?;
        switch.wait()?;
        Ok(switch)
    }

    /// Starts bmv2 with a program, and with files of a folder for its ports, which it reads after so
    /// many seconds.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub(super) fn start_on_files(
        kind: &Kind,
        folder: &Path,
        program: &Path,
        wait: u64,
    ) -> Result<Self, PeerError> {
        let (address, thrift) = (free_address()?, free_address()?);
        let mut command = supervised(kind)?;
        command.current_dir(folder).args(kind.flags);
        command.args(["--use-files", &wait.to_string()]);
        for (port, interface) in PORTS {
            command.args(["-i", &format!("{port}@{interface}")]);
        }
        command.args(["--thrift-port", thrift.rsplit(':').next().unwrap_or("9090")]);
        command.arg(program);
        command.args(["--", "--grpc-server-addr", &address]);
        Self::spawn(kind, command, address)
    }

    fn spawn(kind: &Kind, mut command: Command, address: String) -> Result<Self, PeerError> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| PeerError::NotInstalled {
                program: kind.program.clone(),
                source,
            })?;
        Ok(Self {
            name: kind.name,
            child,
            address,
            election: 0,
        })
    }

    fn wait(&mut self) -> Result<(), PeerError> {
        let started = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(PeerError::Ended {
                    name: self.name,
                    status: status.to_string(),
                });
            }
            if started.elapsed() > START {
                return Err(PeerError::Silent { name: self.name });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Pushes a program, which empties all tables, and gives a client that may write.
    ///
    /// # Errors
    /// It refuses.
    pub(super) async fn push(
        &mut self,
        config: ForwardingPipelineConfig,
    ) -> Result<Client<Ready>, PeerError> {
        // Each client is newer than the one before, whose stream may still be there.
        self.election += 1;
        let client = Client::connect(&self.address, DEVICE_ID).await;
        let client = client.map_err(|error| self.control(&error))?;
        let client = client.primary("", ElectionId(self.election)).await;
        let client = client.map_err(|error| self.control(&error))?;
        let client = client.set_pipeline(config).await;
        client.map_err(|failed| self.control(&failed.source))
    }

    /// What it serves P4Runtime on.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The low half of the election id of the client that was made last; the high one is zero.
    pub(super) fn election(&self) -> u64 {
        u64::try_from(self.election).unwrap_or(u64::MAX)
    }

    /// Seconds that its process has had on a core.
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        if self.name == OURS {
            // Exact, but of threads that have not ended; ours do not.
            return self.seconds(None);
        }
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // Behind the name, which may have blanks: user and system time are fields 14 and 15.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
        let ticks: f64 = fields.next()?.parse().ok()?;
        let more: f64 = fields.next()?.parse().ok()?;
        Some((ticks + more) / TICKS)
    }

    /// Seconds that its thread of this name has had on a core.
    pub(super) fn thread_seconds(&self, name: &str) -> Option<f64> {
        self.seconds(Some(name))
    }

    fn seconds(&self, name: Option<&str>) -> Option<f64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let mut nanoseconds = 0_u64;
        for task in tasks {
            let path = task.ok()?.path();
            // The kernel keeps 15 bytes of a name.
            let is = |name: &str| {
                let own = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
                own.trim() == name.get(..15).unwrap_or(name)
            };
            if name.is_none_or(is) {
                let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
                nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a time")]
        let nanoseconds = nanoseconds as f64;
        Some(nanoseconds / 1e9)
    }

    /// The device that requests name.
    pub(super) fn device_id(&self) -> u64 {
        DEVICE_ID
    }

    /// Resident memory in bytes.
    pub(super) fn resident(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kilobytes * 1024)
    }

    fn control(&self, error: &dyn std::error::Error) -> PeerError {
        PeerError::Control {
            name: self.name,
            reason: offload_api::error_chain(error),
        }
    }
}

/// A switch that ends with the thread that starts it, whatever becomes of this process.
fn supervised(kind: &Kind) -> Result<Command, PeerError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["supervised", "--"]).arg(&kind.program);
    Ok(command)
}

impl Drop for Switch {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of the loopback interface that was free a moment ago.
fn free_address() -> std::io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.to_string())
}
