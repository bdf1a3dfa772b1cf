//! Kills parts of the chain while packets flow, and says what that did to them.

use std::io::{self, Write};
use std::time::Duration;

use policy_model::{Flow, L4, Protocol};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::DemoError;
use super::chain::Chain;
use super::plan::{Case, Plan};
use crate::lab::{Lab, Probe, Traffic};

/// What may be killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Victim {
    /// The daemon on the host.
    HostAgent,
    /// The daemon on the DPU.
    DpuAgent,
    /// The driver that Felix started.
    Relay,
    /// The target itself.
    P4switch,
    /// Each of them, one after the other.
    All,
}

impl Victim {
    pub(super) const EACH: [Self; 4] =
        [Self::Relay, Self::HostAgent, Self::DpuAgent, Self::P4switch];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HostAgent => "host-agent",
            Self::DpuAgent => "dpu-agent",
            Self::Relay => "felix-bridge",
            Self::P4switch => "p4switch",
            Self::All => "all",
        }
    }

    /// Of the connections that flow while it is killed.
    fn first_port(self) -> u16 {
        let place = match self {
            Self::HostAgent | Self::All => 0,
            Self::DpuAgent => 1,
            Self::Relay => 2,
            Self::P4switch => 3,
        };
        FIRST_PORT + place * 2 * DENIED_PORTS
    }
}

/// Traffic before the kill, while the victim is away, and after all is whole again.
const AROUND: Duration = Duration::from_millis(250);
/// Fresh connections of each protocol, allowed and denied, that the traffic deals with in turn.
const CONNECTIONS: usize = DENIED_PORTS as usize;

/// What a kill did.
#[derive(Debug, Serialize)]
pub(super) struct KillReport {
    /// Who was killed.
    pub(super) killed: &'static str,
    /// Nothing was lost, nothing leaked, nothing was written that was there.
    pub(super) ok: bool,
    /// Packets of allowed flows sent meanwhile.
    pub(super) allowed_sent: u64,
    /// Of those, packets that did not come out.
    pub(super) allowed_lost: u64,
    /// Of those sent, TCP.
    pub(super) allowed_tcp: u64,
    /// Packets of denied flows sent meanwhile.
    pub(super) denied_sent: u64,
    /// Of those, packets that came out.
    pub(super) denied_leaked: u64,
    /// Of those sent, TCP.
    pub(super) denied_tcp: u64,
    /// Writes that the target saw from the kill until all was whole again.
    pub(super) writes: u64,
    /// Entries before and after.
    pub(super) entries: (usize, usize),
    /// Entries that are not the same ones as before.
    pub(super) changed: usize,
    /// From the start of the new process until the chain was whole, in milliseconds.
    pub(super) whole_after_ms: f64,
    /// Flows tried again afterwards, and how many of them differed.
    pub(super) tried_again: (usize, usize),
}

impl KillReport {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let word = if self.ok { "ok" } else { "NOT OK" };
        write!(out, "\n{} killed: {word}. ", self.killed)?;
        if self.allowed_sent + self.denied_sent > 0 {
            write!(
                out,
                "{} packets of allowed flows ({} TCP), {} lost; {} of denied flows ({} TCP), {} let \
                 through; {} entries written again. ",
                self.allowed_sent,
                self.allowed_tcp,
                self.allowed_lost,
                self.denied_sent,
                self.denied_tcp,
                self.denied_leaked,
                self.writes,
            )?;
        }
        writeln!(
            out,
            "Whole again after {:.0} ms: {} entries before, {} after, {} differ; {} flows tried \
             again, {} differ",
            self.whole_after_ms,
            self.entries.0,
            self.entries.1,
            self.changed,
            self.tried_again.0,
            self.tried_again.1,
        )
    }
}

