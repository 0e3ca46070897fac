//! `GET /api/v1/queries`: what each query costs, how often it runs, and how long it is held.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use actix_web::web;
use evenkeel_core::{
    estimator::CostEstimate,
    insight::{recap::QueryActivity, report::LearnedCosts},
    server::queue::HoldLimits,
    units::{ids::QueryId, resource::Resource},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    dto::Numbers,
    executions::read,
    statements::{Text, say_texts},
};
use crate::http::{
    About, ClientTold, Views,
    fields::{self, Field, Kind, NoParameters, Parameters},
    problem::Problem,
};

/// Most queries of one page: about 4 MB.
const LIMIT_MAX: u64 = 10_000;

/// Which page.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Queries after this one, in the order of their ids or of `sort`: `next` of the page before.
    after: Option<Uuid>,
    /// Queries on a page.
    #[param(minimum = 1, maximum = 10000, default = 1000)]
    #[serde(default = "thousand")]
    limit: usize,
    /// Those with the most of it first, instead of in the order of their ids.
    #[param(inline)]
    sort: Option<Sort>,
}

/// What queries are ordered by; all of it over the last five minutes.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    /// CPU time together: as the database told it, or as learned costs say where it tells none.
    Cpu,
    /// Duration together.
    Duration,
    /// Executions.
    Calls,
    /// Mean delay beyond the one that every execution has.
    Delay,
}

impl Parameters for Page {
    const FIELDS: &'static [Field] = &[
        Field::optional("after", Kind::Uuid),
        Field::optional("limit", Kind::Integer { min: 1, max: LIMIT_MAX }),
        Field::optional("sort", Kind::OneOf(&["cpu", "duration", "calls", "delay"])),
    ];
}

fn thousand() -> usize {
    1_000
}

/// A page of all queries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queries {
    /// Ticks that `executed`, `load_share` and `added_delay_ticks_mean` cover: the last five minutes.
    over_ticks: u64,
    /// Age of the learned costs; null while no client has told any.
    age_ms: Option<u64>,
    /// All that are known, whatever the limit.
    total: usize,
    /// In the order of their ids, or of what `sort` says.
    queries: Vec<Query>,
    /// `after` of the next page; null at the end.
    next: Option<Uuid>,
}

/// One query.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Query {
    query: Uuid,
    /// Learned resource units an execution; null while nothing is known.
    cost: Option<Numbers>,
    /// Standard error of `cost`, in the same units.
    standard_error: Option<Numbers>,
    /// Executions that the cost was learned from.
    observations: u64,
    /// Whether the windows seen tell its cost apart from the others'.
    identifiable: bool,
    /// Executions in the last five minutes.
    executed: u64,
    /// What it asks; null where that is not kept, as of a simulated database.
    text: Option<Text>,
    /// From sending to the end of the answer, together over the last five minutes, µs; null where no answer tells.
    duration_us: Option<u64>,
    /// CPU time of the database, together over the last five minutes, µs; null where no answer tells.
    cpu_us: Option<u64>,
    /// Its part of what all queries used in them, mean over the three resources.
    load_share: Option<f64>,
    /// Ticks by which evenkeel held them on average; 0 is none.
    added_delay_ticks_mean: Option<f64>,
    /// Longest that a slot may hold one of them.
    max_delay_ticks: u64,
    /// Whether that is configured for this query; false where it has the one of all others.
    own_max_delay: bool,
}

/// What is known at one moment.
struct Known {
    activity: Arc<BTreeMap<QueryId, QueryActivity>>,
    over_ticks: u64,
    /// Whether there may be texts.
    statements: bool,
    told: Option<ClientTold>,
    about: Arc<About>,
}

impl Known {
    fn new(views: &Views) -> Self {
        let overview = Arc::clone(&views.overview.borrow());
        Self {
            activity: Arc::clone(&overview.queries),
            over_ticks: overview.queries_ticks,
            statements: overview.statements,
            told: views.told.borrow().clone(),
            about: Arc::clone(&views.about),
        }
    }

    fn costs(&self) -> Option<&LearnedCosts> {
        self.told.as_ref().map(|told| &*told.costs)
    }

    fn cost(&self, query: QueryId) -> Option<&CostEstimate> {
        self.costs()?.get(query)
    }

    /// The same, or what is to be expected of one that has only just come.
    fn expected(&self, query: QueryId) -> Option<&CostEstimate> {
        self.cost(query).or(self.costs()?.unseen.as_ref())
    }

    /// All that ran or are known, in order.
    fn ids(&self) -> BTreeSet<QueryId> {
        let learned = self.costs().map(|costs| costs.queries.iter().map(|learned| learned.query));
        self.activity.keys().copied().chain(learned.into_iter().flatten()).collect()
    }

    /// Units that all queries used together; none while a cost is missing.
    fn load(&self) -> Option<[f64; 3]> {
        let mut load = [0.0; 3];
        for (query, activity) in &*self.activity {
            let cost = self.expected(*query)?.cost;
            for (sum, r) in load.iter_mut().zip(Resource::ALL) {
                *sum += cost[r] * activity.executed as f64;
            }
        }
        Some(load)
    }

