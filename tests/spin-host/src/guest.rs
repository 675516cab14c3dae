//! The component's life cycle: compiled once, instantiated on demand, reused and dropped as Spin does.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::component::{Component, GuestTaskId, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Result, Store, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::logs::Logs;
use crate::manifest::App;
use crate::outbound::{Outbound, Upstreams};
use crate::stores::{Faults, Stores};
use crate::{capabilities, counts};

/// The state that all instances share and that the launcher's commands change.
#[derive(Debug)]
pub(crate) struct Shared {
    pub app: App,
    pub stores: Stores,
    pub faults: Faults,
    pub upstreams: Upstreams,
    /// Makes the next request trap at its first step.
    pub trap_next: AtomicBool,
    /// The process is stopping, so that aborted instances are not reported.
    pub stopping: AtomicBool,
    /// The component's output goes nowhere.
    pub drops_output: bool,
    /// Fuel and calls are counted.
    pub counts: bool,
}

/// The state of one instance.
pub(crate) struct State {
    pub shared: Arc<Shared>,
    pub table: ResourceTable,
    /// The number of places that swaps have taken.
    pub swaps: usize,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

/// The number of requests that one instance serves in total.
const REQUESTS_MAX: usize = 128;
/// The number of concurrent requests of one instance, interleaved while they wait.
const CONCURRENT_MAX: usize = 16;
/// How long an idle instance is kept.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// Epochs never advance here: a deadline of any length is never reached, and one of zero is reached immediately.
const NO_DEADLINE: u64 = u64::MAX / 2;

/// Creates instances of the component.
pub(crate) struct Guest {
    engine: Engine,
    pre: ProxyPre<State>,
    shared: Arc<Shared>,
}

impl Guest {
    /// Compiles the component, or loads it from the cache folder if the same bytes were compiled before.
    pub(crate) fn load(shared: Arc<Shared>, cache: &Path) -> Result<ProxyHandler<Self>> {
        let mut cached = CacheConfig::new();
        cached.with_directory(cache.join("wasmtime"));
        let mut config = Config::new();
        config.cache(Some(Cache::new(cached)?)).wasm_component_model_async(true).epoch_interruption(true);
        if shared.counts {
            counts::begin(&mut config)?;
        }
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        capabilities::add_to_linker(&mut linker)?;
        let component = Component::from_file(&engine, &shared.app.source)?;
        let pre = ServicePre::new(linker.instantiate_pre(&component)?)?;
        Ok(ProxyHandler::new(Self { engine, pre: ProxyPre::P3(pre), shared }))
    }

    fn new_store(&self) -> Result<Store<State>> {
        let mut wasi = WasiCtxBuilder::new();
        if !self.shared.drops_output {
            wasi.stdout(Logs).stderr(Logs);
        }
        let state = State {
            shared: Arc::clone(&self.shared),
            table: ResourceTable::new(),
            swaps: 0,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: Outbound { shared: Arc::clone(&self.shared) },
        };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(NO_DEADLINE);
        if self.shared.counts {
            counts::fill(&mut store)?;
        }
        Ok(store)
    }
}

impl HandlerState for Guest {
    type StoreData = State;
    type WorkerExpiration = IdleLimit;
    type WorkerState = Reuse;

    async fn instantiate(&self) -> Result<Instance<State, IdleLimit, Reuse>> {
        let mut store = self.new_store()?;
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: State::http,
            expiration: IdleLimit(Box::pin(tokio::time::sleep(IDLE_MAX))),
            state: Reuse(Arc::clone(&self.shared)),
        })
    }
}

/// Stops an instance that has been idle for too long; a busy one is never stopped.
pub(crate) struct IdleLimit(Pin<Box<Sleep>>);

impl WorkerExpiration for IdleLimit {
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>, status: WorkerStatus, since: Instant) -> Poll<()> {
        match status {
            WorkerStatus::Requests | WorkerStatus::PostReturn => Poll::Pending,
            WorkerStatus::Idle => {
                let deadline = (since + IDLE_MAX).into();
                if self.0.deadline() != deadline {
                    self.0.as_mut().reset(deadline);
                }
                ready!(self.0.as_mut().poll(context));
                Poll::Ready(())
            }
        }
    }
}

/// Decides whether an instance accepts more requests.
pub(crate) struct Reuse(Arc<Shared>);

impl WorkerState for Reuse {
    type StoreData = State;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= REQUESTS_MAX {
            ShouldAccept::Never
        } else if concurrent >= CONCURRENT_MAX {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        mut store: StoreContextMut<'_, State>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        if self.0.trap_next.swap(false, Ordering::Relaxed) {
            store.set_epoch_deadline(0);
        }
        // Spin has no limit for a request's time unless it is configured.
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<State>, result: Result<()>) {
        if let Err(error) = result
            && !self.0.stopping.load(Ordering::Relaxed)
        {
            eprintln!("tollgate-spin-host: an instance ended: {error:?}");
        }
        if self.0.counts {
            counts::ended(&store);
        }
        drop(store);
    }
}
