//! What a session's core asks for besides bytes: records, holds, ends.

use std::{sync::Arc, time::Duration};

use evenkeel_core::{
    journal::{Answer, Outcome, QueryText, Statement},
    postgres::{
        replies::put_notice,
        session::{Event, Finished, Intent},
    },
    server::queue::Arrival,
};
use tokio::time::Instant;

use super::{
    Tell,
    relay::{Alarm, Relay},
};
use crate::postgres::{
    desk::Held,
    pacing::{Run, Told},
    probe::Clocks,
    recorder::{self, Submission},
};

/// What a backend has used for statements that ended together.
#[derive(Clone, Copy, Debug)]
struct Used {
    count: u64,
    duration_us: u64,
    cpu_us: u64,
}

impl Used {
    /// The part of one of them: by its duration, or an equal one where no duration is known.
    fn of(self, duration_us: u64) -> u64 {
        let Self { count, duration_us: all, cpu_us } = self;
        if all == 0 {
            cpu_us / count
        } else {
            (u128::from(cpu_us) * u128::from(duration_us) / u128::from(all)) as u64
        }
    }
}

impl Relay {
    /// Does what the core has asked for.
    pub(super) fn act(&mut self) {
        if self.effects.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.effects.events);
        let used = self.used(&events);
        for event in events {
            match event {
                Event::Intend(intent) => self.submit(&intent),
                Event::Hold(intent, hold_ms) => self.hold(&intent, hold_ms),
                Event::Dropped(execution) => {
                    self.no_longer_held(execution);
                    self.shared.tells.tell(|| Told::Gone(execution));
                    self.shared.dropped(execution);
                }
                Event::Finished(finished) => self.finished(finished, used),
                Event::Unrecorded(count) => self.shared.count_unrecorded(count),
                Event::TooLong => self.shared.count_too_long(),
                Event::Key { server, client } => {
                    self.clock = self.shared.settings.clocks.of(server.pid);
                    self.shared.cancels.insert(client.clone(), self.mailbox.clone());
                    self.keys = Some((server, client));
                }
                Event::End => {
                    let session = self.session.who().session;
                    self.tell(|| Told::Over(session));
                }
            }
        }
    }

    /// Tells the pacing what it can learn from, or what may be of a transaction that was held.
    fn tell(&self, told: impl FnOnce() -> Told) {
        if self.has_held || !matches!(self.shared.settings.clocks, Clocks::Nowhere) {
            self.shared.tells.tell(told);
        }
    }

    fn submit(&self, intent: &Intent) {
        let (ticket, waited_for) = (intent.ticket, intent.waited_for);
        let (statement, text) = self.described(intent);
        let Intent { execution, query, kind, .. } = *intent;
        self.tell(|| Told::Began(Run { execution, query, kind, statement: Arc::clone(&statement) }));
        let arrival = Arrival {
            execution: intent.execution,
            query: intent.query,
            statement: Some(statement),
            reason: None,
        };
        let session = self.mailbox.clone();
        let intent = recorder::Intent { arrival, text, ticket, waited_for, session };
        self.shared.recorder.submit(Submission::Intent(Box::new(intent)));
    }

    fn hold(&mut self, intent: &Intent, hold_ms: u64) {
        // Who times what is held is gone: it leaves at once.
        let hold_ms = if self.shared.tells.works() { hold_ms } else { 0 };
        let (statement, text) = self.described(intent);
        let Intent { execution, query, kind, .. } = *intent;
        let held = Held { execution, query, kind, statement };
        self.shared.desk.hold(held.clone(), text, self.mailbox.clone());
        (self.held, self.has_held) = (Some(held), true);
        // What the session has sent before is recorded before: a transaction's end before the next one's beginning.
        let (before, mailbox) = (self.shared.recorder.before(), self.mailbox.clone());
        tokio::task::spawn_local(async move {
            before.await;
            let _ = mailbox.send(Tell::MayLeave(execution, hold_ms));
        });
        self.set_alarm(Alarm::Release, Instant::now() + Duration::from_millis(hold_ms));
        if self.shared.settings.tells_holds {
            let seconds = hold_ms as f64 / 1_000.0;
            let told =
                format!("evenkeel holds this statement of class {}, for {seconds} s at most", intent.class);
            put_notice(&mut self.effects.to_client, &told);
        }
    }

    fn described(&self, intent: &Intent) -> (Arc<Statement>, QueryText) {
        let who = self.session.who();
        let statement = Statement {
            class: intent.class.to_string(),
            user: who.user.clone(),
            database: who.database.clone(),
            application: who.application.clone(),
            client: who.client.clone(),
            session: who.session,
            transaction: intent.transaction,
            pid: who.pid,
            backend_start: who.backend_start,
            tag: intent.tag.clone(),
        };
        let text = QueryText {
            query: intent.query,
            text: intent.text.to_string(),
            database: who.database.clone(),
            kind: intent.kind.to_owned(),
        };
        (Arc::new(statement), text)
    }

    /// What the backend has used for what ends now.
    fn used(&mut self, events: &[Event]) -> Option<Used> {
        let ended = events.iter().filter_map(|event| match event {
            Event::Finished(finished) => Some(finished.duration_us),
            _ => None,
        });
        let (count, duration_us) = ended.fold((0, 0), |(count, sum), one| (count + 1, sum + one));
        (count > 0).then_some(())?;
        let cpu_us = self.clock.as_mut()?.lap_us()?;
        Some(Used { count, duration_us, cpu_us })
    }

    fn finished(&self, finished: Finished, used: Option<Used>) {
        let Finished { execution, outcome, sqlstate, rows, duration_us, note } = finished;
        let note = note.map(str::to_owned);
        // Of what was lost with its connection nobody knows how far it came.
        let used = used.filter(|_| outcome != Outcome::Unknown);
        let cpu_us = used.map(|used| used.of(duration_us));
        let answer = Answer { sqlstate, rows, duration_us, cpu_us, note };
        self.tell(|| Told::Ended(execution, cpu_us));
        self.shared.recorder.submit(Submission::Ended(execution, outcome, answer));
    }
}
