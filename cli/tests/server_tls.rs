//! TLS to PostgreSQL: each mode of libpq's `sslmode`, against a server with a certificate of a private authority.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::authority::Authority;
use common::{Installation, connect};

/// Gives PostgreSQL a certificate and its key, as its own superuser.
async fn certify(admin: &tokio_postgres::Client, certificate: &str, key: &str) {
    for (file, text) in [("palisade.crt", certificate), ("palisade.key", key)] {
        let object = admin.query_one("SELECT lo_from_bytea(0, $1)", &[&text.as_bytes()]).await.unwrap();
        admin.execute("SELECT lo_export($1, $2)", &[&object.get::<_, u32>(0), &file]).await.unwrap();
    }
    for statement in [
        "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null && chmod 600 palisade.key'",
        "ALTER SYSTEM SET ssl_cert_file = 'palisade.crt'",
        "ALTER SYSTEM SET ssl_key_file = 'palisade.key'",
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    ] {
        admin.batch_execute(statement).await.unwrap();
    }
}

/// Whether the tenant's server connection and the proxy's own are encrypted; the SQLSTATE where there is none.
async fn encrypted(env: &BTreeMap<String, String>) -> Result<(bool, bool), String> {
    let client = match tokio_postgres::connect(&env["PALISADE_URL_ACME_APP"], tokio_postgres::NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            client
        }
        Err(error) => return Err(error.code().unwrap().code().to_owned()),
    };
    client.query_one("SELECT count(*) FROM users", &[]).await.unwrap();
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let of = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename LIKE $1";
    let tenants: bool = admin.query_one(of, &[&r"t\_%"]).await.unwrap().get(0);
    let own: bool = admin.query_one(of, &[&"palisade_proxy"]).await.unwrap().get(0);
    Ok((tenants, own))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_does_what_libpq_does() {
    let mut palisade = Installation::start("server-tls", true);
    let env = palisade.env();
    // Without TLS at the server.
    for (mode, want) in [("prefer", Ok((false, false))), ("require", Err("08006".to_owned()))] {
        palisade.restart(&[("PALISADE__PROXY__SERVER_TLS", mode)]);
        assert_eq!(encrypted(&env).await, want, "{mode} without TLS at the server");
    }
    let (good, other) = (Authority::new(), Authority::new());
    let (certificate, key) = good.sign("127.0.0.1");
    let (foreign, foreign_key) = other.sign("elsewhere");
    let folder = palisade.folder().to_owned();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, other) = (file("good.pem", &good.pem()), file("other.pem", &other.pem()));
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    certify(&admin, &certificate, &key).await;
    let refused = || Err("08006".to_owned());
    for (mode, authorities, want) in [
        ("disable", "", Ok((false, false))),
        ("prefer", "", Ok((true, true))),
        ("require", "", Ok((true, true))),
        ("verify-ca", &good, Ok((true, true))),
        ("verify-full", &good, Ok((true, true))),
        ("verify-full", &other, refused()),
        ("verify-ca", &other, refused()),
    ] {
        let settings =
            [("PALISADE__PROXY__SERVER_TLS", mode), ("PALISADE__PROXY__SERVER_TLS_CA_FILE", authorities)];
        palisade.restart(&settings);
        assert_eq!(encrypted(&env).await, want, "{mode} with {authorities}");
    }
    // A certificate of a good authority for another host.
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    certify(&admin, &foreign, &foreign_key).await;
    for (mode, want) in [("verify-ca", Ok((true, true))), ("verify-full", refused())] {
        let settings =
            [("PALISADE__PROXY__SERVER_TLS", mode), ("PALISADE__PROXY__SERVER_TLS_CA_FILE", other.as_str())];
        palisade.restart(&settings);
        assert_eq!(encrypted(&env).await, want, "{mode} for another host");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_speaks_tls_too() {
    let mut palisade = Installation::start("control-tls", true);
    let env = palisade.env();
    let authority = Authority::new();
    let (certificate, key) = authority.sign("127.0.0.1");
    let file = palisade.folder().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    certify(&admin, &certificate, &key).await;
    let encrypted = async || -> bool {
        let of = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'palisade control plane'";
        connect(&env["PALISADE_DATABASE_URL"]).await.query_one(of, &[]).await.unwrap().get(0)
    };
    for (mode, want) in [("disable", false), ("prefer", true), ("require", true), ("verify-full", true)] {
        palisade.restart(&[
            ("PALISADE__CONTROL_PLANE__SERVER_TLS", mode),
            ("PALISADE__CONTROL_PLANE__SERVER_TLS_CA_FILE", file.to_str().unwrap()),
        ]);
        // A tenant is made, verified as its own roles, and moved: every kind of connection that there is.
        let slug = format!("tls-{mode}");
        let (code, out, error) = palisade.cli(&["tenant", "create", &slug]);
        assert_eq!(code, 0, "{mode}: {out}{error}");
        assert_eq!(encrypted().await, want, "{mode}");
    }
}
