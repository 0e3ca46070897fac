//! The way to an actor for one kind of message: a recipient that counts what has not been answered.
//!
//! actix does not tell how many messages wait in a mailbox; those that were sent and have no answer yet are
//! these and the one that is being handled.

use std::fmt;

use actix::{MailboxError, Message, Recipient};

use crate::supervise::health::ActorHealth;

/// See the module.
pub struct Port<M: Message<Result: Send> + Send> {
    recipient: Recipient<M>,
    receiver: Option<ActorHealth>,
}

impl<M: Message<Result: Send> + Send> Port<M> {
    /// The way to `recipient`, whose health counts what waits.
    pub fn new(recipient: Recipient<M>, receiver: ActorHealth) -> Self {
        Self { recipient, receiver: Some(receiver) }
    }

    /// Sends `message`, and waits for room in the mailbox and for the answer.
    ///
    /// # Errors
    /// [`MailboxError::Closed`]: the receiver failed on it, and its outcome is unknown.
    pub fn send(&self, message: M) -> impl Future<Output = Result<M::Result, MailboxError>> + use<M>
    where
        M: Unpin,
    {
        let waiting = self.receiver.clone().map(Unanswered::new);
        let answer = self.recipient.send(message);
        async move {
            let answer = answer.await;
            drop(waiting);
            answer
        }
    }

    /// Sends `message` if there is room for it in the mailbox; nobody waits for an answer.
    pub fn offer(&self, message: M) {
        let _ = self.recipient.try_send(message);
    }
}

impl<M: Message<Result: Send> + Send> From<Recipient<M>> for Port<M> {
    /// A way to somebody whose mailbox nobody asks about.
    fn from(recipient: Recipient<M>) -> Self {
        Self { recipient, receiver: None }
    }
}

impl<M: Message<Result: Send> + Send> Clone for Port<M> {
    fn clone(&self) -> Self {
        Self { recipient: self.recipient.clone(), receiver: self.receiver.clone() }
    }
}

impl<M: Message<Result: Send> + Send> fmt::Debug for Port<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Port").field(&self.receiver.as_ref().map(|receiver| receiver.name().name())).finish()
    }
}

/// One message, from when it is sent until its answer comes or nobody waits for that any more.
struct Unanswered(ActorHealth);

impl Unanswered {
    fn new(receiver: ActorHealth) -> Self {
        receiver.count_sent();
        Self(receiver)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.count_answered();
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler, ResponseFuture, System};
    use tokio::sync::watch;

    use super::*;
    use crate::supervise::health::ActorName;

    /// Answers when it is told to.
    struct Slow(watch::Receiver<bool>);

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Ask;

    impl Actor for Slow {
        type Context = Context<Self>;
    }

    impl Handler<Ask> for Slow {
        type Result = ResponseFuture<()>;

        fn handle(&mut self, _: Ask, _context: &mut Self::Context) -> Self::Result {
            let mut told = self.0.clone();
            Box::pin(async move { drop(told.wait_for(|told| *told).await) })
        }
    }

    #[test]
    fn what_has_no_answer_is_counted_until_it_has_or_nobody_waits() {
        System::new().block_on(async {
            let (tell, told) = watch::channel(false);
            let health = ActorHealth::new(ActorName::Queue);
            let port = Port::new(Slow(told).start().recipient(), health.clone());
            let (first, second) = (port.send(Ask), port.send(Ask));
            port.offer(Ask);
            assert_eq!(health.unanswered(), 2);
            drop(second);
            assert_eq!(health.unanswered(), 1);
            tell.send_replace(true);
            first.await.unwrap();
            assert_eq!(health.unanswered(), 0);
        });
    }
}
