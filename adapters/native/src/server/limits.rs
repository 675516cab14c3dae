//! The process's bound on open files, which many systems set far below what a server needs.

/// Raises the bound as far as this process may: 1,024, as many systems start with, are some 500 exchanges at once.
///
/// What cannot be raised stays; then connections wait to be accepted, and the log says why.
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
    fn as_many_files_may_be_open_as_the_system_allows() {
        super::raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
