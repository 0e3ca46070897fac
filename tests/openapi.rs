//! The API does what its own description says, whatever is thrown at it: schemathesis reads the document and tries.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::World;

/// `make tools` puts it there.
fn schemathesis() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("schemathesis/bin/schemathesis")
}

#[test]
fn nothing_contradicts_the_document() {
    let program = schemathesis();
    assert!(program.exists(), "{} is missing: `make tools` installs it", program.display());
    let world = World::new("busy", &[]);
    let running = world.start();
    running.wait_until_ready();
    let mut command = Command::new(program);
    command.current_dir(world.path(".")).arg("run").arg(format!("{}/api/v1/openapi.json", running.base));
    // Server-sent events have no end; tests/events.rs reads them.
    command.args(["--exclude-path", "/api/v1/events"]);
    command.args(["--max-examples", "50", "--continue-on-failure", "--no-color", "--warnings", "off"]);
    command.args(["--request-timeout", "30", "--suppress-health-check", "all"]);
    let found = command.output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
    // What was tried has left the journal whole.
    running.signal("TERM");
    assert!(running.wait().0.success());
    world.assert_verified();
}

#[test]
fn the_document_names_every_route_that_answers() {
    let world = World::new("quiet", &[]);
    let running = world.start();
    running.wait_until_ready();
    let document = running.get("/api/v1/openapi.json").json();
    let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in [
        "/queued",
        "/resources",
        "/delay",
        "/api/v1/control",
        "/api/v1/status",
        "/api/v1/resources",
        "/api/v1/resources/history",
        "/api/v1/queued",
        "/api/v1/queries",
        "/api/v1/queries/{id}",
        "/api/v1/executions",
        "/api/v1/decisions/{execution}",
        "/api/v1/mode",
        "/api/v1/journal",
        "/api/v1/actors",
        "/api/v1/events",
        "/api/v1/session",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains(path), "{path} is not described");
    }
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
