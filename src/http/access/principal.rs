//! For whom a request is answered. Access finds that out once and puts it into the request; handlers take it from there.

use std::borrow::Cow;

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};

use crate::{http::problem::Problem, tokens::Scope};

/// Who shares the database's queue and journal with others, and sees only what is theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tenant(Cow<'static, str>);

impl Tenant {
    /// The one that there is.
    pub(crate) const MAIN: Self = Self(Cow::Borrowed("main"));

    /// Another one, for tests of what must not be mixed up.
    #[cfg(test)]
    pub(crate) fn other(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scopes(Option<Scope>);

impl Scopes {
    /// Nothing that needs a scope.
    pub(crate) const NONE: Self = Self(None);

    /// `scope` and those that it includes.
    pub(crate) fn up_to(scope: Scope) -> Self {
        Self(Some(scope))
    }

    /// All of them, as they are named in the file of tokens.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        Scope::ALL.into_iter().filter(move |scope| Some(*scope) <= self.0).map(Scope::name)
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Whose data are shown. A cache of bodies has it in its key.
    pub(crate) tenant: Tenant,
    /// What the request may do.
    pub(crate) scopes: Scopes,
}

impl Principal {
    /// Of the only tenant.
    pub(super) fn main(scopes: Scopes) -> Self {
        Self { tenant: Tenant::MAIN, scopes }
    }
}

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // A route that was added beside `Routes` asks nobody who it is, and is answered for nobody.
        let found = request.extensions().get::<Self>().cloned();
        ready(found.ok_or_else(|| Problem::unavailable("this server does not know for whom it answers")))
    }
}
