//! A session: judges what the client says, relays the rest.
//!
//! - `upstream`: client to server: every text is judged; a denied one is replaced.
//! - `downstream`: server to client: errors and notices are renamed; a replaced text's error becomes the denial.
//!
//! A denied text is replaced by a word that is not SQL. PostgreSQL refuses it in the right place of the stream, aborts
//! the transaction, skips to the next Sync: all as it would for a text of the client's own. The word names the denial
//! that the client gets instead.

mod downstream;
mod upstream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use palisade_catalog::snapshot::Access;
use palisade_wire::error::Fields;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Shared;
use crate::startup::Entered;

/// Bytes read at once, each way.
const READ_BYTES: usize = 16 << 10;
/// Most denials whose answers have not come back yet.
const OPEN_DENIALS: usize = 10_000;

/// Why a session ends.
pub(crate) enum End {
    /// One of the two sides is gone, or said goodbye.
    Gone,
    /// This is the last message for the client.
    Fatal(&'static str, String),
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        End::Gone
    }
}

/// What both directions know.
pub(crate) struct Dialogue {
    /// Begins every replacement word of this session; nobody else can know it.
    nonce: u64,
    /// The answers to replaced texts, by word.
    denials: Mutex<HashMap<String, Fields>>,
    /// Whether any text was rewritten: then error positions are not the client's.
    rewritten: AtomicBool,
}

impl Dialogue {
    fn new() -> Self {
        Self { nonce: rand::random(), denials: Mutex::default(), rewritten: AtomicBool::new(false) }
    }

    /// Keeps the answer to a text and gives the word to send instead.
    fn replace(&self, answer: Fields) -> Result<String, End> {
        let mut denials = self.denials.lock();
        if denials.len() >= OPEN_DENIALS {
            return Err(End::Fatal("54000", "too many refused statements in one pipeline".into()));
        }
        let word = format!("palisade_{:016x}_{}", self.nonce, rand::random::<u64>());
        denials.insert(word.clone(), answer);
        Ok(word)
    }

    /// The answer that an error of the server stands for.
    fn answer(&self, error: &Fields) -> Option<Fields> {
        let (_, word) = error.get(b'M')?.split_once("at or near \"")?;
        self.denials.lock().remove(word.strip_suffix('"')?)
    }
}

/// Relays until one side is gone, the tenant is closed, or the proxy shuts down.
pub(crate) async fn run(
    shared: &Shared,
    client: TcpStream,
    entered: Entered,
    mut shutdown: watch::Receiver<bool>,
) {
    let Entered { tenant, login, namespace, names, server, address, session, .. } = entered;
    let dialogue = Dialogue::new();
    let (client_read, mut client_write) = client.into_split();
    let (server_read, server_write) = server.stream.into_split();
    let who = upstream::Who {
        tenant_id: tenant.id.to_string(),
        tenant: tenant.slug.to_string(),
        login: login.name.to_string(),
        address: address.to_string(),
        session,
    };
    let end = {
        let up = upstream::relay(shared, &dialogue, &namespace, &who, client_read, server_write);
        let down = downstream::relay(&dialogue, &names, login.name.as_str(), server_read, &mut client_write);
        let mut changes = shared.changed.subscribe();
        let closed = async {
            loop {
                let snapshot = shared.tenants.load_full();
                let still = snapshot.login(tenant.slug.as_str(), login.name.as_str());
                let open = still
                    .is_some_and(|(t, l)| t.id == tenant.id && t.access != Access::Closed && *l == login);
                if !open || changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            Err(end) = up => end,
            Err(end) = down => end,
            () = closed => administrator(),
            () = crate::announced(&mut shutdown) => administrator(),
            else => End::Gone,
        }
    };
    if let End::Fatal(sqlstate, text) = end {
        // The client may be gone.
        let _ = client_write.write_all(&Fields::new("FATAL", sqlstate, &text).message(b'E')).await;
    }
}

fn administrator() -> End {
    End::Fatal("57P01", "terminating connection due to administrator command".into())
}

/// Whether any text of the session was rewritten.
fn rewritten(dialogue: &Dialogue) -> bool {
    dialogue.rewritten.load(Ordering::Relaxed)
}
