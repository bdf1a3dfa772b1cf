//! The command line: that of `simple_switch_grpc`, and what is ours.

use std::{
    ffi::OsString,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
};

use clap::{Parser, ValueEnum};
use thiserror::Error;

use crate::{
    Config, Observe, PortInterface, StartProgram, Tls, TraceFormat,
    offline::{PortFile, Run},
};

/// A software switch for P4_16 programs of v1model, controlled by P4Runtime.
///
/// Takes the command line of bmv2's simple_switch_grpc: what it wants behind `--` may stand there
/// or not. `p4switch run` takes packets of capture files through a program without a server; see
/// `p4switch run --help`.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
#[command(name = "p4switch", version, long_about = None)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Arguments {
    /// Program to start with: the JSON that p4c-bm2-ss writes. Needed unless --no-p4 is given.
    #[arg(value_name = "JSON")]
    pub json: Option<PathBuf>,
    /// Start without a program and wait for a controller to push one.
    #[arg(long)]
    pub no_p4: bool,
    /// P4info of the program as binary protobuf (p4c-bm2-ss --p4runtime-files NAME.p4info.bin).
    /// Without it a controller has to push a pipeline before it can write.
    #[arg(long, value_name = "FILE")]
    pub p4info: Option<PathBuf>,
    /// Attach a network interface as a port. May be given many times.
    #[arg(short, long = "interface", value_name = "PORT@IFACE", value_parser = port_interface)]
    pub interface: Vec<PortInterface>,
    /// Number by which P4Runtime requests name this switch.
    #[arg(long, default_value_t = 0)]
    pub device_id: u64,
    /// Address of the P4Runtime server; port 0 picks a free one, which is printed.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9559")]
    pub grpc_server_addr: String,
    /// Serve TLS; takes --grpc-server-cert and --grpc-server-key.
    #[arg(long, requires_all = ["grpc_server_cert", "grpc_server_key"])]
    pub grpc_server_ssl: bool,
    /// Certificate authority (PEM) that client certificates are checked against.
    #[arg(long, value_name = "FILE", requires = "grpc_server_ssl")]
    pub grpc_server_cacert: Option<PathBuf>,
    /// Certificate chain of the server (PEM).
    #[arg(long, value_name = "FILE", requires = "grpc_server_ssl")]
    pub grpc_server_cert: Option<PathBuf>,
    /// Private key of the server (PEM).
    #[arg(long, value_name = "FILE", requires = "grpc_server_ssl")]
    pub grpc_server_key: Option<PathBuf>,
    /// Turn clients without a valid certificate away; takes --grpc-server-cacert.
    #[arg(long, requires = "grpc_server_cacert")]
    pub grpc_server_with_client_auth: bool,
    /// Port that stands for the controller (packet-in, packet-out). 0 is not a port for it.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub cpu_port: Option<u16>,
    /// Port that means drop.
    #[arg(long, value_name = "PORT", default_value_t = 511)]
    pub drop_port: u16,
    /// Unix stream socket for packet injection without interfaces.
    ///
    /// Little endian. Request: u32 length of what follows, u64 sequence, u16 port, frame. Reply:
    /// u32 length, u64 sequence, u16 count, then count times u16 port, u16 length, bytes.
    #[arg(long, value_name = "PATH")]
    pub packet_socket: Option<PathBuf>,
    /// Write captures of all ports: NAME_in.pcap and NAME_out.pcap for each. Without a directory,
    /// here.
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "."
    )]
    pub pcap: Option<PathBuf>,
    /// Print on stdout which way each packet goes and why.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    pub trace: Option<TraceFormat>,
    /// Print packets a second on stderr, once a second.
    #[arg(long)]
    pub stats: bool,
    /// How much to log.
    #[arg(short = 'L', long, value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
    /// Accepted for compatibility: logs go to stderr in any case.
    #[arg(long)]
    pub log_console: bool,
    /// Accepted for compatibility: this switch has no Thrift server.
    #[arg(long, value_name = "PORT")]
    pub thrift_port: Option<u16>,
    /// Accepted for compatibility: ports are not counted.
    #[arg(long, value_name = "N")]
    pub max_port_count: Option<u32>,
    /// Accepted for compatibility: this switch has no nanomsg sockets.
    #[arg(long, value_name = "ADDR")]
    pub notifications_addr: Option<String>,
    /// Accepted for compatibility: this switch has no nanomsg sockets.
    #[arg(long, value_name = "ADDR")]
    pub nanolog: Option<String>,
}

/// Levels of bmv2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
    /// Nothing.
    Off,
}

impl LogLevel {
    /// The filter for `tracing`.
    #[must_use]
    pub fn filter(self) -> tracing::level_filters::LevelFilter {
        use tracing::level_filters::LevelFilter;
        match self {
            Self::Trace => LevelFilter::TRACE,
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
            Self::Off => LevelFilter::OFF,
        }
    }
}

