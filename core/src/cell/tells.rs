//! The shares of a limit that are told when a charge reaches them.

use std::num::{NonZeroU8, NonZeroU32};

use minicbor::Encode;

use crate::codec::Decode;

/// Up to four shares in percent, a byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Tells(#[n(0)] NonZeroU32);

impl Tells {
    /// These shares; further ones than the first four are left out.
    #[must_use]
    pub fn of(shares: &[NonZeroU8]) -> Option<Self> {
        let packed = shares.iter().take(size_of::<u32>()).fold(0, |packed, share| packed << 8 | u32::from(share.get()));
        NonZeroU32::new(packed).map(Self)
    }

    /// The largest share that is reached with so much used of a limit, and what was to be used for it.
    pub(super) fn reached(self, most: NonZeroU32, used: u64) -> Option<(NonZeroU8, u64)> {
        let shares = self.0.get().to_be_bytes().into_iter().filter_map(NonZeroU8::new);
        shares.map(|share| (share, share_of(most, share))).filter(|(_, at)| *at <= used).max()
    }
}

/// So many percent of a limit, rounded up.
#[must_use]
pub fn share_of(most: NonZeroU32, percent: NonZeroU8) -> u64 {
    (u64::from(most.get()) * u64::from(percent.get())).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_largest_share_that_is_reached_is_told() {
        let share = |percent| NonZeroU8::new(percent).unwrap();
        let most = |number| NonZeroU32::new(number).unwrap();
        assert_eq!(Tells::of(&[]), None);
        let tells = Tells::of(&[share(50), share(80), share(95), share(100)]).unwrap();
        let reached = |number, used| tells.reached(most(number), used).map(|(share, at)| (share.get(), at));
        assert_eq!(reached(1_000, 499), None);
        assert_eq!(reached(1_000, 500), Some((50, 500)));
        assert_eq!(reached(1_000, 949), Some((80, 800)));
        assert_eq!(reached(1_000, 1_200), Some((100, 1_000)));
        assert_eq!(reached(3, 2), Some((50, 2)), "of small limits the share is rounded up");
        assert_eq!(reached(u32::MAX, u64::MAX), Some((100, u32::MAX.into())));
    }
}
