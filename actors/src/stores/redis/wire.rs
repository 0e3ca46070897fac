//! What a [`Link`](super::Link) speaks over: a socket, or in the simulation a model of Redis and of the way to it.

use std::time::Duration;

use redis::{Client, Connection, ConnectionLike, RedisResult, Value};

use super::link::RedisFault;

/// Longest that connecting may take: a Redis that needs longer is away.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// One connection. After an error its state is open, and it is of no further use.
pub(crate) trait Wire: ConnectionLike + Send {
    /// Sends packed commands.
    fn send(&mut self, commands: &[u8]) -> RedisResult<()>;

    /// The next answer; one that refuses is a value, too.
    fn receive(&mut self) -> RedisResult<Value>;
}

/// Makes connections to one Redis.
pub(crate) trait Connector: Send + Sync {
    /// A connection whose answers may take `answer_max`.
    fn connect(&self, answer_max: Duration, write_max: Duration) -> Result<Box<dyn Wire>, RedisFault>;
}

impl Connector for Client {
    fn connect(&self, answer_max: Duration, write_max: Duration) -> Result<Box<dyn Wire>, RedisFault> {
        let connection = self.get_connection_with_timeout(CONNECT_MAX)?;
        connection.set_read_timeout(Some(answer_max))?;
        connection.set_write_timeout(Some(write_max))?;
        Ok(Box::new(connection))
    }
}

impl Wire for Connection {
    fn send(&mut self, commands: &[u8]) -> RedisResult<()> {
        self.send_packed_command(commands)
    }

    fn receive(&mut self) -> RedisResult<Value> {
        self.recv_response()
    }
}
