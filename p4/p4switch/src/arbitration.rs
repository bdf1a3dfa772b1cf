//! Who is primary (P4Runtime 5): a state machine without sockets.
//!
//! *In:* claims and departures of clients. *Out:* who is to be told what. A winning claim goes in
//! two steps, so that the writes of the primary before it can end in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use p4runtime_proto::ElectionId;
use thiserror::Error;
use tonic::{Code, Status};

use crate::roles::{Access, RoleConfig};

/// Clients of one role that may be connected at a time.
const CLIENTS_PER_ROLE: usize = 64;
/// Roles that may be known at a time; a hostile client cannot take memory without bound.
const ROLES: usize = 256;
/// Longest name of a role in bytes.
const ROLE_NAME: usize = 1024;

/// Names one stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ClientId(pub(crate) u64);

/// Name of a role; empty for the default one. Numbers of the time before 1.4 are written `#id`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct RoleName(pub(crate) String);

impl RoleName {
    pub(crate) fn new(name: &str, id: u64) -> Self {
        match (name, id) {
            ("", 0) => Self::default(),
            ("", id) => Self(format!("#{id}")),
            (name, _) => Self(name.to_owned()),
        }
    }
}

/// What a client is told (P4Runtime 5.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Notice {
    pub(crate) to: ClientId,
    pub(crate) role: RoleName,
    pub(crate) highest: Option<ElectionId>,
    /// OK for the primary, ALREADY_EXISTS for others, NOT_FOUND while there is no primary.
    pub(crate) code: Code,
}

/// Why a claim ends the stream.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum ClaimError {
    #[error("Election id {0} is in use by another client of role {1:?}")]
    Taken(ElectionId, String),
    #[error("This stream has role {0:?}; open another one to change it")]
    RoleChanged(String),
    #[error("{CLIENTS_PER_ROLE} clients of role {0:?} are connected; no more are taken")]
    TooManyClients(String),
    #[error("{ROLES} roles are known; no more are taken")]
    TooManyRoles,
    #[error("The name of a role has {0} bytes, {ROLE_NAME} are the most")]
    LongName(usize),
    #[error("The default role takes no config")]
    DefaultRole,
    #[error("Role {0:?} has objects for itself alone that this config names as well")]
    Conflict(String),
}

impl From<ClaimError> for Status {
    fn from(error: ClaimError) -> Self {
        let code = match error {
            ClaimError::Taken(..) | ClaimError::DefaultRole | ClaimError::LongName(_) => {
                Code::InvalidArgument
            }
            ClaimError::RoleChanged(_) | ClaimError::Conflict(_) => Code::FailedPrecondition,
            ClaimError::TooManyClients(_) | ClaimError::TooManyRoles => Code::ResourceExhausted,
        };
        Self::new(code, error.to_string())
    }
}

/// What a claim leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The client is a backup.
    Backup(Vec<Notice>),
    /// The client will be primary: send the notices, wait for writes under way, then call
    /// [`Arbitration::enthrone`].
    Winner(Vec<Notice>),
}

#[derive(Debug, Default)]
struct Role {
    clients: BTreeMap<ClientId, Option<ElectionId>>,
    /// Highest id that a primary ever had.
    highest: Option<ElectionId>,
    primary: Option<ClientId>,
    /// What the last winner asked for; `None` for full access.
    config: Option<Arc<RoleConfig>>,
}

/// All roles of the device.
#[derive(Debug)]
pub(crate) struct Arbitration {
    roles: BTreeMap<RoleName, Role>,
    /// What roles have for themselves alone, by role; rarely anything.
    exclusive: BTreeMap<RoleName, Arc<RoleConfig>>,
}

impl Default for Arbitration {
    fn default() -> Self {
        // The default role is always there.
        Self {
            roles: BTreeMap::from([(RoleName::default(), Role::default())]),
            exclusive: BTreeMap::new(),
        }
    }
}

