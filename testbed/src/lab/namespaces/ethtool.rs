//! Switches an interface's checksum offload off, so that the frames which leave a namespace are
//! complete: the switch is user space and sees them as they are.
//!
//! Generic netlink by hand (`linux/genetlink.h`, `linux/ethtool_netlink.h`): two messages.

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    socket,
};

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const ETHTOOL_MSG_FEATURES_SET: u8 = 12;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const NLA_F_NESTED: u16 = 0x8000;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST_ACK: u16 = 5;

/// Switches transmit checksum offload of `interface` off, in the calling thread's namespace.
pub(super) fn complete_checksums(interface: &str) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    let ask = |kind: u16, command: u8, body: &[u8]| -> io::Result<Vec<u8>> {
        let request = message(kind, command, body);
        sendto(
            socket.as_raw_fd(),
            &request,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )?;
        let mut answer = vec![0; 16 << 10];
        let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        answer.truncate(length);
        refused(&answer).map_or(Ok(answer), Err)
    };
    let found = ask(
        GENL_ID_CTRL,
        CTRL_CMD_GETFAMILY,
        &attribute(CTRL_ATTR_FAMILY_NAME, b"ethtool\0"),
    )?;
    let family = find_u16(found.get(20..).unwrap_or(&[]), CTRL_ATTR_FAMILY_ID)
        .ok_or_else(|| io::Error::other("the kernel names no ethtool family"))?;
    // The acknowledgement of the first request is still to come.
    let mut rest = [0; 512];
    recv(socket.as_raw_fd(), &mut rest, MsgFlags::empty())?;

    let name = [interface.as_bytes(), &[0]].concat();
    let bit = attribute(ETHTOOL_A_BITSET_BIT_NAME, b"tx-checksum-ip-generic\0");
    let bits = nested(
        ETHTOOL_A_BITSET_BITS,
        &nested(ETHTOOL_A_BITSET_BITS_BIT, &bit),
    );
    let body = [
        nested(
            ETHTOOL_A_FEATURES_HEADER,
            &attribute(ETHTOOL_A_HEADER_DEV_NAME, &name),
        ),
        nested(ETHTOOL_A_FEATURES_WANTED, &bits),
    ]
    .concat();
    ask(family, ETHTOOL_MSG_FEATURES_SET, &body).map(|_| ())
}

fn message(kind: u16, command: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + body.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(20 + body.len());
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    out.extend(1u32.to_ne_bytes());
    out.extend(0u32.to_ne_bytes());
    out.extend([command, 1, 0, 0]);
    out.extend(body);
    out
}

fn attribute(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(8 + body.len());
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(body);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn nested(kind: u16, body: &[u8]) -> Vec<u8> {
    attribute(kind | NLA_F_NESTED, body)
}

fn refused(answer: &[u8]) -> Option<io::Error> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR && code != 0).then(|| Errno::from_raw(-code).into())
}

fn find_u16(mut attributes: &[u8], wanted: u16) -> Option<u16> {
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        if kind == wanted {
            return Some(u16::from_ne_bytes(attributes.get(4..6)?.try_into().ok()?));
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}
