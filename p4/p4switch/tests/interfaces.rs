//! Real kernels talk through the switch: two network namespaces, veth pairs with the offloads that
//! they have by default, and a program that is a wire.
//!
//! The namespaces belong to threads of this process; nothing outside of it is touched. Without root
//! or `ip` the tests print SKIP.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests"
)]

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
    sync::mpsc::{Sender, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{geteuid, gettid},
};
use p4switch::{Config, Handle, PortInterface, StartProgram, Switch};

/// How long anything may take that should take moments.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of one TCP stream.
const STREAM: usize = 24 << 20;

/// Runs `ip` in the namespace of this thread.
fn ip(line: &str) {
    let status = Command::new("ip")
        .args(line.split(' '))
        .status()
        .expect("ip runs");
    assert!(status.success(), "ip {line}");
}

type Task = Box<dyn FnOnce() + Send>;

/// A thread with a network namespace of its own.
struct Host {
    namespace: String,
    tasks: Sender<Task>,
}

impl Host {
    fn new() -> Self {
        let (tasks, inbox) = channel::<Task>();
        let (ready, is_ready) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            let (process, task) = (std::process::id(), gettid());
            ready
                .send(format!("/proc/{process}/task/{task}/ns/net"))
                .expect("told");
            for task in inbox {
                task();
            }
        });
        Self {
            namespace: is_ready.recv().expect("the thread runs"),
            tasks,
        }
    }

    /// Runs a task in the namespace, without waiting for its end.
    fn start<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> std::sync::mpsc::Receiver<T> {
        let (done, outcome) = channel();
        // Who does not wait for the outcome does not want it.
        let task = move || drop(done.send(task()));
        self.tasks.send(Box::new(task)).expect("the thread runs");
        outcome
    }

    /// Runs a task in the namespace.
    fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        self.start(task)
            .recv_timeout(PATIENCE * 4)
            .expect("the task ends well")
    }
}

/// Connects port `port` of the switch (this namespace) to a host.
fn plug(host: &Host, port: u16) {
    ip(&format!(
        "link add port{port} type veth peer name eth0 netns {}",
        host.namespace
    ));
    ip(&format!("link set port{port} up"));
    host.run(move || {
        ip("link set lo up");
        ip(&format!("addr add 10.0.0.{port}/24 dev eth0"));
        ip(&format!("addr add fd00::{port}/64 dev eth0 nodad"));
        ip("link set eth0 up");
    });
}

/// Adds a VLAN to a host; false if the kernel has none.
fn tag(host: &Host, port: u16) -> bool {
    host.run(move || {
        let line = "link add link eth0 name tagged type vlan id 7";
        let made = Command::new("ip")
            .args(line.split(' '))
            .output()
            .expect("ip runs");
        if made.status.success() {
            ip(&format!("addr add 10.0.7.{port}/24 dev tagged"));
            ip("link set tagged up");
        }
        made.status.success()
    })
}

fn start() -> Handle {
    let interfaces = [1, 2].map(|port| PortInterface {
        port,
        interface: format!("port{port}"),
    });
    let program = StartProgram {
        json: include_str!("programs/wire.json").to_owned(),
        p4info: Some(include_bytes!("programs/wire.p4info.bin").to_vec()),
    };
    let config = Config {
        interfaces: interfaces.to_vec(),
        program: Some(program),
        ..Config::default()
    };
    Switch::start(config).expect("the switch starts")
}

/// The bytes that a stream carries: no two parts of it are the same.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn connect(to: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect_timeout(&to, Duration::from_secs(2)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
                stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
                return stream;
            }
            Err(error) => assert!(Instant::now() < deadline, "no connection to {to}: {error}"),
        }
    }
}

