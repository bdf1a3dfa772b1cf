//! What `offloadctl` shows.

use super::{EdgeError, enumeration};
use crate::host::{
    Decision, Diff, Direction, DpuSide, Drift, Endpoint, EndpointCount, EndpointState, Explanation,
    FelixStatus, FlowQuestion, HitCount, HostEntry, HostStatus, Leg, LegStep, NamedValue, Policy,
    Refusal, RowDiff, RowLeg, RowStep, RuleCounter, TableDiff, TableDrift, TableRow,
};
use crate::proto;
use crate::types::DeviceState;

/// A value with another shape on the wire.
trait Wire: Sized {
    type Proto;
    fn out(self) -> Self::Proto;
    fn back(
        wire: Self::Proto,
        message: &'static str,
        field: &'static str,
    ) -> Result<Self, EdgeError>;
}

/// Both conversions of a message whose fields are called alike on both sides. Fields are taken
/// apart by name, so one that exists on one side only does not compile. A field's way:
/// none: the same type; `each`: a list of messages; `need`: a message that must be there; `maybe`: one
/// that may be missing;
/// `wire`: by [`Wire`].
macro_rules! mirror {
    ($value:ident = $proto:ident { $($field:ident $(: $how:ident)?),* $(,)? }) => {
        impl From<$value> for proto::$proto {
            fn from(value: $value) -> Self {
                let $value { $($field),* } = value;
                Self { $($field: mirror!(@out $($how)? $field)),* }
            }
        }

        impl TryFrom<proto::$proto> for $value {
            type Error = EdgeError;

            fn try_from(message: proto::$proto) -> Result<Self, EdgeError> {
                let proto::$proto { $($field),* } = message;
                Ok(Self { $($field: mirror!(@back $proto $($how)? $field)),* })
            }
        }
    };
    (@out $field:ident) => { $field };
    (@out each $field:ident) => { $field.into_iter().map(Into::into).collect() };
    (@out need $field:ident) => { Some($field.into()) };
    (@out maybe $field:ident) => { $field.map(Into::into) };
    (@out wire $field:ident) => { $field.out() };
    (@back $proto:ident $field:ident) => { $field };
    (@back $proto:ident each $field:ident) => {
        $field.into_iter().map(TryInto::try_into).collect::<Result<_, EdgeError>>()?
    };
    (@back $proto:ident need $field:ident) => {
        $field
            .ok_or_else(|| EdgeError::unset(stringify!($proto), stringify!($field)))?
            .try_into()?
    };
    (@back $proto:ident maybe $field:ident) => {
        $field.map(TryInto::try_into).transpose()?
    };
    (@back $proto:ident wire $field:ident) => {
        Wire::back($field, stringify!($proto), stringify!($field))?
    };
}

mirror!(
    HostStatus = HostStatus {
        node,
        version,
        uptime: wire,
        felix: need,
        dpu: need,
        endpoints: each,
        policies,
        refusals,
        compile_error,
    }
);
mirror!(
    FelixStatus = FelixStatus {
        connected,
        in_sync,
        session,
        sequence,
        messages,
        enforced
    }
);
mirror!(
    DpuSide = DpuStatus {
        connected,
        address,
        identity,
        target,
        desired_generation,
        acknowledged_generation,
        observed_generation,
        drift_repaired,
        state: wire,
        error,
        rows,
    }
);
mirror!(EndpointCount = EndpointCount { state: wire, count });
mirror!(
    Endpoint = Endpoint {
        name,
        interface,
        port,
        mac: wire,
        addresses,
        state: wire,
        reason,
        generation,
        policies,
        unenforced,
    }
);
mirror!(
    Policy = Policy {
        name,
        kind,
        tier,
        staged,
        rules: each,
        refusals,
        endpoints,
        hits: maybe,
        end_of_tier: maybe,
        removed_rules: maybe,
    }
);
mirror!(HitCount = HitCount { packets, bytes });
mirror!(
    RuleCounter = RuleCounter {
        direction: wire,
        index,
        id,
        action,
        packets,
        bytes
    }
);
mirror!(
    Refusal = Refusal {
        subject,
        direction: wire,
        rule,
        reason
    }
);
mirror!(
    HostEntry = HostEntry {
        fields: each,
        action,
        params: each
    }
);
mirror!(NamedValue = NamedValue { name, value });
mirror!(
    FlowQuestion = ExplainRequest {
        source,
        destination,
        protocol,
        source_port,
        destination_port,
        icmp_type,
        icmp_code,
    }
);
mirror!(
    Explanation = Explanation {
        allow,
        rows_allow,
        decided_by: need,
        legs: each,
        rows,
        rule_agrees,
        before: each,
        row_legs: each,
        drop,
        ingress_port,
        out_port,
    }
);
mirror!(
    RowLeg = RowLeg {
        endpoint,
        direction: wire,
        allow,
        decision: need,
        steps: each,
        hits: maybe,
        hits_error,
    }
);
mirror!(
    RowStep = RowStep {
        says,
        rule: maybe,
        rows: each
    }
);
mirror!(TableRow = TableRow { table, entry: need });
mirror!(
    Leg = Leg {
        endpoint,
        direction: wire,
        allow,
        decision: need,
        steps: each
    }
);
mirror!(LegStep = LegStep { at: need, action });
mirror!(
    Decision = Decision {
        direction: wire,
        tier,
        namespace,
        policy,
        rule,
        rule_id,
        reason,
        written,
        annotations,
    }
);
mirror!(
    Diff = Diff {
        generation,
        tables: each
    }
);
mirror!(
    TableDiff = TableDiff {
        table,
        felix,
        host,
        dpu,
        target,
        differing,
        rows: each
    }
);
mirror!(
    RowDiff = RowDiff {
        fields: each,
        felix,
        host,
        dpu,
        target
    }
);
mirror!(
    Drift = Drift {
        generation,
        tables: each,
        repaired
    }
);
mirror!(
    TableDrift = TableDrift {
        table,
        missing: each,
        unexpected: each,
        different: each
    }
);

