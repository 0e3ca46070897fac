//! What a journal belongs to: the parameters of its database.

use std::collections::{BTreeMap, BTreeSet};

/// Whether two texts of parameters, in lines `name = value` under `[headings]`, say the same. A parameter that one of
/// them does not name has the value that `defaults` names: it has been added since that text was written.
pub fn same_parameters(one: &str, other: &str, defaults: &str) -> bool {
    different_parameters(one, other, defaults).is_empty()
}

/// A parameter by its full name, and what it is in each of two texts; none where nobody names it.
pub type DifferentParameter = (String, [Option<String>; 2]);

/// What two such texts do not say the same of.
pub fn different_parameters(one: &str, other: &str, defaults: &str) -> Vec<DifferentParameter> {
    let [one, other, defaults] = [one, other, defaults].map(parameters);
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let values = names.into_iter().map(|name| {
        let value = |text: &BTreeMap<String, String>| text.get(name).or_else(|| defaults.get(name)).cloned();
        (name.clone(), [value(&one), value(&other)])
    });
    values.filter(|(_, [one, other])| one != other).collect()
}

/// Values by the full name. A line that names nothing stands for itself.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut heading = String::new();
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            heading = format!("{name}.");
        } else if let Some((name, value)) = line.split_once(" = ") {
            found.insert(format!("{heading}{name}"), value.to_owned());
        } else {
            found.insert(format!("{heading}{line}"), String::new());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = "seed = 1\nrate = 2.0\n\n[curve]\nlevel = 1.5\n";

    #[test]
    fn parameters_that_were_added_are_the_same_at_their_defaults_and_different_elsewhere() {
        let defaults = "rate = 1.0\nadded = 3\n\n[curve]\nlevel = 1.5\nphase = 7\n\n[other]\nadded = 4\n";
        let given = |rate: &str, added: u32, phase: u32, other: u32| {
            format!(
                "seed = 1\nadded = {added}\nrate = {rate}\n\n[curve]\nphase = {phase}\nlevel = 1.5\n\n[other]\nadded = {other}\n"
            )
        };
        assert!(same_parameters(STORED, &given("2.0", 3, 7, 4), defaults));
        for other in [
            given("2.5", 3, 7, 4),
            given("2.0", 4, 7, 4),
            given("2.0", 3, 8, 4),
            given("2.0", 3, 7, 3),
            given("2.0", 3, 7, 4).replace("seed = 1", "seed = 2"),
        ] {
            assert!(!same_parameters(STORED, &other, defaults), "{other}");
            assert!(!same_parameters(&other, STORED, defaults), "{other}");
        }
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let defaults = "window_ticks = 10";
        let given =
            STORED.replace("level = 1.5", "level = 2").replace("rate = 2.0", "rate = 2.0\nwindow_ticks = 25");
        let value = |value: &str| Some(value.to_owned());
        let expected = [
            ("curve.level".to_owned(), [value("1.5"), value("2")]),
            ("window_ticks".to_owned(), [value("10"), value("25")]),
        ];
        assert_eq!(different_parameters(STORED, &given, defaults), expected);
    }

    #[test]
    fn a_parameter_without_a_default_is_the_same_only_where_both_or_none_name_it() {
        let drifts = format!("{STORED}\n[drift]\nat_tick = 5\n");
        assert!(same_parameters(&drifts, &drifts, "rate = 1.0"));
        assert!(!same_parameters(&drifts, STORED, "rate = 1.0"));
        assert!(!same_parameters(STORED, &drifts, ""));
    }

    #[test]
    fn texts_of_another_form_are_the_same_only_when_they_are() {
        assert!(same_parameters("{\"seed\":1}", "{\"seed\":1}", ""));
        assert!(!same_parameters("{\"seed\":1}", "{\"seed\":2}", ""));
        assert!(!same_parameters("", "seed = 1", "rate = 1"));
        assert!(same_parameters("", "", ""));
    }
}
