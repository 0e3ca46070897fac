//! The command line: what it prints, and what it says to what cannot be.

use serde_json::Value;

use crate::support::{World, evenkeel, output, text};

fn json_lines(arguments: &[&str]) -> Vec<Value> {
    let done = output(arguments);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts exit code 2, nothing on stdout, and that stderr says each of `says`.
fn assert_usage(arguments: &[&str], says: &[&str]) {
    let done = output(arguments);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(done.stdout.is_empty());
    for expected in says {
        assert!(said.contains(expected), "{arguments:?} does not say `{expected}`: {said}");
    }
}

#[test]
fn simulate_prints_an_object_for_each_scenario_seed_and_policy() {
    let arguments =
        ["simulate", "--scenario", "x5", "--seeds", "4..5", "--policy", "all", "--ticks", "3600", "--json"];
    let lines = json_lines(&arguments);
    let fields = [
        "scenario",
        "seed",
        "policy",
        "costs",
        "budget",
        "ticks",
        "windows",
        "in_corridor",
        "any_alignment",
        "peak_to_mean_60s",
        "delay_ticks",
        "pending_end",
        "estimate_error",
        "feasible_share",
        "binding",
        "wall_seconds",
    ];
    for line in &lines {
        assert!(fields.iter().all(|field| line.get(field).is_some()), "{line}");
        assert_eq!(line["windows"], 60);
        assert!(["mean", "p50", "p99", "max"].iter().all(|field| line["delay_ticks"].get(field).is_some()));
    }
    let none: Vec<_> = lines.iter().filter(|line| line["policy"] == "none").collect();
    assert_eq!(none.len(), 2, "A..B includes both ends");
    for line in none {
        assert_eq!(line["delay_ticks"]["max"], 1, "nobody levels, nobody waits");
    }
    let without_time = |mut lines: Vec<Value>| {
        for line in &mut lines {
            line.as_object_mut().unwrap().remove("wall_seconds");
        }
        lines
    };
    let again = json_lines(&arguments);
    assert_eq!(without_time(lines), without_time(again), "the same seeds give the same results");
}

#[test]
fn simulate_shows_a_real_database_with_and_without_on_the_same_arrivals() {
    let arguments =
        ["simulate", "--scenario", "real", "--seeds", "4..5", "--warm-up", "600", "--ticks", "1200"];
    let lines = json_lines(&[&arguments[..], &["--policy", "all", "--json"]].concat());
    assert_eq!(lines.len(), 12);
    for line in &lines {
        let peak = |of: &Value| of["level"]["peak_to_mean"].as_f64().unwrap();
        assert!(peak(line) > 1.0 && peak(&line["without"]) > 1.0, "{line}");
        assert!(line["policy"] != "none" || line["level"] == line["without"]["level"], "{line}");
        assert!(line["policy"] != "paced" || peak(line) < peak(&line["without"]), "{line}");
        assert!((0.0..0.05).contains(&line["cost_error"].as_f64().unwrap()), "{line}");
    }
    let windows = json_lines(&[&arguments[..], &["--measured", "windows", "--json"]].concat());
    let policies: Vec<_> = windows.iter().map(|line| line["policy"].as_str().unwrap()).collect();
    assert_eq!(policies, ["none", "paced", "none", "paced"]);
    assert!(windows[0]["cost_error"].as_f64() > lines[0]["cost_error"].as_f64());
    assert_usage(&["simulate", "--scenario", "real", "--policy", "jitter"], &["jitter", "cap-1", "paced"]);
    assert_usage(&["simulate", "--scenario", "real", "--delay-budget", "6s"], &["--delay-budget", "real"]);
}

#[test]
fn what_cannot_be_is_refused_with_what_would_be_right() {
    assert_usage(&["simulate", "--scenario", "x7"], &["x7", "x5, x10", "or a file"]);
    assert_usage(&["simulate", "--policy", "magic"], &["magic", "token-bucket", "all"]);
    assert_usage(&["simulate", "--seeds", "9..3"], &["9..3", "A..B"]);
    assert_usage(&["simulate", "--delay-budget", "0.5"], &["0.5", "1 tick"]);
    assert_usage(&["simulate", "--costs", "guessed"], &["learned", "known"]);
    assert_usage(&["run", "--mode", "on"], &["off, shadow, enforce"]);
    assert_usage(&["levitate"], &["levitate"]);
}

#[test]
fn a_configuration_file_is_read_and_its_mistakes_are_named() {
    let world = World::new("seed", &[]);
    let file = world.path("evenkeel.toml");
    let run = |contents: &str| {
        std::fs::write(&file, contents).unwrap();
        let config = file.display().to_string();
        assert_usage(&["run", "--config", &config], &[]);
        String::from_utf8(output(&["run", "--config", &config]).stderr).unwrap()
    };
    assert!(run("sceanrio = \"x5\"\n").contains("sceanrio"));
    assert!(run("delay_budget = \"much\"\n").contains("delay_budget"));
    for line in ["max_delay = 0\n", "max_delay_ticks = 0\n", "max_delay = \"6d\"\n"] {
        assert!(run(line).contains("or a time (6s, 250ms, 2m)"), "{line}");
    }
    assert!(run("scenario = \"nowhere.toml\"\n").contains("nowhere.toml"));
    assert_usage(&["run", "--config", "/nowhere/evenkeel.toml"], &["/nowhere/evenkeel.toml"]);
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let world = World::new("seed", &[]);
    let file = world.path("evenkeel.toml");
    std::fs::write(&file, "scenario = \"from-the-file\"\n").unwrap();
    let said = |environment: Option<&str>, flag: Option<&str>| {
        let mut command = evenkeel();
        command.args(["run", "--config", text(&file)]);
        if let Some(value) = environment {
            command.env("EVENKEEL_SCENARIO", value);
        }
        if let Some(value) = flag {
            command.args(["--scenario", value]);
        }
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(said(None, None).contains("from-the-file"));
    assert!(said(Some("from-the-environment"), None).contains("from-the-environment"));
    assert!(said(Some("from-the-environment"), Some("from-the-flag")).contains("from-the-flag"));
}

#[test]
fn world_prints_every_query_of_a_scenario() {
    let lines = json_lines(&["world", "--scenario", "few", "--seed", "2", "--json"]);
    assert_eq!(lines.len(), 3);
    for line in lines {
        let bound = line["bound"].as_str().unwrap();
        assert!(line["cost"][bound].as_u64().unwrap() >= 1 && line["arrivals_per_tick"].is_f64());
    }
}

#[test]
fn a_journal_that_is_not_there_is_unreachable_and_a_damaged_one_fails_its_check() {
    let world = World::new("fast", &[]);
    let data_dir = world.data_dir();
    for command in ["tail", "stat", "verify"] {
        let done = output(&["journal", command, "--data-dir", text(&data_dir)]);
        assert_eq!(done.status.code(), Some(4), "{command}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("holds no journal"));
    }
    let running = world.start();
    running.wait_until_ready();
    running.signal("TERM");
    running.wait();
    world.assert_verified();
    let tail = output(&["journal", "tail", "--data-dir", text(&data_dir), "--stream", "queue", "-n", "3"]);
    assert_eq!(String::from_utf8_lossy(&tail.stdout).lines().count(), 3);
    // What the database ran and nobody recorded is found.
    let mut truth = std::fs::read_to_string(world.truth()).unwrap();
    truth.insert_str(0, "0 01890000-0000-7000-8000-000000000000 01890000-0000-7000-8000-000000000001\n");
    std::fs::write(world.truth(), truth).unwrap();
    assert_eq!(world.verify().status.code(), Some(3));
}

/// Named points of death, and known faults, are for builds that test the tests.
#[cfg(not(any(feature = "faults", feature = "mutants")))]
#[test]
fn the_program_holds_no_faults_of_the_tests() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_evenkeel")).unwrap();
    let holds = |name: &str| program.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(holds("EVENKEEL_DATA_DIR"), "what is looked for in this way is found");
    for name in [
        "EVENKEEL_FAULT",
        "EVENKEEL_MUTANT",
        "EVENKEEL_DISK",
        "forgetful",
        "after-outbox-write",
        "panic-queue",
        "PendingNotRead",
        "StaleCursor",
    ] {
        assert!(!holds(name), "{name}");
    }
}

#[test]
fn nothing_to_listen_on_is_a_usage_error_that_says_what_would_be_right() {
    for (listen, says) in [
        ("nonsense", "no port"),
        ("127.0.0.1", "no port"),
        ("127.0.0.1:http", "up to 65535"),
        ("127.0.0.1:70000", "up to 65535"),
        ("::1:7070", "in brackets"),
        ("[::x]:7070", "no IPv6"),
        (":7070", "no address"),
        ("http://127.0.0.1:7070", "ADDRESS:PORT"),
    ] {
        assert_usage(&["run", "--listen", listen], &["--listen", says, "127.0.0.1:7070"]);
    }
}

/// What went wrong is said with the variable, or the file and its line.
#[test]
fn the_environment_and_files_are_read_as_people_write_them() {
    let world = World::new("seed", &[]);
    let file = world.path("with space.toml");
    let shown = |variables: &[(&str, &str)], arguments: &[&str]| {
        let done =
            evenkeel().args(["config", "show"]).args(arguments).envs(variables.iter().copied()).output();
        let done = done.unwrap();
        (done.status.code(), [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat())
    };
    std::fs::write(
        &file,
        "\u{feff}# of the team\r\nseed = 7\r\nopen_wire = true\r\nlisten = \"nonsense\"\r\n",
    )
    .unwrap();
    let config = ["--config", text(&file)];
    let (code, said) = shown(&[], &config);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("with space.toml, line 4: `nonsense`"), "{said}");
    let listen = ("EVENKEEL_LISTEN", "127.0.0.1:0");
    let (code, said) = shown(&[listen, ("EVENKEEL_OPEN_WIRE", "no"), ("EVENKEEL_NO_AUTH", "false")], &config);
    assert_eq!(code, Some(0), "{said}");
    let line = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("seed ").contains('7') && line("seed ").contains("line 2"), "{said}");
    assert!(
        line("open_wire ").contains("false") && line("open_wire ").contains("EVENKEEL_OPEN_WIRE"),
        "{said}"
    );
    assert!(line("no_auth ").contains("default") && line("listen ").contains("EVENKEEL_LISTEN"), "{said}");
    let empty = [
        ("EVENKEEL_SEED", ""),
        ("EVENKEEL_NO_AUTH", ""),
        ("EVENKEEL_TOKENS_FILE", ""),
        ("EVENKEEL_MODE", " "),
    ];
    let (code, said) = shown(&empty, &["--json"]);
    assert_eq!(code, Some(0), "{said}");
    for line in said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        assert_eq!(line["from"], "default", "{line}");
    }
    let (code, said) = shown(&[("EVENKEEL_SEED", "seven")], &[]);
    assert!(code == Some(2) && said.contains("EVENKEEL_SEED"), "{said}");
    let (code, said) = shown(&[("EVENKEEL_LISTEN", "nonsense")], &[]);
    assert!(code == Some(2) && said.contains("EVENKEEL_LISTEN: `nonsense`"), "{said}");
    let (code, said) = shown(&[("EVENKEEL_CONFIG", "/nowhere/evenkeel.toml")], &[]);
    assert!(code == Some(2) && said.contains("EVENKEEL_CONFIG: /nowhere"), "{said}");
}

