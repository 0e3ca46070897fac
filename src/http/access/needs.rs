//! What a route needs of whoever asks, and what that one has been granted.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error, HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web,
};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Access;
use crate::{
    http::problem::Problem,
    tokens::{Hashed, Scope},
};

/// How often an answer that goes on looks whether it still may.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// It is open to everybody.
    Nothing,
    /// A token with at least this scope.
    Token(Scope),
    /// The same, unless `--open-wire` opens it.
    Wire(Scope),
}

impl Needs {
    /// See everything.
    pub(crate) const READ: Self = Self::Token(Scope::Read);
    /// Place slots, add delays.
    pub(crate) const CONTROL: Self = Self::Token(Scope::Control);
    /// Change the mode.
    pub(crate) const ADMIN: Self = Self::Token(Scope::Admin);

    /// What it needs to be told which of several routes there are.
    pub(crate) fn least(all: impl Iterator<Item = Self>) -> Self {
        let rank = |needs: &Self| match needs {
            Self::Nothing => 0,
            Self::Wire(_) => 1,
            Self::Token(_) => 2,
        };
        match all.min_by_key(rank) {
            Some(Self::Nothing) => Self::Nothing,
            Some(Self::Wire(_)) => Self::Wire(Scope::Read),
            Some(Self::Token(_)) | None => Self::READ,
        }
    }
}

/// What was granted: it lasts as long as what it rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(super) to: To,
    /// What the route needs of it.
    pub(super) needed: Scope,
}

/// To whom.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// Nothing is needed.
    Everybody,
    /// Whoever has the token with this hash.
    Token(Hashed),
    /// The browser that has the session whose name has this hash.
    Session(Hashed),
}

/// Lets `request` go on to the route that the router has found, if it brings what that needs; an answer that goes on ends
/// when it no longer does.
pub(crate) async fn pass(
    needs: Needs,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(access) =
        request.app_data::<web::Data<Arc<Access>>>().map(|access| Arc::clone(access.get_ref()))
    else {
        // A server that was put together without knowing who may ask lets nobody in.
        let problem = Problem::unavailable("this server does not know who may ask");
        return Ok(request.into_response(problem.to_response()));
    };
    let (grant, principal) = match access.admit(&request, needs) {
        Ok(admitted) => admitted,
        Err(problem) => return Ok(request.into_response(problem.to_response())),
    };
    request.extensions_mut().insert(principal);
    let answer = next.call(request).await?;
    if !matches!(answer.response().body().size(), BodySize::Stream) {
        return Ok(answer.map_into_boxed_body());
    }
    Ok(answer.map_body(|_, body| BoxBody::new(WhileGranted::new(body, access, grant))))
}

/// A body without an end of its own, which ends with what its reader was granted.
struct WhileGranted<B> {
    body: Pin<Box<B>>,
    access: Arc<Access>,
    grant: Grant,
    look: Interval,
}

impl<B> WhileGranted<B> {
    fn new(body: B, access: Arc<Access>, grant: Grant) -> Self {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { body: Box::pin(body), access, grant, look }
    }
}

impl<B: MessageBody> MessageBody for WhileGranted<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        let this = self.get_mut();
        // Nothing leaves after the end, whether or not it is time to look.
        while this.look.poll_tick(context).is_ready() {}
        if !this.access.lasts(&this.grant) {
            return Poll::Ready(None);
        }
        this.body.as_mut().poll_next(context)
    }
}
