//! The server for HTTP/1.1 and HTTP/2: accepts connections, adds fields to requests as Spin does, and lets the component
//! answer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wasmtime_wasi_http::handler::ProxyHandler;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::guest::Guest;

/// The timeout for open requests after the launcher has stopped.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Serves until `stop` resolves, then lets open requests finish.
pub(crate) async fn serve(listener: TcpListener, handler: ProxyHandler<Guest>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    connections.spawn(connection(stream, client, handler.clone(), stop.clone()));
                }
                Err(error) => eprintln!("tollgate-spin-host: accept failed: {error}"),
            },
            Some(_) = connections.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_MAX, drained).await;
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    handler: ProxyHandler<Guest>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let handler = handler.clone();
        async move { Ok::<_, Error>(answer(request, client, &handler).await) }
    });
    let server = Builder::new(TokioExecutor::new());
    let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    // A broken connection needs no handling here; the component has been notified by then.
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = stop.changed() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn answer(request: Request<Incoming>, client: SocketAddr, handler: &ProxyHandler<Guest>) -> Response<WasiBody> {
    let (mut head, content) = request.into_parts();
    // Spin aborts the connection here; an answer makes the reason visible.
    let Some(uri) = absolute(&head.uri, &head.headers) else {
        return bare(StatusCode::BAD_REQUEST);
    };
    head.uri = uri;
    append_spin_fields(&mut head.headers, &head.uri, client);
    let content = content.map_err(Error::from).boxed_unsync();
    match handler.handle((), Request::from_parts(head, content)).await {
        Ok(response) => response,
        Err(error) => {
            eprintln!("tollgate-spin-host: no answer: {error:?}");
            bare(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// The request's URI with its authority, from the request line or the first `Host`, which must not differ.
fn absolute(uri: &Uri, fields: &HeaderMap) -> Option<Uri> {
    let named: Option<Authority> = match fields.get(HOST) {
        Some(host) => Some(Authority::try_from(host.as_bytes()).ok()?),
        None => None,
    };
    let Parts { authority, path_and_query, .. } = uri.clone().into_parts();
    let authority = match (named, authority) {
        (Some(named), Some(authority)) if named != authority => return None,
        (named, authority) => named.or(authority)?,
    };
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = path_and_query;
    Uri::from_parts(parts).ok()
}

/// Appends the fields that Spin appends, after fields of the same names from the client.
fn append_spin_fields(fields: &mut HeaderMap, uri: &Uri, client: SocketAddr) {
    let values = [
        ("spin-path-info", uri.path().to_owned()),
        ("spin-full-url", uri.to_string()),
        ("spin-matched-route", "/...".to_owned()),
        ("spin-base-path", "/".to_owned()),
        ("spin-raw-component-route", "/...".to_owned()),
        ("spin-component-route", String::new()),
        ("spin-client-addr", client.to_string()),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.append(name, value);
        }
    }
}

fn bare(status: StatusCode) -> Response<WasiBody> {
    let empty = Empty::<Bytes>::new().map_err(Error::from).boxed_unsync();
    let mut response = Response::new(empty);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, hosts: &[&str], expected: Option<&str>) {
        let mut fields = HeaderMap::new();
        for host in hosts {
            fields.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        let absolute = absolute(&uri.parse().unwrap(), &fields);
        assert_eq!(absolute.map(|uri| uri.to_string()).as_deref(), expected);
    }

    #[test]
    fn the_component_sees_an_absolute_uri_whose_path_nobody_touched() {
        check("/a/../%2e/b?c", &["a.example"], Some("http://a.example/a/../%2e/b?c"));
        check("http://a.example/b", &["a.example"], Some("http://a.example/b"));
        check("http://a.example/b", &[], Some("http://a.example/b"));
        check("http://a.example/b", &["b.example"], None);
        check("/b", &[], None);
        check("/b", &["no host"], None);
    }

    #[test]
    fn the_clients_address_is_the_last_of_its_name() {
        let mut fields = HeaderMap::new();
        fields.append("spin-client-addr", HeaderValue::from_static("10.0.0.1:1"));
        let client = SocketAddr::from(([127, 0, 0, 1], 9));
        append_spin_fields(&mut fields, &Uri::from_static("http://a.example/"), client);
        let addresses: Vec<_> = fields.get_all("spin-client-addr").iter().collect();
        assert_eq!(addresses, ["10.0.0.1:1", "127.0.0.1:9"]);
    }
}
