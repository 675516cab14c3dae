use js_sys::{Array, Uint8Array};
use tollgate_core::fetch::{FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::forward::UpstreamError;
use tollgate_edge::ports::Fetch;
use wasm_bindgen::{JsCast, JsValue};

use super::upstream::{head_of, kind_of};
use crate::content::to_number;
use crate::task::settled;
use crate::{fields, platform};

/// `fetch`; the platform collects and decodes the answer.
///
/// The platform resolves names outside any private network: a name with a private address cannot be reached, so the
/// address rule is applied to the URL only.
#[derive(Clone, Copy, Debug)]
pub struct WorkerFetch;

impl Fetch for WorkerFetch {
    async fn fetch(&self, request: &FetchRequest, bounds: &FetchBounds) -> Result<FetchAnswer, FetchError> {
        bounds.addresses.check_url(&request.url)?;
        let lines = format!("{}\n{}\n{}", request.method, request.url, fields::to_json(&request.fields));
        let (timeout_ms, max_bytes) = (to_number(bounds.timeout_ms), to_number(bounds.answer_bytes_max));
        let answer = settled(platform::fetch_own(&lines, request.content.to_vec(), timeout_ms, max_bytes)).await;
        let answer = answer
            .map_err(|error| FetchError::from(kind_of(&platform::name_of(&error), &platform::message_of(&error))))?;
        answer_of(&answer)
    }
}

fn answer_of(answer: &JsValue) -> Result<FetchAnswer, FetchError> {
    let parts: &Array = answer.unchecked_ref();
    let head = parts.get(0).as_string().ok_or(UpstreamError::ProxyInternalError)?;
    let (status, mut fields, _) = head_of(&head)?;
    let content = parts.get(1);
    let content = content.dyn_ref::<Uint8Array>().ok_or(FetchError::TooLarge)?.to_vec().into();
    fields.remove(http::header::CONTENT_ENCODING);
    fields.remove(http::header::CONTENT_LENGTH);
    Ok(FetchAnswer { status, fields, content })
}
