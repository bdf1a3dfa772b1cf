//! Two veth pairs round a switch, in a network that the bench made, and packets through them.
//!
//! The sender keeps a window of packets under way and reads off the far interface's own counter how
//! many came out, so that it goes as fast as the switch takes them and no faster: what is lost then is
//! lost by the switch. Nobody has to receive what comes out.

use std::fs;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, bind,
    sendmmsg, socket,
};

use super::BenchError;
use crate::lab::namespaces::cables;

/// The switch's ends.
pub(super) const PORTS: [(u16, &str); 2] = [(1, "sw1"), (2, "sw2")];
/// Our ends, in the same order.
const OURS: [&str; 2] = ["ours1", "ours2"];
/// Packets handed to the kernel in one call.
const BURST: usize = 32;
/// Packets that may be under way; some switches drop what exceeds 64 in a queue, others go faster
/// with more. The best that loses next to nothing counts.
const WINDOWS: [u64; 4] = [16, 48, 192, 768];
/// Share of packets that may be lost.
const LOSS: f64 = 0.005;
/// Without progress for this long, what is under way is lost: on a busy machine a switch may wait
/// that long for its turn.
const GIVE_UP: Duration = Duration::from_millis(200);

/// The wire.
#[derive(Debug)]
pub(super) struct Wire {
    socket: OwnedFd,
}

/// What a run over the wire saw.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Passed {
    /// Packets sent.
    pub(super) sent: u64,
    /// Packets that came out.
    pub(super) delivered: u64,
    /// Packets a second that came out.
    pub(super) rate: f64,
}

impl Wire {
    /// Makes the pairs. This process has to be in a network of its own.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) async fn build() -> Result<Self, BenchError> {
        cables(&[(PORTS[0].1, OURS[0]), (PORTS[1].1, OURS[1])]).await?;
        let step = |step| {
            move |source: nix::Error| BenchError::Wire {
                step,
                source: source.into(),
            }
        };
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            None::<SockProtocol>,
        )
        .map_err(step("opening a packet socket"))?;
        let address = link_address(OURS[0]).map_err(|source| BenchError::Wire {
            step: "finding an interface",
            source,
        })?;
        bind(socket.as_raw_fd(), &address).map_err(step("binding a packet socket"))?;
        Ok(Self { socket })
    }

    /// The best rate at which next to nothing is lost; where each window loses more, the best at all.
    ///
    /// # Errors
    /// The kernel refuses, or nothing comes out.
    pub(super) fn best(
        &self,
        name: &str,
        frames: &[Vec<u8>],
        each: Duration,
    ) -> Result<Passed, BenchError> {
        // Caches and queues fill.
        self.run(frames, WINDOWS[0], each / 4)?;
        let (mut best, mut lossy) = (Passed::default(), Passed::default());
        let mut sent = 0;
        for window in WINDOWS {
            let passed = self.run(frames, window, each)?;
            sent += passed.sent;
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let lost =
                passed.sent.saturating_sub(passed.delivered) as f64 / passed.sent.max(1) as f64;
            if passed.rate > lossy.rate {
                lossy = passed;
            }
            if lost <= LOSS && passed.rate > best.rate {
                best = passed;
            }
        }
        if best.delivered == 0 {
            best = lossy;
        }
        if best.delivered == 0 {
            return Err(BenchError::Silent {
                name: name.to_owned(),
                sent,
            });
        }
        Ok(best)
    }

    /// Sends for a time, with so many packets under way.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn run(
        &self,
        frames: &[Vec<u8>],
        window: u64,
        time: Duration,
    ) -> Result<Passed, BenchError> {
        let failed = |step| move |source: io::Error| BenchError::Wire { step, source };
        let mut headers = MultiHeaders::<()>::preallocate(BURST, None);
        let before = received().map_err(failed("reading the counters of an interface"))?;
        let began = Instant::now();
        let (mut sent, mut delivered, mut lost) = (0_u64, 0_u64, 0_u64);
        let mut moved = began;
        let mut at = 0;
        loop {
            let now = received().map_err(failed("reading the counters of an interface"))?;
            let now = now.saturating_sub(before);
            if now > delivered {
                delivered = now;
                moved = Instant::now();
            } else if moved.elapsed() > GIVE_UP {
                // What never came is not waited for again.
                lost = sent.saturating_sub(delivered);
                moved = Instant::now();
            }
            let under_way = sent.saturating_sub(delivered).saturating_sub(lost);
            if began.elapsed() >= time {
                if under_way == 0 || moved.elapsed() > GIVE_UP {
                    break;
                }
                continue;
            }
            let room = usize::try_from(window.saturating_sub(under_way))
                .unwrap_or(0)
                .min(BURST);
            if room == 0 {
                std::thread::yield_now();
                continue;
            }
            let slices: Vec<[IoSlice<'_>; 1]> = (0..room)
                .map(|step| [IoSlice::new(&frames[(at + step) % frames.len()])])
                .collect();
            let nobody = vec![None::<()>; room];
            let fd = self.socket.as_raw_fd();
            let done = sendmmsg(fd, &mut headers, &slices, &nobody, [], MsgFlags::empty());
            let done = done.map_err(|error| BenchError::Wire {
                step: "sending packets",
                source: error.into(),
            })?;
            let done = done.count();
            at = (at + done) % frames.len();
            sent += done as u64;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = delivered as f64 / moved.duration_since(began).as_secs_f64().max(1e-9);
        Ok(Passed {
            sent,
            delivered,
            rate,
        })
    }
}

/// Frames that came out at the far end so far.
fn received() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(OURS[1])?.strip_prefix(':'));
    let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    packets.ok_or_else(|| io::Error::other("the interface has no counters"))
}

fn link_address(name: &str) -> io::Result<LinkAddr> {
    let all = nix::ifaddrs::getifaddrs()?;
    let found = all
        .filter(|interface| interface.interface_name == name)
        .find_map(|interface| interface.address?.as_link_addr().copied());
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}