/// Why arguments make no configuration.
#[derive(Debug, Error)]
pub enum ArgumentError {
    /// Neither a program nor `--no-p4`.
    #[error(
        "Give a program (the JSON that p4c-bm2-ss writes), or --no-p4 to wait for a controller"
    )]
    NoProgram,
    /// Both a program and `--no-p4`.
    #[error("--no-p4 starts without a program, and {0} is one: leave one of them out")]
    BothPrograms(PathBuf),
    /// A p4info without its program.
    #[error("--p4info goes with a program, and there is none")]
    P4InfoAlone,
    /// A file cannot be read.
    #[error("File {path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The address cannot be understood.
    #[error("{address:?} is not an address to listen on, such as 127.0.0.1:9559")]
    Address {
        /// What was given.
        address: String,
    },
}

impl ArgumentError {
    /// Whether the command line itself is wrong, rather than something that it names.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::File { .. })
    }
}

/// Parses a command line, its name included; the first `--` is taken out.
///
/// # Errors
/// What clap says, help and version included.
pub fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<CommandLine, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    if arguments.get(1).is_some_and(|first| first == "run") {
        // The name in messages is that of both words.
        let mut words = arguments.into_iter().skip(2).collect::<Vec<_>>();
        words.insert(0, "p4switch run".into());
        return RunArguments::try_parse_from(words).map(CommandLine::Run);
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--") {
        arguments.remove(at);
    }
    Arguments::try_parse_from(arguments).map(|parsed| CommandLine::Serve(Box::new(parsed)))
}

/// Takes packets of capture files through a program, without a server.
///
/// Times are those of the packets. Exit code 0 if all packets went through.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
#[command(name = "run")]
pub struct RunArguments {
    /// Program: the JSON that p4c-bm2-ss writes.
    #[arg(value_name = "JSON")]
    pub json: PathBuf,
    /// Packets in (classic pcap, Ethernet). Without a port they come in by port 0; of several files
    /// they come in the order of their times.
    #[arg(long = "in", value_name = "[PORT@]FILE", required = true, value_parser = port_file)]
    pub inputs: Vec<PortFile>,
    /// Packets out. With a port, what leaves by it; without, everything.
    #[arg(long = "out", value_name = "[PORT@]FILE", value_parser = port_file)]
    pub outputs: Vec<PortFile>,
    /// Commands of bmv2's simple_switch_CLI to run first: table_add, table_set_default,
    /// mirroring_add, mirroring_add_mc, mc_mgrp_create, mc_node_create, mc_node_associate,
    /// register_write.
    #[arg(long, value_name = "FILE")]
    pub entries: Option<PathBuf>,
    /// Port that means drop.
    #[arg(long, value_name = "PORT", default_value_t = 511)]
    pub drop_port: u16,
    /// Print on stdout which way each packet goes and why.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    pub trace: Option<TraceFormat>,
    /// Print the packets a second on stderr at the end.
    #[arg(long)]
    pub stats: bool,
}

impl RunArguments {
    /// What is to be run.
    #[must_use]
    pub fn run(&self) -> Run {
        Run {
            program: self.json.clone(),
            entries: self.entries.clone(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            drop_port: self.drop_port,
            trace: self.trace,
        }
    }
}

/// A whole command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandLine {
    /// A switch with ports and a server.
    Serve(Box<Arguments>),
    /// `run`: files only.
    Run(RunArguments),
}

/// The command line as clap describes it, `run` included; for the manual.
#[must_use]
pub fn command() -> clap::Command {
    use clap::CommandFactory as _;
    Arguments::command().subcommand(RunArguments::command())
}

impl Arguments {
    /// What of the running switch is to be watched.
    #[must_use]
    pub fn observe(&self) -> Observe {
        Observe {
            pcap: self.pcap.clone(),
            trace: self.trace,
        }
    }

    /// Reads the files that the arguments name.
    ///
    /// # Errors
    /// If the arguments contradict each other or a file cannot be read.
    pub fn config(&self) -> Result<Config, ArgumentError> {
        let program = match (&self.json, self.no_p4) {
            (Some(path), true) => return Err(ArgumentError::BothPrograms(path.clone())),
            (None, false) => return Err(ArgumentError::NoProgram),
            (None, true) if self.p4info.is_some() => return Err(ArgumentError::P4InfoAlone),
            (None, true) => None,
            (Some(path), false) => Some(StartProgram {
                json: std::fs::read_to_string(path).map_err(|source| ArgumentError::File {
                    path: path.clone(),
                    source,
                })?,
                p4info: self.p4info.as_deref().map(read).transpose()?,
            }),
        };
        let tls = match (&self.grpc_server_cert, &self.grpc_server_key) {
            (Some(certificate), Some(key)) if self.grpc_server_ssl => Some(Tls {
                certificate: read(certificate)?,
                key: read(key)?,
                client_ca: self.grpc_server_cacert.as_deref().map(read).transpose()?,
                require_client_certificate: self.grpc_server_with_client_auth,
            }),
            _ => None,
        };
        Ok(Config {
            device_id: self.device_id,
            grpc_addr: address(&self.grpc_server_addr)?,
            tls,
            interfaces: self.interface.clone(),
            cpu_port: self.cpu_port,
            drop_port: self.drop_port,
            packet_socket: self.packet_socket.clone(),
            program,
        })
    }

