//! What is taken back opens nothing: a line that is gone, a file that is gone, whatever the file's times say; streams and
//! sessions end with their token.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    thread,
};

use crate::support::{self, PATIENCE, Running, World, output, text, wait_until};

/// A running server with a file of two tokens.
struct Guarded {
    _world: World,
    running: Running,
    file: PathBuf,
    tokens: [String; 2],
}

impl Guarded {
    fn start() -> Self {
        let folder = World::new("busy", &[]);
        let file = folder.path("tokens");
        let tokens = ["kept", "gone"].map(|name| {
            let made = output(&["token", "new", "--name", name, "--scope", "read", "--tokens", text(&file)]);
            String::from_utf8(made.stdout).unwrap().trim().to_owned()
        });
        let mut command = folder.command("run");
        command.args(["--listen", "127.0.0.1:0", "--tokens", text(&file)]);
        let running = support::start(command, &folder.path("stderr.txt"));
        running.wait_until_ready();
        Self { _world: folder, running, file, tokens }
    }

    fn opens(&self, token: &str) -> bool {
        self.ask(&format!("GET /api/v1/mode HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n"))
            .contains(" 200 ")
    }

    fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.running.base.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, request: &str) -> String {
        let mut answer = String::new();
        self.connect(request).read_to_string(&mut answer).unwrap();
        answer
    }

    /// Without the line of the token that goes.
    fn without(&self) -> String {
        let text = fs::read_to_string(&self.file).unwrap();
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("gone")).collect();
        kept.join("\n") + "\n"
    }

    /// A stream of events, as a thread that ends with it.
    fn follow(&self, header: &str) -> thread::JoinHandle<usize> {
        let mut stream =
            self.connect(&format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"));
        let mut begun = [0; 15];
        stream.read_exact(&mut begun).unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200 OK");
        thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()).unwrap() as usize)
    }

    fn degraded(&self) -> String {
        self.running.get("/readyz").json()["degraded"].to_string()
    }
}

#[test]
fn a_line_that_is_gone_opens_nothing_also_when_the_files_time_stays() {
    let guarded = Guarded::start();
    let [kept, gone] = &guarded.tokens;
    assert!(guarded.opens(kept) && guarded.opens(gone));
    let before = fs::metadata(&guarded.file).unwrap().modified().unwrap();
    // As `mv` and `cp -p` do it: another file, whole at once, with the time of the one before.
    let other = guarded.file.with_extension("new");
    fs::write(&other, guarded.without()).unwrap();
    File::options().append(true).open(&other).unwrap().set_modified(before).unwrap();
    fs::rename(&other, &guarded.file).unwrap();
    assert_eq!(fs::metadata(&guarded.file).unwrap().modified().unwrap(), before);
    wait_until("the token is dead", || !guarded.opens(gone));
    assert!(guarded.opens(kept));
    assert_eq!(guarded.degraded(), "[]");
}

#[test]
fn a_file_that_is_gone_opens_nothing_and_that_is_said() {
    let guarded = Guarded::start();
    let content = fs::read(&guarded.file).unwrap();
    fs::remove_file(&guarded.file).unwrap();
    let [kept, gone] = &guarded.tokens;
    wait_until("all tokens are dead", || !guarded.opens(kept) && !guarded.opens(gone));
    wait_until("it is said", || guarded.degraded().contains("is gone"));
    fs::write(&guarded.file, content).unwrap();
    wait_until("they live again", || guarded.opens(kept) && guarded.opens(gone));
    wait_until("nothing is wrong any more", || guarded.degraded() == "[]");
}

#[test]
fn a_file_that_is_broken_is_said_and_locks_nobody_out_at_once() {
    let guarded = Guarded::start();
    fs::write(&guarded.file, "kept read sha256:slip\n").unwrap();
    wait_until("it is said", || guarded.degraded().contains("could not be read"));
    assert!(
        guarded.degraded().contains("line 1") && !guarded.degraded().contains("slip"),
        "{}",
        guarded.degraded()
    );
    assert!(guarded.opens(&guarded.tokens[0]));
}

#[test]
fn streams_and_sessions_end_with_their_token() {
    let guarded = Guarded::start();
    let [kept, gone] = &guarded.tokens;
    let session = |token: &str| {
        let body = format!(r#"{{"token":"{token}"}}"#);
        let length = body.len();
        let answer = guarded.ask(&format!("POST /login HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}"));
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        format!("Cookie: {}", cookie.split(';').next().unwrap())
    };
    let [staying, leaving, ending] = [session(kept), session(kept), session(gone)];
    let stays = guarded.follow(&staying);
    let left = guarded.follow(&leaving);
    let ended = [guarded.follow(&ending), guarded.follow(&format!("Authorization: Bearer {gone}"))];
    assert!(
        guarded
            .ask(&format!("POST /logout HTTP/1.0\r\nContent-Length: 0\r\n{leaving}\r\n\r\n"))
            .contains(" 204 ")
    );
    assert!(left.join().unwrap() > 0, "a logout ends its streams");
    fs::write(&guarded.file, guarded.without()).unwrap();
    for ended in ended {
        assert!(ended.join().unwrap() > 0, "a token that is taken back ends its streams");
    }
    let mode = |cookie: &str| guarded.ask(&format!("GET /api/v1/mode HTTP/1.0\r\n{cookie}\r\n\r\n"));
    assert!(
        mode(&ending).contains(" 401 ")
            && mode(&leaving).contains(" 401 ")
            && mode(&staying).contains(" 200 ")
    );
    assert!(!stays.is_finished(), "other streams go on");
}
