//! The content of a request, for policies that have to see all of it before the caller is authenticated, and what they accept only
//! once.
//!
//! It is read only when such a policy asks for it, which it does after everything that it can check without it, and then
//! forwarded from memory. Requests of other routes stream as they are.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use tollgate_core::authn::{CertificateSource, MessageError, PeerCertificate};
use tollgate_core::bounds::{TIMEOUT_MS_DEFAULT, VERIFIED_CONTENT_BYTES_MAX};
use tollgate_core::cell::Update;
use tollgate_core::event::Reason;
use tollgate_core::problem::{Problem, ProblemKind};

use super::exchange::{Exchange, Received};
use super::guard::too_large;
use super::undo::Undo;
use crate::ports::{Content, ContentFault, Entropy, Gathered, GatheredContent, Host};
use crate::timeout::in_time;

/// The content of a request, with the bounds for reading it.
pub(crate) struct RequestContent<'c, C> {
    content: &'c mut C,
    bytes_max: u64,
    timeout_ms: u64,
    /// Whether the method gives content no meaning (RFC 9110, section 9.3.1).
    is_ignored: bool,
    is_lost: bool,
    read: Option<Box<Read>>,
    /// Random bytes, the same for all policies, once one asks for them.
    request: Option<[u8; 16]>,
    /// Takes back what was accepted once, unless the request is forwarded.
    undos: &'c mut Vec<Undo>,
    /// A cookie that the response sets.
    cookie: &'c mut Option<Box<HeaderValue>>,
}

/// What is known of the request beside its content, once that is read: the platform's own request is lost with it.
struct Read {
    trailers: Option<HeaderMap>,
    certificate: Rc<PeerCertificate>,
}

impl<'c, C: Content> RequestContent<'c, C> {
    pub(super) fn new(
        exchange: &Exchange,
        content: &'c mut C,
        undos: &'c mut Vec<Undo>,
        cookie: &'c mut Option<Box<HeaderValue>>,
    ) -> Self {
        let (route, method) = (exchange.route(), &exchange.received.method);
        Self {
            content,
            bytes_max: route.content_bytes_max.min(VERIFIED_CONTENT_BYTES_MAX),
            timeout_ms: route.timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT),
            is_ignored: *method == Method::GET || *method == Method::HEAD,
            is_lost: false,
            read: None,
            request: None,
            undos,
            cookie,
        }
    }

    /// Whether the content can still be forwarded.
    pub(crate) const fn is_there(&self) -> bool {
        !self.is_lost
    }

    /// Releases this charge after the reply, unless the request is answered or the upstream may have received it.
    pub(crate) fn release_unless_forwarded(&mut self, charge: &Update) {
        self.undos.push(Undo::release(charge));
    }

    /// Random bytes that no other request has.
    pub(crate) fn request<H: Host>(&mut self, host: &H) -> [u8; 16] {
        *self.request.get_or_insert_with(|| {
            let mut random = [0; 16];
            host.entropy().fill(&mut random);
            random
        })
    }

    /// Lets the response set a cookie.
    pub(crate) fn set_cookie(&mut self, line: &str) {
        *self.cookie = HeaderValue::from_str(line).ok().map(Box::new);
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// The certificate of the client, as this source tells it.
    pub(crate) fn client_certificate<H: Host<Content = C>>(
        &self,
        host: &H,
        received: &Received,
        source: CertificateSource,
    ) -> Rc<PeerCertificate> {
        match (source, &self.read) {
            (CertificateSource::Field, _) => Rc::clone(&received.certificates.field),
            (CertificateSource::Connection, Some(read)) => Rc::clone(&read.certificate),
            (CertificateSource::Connection, None) => host.client_certificate(self.content),
        }
    }

    /// The trailers, if it was gathered and had some.
    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        self.read.as_ref()?.trailers.clone()
    }

    /// All of it; what is forwarded afterwards is this.
    pub(crate) async fn gathered<H: Host<Content = C>>(&mut self, host: &H) -> Result<Bytes, Problem> {
        if self.content.is_empty() {
            return Ok(Bytes::new());
        }
        if self.is_ignored {
            let error = MessageError::ContentOfGet;
            let detail = format!("The request is not accepted: {error}.");
            return Err(Problem::new(error.kind(), detail, Reason::MessageRefused { error }));
        }
        self.is_lost = true;
        let certificate = host.client_certificate(self.content);
        let content = std::mem::replace(self.content, C::empty());
        let whole = gathered(host, content, self.bytes_max, self.timeout_ms).await?;
        *self.content = C::replay(&whole);
        self.is_lost = false;
        self.read = Some(Box::new(Read { trailers: whole.trailers, certificate }));
        Ok(whole.bytes)
    }
}

/// All of some content, within these bounds.
pub(crate) async fn gathered<H: Host>(
    host: &H,
    content: H::Content,
    bytes_max: u64,
    timeout_ms: u64,
) -> Result<GatheredContent, Problem> {
    match in_time(host, timeout_ms, content.gather(bytes_max)).await {
        Some(Ok(Gathered::Complete(whole))) => Ok(whole),
        Some(Ok(Gathered::TooLarge(_)) | Err(ContentFault::LimitExceeded)) => {
            Err(too_large(bytes_max, Reason::ContentNotVerifiable { max: bytes_max }))
        }
        Some(Err(ContentFault::Interrupted)) => {
            let detail = "The request's content is incomplete or invalid.";
            Err(Problem::new(ProblemKind::BadRequest, detail, Reason::ContentInterrupted))
        }
        None => {
            let detail = "The request's content did not arrive in time. Send it faster.";
            Err(Problem::new(ProblemKind::ContentTimeout, detail, Reason::ContentLate))
        }
    }
}
