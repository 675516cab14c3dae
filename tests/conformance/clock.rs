//! What [`Clock`] and [`Entropy`] promise.

use tollgate_edge::ports::{Clock, Entropy};

/// Waiting takes the time it says, or somewhat longer; time does not run back meanwhile.
pub(crate) async fn waits_as_long_as_asked(clock: &impl Clock) {
    let before = clock.now();
    clock.sleep(50).await;
    let after = clock.now();
    assert!(after.millis_since(before) >= 45, "{} ms passed", after.millis_since(before));
    clock.sleep(0).await;
    assert!(clock.now() >= after);
}

/// The time is that of the world: within ten minutes of this machine's.
pub(crate) fn tells_the_time_of_day(clock: &impl Clock) {
    let world = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let told = u128::from(clock.now().as_millis());
    assert!(told.abs_diff(world.as_millis()) < 600_000, "{told}");
}

/// Bytes differ from call to call and fill the whole buffer, whatever its length.
pub(crate) fn fills_with_unpredictable_bytes(entropy: &impl Entropy) {
    let (mut one, mut two) = ([0; 32], [0; 32]);
    entropy.fill(&mut one);
    entropy.fill(&mut two);
    assert_ne!(one, two);
    assert_ne!(one[16..], [0; 16], "the end is filled, too");
    entropy.fill(&mut []);
}
