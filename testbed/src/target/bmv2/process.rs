//! The switch as a child process.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::target::TargetError;

/// Time that it may take to listen.
const START: Duration = Duration::from_secs(20);

/// Ends with this value.
pub(super) struct Process {
    child: std::cell::RefCell<Child>,
    /// Where it serves P4Runtime.
    pub(super) control: String,
    /// Where it serves packets.
    pub(super) packets: String,
}

impl Process {
    /// Starts it, with a program or to wait for one.
    ///
    /// # Errors
    /// The program cannot be run.
    pub(super) fn start(
        program: &str,
        device_id: u64,
        json: Option<&Path>,
    ) -> Result<Self, TargetError> {
        let (control, packets) = (free_address()?, free_address()?);
        // Two switches with one Thrift port: the later one ends after it has begun to listen.
        let thrift = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new(program);
        match json {
            Some(json) => command.arg(json),
            None => command.arg("--no-p4"),
        };
        let child = command
            .args(["--log-level", "off"])
            .args(["--device-id", &device_id.to_string()])
            .args(["--thrift-port", &thrift.to_string()])
            .arg("--notifications-addr")
            .arg(format!(
                "ipc:///tmp/margay-{}-notifications.ipc",
                std::process::id()
            ))
            .args(["--", "--grpc-server-addr", &control])
            .args(["--dp-grpc-server-addr", &packets])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| TargetError::NotInstalled {
                program: program.to_owned(),
                source,
            })?;
        Ok(Self {
            child: child.into(),
            control,
            packets,
        })
    }

    /// Returns when both servers accept connections.
    ///
    /// # Errors
    /// It ended, or does not listen in time.
    pub(super) fn wait_until_it_answers(&self) -> Result<(), TargetError> {
        let started = Instant::now();
        for address in [&self.control, &self.packets] {
            while TcpStream::connect(address).is_err() {
                if let Some(status) = self.child.borrow_mut().try_wait()? {
                    return Err(TargetError::Ended {
                        status: status.to_string(),
                    });
                }
                if started.elapsed() > START {
                    return Err(TargetError::Silent { deadline: START });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.borrow_mut();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// An address of the loopback interface that was free a moment ago.
fn free_address() -> Result<String, TargetError> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .to_string())
}
