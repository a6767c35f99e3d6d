//! Who may: API tokens with scopes, the UI's session, a second person, signing in at a provider, and how often.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/oidc.rs"]
mod oidc;

use std::collections::BTreeMap;

use common::Installation;
use serde_json::{Value, json};

type Answer = (u16, BTreeMap<String, String>, Value);

fn call(
    palisade: &Installation,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Answer {
    palisade.with_headers(method, &format!("/api/v1{path}"), headers, body).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn access_is_by_token_scope_session_and_second_person() {
    let provider = oidc::Provider::start();
    let issuer: &'static str = Box::leak(provider.issuer().into_boxed_str());
    let settings = [
        ("PALISADE__CONTROL_PLANE__SECOND_PERSON", "[\"DELETE /tenants/{id}\"]"),
        ("PALISADE__CONTROL_PLANE__REQUESTS_PER_SECOND", "40"),
        ("PALISADE__CONTROL_PLANE__OIDC__ISSUER", issuer),
        ("PALISADE__CONTROL_PLANE__OIDC__CLIENT_ID", "palisade-ui"),
        ("PALISADE__CONTROL_PLANE__OIDC__REDIRECT_URL", "http://127.0.0.1:1/auth/callback"),
        ("PALISADE__CONTROL_PLANE__OIDC__ROLE_MAP__OPS", "operator"),
    ];
    let palisade = Installation::with("access", true, &settings);
    let admin = bearer(&palisade.env()["PALISADE_ADMIN_TOKEN"]);
    api_tokens(&palisade, &admin);
    command_line(&palisade);
    session(&palisade, &admin);
    second_person(&palisade, &admin);
    sign_in(&palisade, &provider);
    headers(&palisade);
    rates(&palisade);
}

/// A token for one tenant sees that tenant only, is listed with its last use, and is refused when revoked.
fn api_tokens(palisade: &Installation, admin: &str) {
    let auth = [("Authorization", admin)];
    let wish = json!({ "name": "deploy", "roles": ["operator"], "tenants": ["acme"], "days": 1 });
    let (status, _, made) = call(palisade, "POST", "/tokens", &auth, Some(wish.clone()));
    assert_eq!(status, 201, "{made}");
    let token = bearer(made["secret"].as_str().unwrap());
    let own = [("Authorization", token.as_str())];
    let get = |path: &str| call(palisade, "GET", path, &own, None);
    assert_eq!(get("/tenants/acme").0, 200);
    // Another's tenant is like one that is not there.
    let (foreign, nobody) = (get("/tenants/globex"), get("/tenants/nobody"));
    assert_eq!((foreign.0, nobody.0), (404, 404));
    assert_eq!(foreign.2.to_string().replace("globex", "nobody"), nobody.2.to_string());
    let (_, _, page) = get("/tenants");
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    let (_, _, operations) = get("/operations");
    assert!(operations["items"].as_array().unwrap().iter().all(|o| o["tenant_id"] == page["items"][0]["id"]));
    let (_, _, all) = call(palisade, "GET", "/operations", &auth, None);
    let foreign =
        all["items"].as_array().unwrap().iter().find(|o| o["tenant_id"] != page["items"][0]["id"]).unwrap();
    assert_eq!(get(&format!("/operations/{}", foreign["id"].as_str().unwrap())).0, 404);
    let explain = json!({ "tenant": "globex", "as": "app", "sql": "SELECT 1" });
    assert_eq!(call(palisade, "POST", "/explain", &own, Some(explain)).0, 404);
    for path in ["/drift", "/migrations", "/events"] {
        assert_eq!(get(path).0, 403, "{path}");
    }
    assert_eq!(get("/tokens").0, 403);
    let (_, _, list) = call(palisade, "GET", "/tokens", &auth, None);
    assert_eq!(list["items"][0]["name"], "deploy");
    assert!(list["items"][0]["last_used_at"].is_string(), "{list}");
    assert!(!list.to_string().contains(made["secret"].as_str().unwrap()));
    assert_eq!(call(palisade, "POST", "/tokens", &auth, Some(wish)).0, 409);
    let bad = json!({ "name": "No", "roles": ["king"], "tenants": [], "days": 0 });
    let (status, _, problem) = call(palisade, "POST", "/tokens", &auth, Some(bad));
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 4), "{problem}");
    // Nobody gives what they do not have.
    let security = bearer(&palisade.token("security"));
    let wish = json!({ "name": "more", "roles": ["admin"] });
    assert_eq!(call(palisade, "POST", "/tokens", &[("Authorization", &security)], Some(wish)).0, 422);
    let wrong = format!("{token}x");
    assert_eq!(call(palisade, "GET", "/whoami", &[("Authorization", &wrong)], None).0, 401);
    assert_eq!(call(palisade, "DELETE", "/tokens/deploy", &auth, None).0, 200);
    assert_eq!(get("/tenants/acme").0, 401);
}

