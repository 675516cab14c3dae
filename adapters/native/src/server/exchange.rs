//! One exchange: from hyper's request to the pipeline and back.

use std::rc::Rc;

use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::{Body, Incoming};
use tollgate_edge::Client;
use tollgate_edge::ports::Host;

use super::activity::Activity;
use super::answer::Answer;
use super::delivering::Delivering;
use super::isolate::Serving;
use super::receiving::Framing;
use super::tls::Peer;
use super::work::{Job, Rests, Work};
use crate::content::{NativeContent, RequestState, Waiting};

/// Answers the request; an error resets its stream, or closes the connection over HTTP/1.1.
///
/// A panic affects this exchange only. A request whose client is gone before its turn is dropped.
pub(super) fn answer(
    serving: &Rc<Serving>,
    activity: &Rc<Activity>,
    client: Client,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Answer>, h2::Error>> + use<> {
    let hop = Hop { version: request.version(), takes_trailers: request.headers().contains_key(TE) };
    let is_http2 = hop.version == Version::HTTP_2;
    let is_request = activity.receiving.is_in_step();
    let busy = activity.begin(Framing::of(request.body(), is_http2), is_http2);
    let delivering = Rc::new(Delivering::on(activity, busy, &serving.sweep));
    if is_http2 {
        serving.streams.announce(&delivering);
    }
    // The work of an exchange may outlast its stream, so streams alone do not bound it.
    let turn = match activity.exchanges.count() < EXCHANGES_PER_CONNECTION_MAX {
        _ if !is_request => Turn::Never,
        true => Turn::Now(begin(serving, activity, client, request)),
        false => Turn::Later(Box::new(request)),
    };
    let (serving, activity) = (Rc::clone(serving), Rc::clone(activity));
    async move {
        let begun = match turn {
            Turn::Never => return Err(h2::Reason::PROTOCOL_ERROR.into()),
            Turn::Now(begun) => begun,
            Turn::Later(request) => {
                activity.exchanges.below(EXCHANGES_PER_CONNECTION_MAX).await;
                begin(&serving, &activity, client, *request)
            }
        };
        let served = match begun {
            Some(begun) => begun.response(&serving.rests).await,
            None => None,
        };
        delivering.answered();
        let mut response = match served {
            Some(response) => response,
            None => overloaded(&serving, &delivering)?,
        };
        let ends_by_close = hop.frame(&mut response);
        if activity.receiving.is_last() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        delivering.begin(response.body().deadline());
        Ok(response.map(|content| Answer { content, delivering, ends_by_close, has_failed: false }))
    }
}

/// When a request is handled.
enum Turn {
    /// At once; `None` if the server handles too many.
    Now(Option<Begun>),
    /// When fewer of its connection are handled.
    Later(Box<Request<Incoming>>),
    /// It may not be a request.
    Never,
}

/// Work that has begun, and a client that waits for its response.
struct Begun {
    /// Dropped before the work, which goes on without the client then.
    waiting: Waiting,
    work: Work,
}

impl Begun {
    async fn response(mut self, rests: &Rests) -> Option<Response<NativeContent>> {
        let response = self.work.response().await;
        self.waiting.answered();
        rests.add(self.work);
        response
    }
}

/// Begins to handle the request; `None` if the server handles too many.
fn begin(serving: &Rc<Serving>, activity: &Activity, client: Client, request: Request<Incoming>) -> Option<Begun> {
    let state = RequestState::at(serving.exchange_places.take()?, activity.peer().map(Peer::certificate));
    activity.receiving.of(&state);
    let waiting = state.waiting(&serving.cut_off);
    let version = request.version();
    let of_request = state.clone();
    let request = request.map(|incoming| NativeContent::from_client(incoming, version, state));
    let tracking = [serving.exchanges.track(), activity.exchanges.track()];
    let job = Job { serving: Rc::clone(serving), request, client, state: of_request, tracking };
    let work = Work::begin(&serving.workers, job);
    Some(Begun { waiting, work })
}

/// What the framing of a response depends on.
struct Hop {
    version: Version,
    /// Whether the client may have announced that it takes trailers; hyper reads what it says.
    takes_trailers: bool,
}

impl Hop {
    /// Fits the framing of the response to the client's version of HTTP; answers whether only the end of the connection ends
    /// the response.
    fn frame(&self, response: &mut Response<NativeContent>) -> bool {
        match self.version {
            Version::HTTP_10 => {
                let content = response.body();
                let has_length =
                    content.size_hint().exact().is_some() || response.headers().contains_key(CONTENT_LENGTH);
                if !has_length {
                    // Otherwise hyper would promise to keep the connection.
                    *response.version_mut() = Version::HTTP_10;
                }
                !has_length
            }
            Version::HTTP_11 if self.takes_trailers && response.body().may_have_trailers() => {
                // Only chunked content has trailers (RFC 9112, section 7.1.2).
                if response.headers().contains_key(TRAILER) {
                    response.headers_mut().remove(CONTENT_LENGTH);
                    response.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                false
            }
            _ => false,
        }
    }
}

/// The answer to a request beyond the bound of the server. A client that does not take such answers gets no more of them: the
/// request is refused in a way that costs no memory (RFC 9113, section 8.7: it was not processed).
fn overloaded(serving: &Serving, delivering: &Delivering) -> Result<Response<NativeContent>, h2::Error> {
    serving.host.telemetry_sink().overloaded();
    serving.complain("exchanges-full", "too many requests are handled at once");
    if delivering.is_overloaded() { Ok(tollgate_edge::overloaded()) } else { Err(h2::Reason::REFUSED_STREAM.into()) }
}

/// Exchanges of one connection until their work ends: all of its streams, and some whose clients have reset them.
const EXCHANGES_PER_CONNECTION_MAX: usize = super::conversation::STREAMS_MAX as usize + 32;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use tollgate_edge::ports::{Content, GatheredContent};

    #[track_caller]
    fn check(version: Version, takes_trailers: bool, announced: bool, framing: [bool; 2]) {
        let whole = GatheredContent { bytes: "ab".into(), trailers: Some(HeaderMap::new()) };
        let mut response = Response::new(NativeContent::replay(&whole));
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(2));
        if announced {
            response.headers_mut().insert(TRAILER, HeaderValue::from_static("x-sum"));
        }
        assert!(!Hop { version, takes_trailers }.frame(&mut response));
        let has = |name| response.headers().contains_key(name);
        assert_eq!([has(CONTENT_LENGTH), has(TRANSFER_ENCODING)], framing, "{version:?} {takes_trailers} {announced}");
    }

    #[test]
    fn announced_trailers_have_chunked_content_before_them_if_the_client_takes_trailers() {
        check(Version::HTTP_11, true, true, [false, true]);
        check(Version::HTTP_11, true, false, [true, false]);
        check(Version::HTTP_11, false, true, [true, false]);
        check(Version::HTTP_10, true, true, [true, false]);
        check(Version::HTTP_2, true, true, [true, false]);
    }
}
