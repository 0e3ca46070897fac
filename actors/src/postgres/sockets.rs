//! Options of connections.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How long a peer may say nothing before it is asked, how often, and how long what was sent may have no answer.
const IDLE: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_secs(10);
const UNANSWERED_MAX: Duration = Duration::from_secs(90);

/// Small messages leave at once; a peer that is gone without a word is noticed.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(EVERY).with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNANSWERED_MAX))
}
