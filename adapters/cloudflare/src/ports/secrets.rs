use std::rc::Rc;

use js_sys::Reflect;
use tollgate_core::secret::Secret;
use tollgate_edge::ports::{Secrets, Unavailable};
use wasm_bindgen::JsValue;
use worker::Env;

/// Worker secrets: text bindings of `env`.
#[derive(Clone, Debug)]
pub struct WorkerSecrets(pub(crate) Rc<Env>);

impl Secrets for WorkerSecrets {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        let value = Reflect::get(&self.0, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
        Ok(value.as_string().map(Secret::new))
    }
}