/// Kills one part and brings it back.
pub(super) async fn kill(
    victim: Victim,
    chain: &mut Chain,
    lab: &mut Lab,
    plan: &Plan,
) -> Result<KillReport, DemoError> {
    let before = chain.device().await?.entries().await?;
    let written = chain.writes().await?;
    let (traffic, whole_after) = if victim == Victim::P4switch {
        (Traffic::default(), chain.restart(victim).await?)
    } else {
        let (allowed, denied) = connections(plan, victim);
        let (stop, stopped) = oneshot::channel();
        let mut drops = chain.device().await?;
        let (traffic, whole_after) =
            tokio::join!(lab.traffic(&allowed, &denied, stopped, &mut drops), async {
                sleep(AROUND).await;
                let whole_after = chain.restart(victim).await;
                sleep(AROUND).await;
                // The traffic may have ended by itself, with an error that it tells.
                let _ = stop.send(());
                whole_after
            });
        (traffic?, whole_after?)
    };
    let after = chain.device().await?.entries().await?;
    let writes = match victim {
        // Its count begins anew with it.
        Victim::DpuAgent => chain.writes().await?,
        _ => chain.writes().await?.saturating_sub(written),
    };
    let tried_again = try_again(chain, lab, plan).await?;
    let changed = before.symmetric_difference(&after).count();
    let quiet = victim == Victim::P4switch || writes == 0;
    Ok(KillReport {
        killed: victim.name(),
        ok: quiet
            && changed == 0
            && traffic.allowed_lost == 0
            && traffic.denied_leaked == 0
            && tried_again.1 == 0,
        allowed_sent: traffic.allowed_sent,
        allowed_lost: traffic.allowed_lost,
        allowed_tcp: traffic.allowed_tcp,
        denied_sent: traffic.denied_sent,
        denied_leaked: traffic.denied_leaked,
        denied_tcp: traffic.denied_tcp,
        writes,
        entries: (before.len(), after.len()),
        changed,
        whole_after_ms: whole_after.as_secs_f64() * 1e3,
        tried_again,
    })
}

/// UDP and TCP connections that nobody has used before, in turn: allowed ones and denied ones.
fn connections(plan: &Plan, victim: Victim) -> (Vec<Probe>, Vec<Probe>) {
    let Some(stage) = plan.stages.last() else {
        return (Vec::new(), Vec::new());
    };
    let of = |allow: bool, protocol: Protocol, first: u16| {
        let wanted =
            |case: &&Case| case.probe.flow.protocol == protocol && case.verdict.allow == allow;
        let cases: Vec<&Case> = stage.cases.iter().filter(wanted).collect();
        let numbered = cases.into_iter().cycle().take(CONNECTIONS).zip(first..);
        numbered
            .map(|(case, port)| with_source_port(&case.probe, port))
            .collect::<Vec<Probe>>()
    };
    let both = |allow: bool, first: u16| {
        let udp = of(allow, Protocol::UDP, first);
        let tcp = of(allow, Protocol::TCP, first);
        let longest = udp.len().max(tcp.len());
        let (mut udp, mut tcp) = (udp.into_iter(), tcp.into_iter());
        (0..longest)
            .flat_map(|_| [udp.next(), tcp.next()])
            .flatten()
            .collect()
    };
    let first = victim.first_port();
    (both(true, first), both(false, first + DENIED_PORTS))
}

/// Below the range of the plan's own flows; each victim's are apart from those of the others.
const FIRST_PORT: u16 = 20_000;
/// Denied connections are apart from allowed ones.
const DENIED_PORTS: u16 = 512;

fn with_source_port(probe: &Probe, port: u16) -> Probe {
    let l4 = match probe.flow.l4 {
        L4::Ports { dst, .. } => L4::Ports { src: port, dst },
        other => other,
    };
    Probe {
        flow: Flow { l4, ..probe.flow },
        ..probe.clone()
    }
}

/// The last stage's TCP flows and pings once more: those are judged by policy every time.
async fn try_again(
    chain: &mut Chain,
    lab: &mut Lab,
    plan: &Plan,
) -> Result<(usize, usize), DemoError> {
    let Some(stage) = plan.stages.last() else {
        return Ok((0, 0));
    };
    let again: Vec<&Case> = stage
        .cases
        .iter()
        .filter(|case| case.probe.flow.protocol == Protocol::TCP)
        .collect();
    let probes: Vec<Probe> = again.iter().map(|case| case.probe.clone()).collect();
    let mut drops = chain.device().await?;
    lab.calibrate(&mut drops).await?;
    let outcomes = lab.run(&probes, &mut drops).await?;
    let differ = again
        .iter()
        .zip(outcomes)
        .filter(|(case, outcome)| !super::report::agrees(case, *outcome))
        .count();
    Ok((again.len(), differ))
}
