//! Causes that can be counted, and their effects.

use super::*;

const SECOND: u64 = 1_000_000;

fn query(number: usize) -> QueryId {
    QueryId::simulated(7, number)
}

/// Runs and samples by the time at which they become known.
struct Scene {
    estimator: RunEstimator,
    count: u128,
}

impl Scene {
    fn new() -> Self {
        Self { estimator: RunEstimator::new(2.0), count: 0 }
    }

    fn began(&mut self, kind: usize, at_us: u64) -> ExecutionId {
        self.count += 1;
        let execution = ExecutionId::new(0, self.count);
        self.estimator.began(Began { execution, query: query(kind), at_us, backend: kind as u64 });
        execution
    }

    fn run(&mut self, kind: usize, from_us: u64, to_us: u64, cpu_us: Option<u64>) {
        let execution = self.began(kind, from_us);
        self.estimator.ended(execution, to_us, cpu_us);
    }

    fn sample(&mut self, from_us: u64, to_us: u64, cpu_us: u64) {
        let sample = Sample { from_us, to_us, cpu_us: Some(cpu_us), backends: Vec::new() };
        self.estimator.sample(sample);
    }

    fn cost(&self, kind: usize) -> RunCost {
        self.estimator.cost(query(kind)).expect("it has run")
    }
}

fn near(value: f64, expected: f64, share: f64) {
    assert!((value - expected).abs() <= share * expected, "{value} is not {expected} ± {share}");
}

#[test]
fn a_run_over_many_windows_costs_what_they_sum_to() {
    let mut scene = Scene::new();
    for n in 0..20 {
        let begin = n * 10 * SECOND;
        // 3.5 s at 0.6 of a core, over a background of 0.05, and a pause.
        scene.run(0, begin + SECOND / 2, begin + 4 * SECOND, None);
        for second in 0..10 {
            let used = match second {
                0 => 300_000,
                1..=3 => 600_000,
                _ => 0,
            };
            scene.sample(begin + second * SECOND, begin + (second + 1) * SECOND, used + 50_000);
        }
    }
    let cost = scene.cost(0);
    near(cost.cpu_us, 2_100_000.0, 0.03);
    near(cost.rate, 0.6, 0.03);
    near(cost.duration_us, 3_500_000.0, 0.001);
    near(scene.estimator.background().0, 0.05, 0.1);
    assert!((cost.cpu_us - 2_100_000.0).abs() < 2.0 * cost.standard_error_us, "{cost:?}");
    assert_eq!((cost.executions, cost.clocked), (20, 0));
}

#[test]
fn fractions_of_a_tick_are_told_apart() {
    let mut scene = Scene::new();
    for n in 0..300_u64 {
        let begin = n * SECOND / 10;
        // One computes all the time, one waits for four fifths of its own.
        let (mut used, twice) = (10_000, n % 2 == 0);
        if n % 3 > 0 {
            scene.run(0, begin + 5_000, begin + 25_000, None);
            used += 20_000;
        }
        if twice {
            scene.run(1, begin + 40_000, begin + 90_000, None);
            used += 10_000;
        }
        scene.sample(begin, begin + SECOND / 10, used);
    }
    near(scene.cost(0).rate, 1.0, 0.05);
    near(scene.cost(1).rate, 0.2, 0.1);
    near(scene.cost(1).cpu_us, 10_000.0, 0.1);
}

#[test]
fn who_competes_costs_its_share_and_not_its_duration() {
    let mut scene = Scene::new();
    for n in 0..40_u64 {
        let begin = n * 2 * SECOND;
        // Eight on two cores: 800 ms each, of which a quarter is theirs.
        (0..8).for_each(|kind| scene.run(kind, begin, begin + 800_000, None));
        scene.sample(begin, begin + SECOND, 1_600_000);
        scene.sample(begin + SECOND, begin + 2 * SECOND, 0);
    }
    (0..8).for_each(|kind| near(scene.cost(kind).cpu_us, 200_000.0, 0.03));
}

#[test]
fn a_sample_waits_for_what_began_before_its_end() {
    let mut scene = Scene::new();
    let execution = scene.began(0, 0);
    scene.sample(0, SECOND, 900_000);
    scene.sample(SECOND, 2 * SECOND, 450_000);
    assert_eq!(scene.estimator.cost(query(0)), None);
    scene.estimator.ended(execution, 3 * SECOND / 2, None);
    near(scene.cost(0).duration_us, 1_500_000.0, 0.001);
    near(scene.cost(0).cpu_us, 1_350_000.0, 0.1);
}

#[test]
fn what_never_ends_becomes_background_and_others_are_learned() {
    let mut scene = Scene::new();
    scene.began(9, 0);
    for n in 0..400_u64 {
        let begin = n * SECOND;
        let length = 100_000 * (1 + n % 3);
        scene.run(0, begin + 100_000, begin + 100_000 + length, None);
        scene.sample(begin, begin + SECOND, 1_000_000 + length * 4 / 5);
    }
    near(scene.cost(0).cpu_us, 160_000.0, 0.1);
    near(scene.estimator.background().0, 1.0, 0.1);
    assert_eq!(scene.estimator.cost(query(9)), None);
}

