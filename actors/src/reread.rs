//! SIGHUP: what the program reads from files while it runs is read again at once. Whatever keeps such a file takes a
//! [`Reread`], and looks at it; nothing else is asked to end, or to start again.
//!
//! ```text
//! SIGHUP ─▶ ask ─▶ each Reread ─▶ its owner reads its file
//! ```

use std::sync::LazyLock;

use tokio::sync::watch;

/// Counts what was asked for. A signal is the whole process's, and so is this.
static ASKED: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// Asks all that keep a file.
pub fn ask() {
    tracing::info!("SIGHUP: files of secrets are read again; everything else is read at the start alone");
    ASKED.send_modify(|asked| *asked += 1);
}

/// Tells one owner when it was asked to read again.
#[derive(Clone, Debug)]
pub struct Reread(watch::Receiver<u64>);

impl Reread {
    /// Told of what is asked from here on.
    pub fn from_now_on() -> Self {
        Self(ASKED.subscribe())
    }

    /// Waits until it is asked for.
    pub async fn asked(&mut self) {
        if self.0.changed().await.is_err() {
            // The sender lives as long as the program.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_is_told_once() {
        let (mut first, mut second) = (Reread::from_now_on(), Reread::from_now_on());
        ask();
        first.asked().await;
        second.asked().await;
        let mut late = Reread::from_now_on();
        ask();
        late.asked().await;
        first.asked().await;
    }
}
