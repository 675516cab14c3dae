//! The least that a Spin component costs which forwards a request, and what each call of the host adds that a gateway cannot
//! leave out.
//!
//! Without steps it copies the request's fields, calls the upstream of the variable `upstream` (`HOST:PORT`), and returns the
//! host's response untouched. The variable `steps` names what it does besides (`Step`). With `log`, it makes all calls of the
//! host that Tollgate makes: for a forward, for `/cached` and for `/keyed`. It is a reference to measure against, not a
//! proxy: it decides nothing, and there are no failures.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "it is exported on wasm alone"))]

mod calls;

use std::cell::OnceCell;
use std::rc::Rc;

use spin_sdk::variables;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use spin_sdk::wasip3::{spawn, wit_future};

use calls::Calls;

struct Component;

#[cfg(target_arch = "wasm32")]
spin_sdk::wasip3::http::service::export!(Component);

/// What is done besides forwarding; each includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Nothing,
    /// The call has timeouts of the host.
    Options,
    /// Whether the request has content is found out by reading it.
    Request,
    /// Clocks are read, and random ids sent.
    Ids,
    /// The response has other fields, and the host's own content.
    Response,
    /// The content is read, and written again.
    Content,
    /// After the reply, a line is written to standard output.
    Log,
}

/// What an instance keeps.
struct Kept {
    upstream: String,
    steps: Step,
    calls: Calls,
}

thread_local! {
    static KEPT: OnceCell<Rc<Kept>> = const { OnceCell::new() };
}

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let kept = kept().await?;
        let Kept { steps, calls, .. } = &*kept;
        let (method, path) = (request.get_method(), request.get_path_with_query());
        let is_passed = |name: &str| !matches!(name, "host" | "connection" | "x-api-key") && !name.starts_with("spin-");
        let fields = request.get_headers().copy_all();
        let mut fields: Vec<_> = fields.into_iter().filter(|(name, _)| is_passed(name)).collect();
        if *steps >= Step::Request {
            calls::read_nothing(request).await;
        }
        let id = (*steps >= Step::Ids).then(|| calls.begin());
        if path.as_deref() == Some("/cached") {
            let response = calls::from_memory(id.as_deref().unwrap_or_default())?;
            return Ok(kept.logged(response));
        }
        if path.as_deref() == Some("/keyed") && *steps >= Step::Log {
            calls.charge();
        }
        fields.extend(id.iter().flat_map(|id| calls::told(id)));
        let fields = Fields::from_list(&fields).map_err(|_| ErrorCode::InternalError(None))?;
        let options = (*steps >= Step::Options).then(|| calls.options());
        let (out, _sent) = Request::new(fields, None, wit_future::new(|| Ok(None)).1, options);
        let failed = |()| ErrorCode::InternalError(None);
        out.set_method(&method).map_err(failed)?;
        out.set_scheme(Some(&Scheme::Http)).map_err(failed)?;
        out.set_authority(Some(&kept.upstream)).map_err(failed)?;
        out.set_path_with_query(path.as_deref()).map_err(failed)?;
        let response = client::send(out).await?;
        if *steps < Step::Response {
            return Ok(response);
        }
        let response = calls::rebuilt(response, id.as_deref().unwrap_or_default(), *steps >= Step::Content).await?;
        Ok(kept.logged(response))
    }
}

impl Kept {
    /// The response; the line is written after it is returned.
    fn logged(self: Rc<Self>, response: Response) -> Response {
        if self.steps >= Step::Log {
            spawn(async move { self.calls.end() });
        }
        response
    }
}

async fn kept() -> Result<Rc<Kept>, ErrorCode> {
    if let Some(kept) = KEPT.with(|kept| kept.get().cloned()) {
        return Ok(kept);
    }
    let upstream =
        variables::get("upstream").await.map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    let steps = match variables::get("steps").await.unwrap_or_default().as_str() {
        "options" => Step::Options,
        "request" => Step::Request,
        "ids" => Step::Ids,
        "response" => Step::Response,
        "content" => Step::Content,
        "log" => Step::Log,
        _ => Step::Nothing,
    };
    let new = || Rc::new(Kept { upstream, steps, calls: Calls::default() });
    Ok(KEPT.with(|kept| kept.get_or_init(new).clone()))
}
