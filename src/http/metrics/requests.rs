//! HTTP requests by method, route pattern and status.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::http::{Method, StatusCode};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

/// Requests that were answered. There are as many kinds as methods, routes and statuses of this server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    /// Of this thread.
    own: Arc<Counters>,
    /// Of all.
    all: Arc<Mutex<Vec<Arc<Counters>>>>,
}

type Counters = Mutex<BTreeMap<Kind, Answered>>;

/// Method, route, status.
type Kind = (&'static str, Cow<'static, str>, u16);

/// What is asked for all the time and is its own pattern, so that it need not be looked for.
const OFTEN: [&str; 6] = ["/queued", "/resources", "/delay", "/api/v1/control", "/api/v1/status", "/metrics"];

/// The route of `path`, where that is known without the router.
pub(crate) fn literal(path: &str) -> Option<Cow<'static, str>> {
    OFTEN.into_iter().find(|route| *route == path).map(Cow::Borrowed)
}

#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    requests: u64,
    seconds: f64,
}

impl Requests {
    /// A counter for another thread; what it counts is told with the rest.
    pub(crate) fn for_thread(&self) -> Self {
        let own = Arc::<Counters>::default();
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&own));
        Self { own, all: Arc::clone(&self.all) }
    }

    fn sum(&self) -> BTreeMap<Kind, Answered> {
        let mut sum = BTreeMap::<Kind, Answered>::new();
        for counters in self.all.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (kind, answered) in counters.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let of_kind = sum.entry(kind.clone()).or_default();
                of_kind.requests += answered.requests;
                of_kind.seconds += answered.seconds;
            }
        }
        sum
    }

    /// Counts an answer; `route` is the pattern that matched.
    pub(crate) fn count(
        &self,
        method: &Method,
        route: Option<Cow<'static, str>>,
        status: StatusCode,
        took: Duration,
    ) {
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            _ => "other",
        };
        let kind = (method, route.unwrap_or(Cow::Borrowed("none")), status.as_u16());
        let mut kinds = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = kinds.entry(kind).or_default();
        answered.requests += 1;
        answered.seconds += took.as_secs_f64();
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let kinds = self.sum();
        let labels = |(method, route, status): &Kind| {
            [("method", (*method).to_owned()), ("route", route.to_string()), ("status", status.to_string())]
        };
        let mut requests =
            encoder.encode_descriptor("http_requests", "Answered requests.", None, MetricType::Counter)?;
        for (kind, answered) in &kinds {
            ConstCounter::new(answered.requests).encode(requests.encode_family(&labels(kind).as_slice())?)?;
        }
        let help = "Time until answers began.";
        let mut seconds =
            encoder.encode_descriptor("http_request_seconds", help, None, MetricType::Counter)?;
        for (kind, answered) in &kinds {
            ConstCounter::new(answered.seconds).encode(seconds.encode_family(&labels(kind).as_slice())?)?;
        }
        Ok(())
    }
}