/// A container has the variables of all commands.
#[test]
fn a_variable_gives_way_to_a_flag_that_excludes_it() {
    let world = World::new("seed", &[]);
    let stat = |arguments: &[&str]| {
        let mut command = evenkeel();
        command.args(["journal", "stat"]).args(arguments).env("EVENKEEL_REDIS", "redis://127.0.0.1:1");
        let done =
            command.env("EVENKEEL_NAME", "main").env("EVENKEEL_DATA_DIR", world.data_dir()).output().unwrap();
        assert_eq!(done.status.code(), Some(4), "{done:?}");
        String::from_utf8(done.stderr).unwrap()
    };
    assert!(stat(&[]).contains("holds no journal"));
    assert!(stat(&["--data-dir", text(&world.data_dir())]).contains("holds no journal"));
    assert!(stat(&["--redis", "redis://127.0.0.1:1"]).contains("Redis does not answer"));
}

#[test]
fn simulate_says_when_nothing_is_counted_and_where_it_cannot_draw() {
    let few = output(&["simulate", "--ticks", "100", "--policy", "none"]);
    let said = String::from_utf8_lossy(&few.stderr).into_owned();
    assert!(
        few.status.success() && said.contains("nothing is counted") && said.contains("--ticks 3010"),
        "{said}"
    );
    assert!(!String::from_utf8_lossy(&few.stdout).contains("0.0000"), "a share of nothing is none");
    // It would take minutes if it were run first.
    let world = World::new("seed", &[]);
    let ticks = ["simulate", "--ticks", "100000000", "--plot"];
    for path in [world.path("nowhere/busy.svg"), world.path(".")] {
        assert_usage(&[&ticks[..], &[text(&path)]].concat(), &["--plot", "expected a file"]);
    }
    let drawn = world.path("few ticks.svg");
    let done = output(&["simulate", "--ticks", "3100", "--scenario", "quiet", "--plot", text(&drawn)]);
    assert!(done.status.success(), "{done:?}");
    let svg = std::fs::read_to_string(drawn).unwrap();
    for policy in ["none", "jitter", "token-bucket", "least-loaded", "aimd", "evenkeel"] {
        assert!(svg.contains(policy), "{policy}");
    }
}

