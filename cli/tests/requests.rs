//! Requests: repeated ones, racing ones, bad ones, and those that are waited for or cancelled.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Installation, with_headers};
use serde_json::{Value, json};

struct Api<'i> {
    palisade: &'i Installation,
    bearer: String,
}

impl Api<'_> {
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> (u16, Value) {
        let mut all = vec![("Authorization", self.bearer.as_str())];
        all.extend_from_slice(headers);
        let path = format!("/api/v1{path}");
        let (status, _, body) = self.palisade.with_headers(method, &path, &all, body).unwrap();
        (status, body)
    }

    /// A POST that must be refused with a type of problem; the answer.
    fn refused(&self, path: &str, body: Value, status: u16, kind: &str) -> Value {
        let (got, problem) = self.call("POST", path, &[], Some(body));
        assert_eq!(
            (got, problem["type"].as_str()),
            (status, Some(format!("/problems/{kind}").as_str())),
            "{problem}"
        );
        problem
    }
}

#[test]
fn requests_are_answered_once_and_clearly() {
    let palisade = Installation::with("requests", false, &[("PALISADE__CONTROL_PLANE__MAX_TENANTS", "8")]);
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let api = Api { palisade: &palisade, bearer: format!("Bearer {token}") };
    repeated(&api);
    racing(&api);
    waited_for(&api);
    slugs(&api);
    bad(&api);
    quotas(&api);
    cluster_down(&api);
}

/// The same key and body have the same answer, secrets included; another body is refused.
fn repeated(api: &Api<'_>) {
    let key = [("Idempotency-Key", "one")];
    let make = || api.call("POST", "/tenants", &key, Some(json!({ "slug": "one" })));
    let port = api.palisade.api_port();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let headers = [("Authorization", api.bearer.as_str()), key[0]];
                    with_headers(port, "POST", "/api/v1/tenants", &headers, Some(json!({ "slug": "one" })))
                        .unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let first = make();
    assert_eq!(first.0, 201, "{}", first.1);
    assert_eq!(first.1["credentials"].as_array().unwrap().len(), 3);
    for (status, _, body) in answers {
        match status {
            201 => assert_eq!(body, first.1),
            _ => assert_eq!(
                (status, &body["type"]),
                (409, &json!("/problems/idempotency-in-flight")),
                "{body}"
            ),
        }
    }
    let other = api.call("POST", "/tenants", &key, Some(json!({ "slug": "two" })));
    assert_eq!((other.0, &other.1["type"]), (422, &json!("/problems/idempotency-reused")));
    // On every POST, not only where something is made.
    let key = [("Idempotency-Key", "rotate")];
    let rotate = || api.call("POST", "/tenants/one/logins/app/rotate", &key, Some(json!({})));
    let (first, again) = (rotate(), rotate());
    assert_eq!(first, again);
    assert!(first.1["secret"].is_string());
    // What failed may be tried again.
    let key = [("Idempotency-Key", "failed")];
    assert_eq!(api.call("POST", "/tenants/three/suspend", &key, Some(json!({}))).0, 404);
    assert_eq!(api.call("POST", "/tenants/three/suspend", &key, Some(json!({}))).0, 404);
    let long = "x".repeat(201);
    assert_eq!(
        api.call("POST", "/tenants/one/suspend", &[("Idempotency-Key", &long)], Some(json!({}))).0,
        422
    );
}

/// Of many who want one slug at once, one has it.
fn racing(api: &Api<'_>) {
    let port = api.palisade.api_port();
    let statuses: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    let headers = [("Authorization", api.bearer.as_str())];
                    let body = Some(json!({ "slug": "raced" }));
                    let (status, _, body) =
                        with_headers(port, "POST", "/api/v1/tenants", &headers, body).unwrap();
                    (status, body["type"].clone())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|(status, _)| *status == 201).count(), 1, "{statuses:?}");
    for (status, kind) in statuses.iter().filter(|(status, _)| *status != 201) {
        assert_eq!((*status, kind), (409, &json!("/problems/slug-taken")));
    }
}