/// Sends a stream from one host to the other and back, through two kernels and the switch.
fn tcp(from: &Host, to: &Host, address: &str, length: usize) {
    let address: IpAddr = address.parse().expect("an address");
    let (bound, is_bound) = channel();
    let echo = to.start(move || {
        let listener = TcpListener::bind((address, 0)).expect("bound");
        bound
            .send(listener.local_addr().expect("address"))
            .expect("told");
        let (mut stream, _) = listener.accept().expect("accepted");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("received");
        stream.write_all(&all).expect("sent back");
        all.len()
    });
    let at = is_bound.recv_timeout(PATIENCE).expect("bound");
    from.run(move || {
        let mut stream = connect(at);
        let sent = pattern(length);
        stream.write_all(&sent).expect("sent");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("half closed");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).expect("received back");
        assert!(back == sent, "{} bytes came back changed", back.len());
    });
    assert_eq!(echo.recv_timeout(PATIENCE).expect("the echo ends"), length);
}

/// Sends datagrams until one comes back; UDP may lose the first to address resolution.
fn udp(from: &Host, to: &Host, address: &str, length: usize) {
    let address: IpAddr = address.parse().expect("an address");
    let (bound, is_bound) = channel();
    let echo = to.start(move || {
        let socket = UdpSocket::bind((address, 0)).expect("bound");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        bound
            .send(socket.local_addr().expect("address"))
            .expect("told");
        let mut datagram = vec![0; 65536];
        let (length, sender) = socket.recv_from(&mut datagram).expect("received");
        socket
            .send_to(&datagram[..length], sender)
            .expect("sent back");
    });
    let at = is_bound.recv_timeout(PATIENCE).expect("bound");
    from.run(move || {
        let any = if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).expect("bound");
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .expect("timeout");
        let sent = pattern(length);
        let mut back = vec![0; 65536];
        let deadline = Instant::now() + PATIENCE;
        loop {
            socket.send_to(&sent, at).expect("sent");
            match socket.recv_from(&mut back) {
                Ok((length, _)) => {
                    assert!(back[..length] == sent, "a datagram came back changed");
                    return;
                }
                Err(error) => {
                    let waited =
                        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    assert!(waited && Instant::now() < deadline, "no datagram: {error}");
                }
            }
        }
    });
    echo.recv_timeout(PATIENCE).expect("the echo ends");
}

/// One SCTP association with some data each way; false if the kernel has no SCTP.
fn sctp(from: &Host, to: &Host) -> bool {
    use socket2::{Domain, Protocol, SockAddr, Socket, Type};
    let (bound, is_bound) = channel();
    let echo = to.start(move || {
        let made = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(132)));
        let Ok(socket) = made else {
            return bound.send(None).expect("told");
        };
        let address: SocketAddr = "10.0.0.2:7777".parse().expect("an address");
        socket.bind(&SockAddr::from(address)).expect("bound");
        socket.listen(1).expect("listening");
        bound.send(Some(address)).expect("told");
        let (mut peer, _) = socket.accept().expect("accepted");
        peer.set_read_timeout(Some(PATIENCE)).expect("timeout");
        let mut text = [0; 64];
        let length = peer.read(&mut text).expect("received");
        peer.write_all(&text[..length]).expect("sent back");
        // Wait for the other side, so that the data is not cut off by the end.
        let _ = peer.read(&mut text);
    });
    let Some(address) = is_bound.recv_timeout(PATIENCE).expect("told") else {
        return false;
    };
    from.run(move || {
        let mut socket =
            Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(132))).expect("a socket");
        socket
            .connect(&SockAddr::from(address))
            .expect("an association");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        socket.write_all(b"four way handshake").expect("sent");
        let mut text = [0; 64];
        let length = socket.read(&mut text).expect("received back");
        assert_eq!(&text[..length], b"four way handshake");
    });
    echo.recv_timeout(PATIENCE).expect("the echo ends");
    true
}

/// Whether namespaces can be made; prints SKIP if not.
fn privileged(test: &str) -> bool {
    let has_ip = Command::new("ip")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    let may = geteuid().is_root()
        && thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET).is_ok())
            .join()
            .unwrap_or(false);
    if !has_ip || !may {
        println!("SKIP {test}: it takes root and the program ip");
    }
    has_ip && may
}

