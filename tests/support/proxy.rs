//! A TCP proxy that cuts its connections at a byte.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Not armed.
const NEVER: u64 = u64::MAX;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server behind it.
    There,
    /// To whoever connected.
    Back,
}

/// Forwards connections to `behind` until it is told where to cut.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Bytes that may still go each way before all connections end.
    left: [AtomicU64; 2],
    cuts: AtomicU64,
}

impl Proxy {
    pub fn start(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let left = [AtomicU64::new(NEVER), AtomicU64::new(NEVER)];
        let state = Arc::new(State { left, cuts: AtomicU64::new(0) });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for there in listener.incoming().flatten() {
                let Ok(behind) = TcpStream::connect(behind) else { continue };
                for (way, from, to) in [(Way::There, &there, &behind), (Way::Back, &behind, &there)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    from.set_nodelay(true).unwrap();
                    let state = Arc::clone(&shared);
                    thread::spawn(move || forward(&state, way, from, to));
                }
            }
        });
        Self { address, state }
    }

    /// Ends the connection after `bytes` more have gone that way.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        self.state.left[way as usize].store(bytes, Ordering::SeqCst);
    }

    /// Cuts nothing any more. Whether something was cut since the last call.
    pub fn disarm(&self) -> bool {
        for left in &self.state.left {
            left.store(NEVER, Ordering::SeqCst);
        }
        self.state.cuts.swap(0, Ordering::SeqCst) > 0
    }
}

fn forward(state: &State, way: Way, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let left = &state.left[way as usize];
        let may = left.load(Ordering::SeqCst);
        let whole = may == NEVER || may > read as u64;
        let forwarded = if whole { read } else { may as usize };
        if to.write_all(&buffer[..forwarded]).is_err() {
            break;
        }
        if !whole {
            state.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if may != NEVER {
            left.fetch_sub(read as u64, Ordering::SeqCst);
        }
    }
    // Either may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
