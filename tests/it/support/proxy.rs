//! A TCP proxy that cuts its connections at a byte, holds up or slows down either way, or leads elsewhere.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::pause;

/// Not armed.
const NEVER: u64 = u64::MAX;
/// How often a way that is held up looks whether it still is.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server behind it.
    There,
    /// To whoever connected.
    Back,
}

impl Way {
    pub const BOTH: [Self; 2] = [Self::There, Self::Back];
}

/// Forwards connections to what is behind it, as it is told.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    behind: Mutex<SocketAddr>,
    /// Counts the times at which all connections ended.
    ended: AtomicU64,
    refuses: AtomicBool,
    ways: [OneWay; 2],
    cuts: AtomicU64,
}

struct OneWay {
    /// Bytes that may still go before all connections end.
    left: AtomicU64,
    /// Nothing gets through, and nobody is told.
    held_up: AtomicBool,
    latency_ms: AtomicU64,
    bytes_a_second: AtomicU64,
}

impl OneWay {
    fn new() -> Self {
        Self {
            left: AtomicU64::new(NEVER),
            held_up: AtomicBool::new(false),
            latency_ms: AtomicU64::new(0),
            bytes_a_second: AtomicU64::new(NEVER),
        }
    }
}

impl Proxy {
    pub fn start(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            behind: Mutex::new(behind),
            ended: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            ways: [OneWay::new(), OneWay::new()],
            cuts: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for there in listener.incoming().flatten() {
                if shared.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let behind = *shared.behind.lock().unwrap();
                let Ok(behind) = TcpStream::connect(behind) else { continue };
                for (way, from, to) in [(Way::There, &there, &behind), (Way::Back, &behind, &there)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    from.set_nodelay(true).unwrap();
                    from.set_read_timeout(Some(LOOK_EVERY)).unwrap();
                    let state = Arc::clone(&shared);
                    thread::spawn(move || forward(&state, way, from, to));
                }
            }
        });
        Self { address, state }
    }

    /// Ends the connection after `bytes` more have gone that way.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        self.state.ways[way as usize].left.store(bytes, Ordering::SeqCst);
    }

    /// Cuts nothing any more. Whether something was cut since the last call.
    pub fn disarm(&self) -> bool {
        for way in &self.state.ways {
            way.left.store(NEVER, Ordering::SeqCst);
        }
        self.state.cuts.swap(0, Ordering::SeqCst) > 0
    }

    /// Lets nothing through that way, or again: a partition of which nobody is told.
    pub fn hold_up(&self, way: Way, held_up: bool) {
        self.state.ways[way as usize].held_up.store(held_up, Ordering::SeqCst);
    }

    /// Ends all connections and takes no new ones, or takes them again.
    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
        self.end_all();
    }

    /// How long each piece takes, each way.
    pub fn slow_down(&self, latency_ms: u64) {
        for way in &self.state.ways {
            way.latency_ms.store(latency_ms, Ordering::SeqCst);
        }
    }

    /// How much gets through, each way; none for as much as there is.
    pub fn narrow(&self, bytes_a_second: Option<u64>) {
        for way in &self.state.ways {
            way.bytes_a_second.store(bytes_a_second.unwrap_or(NEVER), Ordering::SeqCst);
        }
    }

    /// Leads elsewhere from now on; what is connected ends.
    pub fn lead_to(&self, behind: SocketAddr) {
        *self.state.behind.lock().unwrap() = behind;
        self.end_all();
    }

    fn end_all(&self) {
        self.state.ended.fetch_add(1, Ordering::SeqCst);
    }
}

fn forward(state: &State, way: Way, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    let (one_way, began) = (&state.ways[way as usize], state.ended.load(Ordering::SeqCst));
    let ended = || state.ended.load(Ordering::SeqCst) != began;
    while !ended() {
        let read = match from.read(&mut buffer) {
            Ok(read @ 1..) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            _ => break,
        };
        pause(Duration::from_millis(one_way.latency_ms.load(Ordering::SeqCst)));
        let rate = one_way.bytes_a_second.load(Ordering::SeqCst);
        pause(Duration::from_millis(1_000 * read as u64 / rate));
        while one_way.held_up.load(Ordering::SeqCst) && !ended() {
            pause(LOOK_EVERY);
        }
        let may = one_way.left.load(Ordering::SeqCst);
        let whole = may == NEVER || may > read as u64;
        let forwarded = if whole { read } else { may as usize };
        if ended() || to.write_all(&buffer[..forwarded]).is_err() {
            break;
        }
        if !whole {
            state.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if may != NEVER {
            one_way.left.fetch_sub(read as u64, Ordering::SeqCst);
        }
    }
    // Either may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
