use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::estimator::{belief::Belief, learner::Learner};

const QUERY_COUNT: usize = 60;
const SPREAD: f64 = 100.0;
const ERROR: f64 = 4.0;

/// A state without background that believes each cost to be 50 ± 10.
fn sparse() -> Sparse {
    let ticks = Equations::new(vec![(vec![(1, 1.0), (QUERIES, 1.0)], 1.0)]);
    let learner = Learner::new(Extent { average: 50, min: 50, max: 50 }, &ticks);
    let mut general = General::new(learner.model());
    general.spread = SPREAD;
    let mut belief = Belief::new();
    belief.push(50.0, 1e-6);
    belief.push(0.0, 1e-6);
    general.belief = belief;
    let general = PerResource { cpu: general.clone(), io: general.clone(), memory: general };
    Sparse::new(general, vec![[(50.0, SPREAD); 3]; QUERY_COUNT])
}

/// Sums of a few costs each, and what was measured.
fn equations(count: usize) -> Vec<(Vec<(usize, f64)>, f64)> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..count)
        .map(|_| {
            let mut terms: Vec<_> =
                (0..8).map(|_| (rng.next_u64() as usize % QUERY_COUNT + QUERIES, 1.0)).collect();
            terms.sort_unstable_by_key(|(query, _)| *query);
            terms.dedup_by_key(|(query, _)| *query);
            let sum = terms.iter().map(|(query, _)| 40.0 + (query * 37 % 21) as f64).sum();
            (terms, sum)
        })
        .collect()
}

fn add(sparse: &mut Sparse, terms: &[(usize, f64)], sum: f64) {
    let measured = [Some(Measured::new(sum, ERROR)), None, None];
    sparse.add(Row::new(terms, QUERIES, 0.0, measured));
}

fn sweep(sparse: &mut Sparse) {
    for row in 0..sparse.rows.len() {
        sparse.visit(row, true);
    }
    // The priors stay: only means and variances are compared.
    let general = sparse.general.clone();
    sparse.finish_sweep();
    sparse.general = general;
}

#[test]
fn it_comes_to_what_all_covariances_say() {
    let equations = equations(30);
    let mut sparse = sparse();
    let mut belief = Belief::new();
    (0..QUERIES + QUERY_COUNT).for_each(|_| belief.push(50.0, SPREAD));
    for (terms, sum) in &equations {
        add(&mut sparse, terms, *sum);
        let spread = belief.variance_of(terms) + ERROR;
        belief.update(terms, spread, sum - belief.mean_of(terms), 0.0);
    }
    for _ in 0..300 {
        sweep(&mut sparse);
    }
    let (mut found, mut exact) = (0.0, 0.0);
    for query in 0..QUERY_COUNT {
        let cost = sparse.cost(query, Resource::Cpu);
        assert!((cost.mean() - belief.mean(QUERIES + query)).abs() < 1e-3, "query {query}");
        let ratio = cost.variance / belief.variance(QUERIES + query);
        assert!((0.5..1.5).contains(&ratio), "query {query}: {ratio}");
        found += cost.variance;
        exact += belief.variance(QUERIES + query);
    }
    assert!((0.75..1.05).contains(&(found / exact)), "{found} {exact}");
}

#[test]
fn folding_an_equation_changes_no_cost() {
    let mut sparse = sparse();
    for (terms, sum) in &equations(30) {
        add(&mut sparse, terms, *sum);
    }
    for _ in 0..50 {
        sweep(&mut sparse);
    }
    let before = sparse.clone();
    sparse.fold_oldest();
    assert_eq!(sparse.rows.len(), 29);
    assert_eq!(sparse.size, sparse.rows.iter().map(Row::size).sum::<usize>());
    for query in 0..QUERY_COUNT {
        let (now, then) = (sparse.cost(query, Resource::Cpu), before.cost(query, Resource::Cpu));
        assert!((now.mean() - then.mean()).abs() < 1e-9);
        assert!(now.prior_variance <= then.prior_variance);
    }
}

#[test]
fn forgetting_keeps_the_costs_and_drops_the_rest() {
    let mut sparse = sparse();
    for (terms, sum) in &equations(30) {
        add(&mut sparse, terms, *sum);
    }
    sweep(&mut sparse);
    let before = sparse.clone();
    sparse.forget();
    assert!(sparse.rows.is_empty() && sparse.size == 0);
    for query in 0..QUERY_COUNT {
        let (now, then) = (sparse.cost(query, Resource::Cpu), before.cost(query, Resource::Cpu));
        assert!((now.mean() - then.mean()).abs() < 1e-9);
        assert!((now.variance - SPREAD).abs() < 1e-9);
    }
}
