//! The program itself: settings, signals, a kill.

use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::rig::{Rig, Stream, expected};
use crate::{LONG, Test};

fn program(rig: &Rig) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host-agent"));
    command
        .args(rig.flags())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

type Checked = Result<(Option<i32>, String), std::io::Error>;

async fn check(rig: &Rig, words: &[&str]) -> Checked {
    finish(program(rig).arg("--check-config").args(words)).await
}

/// As another node; variables stand above flags.
async fn check_as(rig: &Rig, node: &str) -> Checked {
    finish(
        program(rig)
            .arg("--check-config")
            .env("MARGAY_HOST_NODE", node),
    )
    .await
}

async fn finish(command: &mut Command) -> Checked {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await?;
    assert_eq!(stdout, b"");
    Ok((status.code(), String::from_utf8_lossy(&stderr).into_owned()))
}

fn signal(child: &Child, signal: Signal) -> Test {
    let id = child.id().ok_or("the daemon is gone")?;
    kill(Pid::from_raw(i32::try_from(id)?), signal)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_and_certificates_are_checked() -> Test {
    let rig = Rig::new(&[]).await;
    let (code, text) = check(&rig, &[]).await?;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = check(&rig, &["--quiet-ms", "50"]).await?;
    assert_eq!(code, Some(2));
    assert!(
        text.contains("quiet-ms") && text.contains("latency-ms"),
        "{text}"
    );
    let (code, text) = check(&rig, &["--config", "/nowhere.toml"]).await?;
    assert_eq!(code, Some(2));
    assert!(text.contains("/nowhere.toml"), "{text}");
    let (code, text) = check(&rig, &["--frobnicate"]).await?;
    assert_eq!(code, Some(2));
    assert!(text.contains("--frobnicate"), "{text}");
    // The certificate was made by the first check, for node-a.
    let (code, text) = check_as(&rig, "node-b").await?;
    assert_eq!(code, Some(1));
    for part in ["host-agent.pem", "node-a", "node-b"] {
        assert!(text.contains(part), "{text}");
    }
    std::fs::write(rig.path("pki/host-agent-key.pem"), "nonsense")?;
    let (code, text) = check(&rig, &[]).await?;
    assert_eq!(code, Some(1));
    assert!(text.contains("host-agent-key.pem is broken"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_and_a_restart_write_nothing_and_sigterm_is_an_orderly_end() -> Test {
    let stream = Stream::recorded("tiers");
    let rig = Rig::new(&stream.ports()).await;
    let mut daemon = program(&rig).spawn()?;
    let felix = rig.felix(stream.bytes.clone());
    let want = expected(&stream, &rig).await;
    rig.holds(&want).await;
    let acks = rig.dpu.seen().borrow().acks.len();

    signal(&daemon, Signal::SIGKILL)?;
    timeout(LONG, daemon.wait()).await??;
    assert_eq!(rig.dpu.state(), want, "what is enforced stays");

    let mut daemon = program(&rig).spawn()?;
    rig.acked_after(acks).await;
    let again = rig.dpu.seen().borrow().acks[acks..].to_vec();
    assert!(again.iter().all(|ack| ack.written == 0), "{again:?}");

    signal(&daemon, Signal::SIGTERM)?;
    let status = timeout(LONG, daemon.wait()).await??;
    assert!(status.success(), "{status}");
    assert_eq!(rig.dpu.state(), want, "what is enforced stays");
    assert!(
        !rig.path("host-agent.sock").exists(),
        "the socket is tidied away"
    );
    drop(felix);
    Ok(())
}
