//! What can be asked for. A slice adds its routes here, each with what it needs: one without that cannot be written.
//!
//! ```text
//! request ─▶ the router finds the route ─▶ what that route needs ─▶ handler
//! ```
//! Who decides on the path's text beside the router decides about something else: the router undoes escapes first.

use actix_web::{
    FromRequest, Handler, Responder, Route,
    guard::{Any, Guard, fn_guard},
    http::Method,
    middleware::from_fn,
    web::{self, PayloadConfig, ServiceConfig},
};

use super::{
    access::{Needs, pass},
    problem::{Problem, method_not_allowed},
};

/// Takes the routes of all slices.
pub(crate) struct Routes<'a> {
    config: &'a mut ServiceConfig,
    /// Everything that was added, for tests that look at each.
    #[cfg(test)]
    pub(super) declared: Vec<Declared>,
}

/// A route, as it was added.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) needs: Needs,
    /// Largest body, where one is read.
    pub(super) bytes_max: Option<usize>,
}

impl<'a> Routes<'a> {
    pub(super) fn new(config: &'a mut ServiceConfig) -> Self {
        Self {
            config,
            #[cfg(test)]
            declared: Vec::new(),
        }
    }

    /// Adds what handlers answer from. Each thread has its own.
    pub(super) fn data<T: 'static>(&mut self, data: T) -> &mut Self {
        self.shared(web::Data::new(data))
    }

    /// As [`Routes::data`], where all threads have the same.
    pub(super) fn shared<T: 'static>(&mut self, data: web::Data<T>) -> &mut Self {
        self.config.app_data(data);
        self
    }

    /// Adds what `resource` answers.
    pub(super) fn add(&mut self, resource: Resource) -> &mut Self {
        let methods: Vec<_> = resource.routes.iter().flat_map(|one| one.methods.iter().cloned()).collect();
        let least = Needs::least(resource.routes.iter().map(|one| one.needs));
        let mut service = web::resource(resource.path);
        if let Some(bytes_max) = resource.routes.iter().filter_map(|one| one.bytes_max).max() {
            service = service.app_data(PayloadConfig::new(bytes_max));
        }
        for One { methods, needs, route, bytes_max } in resource.routes {
            let _ = bytes_max;
            #[cfg(test)]
            self.declared.extend(methods.iter().map(|method| Declared {
                method: method.clone(),
                path: resource.path,
                needs,
                bytes_max,
            }));
            service = service.route(needing(needs, route).guard(one_of(methods)));
        }
        self.config.service(service.default_service(needing(least, method_not_allowed(&methods))));
        self
    }
}

/// What answers where there is no route: only who may read is told so.
pub(super) fn nothing_here() -> Route {
    needing(Needs::READ, web::to(|| async { Problem::not_found("there is nothing here") }))
}

fn needing(needs: Needs, route: Route) -> Route {
    route.wrap(from_fn(move |request, next| pass(needs, request, next)))
}

fn one_of(methods: Vec<Method>) -> impl Guard {
    let none = Any(fn_guard(|_| false));
    methods.into_iter().fold(none, |any, method| any.or(actix_web::guard::Method(method)))
}

/// A path, and what may be asked of it.
pub(super) struct Resource {
    path: &'static str,
    routes: Vec<One>,
}

struct One {
    methods: Vec<Method>,
    needs: Needs,
    bytes_max: Option<usize>,
    route: Route,
}

impl Resource {
    pub(super) fn at(path: &'static str) -> Self {
        Self { path, routes: Vec::new() }
    }

    /// Reads.
    pub(super) fn get<F, A>(self, needs: Needs, handler: F) -> Self
    where
        F: Handler<A>,
        A: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(&[Method::GET], needs, None, web::to(handler))
    }

    /// Takes a body of at most `bytes_max`. Bodies come as they are ([`super::access::plain`]), so that is also what it
    /// takes in memory.
    pub(super) fn post<F, A>(self, needs: Needs, bytes_max: usize, handler: F) -> Self
    where
        F: Handler<A>,
        A: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(&[Method::POST], needs, Some(bytes_max), web::to(handler))
    }

    /// As [`Resource::post`].
    pub(super) fn put<F, A>(self, needs: Needs, bytes_max: usize, handler: F) -> Self
    where
        F: Handler<A>,
        A: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(&[Method::PUT], needs, Some(bytes_max), web::to(handler))
    }

    /// A route of several methods, or with layers of its own.
    pub(super) fn on(
        mut self,
        methods: &[Method],
        needs: Needs,
        bytes_max: Option<usize>,
        route: Route,
    ) -> Self {
        self.routes.push(One { methods: methods.to_vec(), needs, bytes_max, route });
        self
    }
}
