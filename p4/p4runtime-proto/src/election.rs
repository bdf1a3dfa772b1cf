use crate::p4::v1::Uint128;

/// An election id (P4Runtime 5.2): among the clients of a role the highest is the primary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElectionId(pub u128);

impl From<ElectionId> for Uint128 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the number"
    )]
    fn from(ElectionId(id): ElectionId) -> Self {
        Self {
            high: (id >> 64) as u64,
            low: id as u64,
        }
    }
}

impl From<&Uint128> for ElectionId {
    fn from(id: &Uint128) -> Self {
        Self(u128::from(id.high) << 64 | u128::from(id.low))
    }
}

impl std::fmt::Display for ElectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_survive_the_wire() {
        let id = ElectionId(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        let wire = Uint128::from(id);
        assert_eq!(
            (wire.high, wire.low),
            (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)
        );
        assert_eq!(ElectionId::from(&wire), id);
    }
}