/// An answer before the end, a wait for it, its steps' times, and a wish to end it.
fn waited_for(api: &Api<'_>) {
    let later = [("Prefer", "respond-async")];
    let (status, begun) = api.call("POST", "/tenants", &later, Some(json!({ "slug": "later" })));
    assert_eq!(status, 202, "{begun}");
    assert_eq!(begun["credentials"].as_array().unwrap().len(), 3);
    let id = begun["operation"]["id"].as_str().unwrap();
    let (_, ended) = api.call("GET", &format!("/operations/{id}/wait?seconds=20"), &[], None);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let lasting = |step: &Value| step["started_at"].as_str() < step["finished_at"].as_str();
    assert!(ended["steps"].as_array().unwrap().iter().all(lasting), "{ended}");
    let (status, problem) = api.call("POST", &format!("/operations/{id}/cancel"), &[], Some(json!({})));
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/not-cancellable")));
    let (_, begun) = api.call("POST", "/tenants", &later, Some(json!({ "slug": "cancelled" })));
    let id = begun["operation"]["id"].as_str().unwrap();
    let (status, _) = api.call("POST", &format!("/operations/{id}/cancel"), &[], Some(json!({})));
    let (_, ended) = api.call("GET", &format!("/operations/{id}/wait"), &[], None);
    if status == 202 {
        assert_eq!(ended["state"], "cancelled", "{ended}");
        assert_eq!(ended["cancel_requested_by"], "dev-admin");
        assert_eq!(api.call("GET", "/tenants/cancelled", &[], None).0, 404);
    } else {
        assert_eq!((status, &ended["state"]), (409, &json!("succeeded")));
    }
    let (_, page) = api.call("GET", "/operations?kind=create&limit=1&tenant=later", &[], None);
    assert_eq!(page["items"][0]["tenant_id"], begun_tenant(api, "later"), "{page}");
    let (_, first) = api.call("GET", "/operations?limit=2", &[], None);
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = api.call("GET", &format!("/operations?limit=2&cursor={cursor}"), &[], None);
    assert!(second["items"][0]["created_at"].as_str() < first["items"][1]["created_at"].as_str());
}

fn begun_tenant(api: &Api<'_>, slug: &str) -> Value {
    api.call("GET", &format!("/tenants/{slug}"), &[], None).1["id"].clone()
}

fn slugs(api: &Api<'_>) {
    for (slug, available, problem, suggestion) in [
        ("free", true, Value::Null, Value::Null),
        ("one", false, json!("/problems/slug-taken"), json!("one-2")),
        ("postgres", false, json!("/problems/slug-reserved"), json!("postgres-2")),
        ("Acme%20Inc.", false, json!("/problems/slug-invalid"), json!("acme-inc")),
    ] {
        let (status, answer) = api.call("GET", &format!("/slugs/{slug}"), &[], None);
        assert_eq!(
            (status, &answer["available"], &answer["problem"], &answer["suggestion"]),
            (200, &json!(available), &problem, &suggestion),
            "{answer}"
        );
    }
}

fn bad(api: &Api<'_>) {
    for (body, status, kind, field) in [
        (json!({ "slug": "Not a slug" }), 422, "slug-invalid", "slug"),
        (json!({ "slug": "template0" }), 422, "slug-reserved", "slug"),
        (json!({ "slug": "one" }), 409, "slug-taken", "slug"),
        (json!({ "slug": "x", "template": "nothing" }), 422, "unknown-template", "template"),
        (json!({ "slug": "x", "plan": "nothing" }), 422, "unknown-plan", "plan"),
    ] {
        let problem = api.refused("/tenants", body, status, kind);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        let (status, _, page) =
            api.palisade.with_headers("GET", &format!("/problems/{kind}"), &[], None).unwrap();
        assert_eq!(status, 200);
        assert!(page.as_str().unwrap().contains(kind), "{page}");
    }
    api.refused("/tenants", json!({ "slug": "x", "unknown": 1 }), 400, "bad-request");
    let (status, problem) = api.call("PUT", "/tenants", &[], Some(json!({})));
    assert_eq!((status, &problem["type"]), (405, &json!("/problems/method-not-allowed")));
    too_large(api);
}

/// A body that is too long is refused by its announced length, before it is read.
fn too_large(api: &Api<'_>) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", api.palisade.api_port())).unwrap();
    let head = format!(
        "POST /api/v1/templates HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
         content-length: 2000000\r\nconnection: close\r\n\r\n",
        api.bearer
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("/problems/too-large"), "{answer}");
}

fn quotas(api: &Api<'_>) {
    let (status, _) = api.call("PUT", "/plans/tiny", &[], Some(json!({ "max_tenants": 1 })));
    assert_eq!(status, 200);
    assert_eq!(api.call("POST", "/tenants", &[], Some(json!({ "slug": "t-1", "plan": "tiny" }))).0, 201);
    let problem = api.refused("/tenants", json!({ "slug": "t-2", "plan": "tiny" }), 409, "quota-reached");
    assert_eq!(problem["errors"][0]["field"], "plan");
    let (status, problem) = api.call("PATCH", "/tenants/one", &[], Some(json!({ "plan": "tiny" })));
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/quota-reached")));
    for n in 0..8 {
        let (status, problem) =
            api.call("POST", "/tenants", &[], Some(json!({ "slug": format!("fill-{n}") })));
        if status != 201 {
            assert_eq!((status, &problem["type"]), (507, &json!("/problems/cluster-full")), "{problem}");
            return;
        }
    }
    panic!("the cluster takes more than it may");
}

fn cluster_down(api: &Api<'_>) {
    api.palisade.pg_ctl(&["stop", "-m", "immediate"]);
    let problem = api.refused("/tenants", json!({ "slug": "down" }), 503, "cluster-down");
    assert!(!problem.to_string().contains("postgres://"), "{problem}");
    let (status, _) = api.call("GET", "/tenants/one/status", &[], None);
    assert_eq!(status, 503);
}
