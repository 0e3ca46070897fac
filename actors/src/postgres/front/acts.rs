//! What a session's core asks for besides bytes: records, holds, ends.

use std::{sync::Arc, time::Duration};

use evenkeel_core::{
    journal::{Answer, QueryText, Statement},
    postgres::session::{Event, Finished, Intent},
    server::queue::Arrival,
};
use tokio::time::Instant;

use super::relay::{Alarm, Relay};
use crate::postgres::{
    desk::Held,
    recorder::{self, Submission},
};

impl Relay {
    /// Does what the core has asked for.
    pub(super) fn act(&mut self) {
        for event in std::mem::take(&mut self.effects.events) {
            match event {
                Event::Intend(intent) => self.submit(&intent),
                Event::Hold(intent, hold_ms) => self.hold(&intent, hold_ms),
                Event::Dropped(execution) => {
                    self.no_longer_held(execution);
                    self.shared.dropped(execution);
                }
                Event::Finished(finished) => self.finished(finished),
                Event::Unrecorded(count) => self.shared.count_gap(count),
                Event::TooLong => self.shared.count_too_long(),
                Event::Key { server, client } => {
                    self.shared.cancels.insert(client.clone(), self.mailbox.clone());
                    self.keys = Some((server, client));
                }
                Event::End => {}
            }
        }
    }

    fn submit(&self, intent: &Intent) {
        let (ticket, waited_for) = (intent.ticket, intent.waited_for);
        let (statement, text) = self.described(intent);
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
        let (statement, text) = self.described(intent);
        let held = Held { execution: intent.execution, query: intent.query, statement };
        self.shared.desk.hold(held.clone(), text, self.mailbox.clone());
        self.held = Some(held);
        self.set_alarm(Alarm::Release, Instant::now() + Duration::from_millis(hold_ms));
        if std::mem::take(&mut self.cancel_hold) {
            self.cancel();
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

    fn finished(&self, finished: Finished) {
        let Finished { execution, outcome, sqlstate, rows, duration_us, note } = finished;
        let note = note.map(str::to_owned);
        let answer = Answer { sqlstate, rows, duration_us, cpu_us: None, note };
        self.shared.recorder.submit(Submission::Ended(execution, outcome, answer));
    }
}
