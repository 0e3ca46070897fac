//! The token that opens a server, read again from its file when the server refuses it: it may have been rotated.

use std::{cell::RefCell, rc::Rc};

use awc::{ClientRequest, http::StatusCode};

use crate::tokens::Secret;

/// See the module. Clones have the same token.
#[derive(Clone, Debug, Default)]
pub(super) struct Bearer(Rc<RefCell<Option<Secret>>>);

impl Bearer {
    pub(super) fn new(token: Option<&Secret>) -> Self {
        Self(Rc::new(RefCell::new(token.cloned())))
    }

    /// `request` with the token, where there is one.
    pub(super) fn on(&self, request: ClientRequest) -> ClientRequest {
        match &*self.0.borrow() {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// After an answer of `status`: whether the file holds another token now, which is worth another try.
    pub(super) async fn reread_after(&self, status: StatusCode) -> bool {
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return false;
        }
        let Some(before) = self.0.borrow().clone() else { return false };
        let Ok(Some(now)) = tokio::task::spawn_blocking(move || before.reread()).await else { return false };
        tracing::info!(
            "the server refuses the token, and its file holds another one: that is used from now on"
        );
        self.0.replace(Some(now));
        true
    }
}