    /// At most `limit` of those after `after`.
    fn page(&self, after: Option<QueryId>, limit: usize, sort: Option<Sort>) -> Queries {
        let (load, ids) = (self.load(), self.ids());
        if let Some(sort) = sort {
            return self.most(&ids, after, limit, sort);
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = ids.range((from, Bound::Unbounded));
        let queries: Vec<_> = rest.by_ref().take(limit).map(|id| self.query(*id, load)).collect();
        Queries {
            over_ticks: self.over_ticks,
            age_ms: self.told.as_ref().map(|told| told.at.elapsed().as_millis() as u64),
            total: ids.len(),
            next: rest.next().and_then(|_| Some(queries.last()?.query)),
            queries,
        }
    }

    /// Those with the most of it; those that follow `after` in that order, as it is now.
    fn most(&self, ids: &BTreeSet<QueryId>, after: Option<QueryId>, limit: usize, sort: Sort) -> Queries {
        let measured = self.activity.values().any(|activity| activity.measured > 0);
        let mut order: Vec<_> = ids.iter().map(|&id| (self.amount(id, sort, measured), id)).collect();
        order.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
        let from = order.iter().position(|(_, id)| Some(*id) == after).map_or(0, |at| at + 1);
        let load = self.load();
        let mut rest = order.into_iter().skip(from);
        let queries: Vec<_> = rest.by_ref().take(limit).map(|(_, id)| self.query(id, load)).collect();
        Queries {
            over_ticks: self.over_ticks,
            age_ms: self.told.as_ref().map(|told| told.at.elapsed().as_millis() as u64),
            total: ids.len(),
            next: rest.next().and_then(|_| Some(queries.last()?.query)),
            queries,
        }
    }

    fn amount(&self, id: QueryId, sort: Sort, measured: bool) -> f64 {
        let activity = self.activity.get(&id).copied().unwrap_or_default();
        let executed = activity.executed as f64;
        match sort {
            Sort::Cpu if measured => activity.cpu_us as f64,
            Sort::Cpu => self.expected(id).map_or(0.0, |learned| learned.cost.cpu * executed),
            Sort::Duration => activity.duration_us as f64,
            Sort::Calls => executed,
            Sort::Delay => activity.added_ticks as f64 / executed.max(1.0),
        }
    }

    fn query(&self, id: QueryId, load: Option<[f64; 3]>) -> Query {
        let activity = self.activity.get(&id).copied().unwrap_or_default();
        let QueryActivity { executed, added_ticks, .. } = activity;
        let learned = self.cost(id);
        let share = self.expected(id).zip(load).map(|(learned, load)| {
            let shares = Resource::ALL
                .into_iter()
                .zip(load)
                .map(|(r, load)| if load > 0.0 { learned.cost[r] * executed as f64 / load } else { 0.0 });
            shares.sum::<f64>() / 3.0
        });
        let HoldLimits { default_ticks, by_query } = &self.about.limits;
        let own = by_query.get(&id).copied();
        Query {
            query: id.0,
            cost: learned.map(|learned| learned.cost.into()),
            standard_error: learned.map(|learned| learned.standard_error.into()),
            observations: learned.map_or(0, |learned| learned.observations),
            identifiable: learned.is_some_and(|learned| learned.identifiable),
            executed,
            text: None,
            duration_us: (activity.answered > 0).then_some(activity.duration_us),
            cpu_us: (activity.measured > 0).then_some(activity.cpu_us),
            load_share: share,
            added_delay_ticks_mean: (executed > 0).then(|| added_ticks as f64 / executed as f64),
            max_delay_ticks: own.unwrap_or(*default_ticks),
            own_max_delay: own.is_some(),
        }
    }
}

/// What each query costs, how often it ran lately, and how long it was held; page by page.
#[utoipa::path(get, path = "/api/v1/queries", tag = "queries", params(Page),
    responses((status = 200, body = Queries), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    views: web::Data<Views>,
    fields::Query(page): fields::Query<Page>,
) -> Result<web::Json<Queries>, Problem> {
    let Page { after, limit, sort } = page;
    let known = Known::new(&views);
    let mut page = known.page(after.map(QueryId), limit, sort);
    page.queries = with_texts(&views, known.statements, page.queries).await?;
    Ok(web::Json(page))
}

/// The same queries, with what they ask.
async fn with_texts(views: &Views, any: bool, mut queries: Vec<Query>) -> Result<Vec<Query>, Problem> {
    if !any || queries.is_empty() {
        return Ok(queries);
    }
    read(views, move |history| {
        say_texts(history, &mut queries, |query| (query.query, &mut query.text))?;
        Ok(queries)
    })
    .await
}

/// One query.
#[utoipa::path(get, path = "/api/v1/queries/{id}", tag = "queries",
    params(("id" = Uuid, Path, description = "the query's id")),
    responses((status = 200, body = Query), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn one(
    views: web::Data<Views>,
    id: web::Path<Uuid>,
    _: fields::Query<NoParameters>,
) -> Result<web::Json<Query>, Problem> {
    let (known, id) = (Known::new(&views), QueryId(*id));
    if !known.activity.contains_key(&id) && known.cost(id).is_none() {
        return Err(Problem::not_found(format!("query {id} has not been seen")));
    }
    let found = with_texts(&views, known.statements, vec![known.query(id, known.load())]).await?;
    found.into_iter().next().map(web::Json).ok_or_else(|| Problem::not_found("there is nothing here"))
}
