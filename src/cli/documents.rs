//! docs/configuration.md and evenkeel.toml.example, made of the command line and of the keys that a file may have.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _, Parser};
use evenkeel_core::units::{lengths::Lengths, span};

use super::{
    Arguments,
    delays::LevellingOptions,
    layers::{Given, Layers},
    options::{CommonOptions, RedisOptions, ServerOptions, ServingOptions},
    pace::PaceOptions,
};
use crate::{config::File, documents};

/// Longest line of a document.
const COLUMNS: usize = 116;
/// The commands that a file configures.
const CONFIGURED: [&str; 3] = ["run", "server", "client"];

/// What the code does not say of a key.
struct Key {
    name: &'static str,
    /// What a number counts; empty where it is none.
    unit: &'static str,
    /// A value in TOML, where the default is none that could be written.
    example: Option<&'static str>,
    /// Why there is such a setting, and why its default.
    reason: &'static str,
}

const fn key(
    name: &'static str,
    unit: &'static str,
    example: Option<&'static str>,
    reason: &'static str,
) -> Key {
    Key { name, unit, example, reason }
}

/// Every key of the file.
const KEYS: [Key; 27] = [
    key(
        "name",
        "",
        None,
        "One process levels one database. The name keeps all keys of it in one slot of a Redis cluster.",
    ),
    key("prefix", "", None, "Several installations can share one Redis."),
    key(
        "listen",
        "",
        None,
        "Only this machine reaches loopback, so no token is needed there. Port 0 is a free one. A client beside its server has a port of its own, 7071.",
    ),
    key("log_format", "", None, "People read text, collectors of logs read JSON."),
    key(
        "tokens",
        "",
        Some("\"/etc/evenkeel/tokens\""),
        "Without tokens everybody who reaches the address may change the mode. An address beyond loopback needs them.",
    ),
    key(
        "open_wire",
        "",
        None,
        "Existing clients of the three endpoints know of no token. It is off: they can add delays.",
    ),
    key(
        "allow_hosts",
        "",
        Some("[\"evenkeel.example.org\"]"),
        "A name that nobody configured may be another page's, rebound to this address.",
    ),
    key(
        "requests_per_second",
        "requests a second",
        None,
        "A client that levels makes 10, a page 1. A script that runs away must not take the others' turn.",
    ),
    key("base_path", "", Some("\"/evenkeel\""), "A proxy can show several programs under one name."),
    key(
        "scenario",
        "",
        None,
        "The scenario is the load of the simulated database. A data directory remembers it.",
    ),
    key("seed", "", None, "The same seed draws the same database, so that results compare."),
    key(
        "data_dir",
        "",
        None,
        "The journal is the truth. It belongs on a local disk with fsync, not in a temporary folder.",
    ),
    key(
        "mode",
        "",
        Some("\"enforce\""),
        "The mode is durable, so that a restart does not change who decides.",
    ),
    key(
        "postgres",
        "",
        Some("\"postgres://evenkeel@127.0.0.1:5432/\""),
        "In place of a scenario: clients of that database connect to evenkeel. A password is better kept in PGPASSFILE.",
    ),
    key(
        "redis",
        "",
        Some("\"redis://127.0.0.1:6379\""),
        "Server and client meet there: the journal, the client's state.",
    ),
    key(
        "redis_password_file",
        "",
        Some("\"/run/secrets/redis\""),
        "A list of processes shows what an address holds, and no file. The file is read again at each connection.",
    ),
    key(
        "redis_ca",
        "",
        Some("\"/etc/evenkeel/redis-ca.pem\""),
        "A certificate of one's own is signed by nobody else.",
    ),
    key("server", "", Some("\"http://127.0.0.1:7070\""), "The client places its slots there."),
    key(
        "server_ca",
        "",
        Some("\"/etc/evenkeel/server-ca.pem\""),
        "A certificate of one's own is signed by nobody else.",
    ),
    key(
        "token_file",
        "",
        Some("\"/run/secrets/evenkeel-token\""),
        "A list of processes shows what a flag holds, and no file.",
    ),
    key(
        "delay_budget",
        "ticks, or text with a unit: ms, s, min or h",
        Some("\"12s\""),
        "It is a ceiling and not a sum to be spent. Past the knee more delay buys little share, so none is spent.",
    ),
    key(
        "tick_ms",
        "milliseconds",
        None,
        "A server that is watched from outside does not tell. Others do, and then this counts for nothing.",
    ),
    key("window_ticks", "ticks", None, "As tick_ms."),
    key("default_delay_ticks", "ticks", None, "As tick_ms."),
    key(
        "delay_objective",
        "ticks, or text with a unit: ms, s, min or h",
        None,
        "What waits longer is told as amber, and as red where that is so on average or far beyond. 10 s is the limit for \
         keeping a person's attention. The objective changes no plan; the delay budget does.",
    ),
    key(
        "max_delay",
        "ticks, or text with a unit: ms, s, min or h",
        Some("\"2min\""),
        "No execution is held longer by a slot. It does not bind /delay. The \
         key's earlier name is max_delay_ticks.",
    ),
    key(
        "max_delay_by_query",
        "ticks, or text with a unit: ms, s, min or h",
        Some("{ \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\" = \"2s\" }"),
        "Somebody waits for some queries. The others have max_delay. The key's earlier name is max_delay_ticks_by_query.",
    ),
];

