//! Timelines: an operation's events come in order and can be read on; drift is found for the whole fleet.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Installation, connect, events};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn timelines_resume_and_drift_is_found() {
    let mut palisade = Installation::start("events", true);
    let env = palisade.env();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let (_, status) = palisade.api("GET", "/api/v1/tenants/acme/status", &token, None).unwrap();
    let path = format!("/api/v1/operations/{}/events", status["operation"]["id"].as_str().unwrap());
    // An operation that has ended: all of it, then the stream ends.
    let whole = events(&palisade.stream(&path, &token, None, usize::MAX));
    let names: Vec<_> = whole
        .iter()
        .filter(|e| e.1 == "step" && e.2["state"] == "done")
        .map(|e| e.2["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["reserve", "provision", "verify", "probe", "activate"], "{whole:?}");
    assert_eq!(
        (whole.last().unwrap().1.as_str(), &whole.last().unwrap().2["state"]),
        ("operation", &json!("succeeded"))
    );
    let rest = events(&palisade.stream(&path, &token, Some(&whole[2].0), usize::MAX));
    assert_eq!(rest.len(), whole.len() - 3);
    // The fleet's stream tells what happens from now on, to the end of the wanted number of events.
    let reader = palisade.streamer("/api/v1/events", &token, 2);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let why = json!({ "reason": "test" });
    palisade.api("POST", "/api/v1/tenants/globex/suspend", &token, Some(why.clone())).unwrap();
    let fleet = events(&reader.join().unwrap());
    assert_eq!(fleet[0].2["kind"], "suspend", "{fleet:?}");
    // Read on behind the first: the second is not lost.
    let again = events(&palisade.stream("/api/v1/events", &token, Some(&fleet[0].0), 1));
    assert_eq!(number(&again[0].0), number(&fleet[1].0));
    drift(&palisade, &token, &env["PALISADE_URL_ACME_OWNER"]).await;
    // An open stream does not hold the shutdown up.
    let open = palisade.streamer("/api/v1/events", &token, 100);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(palisade.stop() < std::time::Duration::from_secs(10));
    open.join().unwrap();
}

async fn drift(palisade: &Installation, token: &str, owner: &str) {
    let fleet = || palisade.api("GET", "/api/v1/drift", token, None).unwrap().1;
    let before = fleet();
    assert_eq!(
        (before["checked"].as_u64(), before["items"].as_array().unwrap().len()),
        (Some(2), 0),
        "{before}"
    );
    connect(owner).await.batch_execute("ALTER TABLE users ADD COLUMN nickname text").await.unwrap();
    let after = fleet();
    assert_eq!(after["items"][0]["slug"], "acme", "{after}");
    let (_, lines) = palisade.api("GET", "/api/v1/tenants/acme/drift", token, None).unwrap();
    assert!(lines["lines"][0].as_str().unwrap().starts_with("+column users.nickname"), "{lines}");
}

/// The part of an id that names the event.
fn number(id: &str) -> &str {
    id.rsplit('-').next().unwrap()
}