#[test]
fn completions_know_values() {
    for shell in ["bash", "zsh", "fish"] {
        let done = output(&["completions", shell]);
        let script = String::from_utf8(done.stdout).unwrap();
        for value in ["x50", "token-bucket", "enforce", "windows", "admin", "learned"] {
            assert!(script.contains(value), "{shell} does not know {value}");
        }
    }
}

#[test]
fn status_says_in_a_terminal_what_the_page_says() {
    let world = World::new("x10", &[]);
    let running = world.start();
    running.wait_until_ready();
    let ask = |more: &[&str]| {
        let done = output(&[&["status", "--url", &running.base], more].concat());
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, said) = ask(&[]);
    assert_eq!(code, Some(0), "{said}");
    for label in ["state", "level", "delay", "recorded", "queue", "mode", "who", "degraded"] {
        assert!(said.lines().any(|line| line.starts_with(label)), "{label}: {said}");
    }
    assert!(!said.contains('\x1b'), "nothing is drawn into a pipe");
    let (code, json) = ask(&["--json"]);
    assert!(code == Some(0) && serde_json::from_str::<Value>(&json).unwrap()["ready"] == true, "{json}");
    // Whoever reads the first lines of a watch and goes away ends it.
    let mut watch = evenkeel();
    watch.args(["status", "--watch", "--json", "--url", &running.base]).stdout(std::process::Stdio::piped());
    let mut watching = watch.spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watching.stdout.take().unwrap()));
    for _ in 0..2 {
        assert!(lines.next().unwrap().unwrap().contains("\"ready\""));
    }
    drop(lines);
    assert_eq!(watching.wait().unwrap().code(), Some(141));
    drop(running);
    assert_eq!(output(&["status", "--url", "http://127.0.0.1:1"]).status.code(), Some(4));
}
