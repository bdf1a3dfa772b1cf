//! `SetForwardingPipelineConfig` and `GetForwardingPipelineConfig` (P4Runtime 14, 15).

use std::sync::Arc;

use bytes::Bytes;
use p4runtime_proto::p4::{
    config::v1::P4Info,
    v1::{
        ForwardingPipelineConfig, GetForwardingPipelineConfigRequest,
        GetForwardingPipelineConfigResponse, SetForwardingPipelineConfigResponse,
        forwarding_pipeline_config::Cookie, get_forwarding_pipeline_config_request::ResponseType,
        set_forwarding_pipeline_config_request::Action,
    },
};
use tokio::{sync::oneshot, task::spawn_blocking};
use tonic::Status;

use super::{
    Inner,
    front::{RawConfig, RawSetPipeline, part},
};
use crate::{
    arbitration::RoleName,
    control::{Command, Place, Stopped},
    device::Device,
    failure::Failure,
    pipeline::Pipeline,
};

/// Largest p4info; in memory it is many times as large.
const LARGEST_P4INFO: usize = 4 << 20;

impl Inner {
    pub(super) async fn set_pipeline(
        &self,
        request: RawSetPipeline,
    ) -> Result<SetForwardingPipelineConfigResponse, Status> {
        let RawSetPipeline {
            device_id,
            role_id,
            role,
            election_id,
            action,
            config,
        } = request;
        self.check_device(device_id)?;
        let role = RoleName::new(&role, role_id);
        let (_under_way, access) = self.admit(&role, election_id.as_ref()).await?;
        if (access.own.as_ref()).is_some_and(|config| !config.pushes_pipelines) {
            return Err(Status::permission_denied(
                "The config of the role leaves the pipeline to others (can_push_pipeline)",
            ));
        }
        let _one_at_a_time = self.changes.lock().await;
        match Action::try_from(action) {
            Ok(Action::Verify) => {
                self.load(config, false).await?;
            }
            Ok(Action::VerifyAndSave) => self.install(config, Place::Save).await?,
            Ok(Action::VerifyAndCommit) => self.install(config, Place::Replace).await?,
            Ok(Action::ReconcileAndCommit) => self.install(config, Place::Reconcile).await?,
            Ok(Action::Commit) => self.commit(config).await?,
            Ok(Action::Unspecified) | Err(_) => {
                return Err(Status::invalid_argument("The request has no action"));
            }
        }
        Ok(SetForwardingPipelineConfigResponse {})
    }

    /// Loads everything, away from the packets; the pipeline in force is not touched.
    async fn load(
        &self,
        config: Option<RawConfig>,
        build: bool,
    ) -> Result<(Arc<Pipeline>, Option<Box<Device>>), Status> {
        let Some(RawConfig {
            p4info,
            p4_device_config,
            cookie,
        }) = config
        else {
            return Err(Status::invalid_argument("The request carries no config"));
        };
        let p4info = p4info.unwrap_or_default();
        if p4info.len() > LARGEST_P4INFO {
            return Err(Status::resource_exhausted(format!(
                "The p4info has {} bytes; {LARGEST_P4INFO} are the most",
                p4info.len()
            )));
        }
        let p4info: P4Info = part(p4info, "The p4info")?;
        let engine = self.engine.clone();
        let loading = spawn_blocking(move || {
            let cookie = cookie.map(|cookie| cookie.cookie);
            let pipeline = Pipeline::load(p4info, p4_device_config, cookie)?;
            let pipeline = Arc::new(pipeline);
            let device = build.then(|| {
                let program = Arc::clone(&pipeline.program);
                Box::new(Device::new(program, Some(Arc::clone(&pipeline)), engine))
            });
            Ok::<_, crate::pipeline::PipelineError>((pipeline, device))
        });
        match loading.await {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(refused)) => Err(Status::invalid_argument(refused.to_string())),
            Err(panic) => {
                tracing::error!(%panic, "Loading a program failed in an unforeseen way");
                Err(Status::internal(
                    "The program could not be loaded; the old one goes on",
                ))
            }
        }
    }

    async fn install(&self, config: Option<RawConfig>, place: Place) -> Result<(), Status> {
        let (pipeline, device) = self.load(config, true).await?;
        let Some(device) = device else {
            return Err(Status::internal("The program was not built"));
        };
        let (reply, answer) = oneshot::channel();
        self.control
            .send(Command::Install {
                device,
                place,
                reply,
            })
            .await?;
        drop_elsewhere(answer.await.map_err(|_| Stopped)?)?;
        tracing::info!(
            tables = pipeline.tables.len(),
            cookie = pipeline.cookie,
            ?place,
            "A pipeline was set"
        );
        self.set_pipelines(|pipelines| match place {
            Place::Save => pipelines.saved = Some(pipeline),
            Place::Replace | Place::Reconcile => {
                pipelines.running = Some(pipeline);
                pipelines.saved = None;
            }
        });
        Ok(())
    }

    async fn commit(&self, config: Option<RawConfig>) -> Result<(), Status> {
        if config.is_some() {
            return Err(Status::invalid_argument(
                "COMMIT puts the saved config in force and takes none",
            ));
        }
        let (reply, answer) = oneshot::channel();
        self.control.send(Command::Commit { reply }).await?;
        drop_elsewhere(answer.await.map_err(|_| Stopped)?)?;
        tracing::info!("The saved pipeline was committed");
        self.set_pipelines(|pipelines| pipelines.running = pipelines.saved.take());
        Ok(())
    }

    pub(super) fn pipeline(
        &self,
        request: GetForwardingPipelineConfigRequest,
    ) -> Result<GetForwardingPipelineConfigResponse, Status> {
        let GetForwardingPipelineConfigRequest {
            device_id,
            response_type,
        } = request;
        self.check_device(device_id)?;
        let parts = ResponseType::try_from(response_type).map_err(|_| {
            Status::invalid_argument(format!("Response type {response_type} is unknown"))
        })?;
        let (with_p4info, with_program) = match parts {
            ResponseType::All => (true, true),
            ResponseType::CookieOnly => (false, false),
            ResponseType::P4infoAndCookie => (true, false),
            ResponseType::DeviceConfigAndCookie => (false, true),
        };
        let config = self
            .pipelines()
            .running
            .map(|pipeline| ForwardingPipelineConfig {
                p4info: with_p4info.then(|| pipeline.p4info.clone()),
                p4_device_config: if with_program {
                    pipeline.device_config.clone()
                } else {
                    Bytes::new()
                },
                cookie: pipeline.cookie.map(|cookie| Cookie { cookie }),
            });
        Ok(GetForwardingPipelineConfigResponse { config })
    }
}

/// Freeing a large program takes a while; neither packets nor the answer wait for it.
fn drop_elsewhere(outcome: Result<Vec<Device>, Failure>) -> Result<(), Status> {
    let replaced = outcome?;
    spawn_blocking(move || drop(replaced));
    Ok(())
}
