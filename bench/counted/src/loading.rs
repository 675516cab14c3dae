//! Loads a bundle, as a new isolate does for its first request.

use tollgate_bench_loader as loader;

use crate::{read, write};

pub(crate) fn pack(file: &str, hosts: usize, routes: usize) -> Result<(), String> {
    write(file, &loader::pack(hosts, routes, false))
}

pub(crate) fn load_all(file: &str, count: usize) -> Result<(), String> {
    let packed = read(file)?;
    let all_found = (0..count).all(|_| loader::load(&packed));
    if all_found { Ok(()) } else { Err(format!("{file}: the route is not found")) }
}
