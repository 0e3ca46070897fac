//! Drives one session: bytes to and from both sides, what the session is told, what it asks for.
//!
//! Invariant: a side is read only while the other side takes what is written to it, so no slow reader makes buffers
//! grow; and what the core says is done in its order.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context as Waking, Poll},
    time::Duration,
};

use evenkeel_core::{
    journal::Mode,
    postgres::{
        replies::{Refusal, code},
        session::{Context, Effects, Event, Session, TEXT_BYTES_MAX},
        startup::CancelKey,
        understood::Understand,
    },
    units::ids::ExecutionId,
};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::{Place, Shared, Tell, Wire, inbox::Inbox, mailbox::Mailbox, wire::Outbox};
use crate::{
    postgres::{
        desk::Held,
        pacing::{Run, Told},
        probe::BackendClock,
    },
    supervise::fault,
};

/// Bytes that wait for a side; with more of them the other side is not read.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// What is read of a client at once, and at most: the longest text that is parsed.
const CLIENT_BYTES: (usize, usize) = (8 * 1024, TEXT_BYTES_MAX + 4096);
/// The same of a server, whose messages are read up to 64 KiB.
const SERVER_BYTES: (usize, usize) = (16 * 1024, 128 * 1024);
/// So long the server's answers are waited for when the client is gone.
const LINGER: Duration = Duration::from_secs(2);
/// So long the client may take to read its last error.
const FAREWELL: Duration = Duration::from_secs(5);
/// So long after it was sent a statement has begun: a cancel that reaches its backend before has no effect.
const BEGINS_WITHIN: Duration = Duration::from_millis(20);
/// While the recorder is behind, whether it still is asked that often.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// See the module.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the two connections")]
pub(super) struct Relay {
    pub(super) session: Session,
    pub(super) shared: Rc<Shared>,
    understand: Box<dyn Understand>,
    client: Wire,
    server: Wire,
    place: Place,
    from_client: Inbox,
    from_server: Inbox,
    to_client: Outbox,
    to_server: Outbox,
    tells: mpsc::UnboundedReceiver<Tell>,
    pub(super) mailbox: Mailbox,
    pub(super) effects: Effects,
    /// The server's cancel key and the client's.
    pub(super) keys: Option<(CancelKey, CancelKey)>,
    pub(super) held: Option<Held>,
    /// Whether anything was held.
    pub(super) has_held: bool,
    /// Of the backend, where it is on this machine.
    pub(super) clock: Option<BackendClock>,
    /// A cancel came while the server was asked whether the statement may be held, or while it waited for its record.
    cancel_later: bool,
    /// Whether the server's inbox has something that nobody has looked at.
    unread: bool,
    client_gone: bool,
    server_gone: bool,
    draining: Option<Instant>,
    /// What happens at the latest, and when.
    alarm: Option<(Alarm, Pin<Box<Sleep>>)>,
    /// When the recorder is asked again whether it is behind.
    wake: Option<Pin<Box<Sleep>>>,
    began: Instant,
}

/// Why a relay wakes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// What is held has been held for long enough.
    Release,
    /// The client is gone, and the server has not answered.
    Lost,
    /// The last error was not read.
    Farewell,
    /// The process does not wait longer.
    Drained,
    /// The login takes too long.
    Login,
}

impl Relay {
    pub(super) fn new(
        session: Session,
        shared: Rc<Shared>,
        (client, behind): (Wire, &[u8]),
        (server, said): (Wire, &[u8]),
        place: Place,
        startup: Vec<u8>,
        (mailbox, tells): (Mailbox, mpsc::UnboundedReceiver<Tell>),
    ) -> Self {
        let mut to_server = Outbox::default();
        let understand = (shared.understand)(&session.who().database);
        to_server.append(&mut { startup });
        Self {
            session,
            shared,
            understand,
            client,
            server,
            place,
            from_client: Inbox::new(CLIENT_BYTES.0, CLIENT_BYTES.1).with(behind),
            from_server: Inbox::new(SERVER_BYTES.0, SERVER_BYTES.1).with(said),
            unread: !said.is_empty(),
            to_client: Outbox::default(),
            to_server,
            tells,
            mailbox,
            effects: Effects::default(),
            keys: None,
            held: None,
            has_held: false,
            clock: None,
            cancel_later: false,
            client_gone: false,
            server_gone: false,
            draining: None,
            alarm: Some((Alarm::Login, Box::pin(sleep(super::login::LOGIN_MAX)))),
            wake: None,
            began: Instant::now(),
        }
    }

