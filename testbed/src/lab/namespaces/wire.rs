//! Veth pairs, addresses and routes, as Calico shapes a pod's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures::TryStreamExt;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkMessage};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::runtime;

use super::super::topology::{GATEWAY_V4, GATEWAY_V6};
use super::super::{LabError, Pod, Uplink};
use super::ethtool;
use super::namespace::{Namespace, set_here};

/// The node's side of all pairs: this process's own namespace.
#[derive(Debug)]
pub(super) struct Host {
    handle: Handle,
}

const QUIET: &[(&str, &str)] = &[
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/all/disable_ipv6", "0"),
    ("ipv6/conf/default/disable_ipv6", "0"),
];

/// The node's kernel takes no part: frames belong to the switch alone.
const DEAF: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "0"),
    ("ipv6/conf/all/forwarding", "0"),
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("ipv4/conf/default/arp_ignore", "8"),
];

impl Host {
    pub(super) async fn open() -> Result<Self, LabError> {
        let place = "node";
        set_here(DEAF).map_err(|source| LabError::Kernel {
            step: "setting kernel parameters",
            place: place.to_owned(),
            source,
        })?;
        let handle = connect().map_err(|source| LabError::Kernel {
            step: "opening rtnetlink",
            place: place.to_owned(),
            source,
        })?;
        let lo = index(&handle, place, "lo").await?;
        up(&handle, place, lo).await?;
        Ok(Self { handle })
    }

    /// A pod: its address as a host route, everything through the gateway that the pipeline plays.
    pub(super) async fn pod(&self, namespace: &Namespace, pod: &Pod) -> Result<(), LabError> {
        namespace.set(QUIET)?;
        self.pair(namespace, &pod.interface, pod.mac, None).await?;
        let inside = Inside::open(namespace).await?;
        for addr in &pod.addresses {
            inside.address(*addr).await?;
        }
        let gateway = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(GATEWAY_V4, 32)
            .output_interface(inside.eth0)
            .scope(RouteScope::Link)
            .build();
        inside.route("a route to the gateway", gateway).await?;
        let default = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(GATEWAY_V4)
            .output_interface(inside.eth0)
            .build();
        inside.route("a default route", default).await?;
        if pod.addresses.iter().any(IpAddr::is_ipv6) {
            let default = RouteMessageBuilder::<Ipv6Addr>::new()
                .gateway(GATEWAY_V6)
                .output_interface(inside.eth0)
                .build();
            inside.route("a default route", default).await?;
        }
        Ok(())
    }

    /// Everything beyond the uplink: many addresses on one interface, the node as their gateway.
    pub(super) async fn network(
        &self,
        namespace: &Namespace,
        uplink: &Uplink,
    ) -> Result<(), LabError> {
        namespace.set(QUIET)?;
        self.pair(
            namespace,
            &uplink.interface,
            uplink.next_hop_mac,
            Some(uplink.mac),
        )
        .await?;
        let inside = Inside::open(namespace).await?;
        for addr in &uplink.remote {
            inside.address(*addr).await?;
        }
        for node in &uplink.node {
            match node {
                IpAddr::V4(node) => {
                    let route = RouteMessageBuilder::<Ipv4Addr>::new()
                        .gateway(*node)
                        .output_interface(inside.eth0)
                        .onlink()
                        .build();
                    inside.route("a default route", route).await?;
                }
                IpAddr::V6(node) => {
                    let route = RouteMessageBuilder::<Ipv6Addr>::new()
                        .gateway(*node)
                        .output_interface(inside.eth0)
                        .onlink()
                        .build();
                    inside.route("a default route", route).await?;
                }
            }
        }
        Ok(())
    }

