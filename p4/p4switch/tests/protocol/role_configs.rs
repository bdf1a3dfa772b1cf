//! P4Runtime 5.3: what the config of a role allows.

use p4runtime_proto::p4::v1::{
    Entity, MasterArbitrationUpdate, ReadRequest, Role, SetForwardingPipelineConfigRequest,
    StreamMessageRequest, StreamMessageResponse, TableEntry, Uint128, Update, WriteRequest,
    entity::Entity as Kind, p4_runtime_client::P4RuntimeClient,
    set_forwarding_pipeline_config_request::Action as Push, stream_message_request,
    stream_message_response, update::Type,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::support::{DEVICE, Named, branch, insert, update, write};

/// The config that is understood, as its authors number it.
#[derive(Clone, PartialEq, Message)]
struct Config {
    #[prost(uint32, repeated, tag = "1")]
    exclusive: Vec<u32>,
    #[prost(uint32, repeated, tag = "2")]
    shared: Vec<u32>,
    #[prost(bool, tag = "4")]
    packets: bool,
    #[prost(bool, tag = "5")]
    pipeline: bool,
}

struct Client {
    grpc: P4RuntimeClient<Channel>,
    role: &'static str,
    events: Streaming<StreamMessageResponse>,
    _stream: mpsc::Sender<StreamMessageRequest>,
}

const ID: Option<Uint128> = Some(Uint128 { high: 0, low: 1 });

impl Client {
    async fn claim(
        addr: std::net::SocketAddr,
        role: &'static str,
        config: Option<prost_types::Any>,
    ) -> Result<Self, Status> {
        let mut grpc = P4RuntimeClient::connect(format!("http://{addr}"))
            .await
            .expect("connected");
        let (sender, receiver) = mpsc::channel(4);
        let claim = MasterArbitrationUpdate {
            device_id: DEVICE,
            role: Some(Role {
                name: role.to_owned(),
                config,
                ..Role::default()
            }),
            election_id: ID,
            status: None,
        };
        let update = Some(stream_message_request::Update::Arbitration(claim));
        sender
            .send(StreamMessageRequest { update })
            .await
            .expect("sent");
        let stream = grpc.stream_channel(ReceiverStream::new(receiver)).await?;
        let mut events = stream.into_inner();
        let first = events.message().await?.expect("an answer").update;
        assert!(matches!(
            first,
            Some(stream_message_response::Update::Arbitration(_))
        ));
        Ok(Self {
            grpc,
            role,
            events,
            _stream: sender,
        })
    }

    async fn write(&mut self, update: Update) -> Code {
        let request = WriteRequest {
            device_id: DEVICE,
            role: self.role.to_owned(),
            election_id: ID,
            updates: vec![update],
            ..WriteRequest::default()
        };
        match self.grpc.write(request).await {
            Ok(_) => Code::Ok,
            Err(status) => {
                let errors = p4runtime_proto::decode_update_errors(&status);
                errors.expect("details")[0].code
            }
        }
    }

    async fn read(&mut self, kind: Kind) -> Result<Vec<Kind>, Code> {
        let request = ReadRequest {
            device_id: DEVICE,
            role: self.role.to_owned(),
            entities: vec![Entity { entity: Some(kind) }],
        };
        let mut answers = self.grpc.read(request).await.expect("taken").into_inner();
        let mut found = Vec::new();
        loop {
            match answers.message().await {
                Ok(Some(answer)) => {
                    found.extend(answer.entities.into_iter().filter_map(|one| one.entity));
                }
                Ok(None) => return Ok(found),
                Err(status) => {
                    let errors = p4runtime_proto::decode_update_errors(&status);
                    return Err(errors.expect("details")[0].code);
                }
            }
        }
    }
}

fn any(config: &Config) -> Option<prost_types::Any> {
    Some(prost_types::Any {
        type_url: "type.googleapis.com/stratum.P4RoleConfig".to_owned(),
        value: config.encode_to_vec(),
    })
}

#[tokio::test]
async fn a_role_touches_what_its_config_names() {
    let program = Named::entities();
    let (switch, default) = program.ready().await;
    let addr = switch.grpc_addr();
    let (time, started) = (program.id("by_time"), program.id("started"));
    let config = Config {
        exclusive: vec![time],
        packets: true,
        ..Config::default()
    };
    let mut timer = Client::claim(addr, "timer", any(&config))
        .await
        .expect("taken");
    let timed = program.entry("by_time", 5, program.call("to_controller", &[1]));
    let other = program.entry("started", 5, program.call("forward", &[1]));
    assert_eq!(timer.write(insert(timed.clone())).await, Code::Ok);
    assert_eq!(
        timer.write(insert(other.clone())).await,
        Code::PermissionDenied
    );
    let group = Kind::PacketReplicationEngineEntry(Default::default());
    assert_eq!(
        timer.write(update(Type::Insert, group)).await,
        Code::PermissionDenied
    );
    // What it has for itself alone is closed to the default role.
    let failed = crate::support::failures(
        &default,
        vec![insert(timed.clone()), insert(other.clone())],
        Default::default(),
    )
    .await;
    assert_eq!(
        failed.iter().map(|one| one.code).collect::<Vec<_>>(),
        [Code::PermissionDenied, Code::Ok][..1]
    );
    // Wildcards leave out what the role does not have; names are refused.
    let all = timer.read(Kind::TableEntry(TableEntry::default())).await;
    assert_eq!(all, Ok(vec![Kind::TableEntry(timed)]));
    let named = TableEntry {
        table_id: started,
        ..TableEntry::default()
    };
    assert_eq!(
        timer.read(Kind::TableEntry(named)).await,
        Err(Code::PermissionDenied)
    );

    let push = SetForwardingPipelineConfigRequest {
        device_id: DEVICE,
        role: "timer".to_owned(),
        election_id: ID,
        action: Push::VerifyAndCommit.into(),
        config: Some(program.config()),
        ..SetForwardingPipelineConfigRequest::default()
    };
    let refused = timer.grpc.set_forwarding_pipeline_config(push).await;
    assert_eq!(refused.expect_err("refused").code(), Code::PermissionDenied);

    drop(switch.inject(3, &branch(5, 5, 0, 0)));
    let told = timer.events.message().await.expect("told").expect("more");
    assert!(matches!(
        told.update,
        Some(stream_message_response::Update::Packet(_))
    ));

    // A second role cannot have the same for itself, or at all.
    for taken in [
        Config {
            exclusive: vec![time],
            ..Config::default()
        },
        Config {
            shared: vec![time],
            ..Config::default()
        },
    ] {
        let refused = Client::claim(addr, "other", any(&taken)).await;
        assert_eq!(
            refused.err().expect("refused").code(),
            Code::FailedPrecondition
        );
    }
    let mut shared = Client::claim(
        addr,
        "other",
        any(&Config {
            shared: vec![started],
            ..Config::default()
        }),
    )
    .await
    .expect("taken");
    assert_eq!(shared.write(insert(other)).await, Code::AlreadyExists);
    write(&default, vec![]).await;
    switch.shutdown();
}

#[tokio::test]
async fn a_config_of_another_scheme_is_refused_by_name() {
    let switch = crate::support::empty();
    let other = Some(prost_types::Any {
        type_url: "type.googleapis.com/example.Roles".to_owned(),
        value: Vec::new(),
    });
    let refused = Client::claim(switch.grpc_addr(), "one", other).await;
    let status = refused.err().expect("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("example.Roles"), "{status:?}");
    let refused = Client::claim(switch.grpc_addr(), "", any(&Config::default())).await;
    assert_eq!(
        refused.err().expect("refused").code(),
        Code::InvalidArgument
    );
    switch.shutdown();
}
