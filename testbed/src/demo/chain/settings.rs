//! What each process is told: files as an operator would write them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::IpAddr;

use super::super::Mode;
use super::Places;
use crate::lab::Topology;

/// Writes the agents' files.
pub(super) fn write(places: &Places, topology: &Topology) -> io::Result<()> {
    fs::write(places.folder.join("host-agent.toml"), host(places))?;
    fs::write(places.folder.join("dpu-agent.toml"), dpu(places, topology))
}

/// Arguments of the switch.
pub(super) fn switch(places: &Places, topology: &Topology, mode: Mode) -> Vec<String> {
    let mut words: Vec<String> = ["--no-p4", "--device-id", "0", "--grpc-server-addr"]
        .map(str::to_owned)
        .to_vec();
    words.push(places.switch.to_string());
    match mode {
        Mode::Namespaces => {
            let pods = topology.pods.iter().map(|pod| (pod.port, &pod.interface));
            let uplink = (topology.uplink.port, &topology.uplink.interface);
            for (port, interface) in pods.chain([uplink]) {
                words.push("-i".to_owned());
                words.push(format!("{port}@{interface}"));
            }
        }
        Mode::Memory => {
            words.push("--packet-socket".to_owned());
            words.push(places.packet_socket().display().to_string());
        }
    }
    words
}

/// Arguments of an agent.
pub(super) fn agent(places: &Places, name: &str) -> Vec<String> {
    let file = places.folder.join(format!("{name}.toml"));
    vec!["--config".to_owned(), file.display().to_string()]
}

fn host(places: &Places) -> String {
    let folder = places.folder.display();
    format!(
        "node = \"node-a\"\n\
         felix-socket = \"{}\"\n\
         socket = \"{}\"\n\
         state-dir = \"{folder}/host-agent\"\n\
         pki = \"{folder}/pki\"\n\
         dpu = \"{}\"\n\
         dpu-name = \"dpu-a\"\n\
         http = \"{}\"\n",
        places.felix_socket().display(),
        places.host_socket().display(),
        places.dpu,
        places.host_http,
    )
}

fn dpu(places: &Places, topology: &Topology) -> String {
    let folder = places.folder.display();
    let mut text = format!(
        "name = \"dpu-a\"\n\
         listen = \"{}\"\n\
         pki = \"{folder}/pki\"\n\
         host = \"node-a\"\n\
         http = \"{}\"\n\
         \n[target]\naddress = \"{}\"\ndevice-id = 0\n",
        places.dpu, places.dpu_http, places.switch,
    );
    for pod in &topology.pods {
        // A String takes all that is written to it.
        let _ = write!(
            text,
            "\n[[ports]]\nnumber = {}\ninterface = \"{}\"\nmac = \"{}\"\nrole = \"workload\"\n",
            pod.port,
            pod.interface,
            mac(pod.mac),
        );
    }
    let uplink = &topology.uplink;
    let addresses: Vec<String> = uplink.node.iter().map(IpAddr::to_string).collect();
    let _ = write!(
        text,
        "\n[[ports]]\nnumber = {}\ninterface = \"{}\"\nmac = \"{}\"\nrole = \"uplink\"\n\
         addresses = {addresses:?}\nnext-hop-mac = \"{}\"\n",
        uplink.port,
        uplink.interface,
        mac(uplink.mac),
        mac(uplink.next_hop_mac),
    );
    text
}

fn mac(mac: [u8; 6]) -> String {
    let parts = mac.map(|byte| format!("{byte:02x}"));
    parts.join(":")
}
