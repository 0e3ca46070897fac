//! The API does what its own description says, whatever is thrown at it: schemathesis reads the document and tries.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::{World, wait_until};

/// A program that `make tools` installs.
pub(super) fn tool(name: &str) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("schemathesis/bin");
    let program = bin.join(name);
    assert!(program.exists(), "{} is missing: `make tools` installs it", program.display());
    let mut command = Command::new(program);
    // They start each other.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path)));
    command.env("PATH", path.unwrap());
    command
}

/// Asserts that `command` succeeds.
fn assert_succeeds(mut command: Command) {
    let done = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}{err}");
}

#[test]
fn nothing_contradicts_the_document() {
    let world = World::new("busy", &[]);
    let running = world.start();
    running.wait_until_ready();
    let mut command = tool("schemathesis");
    // A schema can forbid neither that a range ends before it begins, nor an epoch far above the last one.
    let ranges = ["/api/v1/resources/history", "/api/v1/executions", "/api/v1/control"].map(|path| {
        let accepted = "positive_data_acceptance = { expected-statuses = [\"2xx\", \"400\", \"409\"] }";
        format!("[[operations]]\ninclude-path = \"{path}\"\n[operations.checks]\n{accepted}\n")
    });
    // A body that is too large is refused before anybody looks whether it is one.
    let refused =
        [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429].map(|status| format!("\"{status}\""));
    let refused = refused.join(", ");
    let checks =
        format!("[checks]\nnegative_data_rejection = {{ expected-statuses = [{refused}, \"5xx\"] }}\n");
    std::fs::write(world.path("schemathesis.toml"), checks + &ranges.concat()).unwrap();
    command.current_dir(world.path(".")).arg("run").arg(format!("{}/api/v1/openapi.json", running.base));
    // Server-sent events have no end; tests/it/events.rs reads them.
    command.args(["--exclude-path", "/api/v1/events"]);
    command.args(["--max-examples", "50", "--continue-on-failure", "--no-color", "--warnings", "off"]);
    command.args(["--request-timeout", "30", "--suppress-health-check", "all"]);
    assert_succeeds(command);
    // What was tried has left the journal whole.
    running.signal("TERM");
    assert!(running.wait().0.success());
    world.assert_verified();
}

#[test]
fn every_operation_has_a_name_and_every_answer_is_described() {
    let world = World::new("quiet", &[]);
    let running = world.start();
    running.wait_until_ready();
    let document = running.get("/api/v1/openapi.json").json();
    // Whoever generates a client needs a name for each operation, and one only.
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<&Value> = operations.map(|operation| &operation["operationId"]).collect();
    let different: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(ids.len(), different.len(), "{ids:?}");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let says = response["description"].as_str().unwrap_or_default();
                assert!(!says.is_empty(), "{method} {path} {status} is not described");
            }
        }
    }
    let page = running.get("/api/docs/");
    assert_eq!((page.status, page.content_type.as_str()), (200, "text/html"));
    assert!(!page.body.contains("https://"), "the page loads nothing from elsewhere: {}", page.body);
}

#[test]
fn the_document_is_valid_and_a_client_made_of_it_speaks_with_the_server() {
    let world = World::new("x10", &[]);
    let running = world.start();
    running.wait_until_ready();
    let document = world.path("openapi.json");
    std::fs::write(&document, running.get("/api/v1/openapi.json").body).unwrap();
    let mut validator = tool("openapi-spec-validator");
    validator.args(["--schema", "3.1"]).arg(&document);
    assert_succeeds(validator);

    let mut generator = tool("openapi-python-client");
    generator.args(["generate", "--meta", "none", "--fail-on-warning", "--path"]).arg(&document);
    generator.arg("--output-path").arg(world.path("clients/evenkeel_api"));
    std::fs::create_dir(world.path("clients")).unwrap();
    assert_succeeds(generator);
    wait_until("there are executions and queries to be asked for", || {
        let many = |path: &str, of: &str| running.get(path).json()[of].as_array().unwrap().len() > 2;
        many("/api/v1/executions", "executions")
            && many("/api/v1/queries", "queries")
            && running.get("/api/v1/status").json()["lease"].is_object()
    });
    let mut client = tool("python");
    client.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/use_client.py"));
    client.arg(world.path("clients")).arg(&running.base);
    assert_succeeds(client);
}