fn command_line(palisade: &Installation) {
    let ok = |args: &[&str]| {
        let (code, out, err) = palisade.cli(args);
        assert_eq!(code, 0, "{args:?}: {err}");
        out
    };
    let secret = ok(&["token", "create", "cli", "--role", "viewer", "--tenant", "acme"]);
    assert!(secret.trim().starts_with("pal_"), "{secret}");
    assert!(ok(&["tenant", "list", "--token", secret.trim()]).contains("acme"));
    assert!(ok(&["token", "list"]).contains("cli"));
    ok(&["token", "revoke", "cli"]);
    assert_eq!(palisade.cli(&["tenant", "list", "--token", secret.trim()]).0, 5);
}

/// The cookie is the browser's only; a foreign page cannot use it to change something.
fn session(palisade: &Installation, admin: &str) {
    let (status, headers, session) =
        call(palisade, "POST", "/session", &[("Authorization", admin)], Some(json!({})));
    assert_eq!(status, 201, "{session}");
    let line = &headers["set-cookie"];
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && !line.contains("Secure"), "{line}");
    let cookie = line.split(';').next().unwrap();
    let csrf = session["csrf"].as_str().unwrap();
    let (status, _, again) = call(palisade, "GET", "/session", &[("Cookie", cookie)], None);
    assert_eq!((status, again["csrf"].as_str()), (200, Some(csrf)));
    let why = Some(json!({ "reason": "test" }));
    let change =
        |headers: &[(&str, &str)]| call(palisade, "POST", "/tenants/acme/suspend", headers, why.clone());
    let (status, _, problem) = change(&[("Cookie", cookie)]);
    assert_eq!((status, &problem["type"]), (403, &json!("/problems/csrf")));
    assert_eq!(
        change(&[("Cookie", cookie), ("X-CSRF-Token", csrf), ("Origin", "https://evil.example")]).0,
        403
    );
    assert_eq!(change(&[("Cookie", cookie), ("X-CSRF-Token", csrf)]).0, 200);
    let back = [("Cookie", cookie), ("X-CSRF-Token", csrf)];
    assert_eq!(call(palisade, "POST", "/tenants/acme/resume", &back, why).0, 200);
    assert_eq!(call(palisade, "DELETE", "/session", &back, None).0, 204);
    assert_eq!(call(palisade, "GET", "/session", &[("Cookie", cookie)], None).0, 401);
}

