//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Shows what the host agent and its DPU are doing, and why packets pass or do not.
#[derive(Parser, Debug)]
#[command(name = "offloadctl", version)]
pub(crate) struct Arguments {
    /// Socket of the host agent.
    ///
    /// The path that host-agent's `socket` setting has. Only the user that runs host-agent may
    /// use it.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "MARGAY_HOST_SOCKET",
        default_value = "/run/margay/host-agent.sock"
    )]
    pub(crate) socket: PathBuf,

    /// How to print: `table` for people, `json` for programs.
    ///
    /// With `json`, standard output has one document (`watch`: one a line) and nothing else.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,

    /// What to show.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// The state of the chain: Felix, host agent, DPU, target.
    Status,
    /// Local workload endpoints: port, addresses, what is enforced, and why not.
    Endpoints,
    /// Policies and profiles: what their rules counted, and what is not enforced exactly.
    Policy {
        /// Only policies whose name contains this.
        name: Option<String>,
        /// One line for each rule.
        #[arg(long)]
        rules: bool,
    },
    /// Tables and how full they are, or the entries of one.
    Tables {
        /// A table, by name.
        table: Option<String>,
        /// What the table should hold, instead of what the target holds.
        #[arg(long)]
        desired: bool,
    },
    /// Says what happens to the first packet of a flow, which rule decides, and which rows it hits.
    ///
    /// Follows the compiled rows table by table; the counter is the verdict row's, read from the
    /// target now. Exits with 1 if the rows would decide otherwise than Calico's semantics, or by
    /// another rule.
    Explain(Explain),
    /// Compares, table by table, what Felix said (compiled afresh), what the host agent wants, what the
    /// DPU agent was told, and what the target holds. Exits with 1 if they differ.
    Diff {
        /// Differing rows of each table that are shown, 500 at most.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Compares what the target holds with what it should hold. Exits with 1 if they differ.
    Drift,
    /// What was dropped, by reason.
    Counters,
    /// Has the DPU forget all connections, for instance those that a rule allowed which is gone.
    ///
    /// Replies count as first packets then: where policy does not allow them by themselves, they are
    /// dropped until the other side speaks again. So it takes --yes.
    FlushConnections {
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// The state of the chain, again after each change.
    Watch,
    /// Issues certificates of the development authority, for agents on other machines.
    Pki(Pki),
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Source address.
    #[arg(value_name = "SRC")]
    pub(crate) source: String,
    /// Destination address.
    #[arg(value_name = "DST")]
    pub(crate) destination: String,
    /// Protocol: tcp, udp, sctp, icmp, icmpv6, udplite, or a number.
    #[arg(value_name = "PROTO")]
    pub(crate) protocol: String,
    /// Destination port; for ICMP the type, or type/code.
    #[arg(value_name = "PORT")]
    pub(crate) port: Option<String>,
    /// Source port.
    #[arg(long, default_value_t = 40000)]
    pub(crate) source_port: u16,
    /// ICMP type, instead of PORT.
    #[arg(long, value_name = "TYPE", conflicts_with = "port")]
    pub(crate) icmp_type: Option<u8>,
    /// ICMP code.
    #[arg(long, value_name = "CODE", requires = "icmp_type")]
    pub(crate) icmp_code: Option<u8>,
}

#[derive(Args, Debug)]
pub(crate) struct Pki {
    /// Directory with ca.pem and ca-key.pem; made if there is none.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Issue host-agent.pem for the host agent of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) host_agent: Option<String>,
    /// Issue dpu-agent.pem for the DPU agent of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) dpu_agent: Option<String>,
}