/// What the long-running commands take together.
#[derive(Parser)]
struct All {
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    serving: ServingOptions,
    #[command(flatten)]
    levelling: LevellingOptions,
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    redis: RedisOptions,
    #[command(flatten)]
    pace: PaceOptions,
}

/// Each setting that is in force where nothing is configured.
fn defaults() -> Vec<(&'static str, Option<String>)> {
    let layers = Layers::read(None, &Given::default()).expect("there is no file");
    let all = All::parse_from(["evenkeel"]);
    let mut settings = all.common.settings(&layers, "127.0.0.1:7070");
    settings.extend(all.serving.settings(&layers));
    settings.push(all.levelling.settings(&layers));
    settings.extend(all.redis.settings(&layers));
    settings.extend(all.server.settings(&layers));
    settings.extend(all.pace.settings(&layers));
    settings.into_iter().map(|setting| (setting.name, setting.value)).collect()
}

/// `text` in lines of a document, the first after `first`, the others after `next`.
fn wrapped(text: &str, first: &str, next: &str) -> String {
    let (mut lines, mut line) = (String::new(), first.to_owned());
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.extend([line.trim_end(), "\n"]);
            line = next.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines + line.trim_end() + "\n"
}

/// What an argument's help says, and the default that it names.
fn helped(arg: &Arg) -> (String, Option<String>) {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (help, named) = match help.split_once(" [default: ") {
        Some((help, default)) => (help.to_owned(), Some(default.trim_end_matches(']').to_owned())),
        None => (help, None),
    };
    let own = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    let is_flag = !arg.get_action().takes_values();
    (help.trim_end_matches('.').to_owned() + ".", named.or(own.filter(|_| !is_flag)))
}

fn shown(arg: &Arg) -> String {
    let Some(long) = arg.get_long() else { return format!("`{}`", arg.get_id().as_str().to_uppercase()) };
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map(|name| format!(" {name}")).unwrap_or_default();
    format!("`--{long}{value}`")
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
}

/// The commands of `root` that have the setting `name`.
fn commands_with(root: &Command, name: &str) -> Vec<String> {
    let found = CONFIGURED.into_iter().filter(|command| {
        let command = root.find_subcommand(command).expect("a command");
        arguments(command).any(|arg| arg.get_id() == name)
    });
    let found: Vec<_> = found.map(|command| format!("`{command}`")).collect();
    // What only the file says, all of them read.
    if found.is_empty() { CONFIGURED.map(|command| format!("`{command}`")).to_vec() } else { found }
}

/// What a key is that has no flag, whose help would say that.
fn only_in_the_file(name: &str) -> Option<&'static str> {
    match name {
        "max_delay_by_query" => Some("The longest that a slot may hold an execution, by the query's id."),
        _ => None,
    }
}

/// A setting of the long-running commands; `key` where the file has it.
fn setting(root: &Command, name: &str, arg: Option<&Arg>, key: Option<&Key>) -> String {
    let title = arg.map_or_else(|| format!("`{name}`"), shown);
    let mut text = format!("### {title}\n");
    let (help, named) = arg.map(helped).unwrap_or_default();
    let default = named.or_else(|| defaults().into_iter().find(|(other, _)| *other == name)?.1);
    text += &wrapped(only_in_the_file(name).unwrap_or(&help), "", "");
    if let Some(key) = key {
        text += &wrapped(key.reason, "", "");
    }
    text.push('\n');
    let mut item = |what: &str, value: &str| text += &wrapped(value, &format!("- {what}: "), "  ");
    item("commands", &commands_with(root, name).join(", "));
    item("file", &key.map_or_else(|| "no key".to_owned(), |key| format!("`{}`", key.name)));
    let variable = arg.and_then(Arg::get_env).map(|env| format!("`{}`", env.to_string_lossy()));
    item("environment", variable.as_deref().unwrap_or("no variable"));
    item("default", default.as_deref().unwrap_or("none"));
    if let Some(unit) = key.map(|key| key.unit).filter(|unit| !unit.is_empty()) {
        item("unit", unit);
    }
    text.push('\n');
    text
}

