//! Meters: two rates, three colours, as bmv2 runs them (RFC 2698, colour-blind).

/// Configuration of one meter cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterConfig {
    /// Committed rate: bytes or packets a second.
    pub committed_rate: u64,
    /// Committed burst: bytes or packets.
    pub committed_burst: u64,
    /// Peak rate: bytes or packets a second.
    pub peak_rate: u64,
    /// Peak burst: bytes or packets.
    pub peak_burst: u64,
}

/// What a meter says of a packet; the numbers are those that the program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Green,
    Yellow,
    Red,
}

impl Colour {
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Green => 0,
            Self::Yellow => 1,
            Self::Red => 2,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    tokens: u64,
    /// Tokens made since the clock's origin, so that no fraction is lost.
    made: u64,
}

impl Bucket {
    /// Fills up to now and takes what the packet needs; false if there is too little.
    fn take(&mut self, rate: u64, burst: u64, now_us: u64, need: u64) -> bool {
        let made = u128::from(now_us) * u128::from(rate) / 1_000_000;
        let made = u64::try_from(made).unwrap_or(u64::MAX);
        self.tokens = self
            .tokens
            .saturating_add(made.saturating_sub(self.made))
            .min(burst);
        self.made = self.made.max(made);
        if self.tokens < need {
            return false;
        }
        self.tokens -= need;
        true
    }
}

/// One cell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    config: Option<MeterConfig>,
    committed: Bucket,
    peak: Bucket,
}

impl Meter {
    pub(crate) fn config(&self) -> Option<MeterConfig> {
        self.config
    }

    /// Configures a cell with full buckets; `None` makes every packet green.
    pub(crate) fn configure(&mut self, config: Option<MeterConfig>) {
        self.config = config;
        if let Some(config) = config {
            self.committed = Bucket {
                tokens: config.committed_burst,
                made: 0,
            };
            self.peak = Bucket {
                tokens: config.peak_burst,
                made: 0,
            };
        }
    }

    pub(crate) fn run(&mut self, now_us: u64, need: u64) -> Colour {
        let Some(config) = self.config else {
            return Colour::Green;
        };
        if !self
            .peak
            .take(config.peak_rate, config.peak_burst, now_us, need)
        {
            return Colour::Red;
        }
        if !self
            .committed
            .take(config.committed_rate, config.committed_burst, now_us, need)
        {
            return Colour::Yellow;
        }
        Colour::Green
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, Meter, MeterConfig};

    #[test]
    fn colours_follow_the_two_buckets() {
        let mut meter = Meter::default();
        assert_eq!(meter.run(0, 100), Colour::Green);
        meter.configure(Some(MeterConfig {
            committed_rate: 1,
            committed_burst: 1,
            peak_rate: 2,
            peak_burst: 2,
        }));
        assert_eq!(meter.run(0, 1), Colour::Green);
        assert_eq!(meter.run(0, 1), Colour::Yellow);
        assert_eq!(meter.run(0, 1), Colour::Red);
        // Half a second fills the peak bucket by one, the committed one not yet.
        assert_eq!(meter.run(500_000, 1), Colour::Yellow);
        assert_eq!(meter.run(1_000_000, 1), Colour::Green);
    }
}
