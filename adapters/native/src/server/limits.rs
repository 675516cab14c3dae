//! The process's limit of open files, whose default on many systems is too low for a server.

/// Raises the limit as far as this process may: the usual 1,024 are about 500 concurrent exchanges.
///
/// If it cannot be raised, connections wait to be accepted, and the log says why.
#[cfg(unix)]
pub(super) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
}

#[cfg(not(unix))]
pub(super) fn raise_open_files() {}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn the_limit_of_open_files_is_raised_to_the_maximum() {
        super::raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