/// The commands below `command` that no file configures.
fn others(command: &Command, path: &str, text: &mut String) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set())
    {
        let name = if path.is_empty() {
            below.get_name().to_owned()
        } else {
            format!("{path} {}", below.get_name())
        };
        if CONFIGURED.contains(&name.as_str()) {
            continue;
        }
        let about = below.get_about().map(ToString::to_string).unwrap_or_default();
        if !below.has_subcommands() {
            let _ = writeln!(text, "### `evenkeel {name}`");
            *text += &(wrapped(&(about.trim_end_matches('.').to_owned() + "."), "", "") + "\n");
            if name == "config show" {
                text.push_str("It takes the settings of the long-running commands, too.\n\n");
            }
            let common = Arguments::command();
            let common = common.find_subcommand("client").expect("a command").clone();
            let serving = Arguments::command().find_subcommand("server").expect("a command").clone();
            let known = |arg: &Arg| {
                let id = arg.get_id();
                name == "config show"
                    && arguments(&common).chain(arguments(&serving)).any(|other| other.get_id() == id)
            };
            for arg in arguments(below).filter(|arg| !known(arg)) {
                let (help, default) = helped(arg);
                let env =
                    arg.get_env().map(|env| format!(" (`{}`)", env.to_string_lossy())).unwrap_or_default();
                let default = default.map(|default| format!(" Default: `{default}`.")).unwrap_or_default();
                *text += &wrapped(&format!("{}{env}: {help}{default}", shown(arg)), "- ", "  ");
            }
            text.push('\n');
        }
        others(below, &name, text);
    }
}

fn configuration() -> String {
    let mut root = Arguments::command();
    root.build();
    let mut text = "# Configuration\n\n\
        This page is made from the code by `make docs`; a test fails while it is stale.\n\n\
        A setting comes from three places: file < environment < flag. The file is TOML (`--config`); the keys are in\n\
        [evenkeel.toml.example](../evenkeel.toml.example). `evenkeel config show --for run|server|client` prints what is\n\
        in force and where each value comes from. A key that does not exist is refused, with its line.\n\n\
        ## Settings of `run`, `server` and `client`\n\n"
        .to_owned();
    let keys = || KEYS.iter();
    let mut said = Vec::new();
    for command in CONFIGURED {
        for arg in arguments(root.find_subcommand(command).expect("a command")) {
            let name = arg.get_id().as_str();
            if !said.contains(&name) {
                said.push(name);
                text += &setting(&root, name, Some(arg), keys().find(|key| key.name == name));
            }
        }
    }
    for key in keys().filter(|key| !said.contains(&key.name)) {
        text += &setting(&root, key.name, None, Some(key));
    }
    text += "## Other commands\n\n";
    others(&root, "", &mut text);
    text.trim_end().to_owned() + "\n"
}

/// A default as it stands in TOML.
fn in_toml(value: &str) -> String {
    if value.parse::<f64>().is_ok() || ["true", "false"].contains(&value) {
        value.to_owned()
    } else {
        format!("\"{value}\"")
    }
}

fn example() -> String {
    let mut root = Arguments::command();
    root.build();
    let mut text = "# evenkeel.toml: every key that a configuration file may have, with its default where it has one.\n\
        # Copy it, take the # away from what you change, and start with --config FILE. docs/configuration.md says more.\n\
        # Made from the code by `make docs`.\n"
        .to_owned();
    for key in &KEYS {
        let default = defaults().into_iter().find(|(name, _)| *name == key.name).and_then(|(_, value)| value);
        let commands = commands_with(&root, key.name).join(", ").replace('`', "");
        let unit = if key.unit.is_empty() { String::new() } else { format!("; in {}", key.unit) };
        text.push('\n');
        let known = CONFIGURED.map(|command| root.find_subcommand(command).expect("a command"));
        let arg = known.into_iter().flat_map(arguments).find(|arg| arg.get_id() == key.name);
        let help = arg.map(helped).unwrap_or_default().0;
        text += &wrapped(only_in_the_file(key.name).unwrap_or(&help), "# ", "# ");
        text += &wrapped(key.reason, "# ", "# ");
        let value = match (key.example, default) {
            (None, Some(default)) => {
                let _ = writeln!(text, "# For {commands}{unit}.");
                in_toml(&default)
            }
            (example, default) => {
                let default = default.unwrap_or_else(|| "none".to_owned());
                let _ = writeln!(text, "# For {commands}{unit}. Default: {default}.");
                example.unwrap_or("\"\"").to_owned()
            }
        };
        let _ = writeln!(text, "#{} = {value}", key.name);
    }
    text
}

#[test]
fn documents_configuration_is_that_of_the_code() {
    documents::current("docs/configuration.md", &configuration());
}

#[test]
fn documents_example_has_every_key_of_the_file() {
    let example = example();
    documents::current("evenkeel.toml.example", &example);

    let unknown = toml::from_str::<File>("no_such_key = 1").expect_err("there is no such key").to_string();
    let (_, expected) = unknown.split_once("expected one of").expect("the keys");
    // The names that keys had once are read, and not explained.
    let now = |key: &&str| !key.starts_with("max_delay_ticks");
    let expected: Vec<_> = expected.split('`').skip(1).step_by(2).filter(now).collect();
    let explained: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(explained, expected, "each key of the file is explained here, in its order");

    let set = example.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
    let set = set.collect::<Vec<_>>().join("\n");
    let read = toml::from_str::<File>(&set).expect("each line can be used");
    assert_eq!((read.seed, read.max_delay), (Some(1), Some(span::Given::Ms(120_000.0))));
    assert_eq!(read.hold_settings().of(Lengths::default()).by_query.into_values().collect::<Vec<_>>(), [20]);
}