#[test]
fn a_clock_is_believed_and_tells_the_spread() {
    let mut scene = Scene::new();
    for n in 0..100_u64 {
        let begin = n * SECOND;
        let cpu = if n % 2 == 0 { 100_000 } else { 300_000 };
        scene.run(0, begin, begin + 500_000, Some(cpu));
        scene.sample(begin, begin + SECOND, cpu);
    }
    let cost = scene.cost(0);
    near(cost.cpu_us, 200_000.0, 0.001);
    near(cost.spread_us, 100_000.0, 0.1);
    near(cost.standard_error_us, 10_000.0, 0.15);
    assert_eq!((cost.executions, cost.clocked), (100, 100));
}

#[test]
fn what_a_backend_used_is_shared_among_its_runs() {
    let mut scene = Scene::new();
    for n in 0..100_u64 {
        let begin = n * SECOND / 10;
        // One backend runs one or the other, and nobody knows the whole.
        let kind = (n % 2) as usize;
        let execution = scene.began(kind, begin + 10_000);
        scene.estimator.ended(execution, begin + 60_000, None);
        let backends = vec![(kind as u64, if kind == 0 { 50_000 } else { 5_000 })];
        let sample = Sample { from_us: begin, to_us: begin + SECOND / 10, cpu_us: None, backends };
        scene.estimator.sample(sample);
    }
    near(scene.cost(0).cpu_us, 50_000.0, 0.001);
    near(scene.cost(1).cpu_us, 5_000.0, 0.001);
    assert_eq!(scene.cost(1).clocked, 50);
}

#[test]
fn a_cost_that_grows_a_hundredfold_is_known_after_a_few_runs() {
    let mut scene = Scene::new();
    for n in 0..200_u64 {
        let begin = n * 2 * SECOND;
        let cpu = if n < 190 { 15_000 } else { 1_500_000 };
        scene.run(0, begin, begin + cpu, None);
        scene.sample(begin, begin + SECOND, cpu.min(SECOND));
        scene.sample(begin + SECOND, begin + 2 * SECOND, cpu.saturating_sub(SECOND));
    }
    near(scene.cost(0).cpu_us, 1_500_000.0, 0.1);
}

#[test]
fn a_gap_and_a_sample_without_usage_teach_nothing_wrong() {
    let mut scene = Scene::new();
    for n in 0..100_u64 {
        let begin = n * SECOND;
        let length = 200_000 + 400_000 * (n % 3 % 2);
        scene.run(0, begin + 100_000, begin + 100_000 + length, None);
        match n % 4 {
            0 => {}
            1 => scene.estimator.sample(Sample {
                from_us: begin,
                to_us: begin + SECOND,
                cpu_us: None,
                backends: Vec::new(),
            }),
            _ => scene.sample(begin, begin + SECOND, length / 2),
        }
    }
    near(scene.cost(0).rate, 0.5, 0.05);
    near(scene.cost(0).duration_us, 333_000.0, 0.01);
}

#[test]
fn samples_out_of_order_and_ends_without_a_beginning_are_left_out() {
    let mut scene = Scene::new();
    scene.sample(SECOND, 2 * SECOND, 100);
    let before = scene.estimator.clone();
    scene.sample(0, SECOND, 1_000_000);
    scene.sample(3 * SECOND, 2 * SECOND, 1_000_000);
    scene.estimator.ended(ExecutionId::new(1, 1), 5 * SECOND, Some(7));
    assert_eq!(scene.estimator, before);
}

#[test]
fn more_queries_than_have_covariances_still_have_costs() {
    let mut scene = Scene::new();
    for n in 0..1_500_u64 {
        let begin = n * SECOND / 10;
        scene.run((n % 700) as usize, begin, begin + 50_000, None);
        scene.sample(begin, begin + SECOND / 10, 40_000);
    }
    assert_eq!(scene.estimator.costs().count(), 700);
    for kind in [0, 300, 600, 699] {
        near(scene.cost(kind).cpu_us, 40_000.0, 0.1);
    }
}

#[test]
fn what_is_stored_goes_on_as_it_would_have() {
    let mut scene = Scene::new();
    let go_on = |scene: &mut Scene, from: u64| {
        for n in from..from + 50 {
            let begin = n * SECOND;
            let execution = scene.began((n % 3) as usize, begin + 700_000);
            scene.sample(begin, begin + SECOND, 250_000);
            scene.estimator.ended(execution, begin + 1_200_000, (n % 2 == 0).then_some(300_000));
        }
    };
    go_on(&mut scene, 0);
    // One that still runs.
    let open = scene.began(0, 50 * SECOND);
    let stored = serde_json::to_string(&scene.estimator).unwrap();
    let mut other = Scene { estimator: serde_json::from_str(&stored).unwrap(), count: scene.count };
    for scene in [&mut scene, &mut other] {
        scene.estimator.ended(open, 51 * SECOND, None);
        go_on(scene, 51);
    }
    for kind in 0..3 {
        near(other.cost(kind).cpu_us, scene.cost(kind).cpu_us, 1e-9);
        near(other.cost(kind).standard_error_us, scene.cost(kind).standard_error_us, 1e-6);
    }
}
