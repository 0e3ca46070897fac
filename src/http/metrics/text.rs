//! The text form that Prometheus had before `OpenMetrics`: version 0.0.4.

/// `text`, which is in the `OpenMetrics` form, in the older one: counters are described under the name that their
/// samples have, and no line says where it ends.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut older = String::with_capacity(text.len() + text.len() / 16);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        // What kind it is stands in the line after the help.
        let kind = if line.starts_with("# HELP ") { lines.peek().copied() } else { Some(line) };
        let counter = kind.filter(|kind| kind.starts_with("# TYPE ") && kind.ends_with(" counter"));
        match (counter, line.splitn(4, ' ').collect::<Vec<_>>().as_slice()) {
            (Some(_), ["#", what, name, rest]) => {
                older.extend(["# ", what, " ", name, "_total ", rest]);
            }
            _ => older.push_str(line),
        }
        older.push('\n');
    }
    older
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_as_their_samples_are_called() {
        let newer = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"1\"} 3\n# HELP c Now.\n# TYPE c gauge\n\
            c 1.5\n# EOF\n";
        let older = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 3\n# HELP c Now.\n\
            # TYPE c gauge\nc 1.5\n";
        assert_eq!(from_open_metrics(newer), older);
    }
}
