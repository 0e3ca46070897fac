//! The environment as people really write it, and errors of the command line that name a variable and repeat no secret.

use clap::{
    Arg, ArgAction, Command, Error,
    builder::{BoolishValueParser, Resettable},
    error::{ContextKind, ContextValue},
};

/// How the variables of this program begin.
const PREFIX: &str = "EVENKEEL_";
/// What a flag's variable says when it is not set.
const FALSE: [&str; 6] = ["0", "false", "f", "no", "n", "off"];

/// `command` and all below it, with variables that say nothing left out: empty ones, flags that are false, and those of
/// which another argument on the command line is the opposite. Help shows the names of variables and not what they hold.
pub(super) fn heeding(command: Command) -> Command {
    let left_out = overruled(&command);
    let command = command.mut_args(|arg| {
        let Some(variable) = arg.get_env().map(|name| name.to_string_lossy().into_owned()) else {
            return arg;
        };
        let flag = matches!(arg.get_action(), ArgAction::SetTrue);
        let says_nothing = std::env::var_os(&variable).is_some_and(|value| {
            let value = value.to_string_lossy().trim().to_ascii_lowercase();
            value.is_empty() || (flag && FALSE.contains(&value.as_str()))
        });
        let arg = arg.hide_env_values(true);
        let arg = if flag { arg.value_parser(BoolishValueParser::new()) } else { arg };
        if says_nothing || left_out.contains(&arg.get_id().to_string()) {
            arg.env(Resettable::Reset)
        } else {
            arg
        }
    });
    command.mut_subcommands(heeding)
}

/// The arguments whose variables are of no account: one that excludes them was typed, or stands before them where both are
/// variables, as in a container that has all of them.
fn overruled(command: &Command) -> Vec<String> {
    let set = |arg: &Arg| {
        arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    };
    let mut left_out = Vec::new();
    for one in command.get_arguments() {
        for other in command.get_arg_conflicts_with(one) {
            if typed(other) {
                left_out.push(one.get_id().to_string());
            } else if typed(one) || set(one) {
                left_out.push(other.get_id().to_string());
            }
        }
    }
    left_out
}

/// Whether `arg` is on the command line.
fn typed(arg: &Arg) -> bool {
    let Some(long) = arg.get_long().map(|long| format!("--{long}")) else { return false };
    arguments().iter().any(|argument| {
        argument.strip_prefix(&long).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// What is said of `error` with the variable that it comes from, and without what may hold a secret; none where that is
/// what it says itself.
pub(super) fn altered(error: &Error, command: &Command) -> Option<String> {
    let text = error.render().to_string();
    let mut shown = masked(&text, &values());
    let invalid = error.get(ContextKind::InvalidArg).and_then(|context| match context {
        ContextValue::String(arg) => arg.split([' ', '=']).next(),
        _ => None,
    });
    let from = invalid.and_then(|long| variable(command, long.trim_start_matches('-')));
    if let Some(variable) = from {
        shown = format!("{}\n\nthis comes from the environment variable {variable}\n", shown.trim_end());
    }
    (shown != text).then_some(shown)
}

/// The variable from which `--long` has its value, wherever in `command` it is.
fn variable(command: &Command, long: &str) -> Option<String> {
    let own = command.get_arguments().find_map(|arg| {
        let variable = arg.get_env()?;
        (arg.get_long() == Some(long) && !typed(arg) && std::env::var_os(variable).is_some())
            .then(|| variable.to_string_lossy().into_owned())
    });
    own.or_else(|| command.get_subcommands().find_map(|below| variable(below, long)))
}

/// What was given, on the command line and in variables.
fn values() -> Vec<String> {
    let mut values = arguments();
    let assigned: Vec<_> =
        values.iter().filter_map(|argument| Some(argument.split_once('=')?.1.to_owned())).collect();
    values.extend(assigned);
    let variables = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(PREFIX));
    values.extend(variables.map(|(_, value)| value.to_string_lossy().into_owned()));
    values
}

/// `text` without those of `values` that look like addresses, of which any part may be a secret.
fn masked(text: &str, values: &[String]) -> String {
    let addresses = values.iter().filter(|value| value.contains(":/") || value.contains('@'));
    addresses.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_and_other_values_are_not() {
        let values = ["redis://x:SECRET@h", "redis:/x:SECRET@h", "x7", "me:SECRET@h"].map(str::to_owned);
        for value in &values {
            let shown = masked(&format!("invalid value '{value}' for '--x <X>'"), &values);
            assert!(!shown.contains("SECRET") && (value != "x7" || shown.contains("x7")), "{shown}");
        }
    }
}
