/// How often so long was waited: exact below 32 microseconds, and by one in sixteen above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many are in each class.
    counts: Vec<u64>,
    longest_us: u64,
}

impl Waits {
    /// Adds one.
    pub(super) fn add(&mut self, us: u64) {
        let class = class_of(us);
        if self.counts.len() <= class {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += 1;
        self.longest_us = self.longest_us.max(us);
    }

    /// Adds those of another run.
    pub fn add_all(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
        self.longest_us = self.longest_us.max(other.longest_us);
    }

    /// The time, in microseconds, that this many in a thousand did not exceed.
    #[must_use]
    pub fn at_per_mille(&self, per_mille: u64) -> u64 {
        let all: u64 = self.counts.iter().sum();
        let wanted = (u128::from(all) * u128::from(per_mille)).div_ceil(1_000);
        let mut seen = 0_u128;
        let class = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen >= wanted
        });
        class.map_or(0, least_of)
    }

    /// The longest, in microseconds.
    #[must_use]
    pub const fn longest_us(&self) -> u64 {
        self.longest_us
    }
}

/// 16 classes for each power of two.
fn class_of(us: u64) -> usize {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(5);
    usize::try_from(u64::from(shift) * 16 + (us >> shift)).unwrap_or(usize::MAX)
}

fn least_of(class: usize) -> u64 {
    let (shift, part) = ((class / 16).saturating_sub(1), class as u64);
    (part - shift as u64 * 16) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_as_at_most_a_sixteenth_less() {
        for us in (0..70).chain([1_000, 65_535, 65_536, 3_000_000, u64::MAX / 2]) {
            let told = least_of(class_of(us));
            assert!(told <= us && us - told <= us / 16, "{us}: {told}");
        }
    }

    #[test]
    fn a_part_of_all_waited_no_longer() {
        let mut waits = Waits::default();
        (0..100).for_each(|n| waits.add(if n < 90 { 0 } else { 16 }));
        assert_eq!([500, 900, 901, 1_000].map(|part| waits.at_per_mille(part)), [0, 0, 16, 16]);
        assert_eq!(Waits::default().at_per_mille(990), 0);
    }
}
