//! A P4Runtime server that keeps entries and has no packets, with manners that can be chosen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use p4runtime_proto::google::rpc;
use p4runtime_proto::p4::v1::p4_runtime_server::{P4Runtime, P4RuntimeServer};
use p4runtime_proto::p4::v1::{
    CapabilitiesRequest, CapabilitiesResponse, CounterData, CounterEntry, Entity,
    ForwardingPipelineConfig, GetForwardingPipelineConfigRequest,
    GetForwardingPipelineConfigResponse, Index, MasterArbitrationUpdate, ReadRequest, ReadResponse,
    SetForwardingPipelineConfigRequest, SetForwardingPipelineConfigResponse, StreamMessageRequest,
    StreamMessageResponse, TableEntry, Uint128, WriteRequest, WriteResponse,
    entity::Entity as Kind, stream_message_request, stream_message_response, update,
};
use p4runtime_proto::{UpdateError, encode_update_errors};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};

/// How a server behaves where servers differ.
#[derive(Clone, Copy)]
pub(crate) struct Manners {
    /// Code for a full table.
    pub(crate) full: Code,
    /// Entities in one message of a read.
    pub(crate) piece: usize,
    /// Whether a failed write says which update failed.
    pub(crate) details: bool,
    /// Whether reads write zero as an empty string.
    pub(crate) empty_zero: bool,
    /// Entries that any table holds.
    pub(crate) size: usize,
}

impl Manners {
    pub(crate) const SPEC: Self = Self {
        full: Code::ResourceExhausted,
        piece: 100,
        details: true,
        empty_zero: false,
        size: usize::MAX,
    };
    pub(crate) const BMV2: Self = Self {
        full: Code::Unknown,
        piece: usize::MAX,
        details: true,
        empty_zero: true,
        size: usize::MAX,
    };
    /// Says nothing about single updates.
    pub(crate) const TERSE: Self = Self {
        details: false,
        ..Self::SPEC
    };
}

#[derive(Default)]
struct State {
    pipeline: Option<ForwardingPipelineConfig>,
    entries: BTreeMap<(u32, Vec<u8>), TableEntry>,
    defaults: BTreeMap<u32, TableEntry>,
    primary: u128,
    streams: Vec<mpsc::Sender<Result<StreamMessageResponse, Status>>>,
}

pub(crate) struct Fake {
    manners: Manners,
    state: Mutex<State>,
    pub(crate) writes: AtomicU64,
    pub(crate) pushes: AtomicU64,
    pub(crate) largest: AtomicU64,
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(manners: Manners) -> Self {
        let fake = Arc::new(Fake {
            manners,
            state: Mutex::default(),
            writes: AtomicU64::new(0),
            pushes: AtomicU64::new(0),
            largest: AtomicU64::new(0),
        });
        Self::serve("127.0.0.1:0".parse().unwrap(), fake).await
    }

    async fn serve(address: SocketAddr, fake: Arc<Fake>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let service = P4RuntimeServer::from_arc(Arc::clone(&fake))
            .max_decoding_message_size(64 << 20)
            .max_encoding_message_size(64 << 20);
        let task = tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                    stopped.await.unwrap_or(());
                })
                .await
                .unwrap();
        });
        Self {
            address,
            fake,
            stop: Some(stop),
            task,
        }
    }

    /// Ends the streams and the server; what it held is gone if `empty`.
    pub(crate) async fn restart(mut self, empty: bool) -> Self {
        self.fake.state.lock().unwrap().streams.clear();
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap();
        }
        self.task.await.unwrap();
        if empty {
            *self.fake.state.lock().unwrap() = State::default();
        }
        Self::serve(self.address, self.fake).await
    }

    pub(crate) fn entries(&self) -> usize {
        self.fake.state.lock().unwrap().entries.len()
    }

    /// Somebody else pushes a pipeline.
    pub(crate) fn forget_pipeline(&self) {
        self.fake.state.lock().unwrap().pipeline = None;
    }

    /// Somebody else becomes primary.
    pub(crate) async fn overtake(&self) {
        let streams = {
            let mut state = self.fake.state.lock().unwrap();
            state.primary = u128::MAX;
            state.streams.clone()
        };
        for stream in streams {
            let notice = arbitration(u128::MAX, Code::AlreadyExists);
            stream.send(Ok(notice)).await.unwrap_or(());
        }
    }
}

