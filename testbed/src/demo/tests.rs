//! Both labs without any agent: rows straight from the compiler onto a switch in this process. The
//! whole chain and what it suffers are in the modules below.

mod counting;
mod faults;
mod rig;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use backend_p4rt::{P4rt, Pipeline, Target};
use dpu_backend::Backend;
use p4switch::{PortInterface, Switch};
use policy_compiler::{Compiler, Port, Site};

use super::*;
use rig::block_on;

/// The topology as the DPU's inventory would tell it.
fn site(plan: &Plan) -> Site {
    let uplink = &plan.topology.uplink;
    let ports: BTreeMap<String, Port> = plan
        .topology
        .pods
        .iter()
        .map(|pod| {
            let port = Port {
                number: pod.port,
                mac: Some(pod.mac),
            };
            (pod.interface.clone(), port)
        })
        .collect();
    Site {
        workload_ports: ports,
        uplink: Some(policy_compiler::Uplink {
            port: uplink.port,
            interface: uplink.interface.clone(),
            mac: uplink.mac,
            addresses: uplink.node.clone(),
            next_hop_mac: uplink.next_hop_mac,
            neighbours: Vec::new(),
        }),
        ..Site::default()
    }
}

fn start(plan: &Plan, mode: Mode, packets: Option<PathBuf>) -> p4switch::Handle {
    let pods = plan
        .topology
        .pods
        .iter()
        .map(|pod| (pod.port, &pod.interface));
    let uplink = (plan.topology.uplink.port, &plan.topology.uplink.interface);
    let interfaces = match mode {
        Mode::Memory => Vec::new(),
        Mode::Namespaces => pods
            .chain([uplink])
            .map(|(port, interface)| PortInterface {
                port,
                interface: interface.clone(),
            })
            .collect(),
    };
    let config = p4switch::Config {
        device_id: 0,
        grpc_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        tls: None,
        interfaces,
        cpu_port: None,
        drop_port: 511,
        packet_socket: packets,
        program: None,
    };
    Switch::start(config).unwrap()
}

/// Every stage of a stream: packets do what the evaluator says.
async fn agree(name: &str, limit: usize, mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::of(&Stream::open(name).unwrap(), limit).unwrap();
    let topology = Arc::new(plan.topology.clone());
    let namespaces = match mode {
        Mode::Namespaces => Some(namespaces::Lab::build(Arc::clone(&topology)).await.unwrap()),
        Mode::Memory => None,
    };
    let packets = folder.path().join("packets.sock");
    let switch = start(&plan, mode, Some(packets.clone()));
    let mut lab = match namespaces {
        Some(lab) => Lab::Namespaces(lab),
        None => Lab::Memory(memory::Lab::build(topology, &packets).await.unwrap()),
    };
    let pipeline = Arc::new(Pipeline::built_in().unwrap());
    let mut backend = P4rt::new(Target::new(switch.grpc_addr().to_string(), 0), pipeline);
    let capability = backend.connect().await.unwrap();
    let site = site(&plan);
    let mut held = table_model::TableSnapshot::default();
    for stage in &plan.stages {
        let mut compiler = Compiler::new(capability.clone(), plan.semantics.clone());
        let mut model = stage.model.clone();
        let changes = model.take_changes();
        compiler.commit(&model, &changes, &site).unwrap();
        let wanted = compiler.snapshot();
        for phase in table_model::diff(p4_tables::schema(), &wanted, &held).unwrap() {
            let report = backend.write(&phase.updates).await;
            assert!(report.is_applied(), "{report:?}");
        }
        held = wanted;
        let mut device = device::Device::connect(switch.grpc_addr()).await.unwrap();
        let gateways = lab.ask_gateways(&places(&plan, stage)).await.unwrap();
        assert!(gateways > 0);
        lab.calibrate(&mut device).await.unwrap();
        let probes: Vec<Probe> = stage.cases.iter().map(|case| case.probe.clone()).collect();
        let outcomes = lab.run(&probes, &mut device).await.unwrap();
        let report = StageReport::new(stage, &outcomes, &plan.topology);
        assert_eq!(report.differ, 0, "{}", report.text());
        assert!(report.allowed > 0 && report.allowed < report.flows);
    }
}

#[test]
fn frames_in_memory_do_what_the_evaluator_says() {
    for stream in ["small", "services"] {
        block_on(agree(stream, 2000, Mode::Memory));
    }
}

#[test]
fn sockets_in_namespaces_do_what_the_evaluator_says() {
    if let Err(error) = enter_private_network() {
        println!("SKIP sockets_in_namespaces_do_what_the_evaluator_says: {error}, it needs root");
        return;
    }
    raise_descriptor_limit();
    block_on(agree("small", 1000, Mode::Namespaces));
}