    /// Until the session is over.
    pub(super) async fn run(mut self) {
        poll_fn(|waking| self.poll(waking)).await;
        if let Some((_, client)) = &self.keys {
            self.shared.cancels.remove(client);
        }
    }

    fn poll(&mut self, waking: &mut Waking<'_>) -> Poll<()> {
        loop {
            let mut moved = self.poll_tells(waking);
            moved |= self.poll_server(waking);
            moved |= self.poll_client(waking);
            self.act();
            self.cancel_late();
            moved |= self.poll_writes(waking);
            moved |= self.poll_alarm(waking);
            self.end_when_idle();
            self.act();
            if self.is_done() {
                return Poll::Ready(());
            }
            if !moved {
                self.rest();
                return Poll::Pending;
            }
        }
    }

    /// An idle session keeps no buffers.
    fn rest(&mut self) {
        if self.session.is_idle() {
            self.from_client.rest();
            self.from_server.rest();
            self.to_client.rest();
            self.to_server.rest();
        }
    }

    fn is_done(&self) -> bool {
        self.session.is_over() && (self.client_gone || self.to_client.len() == 0)
    }

    /// A step of the core's, with what that needs.
    fn step<T>(&mut self, step: impl FnOnce(&mut Session, &mut Context<'_>, &mut Effects) -> T) -> T {
        let shared = &self.shared;
        let enforce = shared.queue.borrow().as_ref().is_some_and(|queue| queue.mode == Mode::Enforce);
        let classes = shared.classes.borrow();
        let mut ids = shared.ids.borrow_mut();
        let mut next_id = || ids.next(crate::clock::unix_ms());
        let mut context = Context {
            now_us: self.began.elapsed().as_micros() as u64,
            enforce,
            understand: self.understand.as_mut(),
            classes: classes.as_ref(),
            next_id: &mut next_id,
        };
        step(&mut self.session, &mut context, &mut self.effects)
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn poll_tells(&mut self, waking: &mut Waking<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some(tell)) = self.tells.poll_recv(waking) {
            self.told(tell);
            moved = true;
        }
        moved
    }

    fn told(&mut self, tell: Tell) {
        match tell {
            Tell::Recorded(ticket) => {
                self.step(|session, context, out| session.recorded(ticket, context, out));
            }
            Tell::Refused(refusal) => {
                let now_us = self.now_us();
                self.session.refuse(&refusal, now_us, &mut self.effects);
            }
            Tell::Released(execution) => {
                if let Some(held) = self.held.as_ref().filter(|held| held.execution == execution) {
                    self.shared.tells.tell(|| Told::Began(Run::of(held)));
                }
                self.no_longer_held(execution);
                self.step(|session, context, out| session.released(execution, context, out));
            }
            Tell::MayLeave(execution, hold_ms) => {
                if let Some(held) = self.held.as_ref().filter(|held| held.execution == execution) {
                    self.shared.tells.tell(|| Told::Held { run: Run::of(held), hold_ms });
                }
            }
            Tell::GiveUp(execution, refusal) => {
                self.no_longer_held(execution);
                self.session.give_up(&refusal, &mut self.effects);
                // It never came to wait, so there is nothing to be dropped.
                self.effects.events.retain(|event| *event != Event::Dropped(execution));
            }
            Tell::Cancel => self.cancel(),
            Tell::Canceled => self.step(Session::cancel_ended),
            Tell::Drain(latest) => {
                self.draining = Some(latest);
                self.set_alarm(Alarm::Drained, latest);
            }
        }
    }

    pub(super) fn no_longer_held(&mut self, execution: ExecutionId) {
        if self.held.as_ref().is_some_and(|held| held.execution == execution) {
            self.held = None;
            self.alarm = None;
        }
    }

    /// What is held is answered at once. What runs is cancelled in the server, while nothing else begins.
    pub(super) fn cancel(&mut self) {
        let refusal = Refusal::new(code::CANCELED, "canceling statement due to user request");
        if self.session.is_asking() {
            self.cancel_later = true;
        } else if self.session.held().is_some() {
            self.session.give_up(&refusal, &mut self.effects);
        } else if self.session.give_up_unsent(&refusal, &mut self.effects) {
            // Nobody but its client knows of it.
        } else if self.session.waits_for_record() {
            self.cancel_later = true;
        } else {
            self.cancel_in_server(Duration::ZERO);
        }
    }

    /// A cancel that came when nothing could be cancelled yet.
    fn cancel_late(&mut self) {
        let can = !self.session.is_asking() && !self.session.waits_for_record();
        if self.cancel_later && can {
            self.cancel_later = false;
            if self.session.held().is_some() {
                return self.cancel();
            }
            self.cancel_in_server(BEGINS_WITHIN);
        }
    }

    fn cancel_in_server(&mut self, wait: Duration) {
        if !self.session.is_busy() {
            return;
        }
        let Some((key, _)) = &self.keys else { return };
        self.session.cancel_begins();
        let (upstream, place, key) = (self.shared.upstream.clone(), self.place.clone(), key.clone());
        let mailbox = self.mailbox.clone();
        tokio::task::spawn_local(async move {
            sleep(wait).await;
            upstream.cancel(&place, &key).await;
            let _ = mailbox.send(Tell::Canceled);
        });
    }

    fn poll_server(&mut self, waking: &mut Waking<'_>) -> bool {
        let mut moved = std::mem::take(&mut self.unread);
        if !self.server_gone && self.to_client.len() < WAITING_BYTES_MAX && self.from_server.has_room() {
            match self.from_server.poll_read(&mut self.server, waking) {
                Poll::Pending => {}
                Poll::Ready(Ok(count)) if count > 0 => moved = true,
                Poll::Ready(ended) => {
                    tracing::debug!(?ended, "the database has closed a connection");
                    (self.server_gone, moved) = (true, true);
                }
            }
        }
        if moved {
            let input = std::mem::replace(&mut self.from_server, Inbox::new(0, 0));
            let taken = self.step(|session, context, out| session.server(input.filled(), context, out));
            self.from_server = input;
            self.from_server.take(taken);
            if !self.from_server.has_room() && !self.from_server.grow() {
                self.server_gone = true;
            }
        }
        if self.server_gone && !self.session.is_over() {
            self.server_ended();
        }
        moved
    }

    fn server_ended(&mut self) {
        let told = self.session.was_told_fatal();
        let now_us = self.now_us();
        self.session.gone(now_us, &mut self.effects);
        if !told && !self.session.is_terminated() {
            let refusal = Refusal::new(code::CONNECTION, "the database closed the connection");
            self.session.tell_fatal(&refusal, &mut self.effects);
        }
    }

    fn poll_client(&mut self, waking: &mut Waking<'_>) -> bool {
        let mut moved = false;
        if self.is_behind(waking) {
            return false;
        }
        if !self.client_gone && self.to_server.len() < WAITING_BYTES_MAX && self.from_client.has_room() {
            match self.from_client.poll_read(&mut self.client, waking) {
                Poll::Pending => {}
                Poll::Ready(Ok(count)) if count > 0 => moved = true,
                Poll::Ready(_) => (self.client_gone, moved) = (true, true),
            }
        }
        let before = self.from_client.filled().len();
        if before > 0 && self.to_server.len() < WAITING_BYTES_MAX {
            let input = std::mem::replace(&mut self.from_client, Inbox::new(0, 0));
            let taken = self.step(|session, context, out| session.client(input.filled(), context, out));
            self.from_client = input;
            self.from_client.take(taken);
            moved |= taken > 0;
            if taken == 0 && !self.from_client.has_room() && self.session.needs_more() {
                moved |= self.from_client.grow();
            }
        }
        if self.client_gone && !self.session.is_over() {
            self.client_ended();
        }
        moved
    }

    /// Whether the recorder has so much to do, or takes so long, that nothing more is taken now.
    fn is_behind(&mut self, waking: &mut Waking<'_>) -> bool {
        while self.shared.is_behind() {
            let wake = self.wake.get_or_insert_with(|| Box::pin(sleep(ASK_AGAIN)));
            if wake.as_mut().poll(waking).is_pending() {
                return true;
            }
            self.wake = None;
        }
        self.wake = None;
        false
    }

    /// What was sent is answered to nobody; how it ends is recorded nevertheless, when the server says so soon.
    fn client_ended(&mut self) {
        let lingers = self.alarm.as_ref().is_some_and(|(alarm, _)| *alarm == Alarm::Lost);
        if self.session.is_open() && self.session.held().is_none() && self.session.is_busy() {
            if !lingers {
                self.set_alarm(Alarm::Lost, Instant::now() + LINGER);
            }
            return;
        }
        let now_us = self.now_us();
        self.session.gone(now_us, &mut self.effects);
    }

    fn poll_writes(&mut self, waking: &mut Waking<'_>) -> bool {
        self.to_server.append(&mut self.effects.to_server);
        self.to_client.append(&mut self.effects.to_client);
        let mut moved = false;
        if self.to_server.len() > 0 && !self.server_gone {
            match self.to_server.poll_write(&mut self.server, waking) {
                Ok(true) => {
                    fault::point!("after-statement");
                    moved = true;
                }
                Ok(false) => {}
                // What the server has said before can still be read.
                Err(cause) => self.write_failed(&cause),
            }
        }
        if self.client_gone {
            self.to_client = Outbox::default();
        }
        let written = self.to_client.poll_write(&mut self.client, waking);
        self.client_gone |= written.is_err();
        moved |= written.unwrap_or(true);
        moved
    }

    fn write_failed(&mut self, cause: &io::Error) {
        tracing::debug!(%cause, "the database takes nothing more");
        self.to_server = Outbox::default();
    }

    pub(super) fn set_alarm(&mut self, alarm: Alarm, at: Instant) {
        self.alarm = Some((alarm, Box::pin(sleep_until(at))));
    }

    fn poll_alarm(&mut self, waking: &mut Waking<'_>) -> bool {
        if self.session.is_open() && matches!(self.alarm, Some((Alarm::Login, _))) {
            self.alarm = None;
        }
        if self.session.is_over() && !matches!(self.alarm, Some((Alarm::Farewell, _))) {
            self.set_alarm(Alarm::Farewell, Instant::now() + FAREWELL);
        }
        let Some((alarm, sleep)) = &mut self.alarm else { return false };
        let alarm = *alarm;
        if sleep.as_mut().poll(waking).is_pending() {
            return false;
        }
        self.alarm = None;
        self.rang(alarm);
        true
    }

    fn rang(&mut self, alarm: Alarm) {
        let now_us = self.now_us();
        match alarm {
            Alarm::Release => {
                if let Some(held) = &self.held {
                    self.shared.release_now(held.clone(), self.mailbox.clone());
                    // Asked again, should the queue have been restored meanwhile.
                    self.set_alarm(Alarm::Release, Instant::now() + Duration::from_millis(200));
                }
            }
            Alarm::Lost => self.session.gone(now_us, &mut self.effects),
            Alarm::Farewell => self.client_gone = true,
            Alarm::Drained => self.shut_down(),
            Alarm::Login => {
                let refusal = Refusal::new(code::NOT_NOW, "the login took longer than 60 s");
                self.session.end(&refusal, now_us, &mut self.effects);
            }
        }
    }

    fn end_when_idle(&mut self) {
        if self.draining.is_some() && (self.session.is_idle() || self.session.held().is_some()) {
            self.shut_down();
        }
    }

    fn shut_down(&mut self) {
        let refusal =
            Refusal::new(code::SHUTDOWN, "terminating connection because evenkeel is shutting down");
        let now_us = self.now_us();
        self.session.end(&refusal, now_us, &mut self.effects);
    }
}