/// What is set to need two people is done when another person has approved it, once.
fn second_person(palisade: &Installation, admin: &str) {
    let auth = [("Authorization", admin)];
    let plan = || {
        let (status, _, plan) = call(palisade, "DELETE", "/tenants/globex?dry_run=true", &auth, None);
        assert_eq!(status, 200, "{plan}");
        format!("/tenants/globex?reason=gone&confirm={}", plan["confirm"].as_str().unwrap())
    };
    let (status, _, problem) = call(palisade, "DELETE", &plan(), &auth, None);
    assert_eq!((status, &problem["type"]), (403, &json!("/problems/second-person")), "{problem}");
    let id = problem["approval"].as_str().unwrap();
    let approve = format!("/approvals/{id}/approve");
    // Not the same person, not a person without the right, not a token of the same person.
    assert_eq!(call(palisade, "POST", &approve, &auth, Some(json!({}))).0, 403);
    let viewer = bearer(&palisade.token("viewer"));
    assert_eq!(call(palisade, "POST", &approve, &[("Authorization", &viewer)], Some(json!({}))).0, 403);
    let named = [auth[0], ("X-Approval", id)];
    assert_eq!(call(palisade, "DELETE", &plan(), &named, None).0, 403);
    let other = bearer(&palisade.token("admin"));
    let (status, _, approval) =
        call(palisade, "POST", &approve, &[("Authorization", &other)], Some(json!({})));
    assert_eq!((status, &approval["state"]), (200, &json!("approved")), "{approval}");
    // Another request is not approved by it.
    let foreign = plan().replace("gone", "other");
    assert_eq!(call(palisade, "DELETE", &foreign, &named, None).0, 403);
    let (status, _, done) = call(palisade, "DELETE", &plan(), &named, None);
    assert_eq!((status, &done["tenant"]["observed_state"]), (200, &json!("deleted")), "{done}");
    let (_, _, list) = call(palisade, "GET", "/approvals", &auth, None);
    assert_eq!(list["items"][0]["state"], "used", "{list}");
}

/// The browser goes to the provider and comes back with a session; an answer of another sign-in opens none.
fn sign_in(palisade: &Installation, provider: &oidc::Provider) {
    let get =
        |path: &str, headers: &[(&str, &str)]| palisade.with_headers("GET", path, headers, None).unwrap();
    let (status, headers, _) = get("/auth/login?return_to=/tenants", &[]);
    assert_eq!(status, 303);
    let cookie = headers["set-cookie"].split(';').next().unwrap().to_owned();
    let back = provider.authorize(&headers["location"], "ann", &["ops"]);
    let path = back.split_once("127.0.0.1:1").unwrap().1.to_owned();
    assert_eq!(get(&path, &[]).0, 401);
    assert_eq!(get(&path.replace("state=", "state=x"), &[("Cookie", &cookie)]).0, 401);
    let (status, headers, body) = get(&path, &[("Cookie", &cookie)]);
    assert_eq!((status, headers.get("location").map(String::as_str)), (303, Some("/tenants")), "{body}");
    let (_, lines) = provider.seen();
    assert!(lines.contains("code_verifier="), "{lines}");
    let session = headers["set-cookie"].split(';').next().unwrap().to_owned();
    assert!(session.starts_with("palisade_session="), "{session}");
    let (_, _, who) = get("/api/v1/session", &[("Cookie", &session)]);
    assert_eq!((&who["subject"], &who["roles"]), (&json!("ann"), &json!(["operator"])), "{who}");
    // The code is spent.
    assert_ne!(get(&path, &[("Cookie", &cookie)]).0, 303);
}

/// Foreign pages are told nothing, ours little.
fn headers(palisade: &Installation) {
    let origin = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")];
    for (method, path) in [("OPTIONS", "/api/v1/tenants"), ("GET", "/api/v1/tenants"), ("GET", "/")] {
        let (_, headers, _) = palisade.with_headers(method, path, &origin, None).unwrap();
        assert!(!headers.keys().any(|name| name.starts_with("access-control-")), "{method} {path}");
        for name in ["content-security-policy", "x-content-type-options", "strict-transport-security"] {
            assert!(headers.contains_key(name), "{method} {path} lacks {name}");
        }
    }
}

fn rates(palisade: &Installation) {
    let viewer = bearer(&palisade.token("viewer"));
    let ask = || call(palisade, "GET", "/whoami", &[("Authorization", &viewer)], None);
    let limited = (0..2_000).map(|_| ask()).find(|answer| answer.0 == 429);
    let (_, headers, problem) = limited.expect("no limit");
    assert_eq!(problem["type"], "/problems/rate-limited");
    assert!(headers.contains_key("retry-after"));
}
