//! `evenkeel replay`: a recorded journal as it was, and as it would have been under other policies and budgets.

mod entries;

use clap::Args;
use evenkeel_core::{
    insight::shadow::{Comparison, QueryComparison, Replay, Summary, Tally, TwinSettings},
    journal::Stream,
    scheduler::PolicyName,
    units::{lengths::Lengths, span::Given, tick::Tick},
};
use serde::Serialize;

use self::entries::Entries;
use super::{
    comparison::{Row, heading},
    delays::MaxDelayOptions,
    journal::{Which, failed},
    known,
    progress::Progress,
};
use crate::{
    config,
    exit::{Exit, ExitError},
    output,
};

/// Minutes that teach before anything is counted, as in `simulate`.
const WARM_UP_MINUTES: u64 = 5;

#[derive(Debug, Args)]
#[command(
    after_help = "What ran in the journal teaches costs; the policies then meet the same arrivals at these costs. The first five \
                  minutes teach and are not counted, unless there is nothing else."
)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
    /// Policies to ask, separated by commas, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "evenkeel", value_parser = known::policies())]
    policy: Vec<String>,
    /// Ceilings for the mean delay, separated by commas: ticks, where 1 is none added, or a time such as 2s [default: none]
    #[arg(long, env = "EVENKEEL_DELAY_BUDGET", value_delimiter = ',')]
    delay_budget: Vec<Given>,
    /// Only so much of its end, such as 1h [default: all that is kept]
    #[arg(long, value_name = "TIME")]
    last: Option<Given>,
    #[command(flatten)]
    max_delay: MaxDelayOptions,
    /// A configuration file: its maximum delays are used.
    #[arg(long, env = "EVENKEEL_CONFIG")]
    config: Option<std::path::PathBuf>,
}

/// One of those that are asked.
#[derive(Clone, Debug)]
struct Asked {
    policy: PolicyName,
    budget: Option<Given>,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line {
    /// None for the journal itself.
    policy: Option<PolicyName>,
    budget: Option<f64>,
    first_tick: u64,
    last_tick: u64,
    #[serde(flatten)]
    summary: Summary,
    queries: Vec<QueryComparison>,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let limits = options.max_delay.merge(&config::File::read(options.config.as_deref())?.hold_settings());
    let asked = asked(options)?;
    let mut history = options.which.open()?.history();
    let head = history.head().map_err(|error| failed(&error))?;
    let lengths = head.lengths;
    // Windows are kept for as long as what ran in them.
    let kept =
        [Stream::Executions, Stream::Queue].into_iter().filter_map(|stream| head.streams[stream].first);
    let kept = kept.map(|first| first.tick).max().unwrap_or_default();
    let last = options.last.map(|given| given.whole_ticks(lengths.tick_ms));
    let from = last.map_or(kept, |ticks| kept.max(Tick(head.next_tick.0.saturating_sub(ticks))));
    let counted_from = counted_from(from, head.next_tick, lengths);
    let settings = asked.iter().map(|Asked { policy, budget }| TwinSettings {
        policy: *policy,
        delay_budget: budget.map(|given| given.budget_ticks(lengths.tick_ms)),
        limits: limits.of(lengths),
        lengths,
    });
    let mut replay = Replay::new(lengths, settings, from, counted_from);
    let mut entries = Entries::of(history, from).map_err(|error| failed(&error))?;
    let mut progress = Progress::new("replay".to_owned(), head.next_tick.0);
    while let Some(entry) = entries.next().map_err(|error| failed(&error))? {
        // A server that runs writes on: what it has written since is not of this moment.
        if entry.record.committed() >= head.next_tick {
            break;
        }
        replay.apply(&entry.record);
        progress.show(replay.at().0);
    }
    progress.clear();
    let span = (replay.counted_from(), Tick(head.next_tick.0.saturating_sub(1)));
    let (actual, twins) = replay.finish();
    let replayed = Replayed { span, lengths, asked, actual, twins };
    if options.which.json { replayed.print_json() } else { replayed.print_table() }?;
    Ok(Exit::Ok)
}

fn asked(options: &Options) -> Result<Vec<Asked>, ExitError> {
    let mut budgets = vec![None];
    if !options.delay_budget.is_empty() {
        budgets = options
            .delay_budget
            .iter()
            .map(|budget| config::delay_budget(Some(*budget)))
            .collect::<Result<_, _>>()?;
    }
    let mut policies = Vec::new();
    for policy in &options.policy {
        policies.extend(super::simulate::policies(policy)?);
    }
    let with = |policy: PolicyName| budgets.iter().map(move |budget| Asked { policy, budget: *budget });
    Ok(policies.into_iter().flat_map(with).collect())
}

/// Five minutes after the beginning, or the beginning where there is no more than that.
fn counted_from(from: Tick, next: Tick, lengths: Lengths) -> Tick {
    let warm = from.after(WARM_UP_MINUTES * lengths.minute_ticks());
    if warm.after(lengths.window_ticks) < next {
        return warm;
    }
    output::note(format!(
        "the journal tells of less than {WARM_UP_MINUTES} minutes: all of it is counted, though costs are learned meanwhile"
    ));
    from
}

fn label(Asked { policy, budget }: &Asked) -> String {
    match budget {
        Some(budget) => format!("{policy}, budget {budget}"),
        None => policy.to_string(),
    }
}

/// What came out.
struct Replayed {
    /// The first and the last tick that are counted.
    span: (Tick, Tick),
    lengths: Lengths,
    asked: Vec<Asked>,
    actual: Tally,
    /// In the order of those that were asked.
    twins: Vec<Tally>,
}

impl Replayed {
    fn print_table(&self) -> anyhow::Result<()> {
        let Self { span: (first, last), actual, .. } = self;
        let row = |label: &str, tally: &Tally| Row::from((label, &tally.summary(), self.lengths.tick_ms));
        output::data(|out| {
            writeln!(out, "Ticks {first} to {last}.\n\n{}", heading())?;
            writeln!(out, "{}", row("as it was", actual))?;
            let mut twins = self.asked.iter().zip(&self.twins);
            twins.try_for_each(|(asked, tally)| writeln!(out, "{}", row(&label(asked), tally)))
        })?;
        Ok(())
    }

    fn print_json(&self) -> anyhow::Result<()> {
        let twins = self.asked.iter().map(Some).zip(&self.twins);
        for (asked, tally) in std::iter::once((None, &self.actual)).chain(twins) {
            let budget = asked.and_then(|asked| asked.budget);
            let line = serde_json::to_string(&Line {
                policy: asked.map(|asked| asked.policy),
                budget: budget.map(|given| given.budget_ticks(self.lengths.tick_ms)),
                first_tick: self.span.0.0,
                last_tick: self.span.1.0,
                summary: tally.summary(),
                queries: Comparison::of(&self.actual, tally).queries,
            })?;
            output::data(|out| writeln!(out, "{line}"))?;
        }
        Ok(())
    }
}