/// Whole seconds.
impl Wire for u64 {
    type Proto = Option<prost_types::Duration>;

    fn out(self) -> Self::Proto {
        Some(prost_types::Duration {
            seconds: i64::try_from(self).unwrap_or(i64::MAX),
            nanos: 0,
        })
    }

    fn back(
        wire: Self::Proto,
        message: &'static str,
        field: &'static str,
    ) -> Result<Self, EdgeError> {
        let wire = wire.ok_or_else(|| EdgeError::unset(message, field))?;
        Self::try_from(wire.seconds).map_err(|_| EdgeError::new(message, field, "is negative"))
    }
}

impl Wire for DeviceState {
    type Proto = i32;

    fn out(self) -> i32 {
        proto::DeviceState::from(self).into()
    }

    fn back(wire: i32, message: &'static str, _field: &'static str) -> Result<Self, EdgeError> {
        super::device::device_state(wire, message)
    }
}

impl Wire for EndpointState {
    type Proto = i32;

    fn out(self) -> i32 {
        match self {
            Self::Pending => proto::EndpointState::Pending,
            Self::Enforced => proto::EndpointState::Enforced,
            Self::Closed => proto::EndpointState::Closed,
            Self::NoPort => proto::EndpointState::NoPort,
            Self::Refused => proto::EndpointState::Refused,
            Self::Down => proto::EndpointState::Down,
            Self::Partly => proto::EndpointState::Partly,
        }
        .into()
    }

    fn back(wire: i32, message: &'static str, field: &'static str) -> Result<Self, EdgeError> {
        Ok(match enumeration(wire, message, field)? {
            proto::EndpointState::Unspecified => return Err(EdgeError::unset(message, field)),
            proto::EndpointState::Pending => Self::Pending,
            proto::EndpointState::Enforced => Self::Enforced,
            proto::EndpointState::Closed => Self::Closed,
            proto::EndpointState::NoPort => Self::NoPort,
            proto::EndpointState::Refused => Self::Refused,
            proto::EndpointState::Down => Self::Down,
            proto::EndpointState::Partly => Self::Partly,
        })
    }
}

impl Wire for Option<Direction> {
    type Proto = i32;

    fn out(self) -> i32 {
        match self {
            None => proto::Direction::Unspecified,
            Some(Direction::Ingress) => proto::Direction::Ingress,
            Some(Direction::Egress) => proto::Direction::Egress,
        }
        .into()
    }

    fn back(wire: i32, message: &'static str, field: &'static str) -> Result<Self, EdgeError> {
        match proto::Direction::try_from(wire) {
            Ok(proto::Direction::Unspecified) => Ok(None),
            Ok(proto::Direction::Ingress) => Ok(Some(Direction::Ingress)),
            Ok(proto::Direction::Egress) => Ok(Some(Direction::Egress)),
            Err(_) => Err(EdgeError::unknown(message, field, wire)),
        }
    }
}

/// A MAC: six bytes on the wire, colons for people, both empty if there is none.
impl Wire for String {
    type Proto = Vec<u8>;

    fn out(self) -> Vec<u8> {
        self.split(':')
            .map(|byte| u8::from_str_radix(byte, 16))
            .collect::<Result<_, _>>()
            .unwrap_or_default()
    }

    fn back(wire: Vec<u8>, message: &'static str, field: &'static str) -> Result<Self, EdgeError> {
        let bytes = super::mac(&wire, message, field)?;
        Ok(bytes.map(mac_text).unwrap_or_default())
    }
}

/// A MAC as people write it.
fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
