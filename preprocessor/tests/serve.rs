//! `mdbook serve`: editing renders again without capturing, a new capture shows up, nothing builds for ever, and an
//! error keeps the server alive.

use crate::common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Book, evidence, executable, mdbook};

/// The longest that anything may take on a busy machine before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A book under `mdbook serve`.
struct Server {
    book: Book,
    child: Child,
    port: u16,
    native: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CHAPTER: &str = "# One\n\nslide {{qed kaslr.slide}}, first text\n";

impl Server {
    /// Serve a small book. Each run of the preprocessor and of the collector leaves a line in `runs`, `calls`.
    fn start(watcher: &str) -> Self {
        let book = Book::new(
            &[("one.md", CHAPTER)],
            "capture = \"if-stale\"",
            "[build]\nextra-watch-dirs = [\".qed/evidence\"]\n",
        );
        let ours = env!("CARGO_BIN_EXE_mdbook-qed");
        let counting = executable(
            &book.path("log/counting"),
            &format!(
                "#!/bin/sh\n[ \"$1\" = supports ] || echo run >> {}\nexec {ours} \"$@\"\n",
                book.path("log/runs").display()
            ),
        );
        let settings = book.read("book.toml");
        book.write(
            "book.toml",
            &settings.replace(ours, &counting.display().to_string()),
        );
        executable(
            &book.path("bin/qed-collector"),
            &format!(
                "#!/bin/sh\necho \"$@\" >> {}\nexit 3\n",
                book.path("log/calls").display()
            ),
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let message = std::fs::File::create(book.path("log/said")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let child = Command::new(mdbook())
            .args([
                "serve",
                "--hostname",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--watcher",
                watcher,
            ])
            .current_dir(book.dir.path())
            .env("PATH", format!("{}:{path}", book.path("bin").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(message)
            .spawn()
            .unwrap();
        Server {
            book,
            child,
            port,
            native: watcher == "native",
        }
    }

    /// The page as the server gives it out; nothing while there is none.
    fn page(&self) -> String {
        let fetch = || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /one.html HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        fetch().unwrap_or_default()
    }

    /// The output of the server so far.
    fn read_output(&self) -> String {
        self.book.read("log/said")
    }

    /// Save a chapter as an editor does, whole or not at all: a watcher must not see a file that is still empty.
    fn save(&self, chapter: &str) {
        self.book.write("log/saved", chapter);
        let (new, file) = (self.book.path("log/saved"), self.book.path("src/one.md"));
        std::fs::rename(new, file).unwrap();
    }

    /// The number of runs of the preprocessor.
    fn runs(&self) -> usize {
        let runs = std::fs::read_to_string(self.book.path("log/runs"));
        runs.map_or(0, |text| text.lines().count())
    }

    /// Wait until something holds.
    fn wait(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "the server ended: {}",
                self.read_output()
            );
            assert!(
                start.elapsed() < PATIENCE,
                "waited for: {what}\n{}\n{}",
                self.page(),
                self.read_output()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Look for a few seconds whether it goes on building with nobody changing anything. mdBook 0.5.4 itself does so
    /// with the native watcher on Linux, in any book: it takes its own reading of a file for a change. There,
    /// nothing but what the author or a capture writes may have changed: no file of ours.
    fn is_at_rest(&self) {
        if self.native {
            let message = self.read_output();
            let changes = message
                .lines()
                .filter(|line| line.contains("Files changed"));
            for changed in changes.flat_map(|line| line.split('"').skip(1).step_by(2)) {
                let known = ["/src", "/src/one.md", "/src/SUMMARY.md", "/book.toml"];
                let known = known.iter().any(|end| changed.ends_with(end));
                let evidence = changed.contains("/.qed/evidence");
                assert!(known || evidence, "{changed} changed: {message}");
            }
            return;
        }
        // A change that was made just before may still be seen once.
        std::thread::sleep(Duration::from_secs(2));
        let before = self.runs();
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(
            self.runs(),
            before,
            "it builds again and again: {}",
            self.read_output()
        );
    }
}

fn edit_capture_and_err(watcher: &str) {
    let mut server = Server::start(watcher);
    server.wait("the first page", |s| s.page().contains("0x1e000000"));
    if server.native {
        // mdBook serves the page before it watches, and never sees an edit that comes between the two.
        server.wait("the watcher", |s| {
            s.read_output().contains("Listening for changes")
        });
    }
    server.is_at_rest();

    server.save(&CHAPTER.replace("first", "second"));
    server.wait("the edited page", |s| s.page().contains("second text"));

    server
        .book
        .evidence(&evidence("guest:test-1", 0x0040_0000, "said\n"));
    server.wait("the new evidence", |s| s.page().contains("0x400000"));
    server.is_at_rest();

    server.save("# One\n\nslide {{qed kaslr.slid}}\n");
    server.wait("the error", |s| s.read_output().contains("src/one.md:3:"));
    assert!(
        server.read_output().contains("did you mean `kaslr.slide`?"),
        "{}",
        server.read_output()
    );
    assert!(
        server.page().contains("second text"),
        "the last good page stays"
    );
    server.is_at_rest();

    server.save(&CHAPTER.replace("first", "third"));
    server.wait("the mended page", |s| s.page().contains("third text"));
    assert!(
        !server.book.path("log/calls").exists(),
        "nothing was stale, so nothing is captured"
    );
}

/// Check all of it with the watcher that asks again and again.
#[test]
fn poll_watcher() {
    edit_capture_and_err("poll");
}

/// Check all of it with the watcher that the system tells.
#[test]
fn native_watcher() {
    edit_capture_and_err("native");
}

/// Check that a capture that fails during `serve` is not tried again with every edit, and makes no loop; and that its guests were to be
/// resumed.
#[test]
fn failed_capture_makes_no_loop() {
    let mut server = Server::start("poll");
    server.wait("the first page", |s| s.page().contains("first text"));
    let investigation = server.book.read("test.toml");
    server.book.write(
        "test.toml",
        &format!("{investigation}\n[[command]]\nname = \"more\"\nrun = [\"true\"]\n"),
    );
    server.save(&CHAPTER.replace("first", "second"));
    server.wait("the edited page", |s| s.page().contains("second text"));
    assert!(server.page().contains("Out of date"), "{}", server.page());
    server.is_at_rest();
    server.save(&CHAPTER.replace("first", "third"));
    server.wait("the page edited again", |s| s.page().contains("third text"));
    let calls = server.book.read("log/calls");
    assert_eq!(calls.lines().count(), 2, "one for each machine");
    assert!(
        calls
            .lines()
            .all(|call| call.starts_with("capture --guests warm ")),
        "{calls}"
    );
}
