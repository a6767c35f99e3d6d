//! Exports and clones: a dump of one tenant as of a database of its own, and a tenant made from another.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Installation, connect};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_exported_and_cloned() {
    let palisade = Installation::start("copies", true);
    let env = palisade.env();
    let auth = format!("Bearer {}", env["PALISADE_ADMIN_TOKEN"]);
    let post = |path: &str, body: Value| {
        palisade
            .with_headers("POST", &format!("/api/v1{path}"), &[("Authorization", &auth)], Some(body))
            .unwrap()
    };
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let (status, headers, dump) = post("/tenants/acme/export", json!({}));
    let dump = dump.as_str().unwrap();
    assert_eq!((status, headers["content-type"].as_str()), (200, "application/sql"), "{dump}");
    assert!(dump.contains("CREATE TABLE public.users") && dump.contains("@acme.example"));
    assert!(dump.contains("PostgreSQL database dump complete"));
    // Nothing of another tenant, and no physical name.
    let id = palisade.api("GET", "/api/v1/tenants/acme", &env["PALISADE_ADMIN_TOKEN"], None).unwrap().1["id"]
        .clone();
    assert!(!dump.contains("globex") && !dump.contains(id.as_str().unwrap()));
    let (status, _, dump) = post("/tenants/acme/export", json!({ "structure_only": true }));
    assert!(status == 200 && !dump.as_str().unwrap().contains("@acme.example"));
    // With its data, and its structure alone; grants are the original's.
    for (slug, structure_only) in [("acme-copy", false), ("acme-empty", true)] {
        let (status, _, begun) =
            post("/tenants/acme/clone", json!({ "slug": slug, "structure_only": structure_only }));
        assert_eq!(status, 202, "{begun}");
        let path =
            format!("/api/v1/operations/{}/wait?seconds=40", begun["operation"]["id"].as_str().unwrap());
        let (_, ended) = palisade.api("GET", &path, &env["PALISADE_ADMIN_TOKEN"], None).unwrap();
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let url = begun["credentials"].as_array().unwrap().iter().find(|c| c["kind"] == "app").unwrap();
        let app = connect(url["url"].as_str().unwrap()).await;
        let rows: i64 = app.query_one("SELECT count(*) FROM users", &[]).await.unwrap().get(0);
        assert_eq!(rows > 0, !structure_only, "{slug}");
        let insert = "INSERT INTO users (email, name) VALUES ('new@copy.example', 'n') RETURNING id";
        app.query_one(insert, &[]).await.unwrap();
    }
    let original = connect(&env["PALISADE_URL_ACME_APP"]).await;
    let foreign: i64 = original
        .query_one("SELECT count(*) FROM users WHERE email = 'new@copy.example'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(foreign, 0);
    let temporary: i64 = admin
        .query_one("SELECT count(*) FROM palisade_control.logins WHERE expires_at IS NOT NULL", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(temporary, 0, "a temporary login stays");
    let (status, _, problem) = post("/tenants/acme/clone", json!({ "slug": "globex" }));
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/slug-taken")));
    // By the command line too.
    let (code, out, err) = palisade.cli(&["tenant", "export", "acme-copy"]);
    assert!(code == 0 && out.contains("CREATE TABLE public.users"), "{err}");
    let (code, out, err) = palisade.cli(&["tenant", "clone", "acme", "acme-third", "--structure-only"]);
    assert!(code == 0 && out.contains("/acme-third"), "{out} {err}");
}
