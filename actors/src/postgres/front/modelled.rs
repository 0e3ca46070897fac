//! A front without threads and sockets: whoever drives it brings streams, and its database is a model.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Cancels, Counts, FrontSettings, Ports, Recorder, Shared, Upstream, listen, login::From};

/// See the module.
pub(crate) struct Modelled(Rc<Shared>);

impl Modelled {
    /// A front, and the work of its recorder. It serves on the thread that it is on.
    pub(crate) fn new(
        settings: FrontSettings,
        upstream: Upstream,
        ports: Ports,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (recorder, recording) =
            Recorder::new(ports.admit.clone(), ports.desk.clone(), settings.when_full);
        let (settings, counts) = (Arc::new(settings), Arc::new(Counts::default()));
        let shared = Shared::new(settings, upstream, ports, Cancels::default(), recorder, counts);
        (Self(Rc::new(shared)), recording)
    }

    /// A client connects.
    pub(crate) fn connect<S: AsyncRead + AsyncWrite + Unpin + 'static>(&self, stream: S) {
        listen::serve(stream, From::Socket, &self.0);
    }

    /// What is not recorded yet.
    pub(crate) fn behind(&self) -> usize {
        self.0.recorder.counts.behind.load(Ordering::Relaxed)
    }

    /// Statements that passed without a record.
    pub(crate) fn gap(&self) -> u64 {
        self.0.counts.unrecorded.load(Ordering::Relaxed) + self.0.recorder.counts.gap.load(Ordering::Relaxed)
    }
}
