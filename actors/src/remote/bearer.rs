//! The token that opens a server, read again from its file when the server refuses it, or at SIGHUP: it may have been
//! rotated.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
};

use awc::{ClientRequest, http::StatusCode};

use super::{reach, secret::Secret};
use crate::reread::Reread;

/// See the module. Clones have the same token.
#[derive(Clone, Debug, Default)]
pub(super) struct Bearer(Rc<RefCell<Option<Secret>>>);

impl Bearer {
    /// Called where the actor runs that uses it.
    pub(super) fn new(token: Option<&Secret>) -> Self {
        let bearer = Self(Rc::new(RefCell::new(token.cloned())));
        if token.is_some() {
            actix::spawn(Self::follow_hangups(Rc::downgrade(&bearer.0)));
        }
        bearer
    }

    async fn follow_hangups(token: Weak<RefCell<Option<Secret>>>) {
        let mut reread = Reread::from_now_on();
        loop {
            reread.asked().await;
            let Some(token) = token.upgrade() else { return };
            if Self(token).read_again().await {
                tracing::info!("the token's file holds another one: that is used from now on");
            }
        }
    }

    /// `request` with the token, where there is one.
    pub(super) fn on(&self, request: ClientRequest) -> ClientRequest {
        reach::opened(request, self.0.borrow().as_ref())
    }

    /// After an answer of `status`: whether the file holds another token now, which is worth another try.
    pub(super) async fn reread_after(&self, status: StatusCode) -> bool {
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return false;
        }
        let is_another = self.read_again().await;
        if is_another {
            tracing::info!(
                "the server refuses the token, and its file holds another one: that is used from now on"
            );
        }
        is_another
    }

    /// Whether the file holds another token now, which is the token from now on.
    async fn read_again(&self) -> bool {
        let Some(before) = self.0.borrow().clone() else { return false };
        let Ok(Some(now)) = tokio::task::spawn_blocking(move || before.reread()).await else { return false };
        self.0.replace(Some(now));
        true
    }
}
