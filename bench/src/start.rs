//! How long the native host takes from the start of its process to its first answer.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::compare::Row;
use crate::cpu::cpu_time;
use crate::load::{Asked, Load, first_byte};
use crate::native::serve;
use crate::project;
use crate::server::Program;
use crate::side::Side;

const STARTS: usize = 15;
const ROUTES: usize = 1_000;

/// The median of the starts with many routes, compared with those with one.
pub(crate) fn measure(upstream: SocketAddr) -> Result<Row, String> {
    let (side, folder) = (Side::own(), tempfile::tempdir().map_err(|error| error.to_string())?);
    let store = |routes: usize| published(&side, &folder.path().join(routes.to_string()), upstream, routes);
    let (many, one) = (store(ROUTES)?, store(1)?);
    let mut taken = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        taken[0].push(start(&side, &many, ROUTES)?);
        taken[1].push(start(&side, &one, 1)?);
    }
    let [many, one] = taken.map(|mut taken| {
        taken.sort_by_key(|start| start.wall);
        let cpu: Duration = taken.iter().map(|start| start.cpu).sum();
        (
            taken[STARTS / 2].wall.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e3 / f64::from(u32::try_from(STARTS).unwrap_or(1)),
        )
    });
    let said = |(wall, cpu): (f64, f64)| format!("{wall:.1} ms, {cpu:.1} ms CPU");
    let ratio = format!("{:.2} (more is slower)", many.0 / one.0);
    Ok(Row::plain("native: start to first answer, 1,000 routes, against one route", said(many), said(one), ratio))
}

fn published(side: &Side, folder: &Path, upstream: SocketAddr, routes: usize) -> Result<PathBuf, String> {
    let mut files = vec![("tollgate.yaml".to_owned(), project::hosts_yaml(upstream))];
    files.extend(project::api_files("one", HOST, routes));
    side.publish_files(folder, &files)
}

/// What one start took.
struct Start {
    wall: Duration,
    /// In ticks of 10 ms, so that only the mean of many says something.
    cpu: Duration,
}

fn start(side: &Side, store: &Path, routes: usize) -> Result<Start, String> {
    let (port, mut command) = serve(side, store)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let begun = Instant::now();
    let program = Program(command.stderr(Stdio::null()).spawn().map_err(|error| side.missing(&error))?);
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > START_MAX {
            return Err(format!("nothing listens on {address} after {START_MAX:?}"));
        }
        thread::sleep(Duration::from_micros(200));
    }
    let asked = Asked { host: Some(HOST.to_owned()), ..Asked::new(&project::path(routes - 1), &[]) };
    let load = Load::of(address, program.0.id(), vec![asked]);
    first_byte(&load)?;
    Ok(Start { wall: begun.elapsed(), cpu: cpu_time(load.process).unwrap_or_default() })
}

const HOST: &str = "h0.example.com";
const START_MAX: Duration = Duration::from_secs(10);