fn number(id: Option<&Uint128>) -> u128 {
    id.map_or(0, |id| u128::from(id.high) << 64 | u128::from(id.low))
}

fn arbitration(highest: u128, code: Code) -> StreamMessageResponse {
    StreamMessageResponse {
        update: Some(stream_message_response::Update::Arbitration(
            MasterArbitrationUpdate {
                device_id: 1,
                role: None,
                election_id: Some(Uint128 {
                    high: u64::try_from(highest >> 64).unwrap(),
                    low: u64::try_from(highest & u128::from(u64::MAX)).unwrap(),
                }),
                status: Some(rpc::Status {
                    code: code as i32,
                    ..rpc::Status::default()
                }),
            },
        )),
    }
}

fn key(entry: &TableEntry) -> (u32, Vec<u8>) {
    let key = TableEntry {
        table_id: entry.table_id,
        r#match: entry.r#match.clone(),
        ..TableEntry::default()
    };
    (entry.table_id, key.encode_to_vec())
}

impl Fake {
    fn apply(&self, state: &mut State, kind: update::Type, entry: TableEntry) -> Result<(), Code> {
        if entry.is_default_action {
            match entry.action {
                Some(_) => state.defaults.insert(entry.table_id, entry),
                None => state.defaults.remove(&entry.table_id),
            };
            return Ok(());
        }
        let key = key(&entry);
        let held = state
            .entries
            .range((key.0, Vec::new())..(key.0 + 1, Vec::new()))
            .count();
        match (kind, state.entries.contains_key(&key)) {
            (update::Type::Insert, true) => Err(Code::AlreadyExists),
            (update::Type::Insert, false) if held >= self.manners.size => Err(self.manners.full),
            (update::Type::Insert, false) | (update::Type::Modify, true) => {
                state.entries.insert(key, entry);
                Ok(())
            }
            (update::Type::Delete, true) => {
                state.entries.remove(&key);
                Ok(())
            }
            (update::Type::Unspecified, _) => Err(Code::InvalidArgument),
            (_, false) => Err(Code::NotFound),
        }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl P4Runtime for Fake {
    type ReadStream = Answers<ReadResponse>;
    type StreamChannelStream = Answers<StreamMessageResponse>;

    async fn write(
        &self,
        request: Request<WriteRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock().unwrap();
        if number(request.election_id.as_ref()) != state.primary {
            return Err(Status::permission_denied("Not the primary"));
        }
        if state.pipeline.is_none() {
            return Err(Status::failed_precondition("No pipeline"));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let total = request.updates.len();
        self.largest.fetch_max(total as u64, Ordering::Relaxed);
        let before = (!self.manners.details).then(|| state.entries.clone());
        let mut failed = Vec::new();
        for (index, update) in request.updates.into_iter().enumerate() {
            let kind = update.r#type();
            let Some(Kind::TableEntry(entry)) = update.entity.and_then(|e| e.entity) else {
                return Err(Status::unimplemented("Table entries only"));
            };
            if let Err(code) = self.apply(&mut state, kind, entry) {
                failed.push(UpdateError {
                    index,
                    code,
                    message: String::new(),
                    space: String::new(),
                    target_code: 0,
                });
            }
        }
        match (failed.first(), before) {
            (None, _) => Ok(Response::new(WriteResponse {})),
            (Some(first), Some(before)) => {
                state.entries = before;
                Err(Status::new(first.code, "Something in there is wrong"))
            }
            (Some(_), None) => Err(encode_update_errors(total, &failed)),
        }
    }

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let state = self.state.lock().unwrap();
        let mut entities = Vec::new();
        for wanted in request.into_inner().entities {
            match wanted.entity {
                Some(Kind::TableEntry(wanted)) if wanted.is_default_action => {
                    entities.extend(state.defaults.get(&wanted.table_id).cloned());
                }
                Some(Kind::TableEntry(wanted)) => {
                    let rows = state
                        .entries
                        .values()
                        .filter(|entry| entry.table_id == wanted.table_id)
                        .cloned()
                        .map(|mut entry| {
                            entry.counter_data = wanted.counter_data.map(|_| CounterData {
                                byte_count: 120,
                                packet_count: 2,
                            });
                            entry
                        });
                    entities.extend(rows);
                }
                Some(Kind::CounterEntry(wanted)) => {
                    let cells = (0..4).map(|index| {
                        Ok(ReadResponse {
                            entities: vec![Entity {
                                entity: Some(Kind::CounterEntry(CounterEntry {
                                    counter_id: wanted.counter_id,
                                    index: Some(Index { index }),
                                    data: Some(CounterData {
                                        byte_count: index * 60,
                                        packet_count: index,
                                    }),
                                })),
                            }],
                        })
                    });
                    let cells: Vec<_> = cells.collect();
                    return Ok(Response::new(Box::pin(tokio_stream::iter(cells))));
                }
                _ => return Err(Status::unimplemented("Table entries and counters only")),
            }
        }
        if self.manners.empty_zero {
            entities.iter_mut().for_each(blank_zeros);
        }
        let pieces: Vec<_> = entities
            .chunks(self.manners.piece.min(entities.len().max(1)))
            .map(|piece| {
                Ok(ReadResponse {
                    entities: piece
                        .iter()
                        .map(|entry| Entity {
                            entity: Some(Kind::TableEntry(entry.clone())),
                        })
                        .collect(),
                })
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }

    async fn set_forwarding_pipeline_config(
        &self,
        request: Request<SetForwardingPipelineConfigRequest>,
    ) -> Result<Response<SetForwardingPipelineConfigResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        self.pushes.fetch_add(1, Ordering::Relaxed);
        state.pipeline = request.into_inner().config;
        state.entries.clear();
        state.defaults.clear();
        Ok(Response::new(SetForwardingPipelineConfigResponse {}))
    }

    async fn get_forwarding_pipeline_config(
        &self,
        _request: Request<GetForwardingPipelineConfigRequest>,
    ) -> Result<Response<GetForwardingPipelineConfigResponse>, Status> {
        let state = self.state.lock().unwrap();
        match &state.pipeline {
            None => Err(Status::failed_precondition("No pipeline")),
            Some(config) => Ok(Response::new(GetForwardingPipelineConfigResponse {
                config: Some(ForwardingPipelineConfig {
                    cookie: config.cookie,
                    ..ForwardingPipelineConfig::default()
                }),
            })),
        }
    }

    async fn stream_channel(
        &self,
        request: Request<Streaming<StreamMessageRequest>>,
    ) -> Result<Response<Self::StreamChannelStream>, Status> {
        let mut incoming = request.into_inner();
        let first = incoming.next().await;
        let Some(Ok(StreamMessageRequest {
            update: Some(stream_message_request::Update::Arbitration(claim)),
        })) = first
        else {
            return Err(Status::invalid_argument("Arbitration comes first"));
        };
        let (tell, answers) = mpsc::channel(4);
        let claim = number(claim.election_id.as_ref());
        let answer = {
            let mut state = self.state.lock().unwrap();
            if claim >= state.primary {
                state.primary = claim;
                arbitration(claim, Code::Ok)
            } else {
                arbitration(state.primary, Code::AlreadyExists)
            }
        };
        tell.send(Ok(answer)).await.unwrap();
        self.state.lock().unwrap().streams.push(tell);
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn capabilities(
        &self,
        _request: Request<CapabilitiesRequest>,
    ) -> Result<Response<CapabilitiesResponse>, Status> {
        Ok(Response::new(CapabilitiesResponse {
            p4runtime_api_version: "1.3.0".to_owned(),
            ..CapabilitiesResponse::default()
        }))
    }
}

fn blank_zeros(entry: &mut TableEntry) {
    use p4runtime_proto::p4::v1::field_match::FieldMatchType;
    for field in &mut entry.r#match {
        if let Some(FieldMatchType::Exact(exact)) = &mut field.field_match_type
            && exact.value.iter().all(|byte| *byte == 0)
        {
            exact.value.clear();
        }
    }
}