/// Runs a test in a namespace of its own, where the ports of the switch are.
fn in_namespace(test: fn()) {
    let outcome = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        test();
    })
    .join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn kernels_talk_through_the_switch() {
    if !privileged("kernels_talk_through_the_switch") {
        return;
    }
    in_namespace(|| {
        let (left, right) = (Host::new(), Host::new());
        plug(&left, 1);
        plug(&right, 2);
        let switch = start();
        tcp(&left, &right, "10.0.0.2", STREAM);
        tcp(&right, &left, "fd00::1", STREAM);
        if tag(&left, 1) && tag(&right, 2) {
            tcp(&left, &right, "10.0.7.2", STREAM / 4);
        } else {
            println!("SKIP vlan: the kernel has no VLAN devices");
        }
        udp(&left, &right, "10.0.0.2", 1400);
        udp(&left, &right, "fd00::2", 1);
        // Fragments.
        udp(&right, &left, "10.0.0.1", 9000);
        if !sctp(&left, &right) {
            println!("SKIP sctp: the kernel has none");
        }
        // Every frame that came in went out; the two are counted one after the other.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = switch.stats();
            if stats.received > 0 && stats.received == stats.sent + stats.not_sent {
                break;
            }
            assert!(Instant::now() < deadline, "{stats:?}");
            thread::yield_now();
        }
        switch.shutdown();
    });
}

#[test]
fn interfaces_may_go_down_and_vanish() {
    if !privileged("interfaces_may_go_down_and_vanish") {
        return;
    }
    in_namespace(|| {
        let (left, right) = (Host::new(), Host::new());
        plug(&left, 1);
        plug(&right, 2);
        let switch = start();
        tcp(&left, &right, "10.0.0.2", 1000);
        ip("link set port2 down");
        // Packets for it are lost and nothing else happens.
        let lost = switch.stats().not_sent;
        left.run(|| {
            let socket = UdpSocket::bind("10.0.0.1:0").expect("bound");
            socket.set_broadcast(true).expect("broadcast");
            socket.send_to(b"lost", "10.0.0.255:9").expect("sent");
        });
        let deadline = Instant::now() + PATIENCE;
        while switch.stats().not_sent == lost {
            assert!(Instant::now() < deadline, "the frame went somewhere");
            thread::yield_now();
        }
        ip("link set port2 up");
        tcp(&left, &right, "10.0.0.2", 100_000);
        // Gone with its peer, and back as another interface of the same name.
        ip("link del port2");
        let third = Host::new();
        plug(&third, 2);
        // The new peer has another address, and the old one would be tried for half a minute.
        left.run(|| ip("neigh flush dev eth0"));
        tcp(&left, &third, "10.0.0.2", 100_000);
        switch.shutdown();
    });
}

#[test]
fn a_missing_interface_is_named() {
    let config = Config {
        interfaces: vec![PortInterface {
            port: 1,
            interface: "nowhere0".into(),
        }],
        ..Config::default()
    };
    let error = Switch::start(config).expect_err("there is no such interface");
    let cause = std::error::Error::source(&error)
        .expect("a cause")
        .to_string();
    assert_eq!(
        cause,
        "There is no network interface nowhere0; `ip link` lists them"
    );
}

#[test]
fn a_port_is_taken_once() {
    for (port, cpu_port) in [(7, None), (9, Some(9)), (511, None)] {
        let interface = |name: &str| PortInterface {
            port,
            interface: name.into(),
        };
        let config = Config {
            interfaces: vec![interface("lo"), interface("lo")],
            cpu_port,
            ..Config::default()
        };
        let error = Switch::start(config).expect_err("taken twice");
        assert_eq!(error.to_string(), format!("Port {port} is taken twice"));
    }
}
