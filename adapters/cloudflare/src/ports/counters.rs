use tollgate_core::limit::{ChargeOutcome, ChargeRequest};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Counters, Unavailable};
use worker::Env;

use super::unavailable;
use crate::platform;
use crate::task::settled;

/// Durable Objects: one for each partition, of the class bound as `TOLLGATE_COUNTERS`.
///
/// The object (`js/counter.mjs`) runs one call at a time, on its own clock, and calls the functions of [`crate::counter`].
#[derive(Clone, Debug)]
pub struct ObjectCounters {
    pub(crate) env: Env,
    pub(crate) gateway: String,
}

impl Counters for ObjectCounters {
    async fn charge(&self, request: &ChargeRequest, _now: Timestamp) -> Result<ChargeOutcome, Unavailable> {
        let answer = settled(platform::charge(&self.env, &self.name_of(request), &json_of(request)?))
            .await
            .map_err(|error| unavailable(STORE, &error))?;
        let outcome = answer.as_string().and_then(|text| serde_json::from_str(&text).ok());
        outcome.ok_or_else(|| Unavailable::new(format!("{STORE}: the answer is no outcome")))
    }

    async fn refund(&self, request: &ChargeRequest, _now: Timestamp) -> Result<(), Unavailable> {
        settled(platform::refund(&self.env, &self.name_of(request), &json_of(request)?))
            .await
            .map_err(|error| unavailable(STORE, &error))?;
        Ok(())
    }
}

impl ObjectCounters {
    fn name_of(&self, request: &ChargeRequest) -> String {
        format!("{}:{}", self.gateway, request.partition)
    }
}

const STORE: &str = "the Durable Object of the counters";

fn json_of(request: &ChargeRequest) -> Result<String, Unavailable> {
    serde_json::to_string(request).map_err(|error| Unavailable::new(error.to_string()))
}