    /// Flags that are taken and have no effect, with the reason.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        let mut flags = Vec::new();
        if self.thrift_port.is_some() {
            flags.push("--thrift-port (no Thrift server; use P4Runtime)");
        }
        if self.notifications_addr.is_some() || self.nanolog.is_some() {
            flags.push("--notifications-addr, --nanolog (no nanomsg)");
        }
        flags
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ArgumentError> {
    std::fs::read(path).map_err(|source| ArgumentError::File {
        path: path.to_owned(),
        source,
    })
}

fn address(given: &str) -> Result<SocketAddr, ArgumentError> {
    let mut found = given.to_socket_addrs().into_iter().flatten();
    found.next().ok_or_else(|| ArgumentError::Address {
        address: given.to_owned(),
    })
}

fn port_file(given: &str) -> Result<PortFile, String> {
    let numbered = given.split_once('@').and_then(|(port, path)| {
        let port = port.parse().ok()?;
        Some((port, path))
    });
    let (port, path) = match numbered {
        Some((port, path)) => (Some(port), path),
        None => (None, given),
    };
    if path.is_empty() {
        return Err("give [PORT@]FILE, such as 1@in.pcap".to_owned());
    }
    Ok(PortFile {
        port,
        path: path.into(),
    })
}

fn port_interface(given: &str) -> Result<PortInterface, String> {
    let parts = given
        .split_once('@')
        .filter(|(_, interface)| !interface.is_empty());
    let (port, interface) = parts.ok_or("give PORT@IFACE, such as 1@veth1")?;
    let port = port
        .parse()
        .map_err(|_| format!("{port:?} is not a port number"))?;
    Ok(PortInterface {
        port,
        interface: interface.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, ArgumentError> {
        let arguments = ["p4switch"].iter().chain(arguments);
        match parse(arguments).expect("arguments parse") {
            CommandLine::Serve(arguments) => arguments.config(),
            CommandLine::Run(_) => panic!("not a switch"),
        }
    }

    #[test]
    fn the_line_of_simple_switch_grpc_is_taken() {
        let line = [
            "--no-p4",
            "-i",
            "1@veth1",
            "-i",
            "2@veth2",
            "--device-id",
            "7",
            "--thrift-port",
            "9090",
            "--log-console",
            "-L",
            "warn",
            "--",
            "--grpc-server-addr",
            "127.0.0.1:0",
            "--cpu-port",
            "255",
            "--drop-port",
            "511",
        ];
        let config = config(&line).expect("config");
        assert_eq!(config.device_id, 7);
        assert_eq!(config.cpu_port, Some(255));
        assert_eq!(
            config.interfaces[1],
            PortInterface {
                port: 2,
                interface: "veth2".into()
            }
        );
        assert_eq!(config.grpc_addr, SocketAddr::from(([127, 0, 0, 1], 0)));
    }

    #[test]
    fn contradictions_are_named() {
        assert!(matches!(config(&[]), Err(ArgumentError::NoProgram)));
        assert!(matches!(
            config(&["a.json", "--no-p4"]),
            Err(ArgumentError::BothPrograms(_))
        ));
        assert!(matches!(
            config(&["--no-p4", "--p4info", "x"]),
            Err(ArgumentError::P4InfoAlone)
        ));
        let missing = config(&["/nowhere/a.json"]).expect_err("no such file");
        assert!(!missing.is_usage());
        assert_eq!(missing.to_string(), "File /nowhere/a.json cannot be read");
        let address = config(&["--no-p4", "--grpc-server-addr", "somewhere"]);
        assert!(matches!(address, Err(ArgumentError::Address { .. })));
    }

    #[test]
    fn run_is_a_command_of_its_own() {
        let line = [
            "p4switch",
            "run",
            "a.json",
            "--in",
            "3@a@b.pcap",
            "--in",
            "c.pcap",
        ];
        let CommandLine::Run(run) = parse(line).expect("parses") else {
            panic!("not a run")
        };
        let files: Vec<_> = run
            .inputs
            .iter()
            .map(|file| (file.port, &file.path))
            .collect();
        assert_eq!(
            files,
            [(Some(3), &"a@b.pcap".into()), (None, &"c.pcap".into())]
        );
        assert_eq!(run.trace, None);
        let traced = parse(["p4switch", "a.json", "--trace", "--pcap=dir"]).expect("parses");
        let CommandLine::Serve(arguments) = traced else {
            panic!("not a switch")
        };
        assert_eq!(arguments.trace, Some(TraceFormat::Text));
        assert_eq!(arguments.pcap, Some("dir".into()));
        assert!(parse(["p4switch", "run", "a.json"]).is_err(), "no packets");
    }

    #[test]
    fn wrong_values_are_refused() {
        for wrong in [
            &["-i", "veth1"][..],
            &["-i", "x@veth1"],
            &["-i", "1@"],
            &["--cpu-port", "0"],
            &["--grpc-server-ssl"],
            &["--no-such-flag"],
        ] {
            let arguments = ["p4switch"].iter().chain(wrong);
            assert_eq!(
                parse(arguments).expect_err("refused").exit_code(),
                2,
                "{wrong:?}"
            );
        }
    }
}
