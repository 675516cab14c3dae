//! Runs the Spin artifact without Spin: a test tool, not a product.
//!
//! It reads `spin.toml`, compiles the component the manifest names, provides what the manifest asks for and serves
//! HTTP/1.1 and HTTP/2 without TLS, with instances reused and dropped as Spin 4.1 does: up to 128 requests each, 16 at
//! once, dropped after a second without work, all requests of an instance lost when one of them traps. It is meant to be
//! no kinder than Spin: its stores block and delay like a SQLite file, connections to clients wait for acknowledgements
//! (`TCP_NODELAY` is not set), and connections to upstreams are pooled and become stale.
//!
//! Not supported: several components and routes, other triggers, TLS towards clients, WASI 0.2 HTTP, files, sockets,
//! SQL and the other factors of Spin, runtime configuration, request deadlines and memory limits. The key-value
//! stores exist only in the process, unless they are kept. Other differences from Spin are described in the modules.
//!
//! Begin with [`guest::Guest`], the component's life cycle; [`protocol`] is the protocol with the launcher.

mod capabilities;
mod counts;
mod guest;
mod journal;
mod logs;
mod manifest;
mod outbound;
mod protocol;
mod redis;
mod server;
mod stores;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Parser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::guest::{Guest, Shared};
use crate::manifest::App;
use crate::stores::Stores;

/// Runs the Spin artifact; speaks JSON lines on standard input and output.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on; 0 takes any free port.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The gateway's name: the variable `tollgate_gateway`.
    #[arg(long)]
    gateway: Option<String>,
    /// The Redis server of counters: the variable `tollgate_counters`.
    #[arg(long)]
    counters: Option<String>,
    /// Configuration is read again for each request: the variable `tollgate_dev`.
    #[arg(long)]
    dev: bool,
    /// A secret, as NAME=VALUE: the component's variable `name`, as if the manifest declared it.
    #[arg(long = "secret", value_name = "NAME=VALUE", value_parser = named)]
    secrets: Vec<(String, String)>,
    /// The application's manifest.
    #[arg(long, default_value = "spin.toml")]
    manifest: PathBuf,
    /// The component, if it is not the one that the manifest names.
    #[arg(long)]
    component: Option<PathBuf>,
    /// For benchmarks: stores answer at once, and the component's output is dropped.
    #[arg(long)]
    bare: bool,
    /// The folder in which the stores are kept: the next process finds them there.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// For benchmarks: counts fuel and calls, for the command `counts`. Everything is slower.
    #[arg(long)]
    count: bool,
}

fn named(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_ascii_lowercase().replace('-', "_"), value.to_owned()))
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            protocol::emit(&json!({"failed": reason}));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments { port, bare, count, .. } = arguments;
    let kept = arguments.keep.as_deref().map(Stores::kept).transpose()?;
    let shared = Arc::new(Shared {
        app: app(arguments)?,
        stores: kept.unwrap_or_else(|| if bare { Stores::at_once() } else { Stores::default() }),
        faults: Default::default(),
        upstreams: Default::default(),
        trap_next: Default::default(),
        stopping: Default::default(),
        drops_output: bare,
        counts: count,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(host(shared, port))
}

fn app(arguments: Arguments) -> Result<App, String> {
    let mut given = BTreeMap::new();
    given.extend(arguments.gateway.map(|name| ("tollgate_gateway".to_owned(), name)));
    given.extend(arguments.counters.clone().map(|address| ("tollgate_counters".to_owned(), address)));
    if arguments.dev {
        given.insert("tollgate_dev".to_owned(), "1".to_owned());
    }
    given.extend(arguments.secrets.iter().cloned());
    let mut app = App::read(&arguments.manifest, &given)?;
    app.variables.extend(arguments.secrets);
    if let Some(component) = arguments.component {
        app.source = component;
    }
    if !app.source.is_file() {
        let source = app.source.display();
        return Err(format!("{source} does not exist: build it first (spin build, or the command in spin.toml)"));
    }
    Ok(app)
}

async fn host(shared: Arc<Shared>, port: u16) -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("port {port} of 127.0.0.1 cannot be used: {error}; give another --port"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let source = shared.app.source.display().to_string();
    let handler = Guest::load(Arc::clone(&shared), &cache_folder())
        .map_err(|error| format!("{source} cannot be run: {error:?}"))?;
    let (stop, stopped) = watch::channel(false);
    std::thread::spawn(move || {
        protocol::obey(&shared);
        shared.stopping.store(true, Ordering::Relaxed);
        let _ = stop.send(true);
    });
    protocol::emit(&json!({"ready": {"url": format!("http://{address}")}}));
    server::serve(listener, handler, stopped).await;
    Ok(())
}

/// The folder of compiled components, outside the clone and shared by all clones.
fn cache_folder() -> PathBuf {
    let home = || {
        let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
        home.join(".cache/tollgate")
    };
    std::env::var_os("TOLLGATE_CACHE").map_or_else(home, PathBuf::from)
}