    /// `name` here, `eth0` with `mac` there.
    async fn pair(
        &self,
        namespace: &Namespace,
        name: &str,
        mac: [u8; 6],
        own_mac: Option<[u8; 6]>,
    ) -> Result<(), LabError> {
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name("eth0")
            .address(mac.to_vec())
            .setns_by_fd(namespace.descriptor())
            .build();
        let mut link =
            LinkVeth::new(name, "eth0").set_info_data(InfoData::Veth(InfoVeth::Peer(peer)));
        if let Some(own) = own_mac {
            link = link.address(own.to_vec());
        }
        let link = link.build();
        let made = self.handle.link().add(link).execute().await;
        made.map_err(|source| LabError::Netlink {
            step: "making a veth pair",
            place: namespace.name().to_owned(),
            source,
        })?;
        let here = index(&self.handle, "node", name).await?;
        up(&self.handle, "node", here).await
    }
}

/// rtnetlink in a pod's namespace.
struct Inside<'a> {
    place: &'a str,
    handle: Handle,
    eth0: u32,
}

impl<'a> Inside<'a> {
    /// Also brings the interfaces up.
    async fn open(namespace: &'a Namespace) -> Result<Self, LabError> {
        let runtime = runtime::Handle::current();
        let handle = namespace.inside("opening rtnetlink", || {
            let _guard = runtime.enter();
            connect()
        })?;
        namespace.inside("switching checksum offload off", || {
            ethtool::complete_checksums("eth0")
        })?;
        let place = namespace.name();
        let lo = index(&handle, place, "lo").await?;
        up(&handle, place, lo).await?;
        let eth0 = index(&handle, place, "eth0").await?;
        up(&handle, place, eth0).await?;
        Ok(Self {
            place,
            handle,
            eth0,
        })
    }

    async fn address(&self, addr: IpAddr) -> Result<(), LabError> {
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        let added = self.handle.address().add(self.eth0, addr, bits);
        added
            .execute()
            .await
            .map_err(|source| self.error("adding an address", source))
    }

    async fn route(
        &self,
        step: &'static str,
        route: rtnetlink::packet_route::route::RouteMessage,
    ) -> Result<(), LabError> {
        let added = self.handle.route().add(route).execute().await;
        added.map_err(|source| self.error(step, source))
    }

    fn error(&self, step: &'static str, source: rtnetlink::Error) -> LabError {
        LabError::Netlink {
            step,
            place: self.place.to_owned(),
            source,
        }
    }
}

/// Veth pairs by the names of their ends, all in the calling thread's network and up.
pub(crate) async fn cables(pairs: &[(&str, &str)]) -> Result<(), LabError> {
    let host = Host::open().await?;
    for (one, other) in pairs {
        let link = LinkVeth::new(one, other).build();
        let made = host.handle.link().add(link).execute().await;
        made.map_err(|source| LabError::Netlink {
            step: "making a veth pair",
            place: (*one).to_owned(),
            source,
        })?;
        for end in [one, other] {
            let index = index(&host.handle, "node", end).await?;
            up(&host.handle, "node", index).await?;
        }
    }
    Ok(())
}

/// A connection that serves the calling thread's namespace.
fn connect() -> io::Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn index(handle: &Handle, place: &str, name: &str) -> Result<u32, LabError> {
    let found: Result<Option<LinkMessage>, _> = handle
        .link()
        .get()
        .match_name(name.to_owned())
        .execute()
        .try_next()
        .await;
    let source = match found {
        Ok(Some(link)) => return Ok(link.header.index),
        Ok(None) => rtnetlink::Error::RequestFailed,
        Err(source) => source,
    };
    Err(LabError::Netlink {
        step: "finding an interface",
        place: place.to_owned(),
        source,
    })
}

async fn up(handle: &Handle, place: &str, index: u32) -> Result<(), LabError> {
    let link = LinkMessageBuilder::<LinkUnspec>::new().index(index).up();
    let done = handle.link().set(link.build()).execute().await;
    done.map_err(|source| LabError::Netlink {
        step: "bringing an interface up",
        place: place.to_owned(),
        source,
    })
}
