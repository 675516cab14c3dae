//! Runs the real program, and sends HTTP requests to it.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A key of the quickstart's fixtures.
pub(crate) const KEY: &str = "tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW";

/// The timeout of a test step; a machine under load is slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, in a folder without a project.
pub(crate) fn tollgate(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(words).current_dir(std::env::temp_dir()).env("NO_COLOR", "1");
    // Where `dev` leaves its token; that of the person who runs the tests stays as it is.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR")).env_remove("TOLLGATE_OPERATOR_TOKEN");
    command
}

/// Runs the program to its end.
#[track_caller]
pub(crate) fn run(words: &[&str]) -> Ran {
    Ran::of(tollgate(words).output().expect("the program starts"))
}

/// The result of a run of the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The output, which must be JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| unreachable!("{error}: {self:?}"))
    }
}

/// The quickstart's folder.
pub(crate) fn quickstart() -> String {
    example("quickstart")
}

/// The folder of an example.
pub(crate) fn example(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the clone");
    root.join("examples").join(name).display().to_string()
}

/// A copy of the quickstart to edit.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("dev")).expect("a folder within");
        for name in ["tollgate.yaml", "dev/fixtures.yaml"] {
            std::fs::copy(Path::new(&quickstart()).join(name), folder.path().join(name)).expect("a copy");
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> String {
        self.folder.path().display().to_string()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a text in the project's file as an editor does: with a new file.
    #[track_caller]
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let file = self.file("tollgate.yaml");
        let before = std::fs::read_to_string(&file).expect("the project's file");
        assert!(before.contains(from), "the file has no {from}");
        let new = self.file("tollgate.yaml.new");
        std::fs::write(&new, before.replace(from, to)).expect("a new file");
        std::fs::rename(new, file).expect("the new file in its place");
    }
}

/// Whether the programs that this process starts ignore SIGHUP, because this one does, as under `nohup`.
pub(crate) fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// A running program; it is killed if the test ends first.
pub(crate) struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = gather(child.stdout.take().expect("a pipe"));
        let err = gather(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    /// `tollgate dev` on free ports.
    pub(crate) fn dev(project: &str) -> Self {
        Self::start(tollgate(&["dev", project, "--port", "0", "--echo-port", "0"]))
    }

    pub(crate) fn out(&self) -> String {
        self.out.lock().expect("no reader panicked").clone()
    }

    pub(crate) fn err(&self) -> String {
        self.err.lock().expect("no reader panicked").clone()
    }

    /// The word after a mark in the output, up to the next space; waits for it.
    #[track_caller]
    pub(crate) fn word_after(&self, mark: &str) -> String {
        self.wait_for(mark, || {
            let out = self.out() + &self.err();
            let (_, behind) = out.split_once(mark)?;
            let line = behind.split_once('\n')?.0;
            line.split_whitespace().next().map(str::to_owned)
        })
    }

    /// The address of the gateway, after the complete banner is printed.
    #[track_caller]
    pub(crate) fn url(&self) -> String {
        self.word_after("Ctrl-C ");
        self.word_after("gateway  ")
    }

    /// Waits until the function returns a value.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "not in time: {what}\n{}\n{}", self.out(), self.err());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().is_ok_and(|status| status.success()));
    }

    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < end, "it does not end\n{}\n{}", self.out(), self.err());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gather(from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let gathered = Arc::<Mutex<String>>::default();
    let into = Arc::clone(&gathered);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().expect("no other writer").push_str(&(line + "\n"));
        }
    });
    gathered
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) content: String,
}

impl Answer {
    /// A field of the head, by its name in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(given, value)| given.eq_ignore_ascii_case(name).then(|| value.trim()))
    }
}

/// Sends one request on a separate connection.
#[track_caller]
pub(crate) fn get(url: &str, fields: &[&str]) -> Answer {
    try_get(url, fields).unwrap_or_else(|error| unreachable!("{url}: {error}"))
}

pub(crate) fn try_get(url: &str, fields: &[&str]) -> std::io::Result<Answer> {
    let rest = url.strip_prefix("http://").expect("a plain URL");
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n");
    if !fields.iter().any(|field| field.to_ascii_lowercase().starts_with("host:")) {
        request.push_str(&format!("host: {authority}\r\n"));
    }
    fields.iter().for_each(|field| request.push_str(&format!("{field}\r\n")));
    stream.write_all((request + "\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let broken = || std::io::Error::other(format!("no whole answer: {answer:?}"));
    let (head, content) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    Ok(Answer { status, head: head.to_owned(), content: content.to_owned() })
}
