//! The same member change through the kernel's own filters, in a network that the bench made: the
//! programs are started for each change, as Felix starts them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use policy_compiler::generate::Choices;
use policy_compiler::generate::shapes::Shape;
use policy_model::{Member, Update};

use super::super::report::{Report, progress};
use super::super::{Args, BenchError, Peer};
use super::clock::quantile;
use super::latency;
use crate::lab::namespaces::enter_private_network;

/// Changes in a round.
const CHANGES: usize = 200;

/// Measures the peers that are asked for.
pub(super) fn measure(args: &Args, report: &mut Report) -> Result<(), BenchError> {
    for (peer, kernel) in [(Peer::Nft, NFT), (Peer::Ipset, IPSET)] {
        if !args.against.contains(&peer) {
            continue;
        }
        if let Some(missing) = kernel.programs.iter().find(|name| !is_installed(name)) {
            report.skip(kernel.name, &format!("{missing} is not installed"));
            continue;
        }
        // A thread of its own, so that only its children are in that network.
        let times = std::thread::scope(|scope| {
            let thread = scope.spawn(|| kernel.run(args.rounds));
            thread
                .join()
                .map_err(|_| failed(kernel.name, "it panicked"))
        });
        match times? {
            Ok(rounds) => kernel.report(rounds, report),
            Err(BenchError::Lab(_)) => report.skip(
                kernel.name,
                "this user may not make a network of its own (root may)",
            ),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A filter of the kernel with the programs that change it.
#[derive(Clone, Copy)]
struct Kernel {
    name: &'static str,
    programs: &'static [&'static str],
    /// Command that takes changes on its standard input.
    command: &'static [&'static str],
    /// Writes a set with its members and a rule that uses it.
    set: fn(&mut String, &str, &[Member]),
    /// Commands on the command line once all sets are there; the set's name is appended.
    rule: &'static [&'static str],
    /// Writes one change.
    change: fn(&mut String, &str, &Member, bool),
    /// What comes before all sets.
    head: &'static str,
}

const NFT: Kernel = Kernel {
    name: "nftables",
    programs: &["nft"],
    command: &["nft", "-f", "-"],
    head: "add table ip calico\nadd chain ip calico filter\n",
    set: |text, name, members| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "add set ip calico {name} {{ type ipv4_addr; }}");
        let _ = write!(text, "add element ip calico {name} {{ ");
        for member in members {
            let _ = write!(text, "{}, ", bare(member));
        }
        let _ = writeln!(text, "}}");
        let _ = writeln!(text, "add rule ip calico filter ip saddr @{name} accept");
    },
    rule: &[],
    change: |text, name, member, come| {
        let verb = if come { "add" } else { "delete" };
        let _ = writeln!(
            text,
            "{verb} element ip calico {name} {{ {} }}",
            bare(member)
        );
    },
};

const IPSET: Kernel = Kernel {
    name: "ipset",
    programs: &["ipset", "iptables"],
    command: &["ipset", "restore"],
    head: "",
    set: |text, name, members| {
        let _ = writeln!(text, "create {name} hash:ip family inet maxelem 1048576");
        for member in members {
            let _ = writeln!(text, "add {name} {}", bare(member));
        }
    },
    rule: &[
        "iptables",
        "-A",
        "FORWARD",
        "-j",
        "ACCEPT",
        "-m",
        "set",
        "--match-set",
    ],
    change: |text, name, member, come| {
        let verb = if come { "add" } else { "del" };
        let _ = writeln!(text, "{verb} {name} {}", bare(member));
    },
};

impl Kernel {
    fn run(&self, rounds: u32) -> Result<Vec<Vec<Duration>>, BenchError> {
        enter_private_network()?;
        progress(&format!("{}: filling its sets", self.name));
        let shape = Shape::rows(1);
        let mut text = self.head.to_owned();
        let mut names = Vec::new();
        shape.each(|update| {
            if let Update::IpSet { members, .. } = update {
                let name = format!("cali40s-{:05}", names.len());
                (self.set)(&mut text, &name, &members);
                names.push((name, members));
            }
        });
        self.feed(&text)?;
        if let Some((name, _)) = names.first()
            && let Some((program, arguments)) = self.rule.split_first()
        {
            let mut rule = Command::new(program);
            rule.args(arguments).args([name.as_str(), "src"]);
            let done = rule.output()?;
            if !done.status.success() {
                let said = String::from_utf8_lossy(&done.stderr).into_owned();
                return Err(failed(self.name, &said));
            }
        }
        let mut choices = Choices::new(17);
        let mut all = Vec::new();
        for _ in 0..rounds {
            let mut times = Vec::with_capacity(CHANGES);
            while times.len() < CHANGES {
                // The rule that uses it is on the first one.
                let Some((name, members)) = names.first() else {
                    break;
                };
                let Some(member) = choices.pick(members) else {
                    break;
                };
                for come in [false, true] {
                    let mut text = String::new();
                    (self.change)(&mut text, name, member, come);
                    let began = Instant::now();
                    self.feed(&text)?;
                    times.push(began.elapsed());
                }
            }
            all.push(times);
        }
        Ok(all)
    }

    fn feed(&self, text: &str) -> Result<(), BenchError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Ok(());
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        let done = child.wait_with_output()?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let said: String = said.chars().take(300).collect();
        Err(failed(self.name, &said))
    }

    fn report(&self, rounds: Vec<Vec<Duration>>, report: &mut Report) {
        for (which, share) in [("p50", 0.5), ("p99", 0.99)] {
            let figure = format!("member change, {}, {which}", self.name);
            for times in &rounds {
                let time = quantile(&mut times.clone(), share);
                report.sample(&figure, "ms", time.as_secs_f64() * 1e3);
            }
            let ours = report.lowest(&latency::name("member change", which, 1));
            if let (Some(theirs), Some(ours)) = (report.lowest(&figure), ours) {
                let name = format!("member change, {which}: {} to ours", self.name);
                report.sample(&name, "times", theirs / ours);
            }
        }
    }
}

fn bare(member: &Member) -> String {
    match member {
        Member::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        other => other.to_string(),
    }
}

fn is_installed(program: &str) -> bool {
    let mut ask = Command::new(program);
    ask.arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    ask.status().is_ok()
}

fn failed(what: &'static str, reason: &str) -> BenchError {
    BenchError::Part {
        what,
        reason: reason.trim().to_owned(),
    }
}
