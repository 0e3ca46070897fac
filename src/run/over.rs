//! When a server's half must end by itself.

use std::future::Future;

use evenkeel_actors::{
    ports::{
        ledger::{CommitError, Published},
        sink::Remedy,
    },
    server::{daemon::Pace, shipper::Shipping},
};
use evenkeel_core::units::tick::Tick;
use tokio::sync::watch;

use super::process::End;
use crate::http::Views;

/// When the last tick has run, or this process is no longer the one that writes the journal.
pub(super) fn server(views: &Views, until_tick: Option<u64>) -> impl Future<Output = End> + use<> {
    let until = until(views.pace.clone(), until_tick);
    let over = over(views.outbox.clone());
    let replaced = replaced(views.shipping.clone());
    async {
        tokio::select! {
            end = until => end,
            end = over => end,
            end = replaced => end,
        }
    }
}

/// When the tick before `until_tick` has run; never without one.
async fn until(mut pace: watch::Receiver<Pace>, until_tick: Option<u64>) -> End {
    let Some(until) = until_tick.map(Tick) else { return std::future::pending().await };
    let reached = |pace: &Pace| pace.last.is_some_and(|last| last.tick.next() >= until);
    match pace.wait_for(reached).await {
        Ok(_) => End::Asked("--until-tick"),
        Err(_daemon_gone) => std::future::pending().await,
    }
}

/// When another server has become the writer of this journal, or this one turns out to have begun with an older copy of it:
/// the same executions would run twice.
async fn replaced(shipping: Option<watch::Receiver<Shipping>>) -> End {
    let Some(mut shipping) = shipping else { return std::future::pending().await };
    let is_replaced = |shipping: &Shipping| {
        shipping.trouble.as_ref().is_some_and(|trouble| trouble.fault.remedy == Remedy::None)
    };
    match shipping.wait_for(is_replaced).await {
        Ok(shipping) => {
            let fault = shipping.trouble.as_ref().map(|trouble| trouble.fault.to_string());
            End::Failed(fault.unwrap_or_default())
        }
        Err(_shipper_gone) => std::future::pending().await,
    }
}

/// When another server has become the writer of the outbox, or its files were taken away: this one must not go on.
async fn over(mut outbox: watch::Receiver<Published>) -> End {
    let is_over = |published: &Published| matches!(published.trouble, Some(CommitError::Over(_)));
    match outbox.wait_for(is_over).await {
        Ok(published) => End::Failed(published.trouble.as_ref().map(ToString::to_string).unwrap_or_default()),
        Err(_writer_gone) => std::future::pending().await,
    }
}
