//! How long the platform lets an exchange run: until its client has the reply or hangs up, or longer where it was asked to.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::JsValue;

use crate::platform::{self, Exchange};

/// The lifetime of one exchange; clones are the same lifetime.
#[derive(Clone, Debug)]
pub(crate) struct Lifetime(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    exchange: Exchange,
    /// Tells the platform that no more time is needed.
    done: RefCell<Option<Function>>,
}

impl Lifetime {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self(Rc::new(Inner { exchange, done: RefCell::default() }))
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.0.exchange
    }

    /// Asks the platform to let the exchange run on until [`Lifetime::end`]; at most 30 s without its client.
    pub(crate) fn extend(&self) {
        let mut done = self.0.done.borrow_mut();
        if done.is_none() {
            // Where the platform refuses, the exchange goes as far as it can.
            *done = platform::keep_alive(&self.0.exchange).ok();
        }
    }

    /// Says that the exchange is over.
    pub(crate) fn end(&self) {
        if let Some(done) = self.0.done.take() {
            // To say so does not fail.
            let _ = done.call0(&JsValue::UNDEFINED);
        }
    }
}
