//! Time that this thread had on a core: on a machine that others use as well, the clock on the wall
//! says little of how much there was to compute.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Runs, and says how long this thread was on a core for it.
pub(super) fn on_core<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let began = (now(), Instant::now());
    let out = run();
    let spent = match (began.0, now()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => began.1.elapsed(),
    };
    (out, spent)
}

fn now() -> Option<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(time.into())
}

/// The value below which this share of the samples is; zero without samples.
pub(super) fn quantile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let place = (samples.len() as f64 * share) as usize;
    let last = samples.len().saturating_sub(1);
    samples.get(place.min(last)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred() {
        let mut samples: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut samples, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&mut samples, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }

    #[test]
    fn sleep_is_no_time_on_a_core() {
        let (_, spent) = on_core(|| std::thread::sleep(Duration::from_millis(20)));
        assert!(spent < Duration::from_millis(10), "{spent:?}");
    }
}
