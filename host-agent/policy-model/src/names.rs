//! Names that stand where no tier or policy decided.

/// Tier name under which profiles are told of, as in Calico's own traces.
pub const PROFILE_TIER: &str = "__PROFILE__";

/// Tier name under which failsafe ports are told of; the policy is the parameter's name and the
/// rule the entry's place.
pub const FAILSAFE_TIER: &str = "__FAILSAFE__";

/// Tier name for what a host endpoint or the node does without a rule: the end of a list that does
/// not deny, `DefaultEndpointToHostAction`, ICMPv6 that every router must take.
pub const HOST_TIER: &str = "__HOST__";
