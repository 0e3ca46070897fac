//! What it costs to understand a statement: cold (parsed), and when its text has been seen.
//!
//! `cargo bench -p evenkeel-actors --bench sql`

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, missing_docs)]

use std::{hint::black_box, time::Instant};

use evenkeel_actors::postgres::sql::PgQuery;
use evenkeel_core::postgres::understood::Understand;

/// pgbench's statements, an ORM's, a report's.
const TEXTS: [&str; 8] = [
    "SELECT abalance FROM pgbench_accounts WHERE aid = 1;",
    "UPDATE pgbench_accounts SET abalance = abalance + 12 WHERE aid = 345;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, -5, CURRENT_TIMESTAMP);",
    "BEGIN",
    "COMMIT",
    "SELECT t0.id, t0.name, t0.created_at FROM users AS t0 WHERE t0.email = $1 AND t0.active = true LIMIT 1",
    "SELECT o.id, c.name, sum(l.price * l.count) AS total FROM orders o JOIN customers c ON c.id = o.customer_id \
     LEFT JOIN lines l ON l.order_id = o.id WHERE o.created_at > now() - interval '7 days' AND c.region IN ('a', 'b', 'c') \
     GROUP BY o.id, c.name HAVING sum(l.price * l.count) > 100 ORDER BY total DESC LIMIT 50",
    "WITH ranked AS (SELECT id, rank() OVER (PARTITION BY region ORDER BY total DESC) AS place FROM sales) \
     SELECT * FROM ranked WHERE place <= 10",
];

fn main() {
    const ROUNDS: usize = 200;
    println!("{:>9} {:>9} {:>9}  statement", "cold", "cached", "tagged");
    let mut sums = [0.0; 3];
    for text in TEXTS {
        // Blanks make other texts of the same query, tags do not.
        let others: Vec<_> = (0..ROUNDS).map(|at| format!("{}{text}", " ".repeat(at))).collect();
        let tagged: Vec<_> =
            (0..ROUNDS).map(|at| format!("{text} /*traceparent='00-{at:032x}-00'*/")).collect();
        let mut fresh = PgQuery::new("d");
        let mut of = |texts: &[String]| {
            let begin = Instant::now();
            for text in texts {
                black_box(fresh.understand(text));
            }
            begin.elapsed().as_secs_f64() * 1e6 / texts.len() as f64
        };
        let each = [of(&others), of(&others), of(&tagged)];
        let [cold, cached, tagged] = each;
        println!("{cold:6.1} µs {cached:6.2} µs {tagged:6.2} µs  {}", &text[..text.len().min(70)]);
        for (sum, one) in sums.iter_mut().zip(each) {
            *sum += one;
        }
    }
    let [cold, cached, tagged] = sums.map(|sum| sum / TEXTS.len() as f64);
    println!("{cold:6.1} µs {cached:6.2} µs {tagged:6.2} µs  mean");
}