impl Arbitration {
    /// Takes a claim of a client; no id means "never primary". The config of a winner is that of the
    /// role from then on; others' are not looked at further.
    pub(crate) fn claim(
        &mut self,
        client: ClientId,
        name: &RoleName,
        id: Option<ElectionId>,
        config: Option<Arc<RoleConfig>>,
    ) -> Result<Outcome, ClaimError> {
        if name.0.len() > ROLE_NAME {
            return Err(ClaimError::LongName(name.0.len()));
        }
        if let Some(config) = &config {
            if *name == RoleName::default() {
                return Err(ClaimError::DefaultRole);
            }
            let others = self.roles.iter().filter(|(other, _)| *other != name);
            let mut configs =
                others.filter_map(|(other, role)| Some((other, role.config.as_ref()?)));
            if let Some((other, _)) = configs.find(|(_, other)| config.conflicts_with(other)) {
                return Err(ClaimError::Conflict(other.0.clone()));
            }
        }
        let current = self
            .roles
            .iter()
            .find(|(_, role)| role.clients.contains_key(&client));
        if let Some((current, _)) = current
            && current != name
        {
            return Err(ClaimError::RoleChanged(current.0.clone()));
        }
        if !self.roles.contains_key(name) && self.roles.len() >= ROLES {
            return Err(ClaimError::TooManyRoles);
        }
        let role = self.roles.entry(name.clone()).or_default();
        if let Some(id) = id
            && role
                .clients
                .iter()
                .any(|(other, has)| *other != client && *has == Some(id))
        {
            return Err(ClaimError::Taken(id, name.0.clone()));
        }
        if !role.clients.contains_key(&client) && role.clients.len() >= CLIENTS_PER_ROLE {
            return Err(ClaimError::TooManyClients(name.0.clone()));
        }
        role.clients.insert(client, id);
        let was_primary = role.primary == Some(client);
        if let Some(id) = id
            && role.highest.is_none_or(|highest| id >= highest)
        {
            role.highest = Some(id);
            // Until it is enthroned nobody may write.
            role.primary = None;
            role.config.clone_from(&config);
            match config.filter(|config| !config.exclusive.is_empty()) {
                Some(config) => self.exclusive.insert(name.clone(), config),
                None => self.exclusive.remove(name),
            };
            let others = role.clients.keys().filter(|other| **other != client);
            let notices = others
                .map(|to| Notice {
                    to: *to,
                    role: name.clone(),
                    highest: Some(id),
                    code: Code::AlreadyExists,
                })
                .collect();
            return Ok(Outcome::Winner(notices));
        }
        if was_primary {
            role.primary = None;
            return Ok(Outcome::Backup(role.notices(name)));
        }
        let notice = role.notice(name, client);
        Ok(Outcome::Backup(vec![notice]))
    }

    /// Makes the winner of the last claim primary, unless it has left or lost in the meantime.
    pub(crate) fn enthrone(&mut self, client: ClientId, name: &RoleName) -> Option<Notice> {
        let role = self.roles.get_mut(name)?;
        let id = (*role.clients.get(&client)?)?;
        if role.highest != Some(id) {
            return None;
        }
        role.primary = Some(client);
        Some(role.notice(name, client))
    }

    /// Forgets a client. Nobody is promoted in its place; the others are told.
    pub(crate) fn leave(&mut self, client: ClientId) -> Vec<Notice> {
        for (name, role) in &mut self.roles {
            let Some(id) = role.clients.remove(&client) else {
                continue;
            };
            // A winner that leaves before it is enthroned was announced already.
            let announced = role.primary.is_none() && id.is_some() && id == role.highest;
            if role.primary == Some(client) || announced {
                role.primary = None;
                return role.notices(name);
            }
        }
        Vec::new()
    }

    /// Whether any client ever had the role.
    pub(crate) fn knows(&self, name: &RoleName) -> bool {
        self.roles.contains_key(name)
    }

    /// Whether the primary of the role is the one with this id.
    pub(crate) fn is_primary(&self, name: &RoleName, id: Option<ElectionId>) -> bool {
        self.roles.get(name).is_some_and(|role| {
            let primary = role.primary.and_then(|primary| role.clients.get(&primary));
            primary.is_some_and(|has| has.is_some() && *has == id)
        })
    }

    /// Whether this client is the primary of its role.
    pub(crate) fn is_primary_client(&self, client: ClientId) -> bool {
        self.roles.values().any(|role| role.primary == Some(client))
    }

    /// The primaries of all roles, with what bounds them.
    pub(crate) fn primaries(&self) -> impl Iterator<Item = (ClientId, Option<&RoleConfig>)> + '_ {
        self.roles
            .values()
            .filter_map(|role| Some((role.primary?, role.config.as_deref())))
    }

    /// What a role may do.
    pub(crate) fn access(&self, name: &RoleName) -> Access {
        let own = self.roles.get(name).and_then(|role| role.config.clone());
        let others = self.exclusive.iter().filter(|(other, _)| *other != name);
        let others: BTreeSet<u32> = others
            .flat_map(|(_, config)| config.exclusive.iter().copied())
            .collect();
        Access {
            own,
            others: (!others.is_empty()).then(|| Arc::new(others)),
        }
    }

    /// The config of a role, if it has one.
    pub(crate) fn config_of(&self, client: ClientId) -> Option<&RoleConfig> {
        let mut roles = self.roles.values();
        let own = roles.find(|role| role.clients.contains_key(&client))?;
        own.config.as_deref()
    }
}

impl Role {
    fn notices(&self, name: &RoleName) -> Vec<Notice> {
        self.clients
            .keys()
            .map(|client| self.notice(name, *client))
            .collect()
    }

    fn notice(&self, name: &RoleName, to: ClientId) -> Notice {
        let code = match self.primary {
            Some(primary) if primary == to => Code::Ok,
            Some(_) => Code::AlreadyExists,
            None => Code::NotFound,
        };
        Notice {
            to,
            role: name.clone(),
            highest: self.highest,
            code,
        }
    }
}

#[cfg(test)]
mod tests;
