//! Finishes or removes what a crash left.
//!
//! An operation whose lease has run out has no worker. One that stopped before its transaction left a reservation: it
//! is removed, for nobody was given the secrets. One that stopped behind it left a whole tenant that nobody was given
//! the secrets of: it is removed too. Either way the slug is free again and a repeated request succeeds.

use std::sync::Arc;
use std::time::Duration;

use palisade_catalog::ids::TenantId;
use tokio::sync::watch;

use crate::http::problem::Problem;
use crate::http::{idempotency, session};
use crate::{Shared, copies, events, isolation, lifecycle, operations, purge, removal};

/// How often unfinished operations are looked for.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long an operation that is taken over is held, in seconds.
const LEASE_SECONDS: i32 = 15;

/// Looks for unfinished operations until the shutdown.
pub(crate) async fn forever(shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        for result in [
            once(&shared).await,
            steps_back(&shared).await,
            purge::once(&shared).await,
            events::clean(&shared).await,
            idempotency::clean(&shared).await,
            session::clean(&shared).await,
            lifecycle::end_graces(&shared).await,
            copies::clean(&shared).await,
            isolation::reconcile(&shared).await,
        ] {
            if let Err(problem) = result {
                tracing::warn!(detail = %problem.detail, "reconciliation failed; it will be tried again");
            }
        }
    }
}

/// Takes over and ends every creation without a worker.
pub(crate) async fn once(shared: &Arc<Shared>) -> Result<(), Problem> {
    let left =
        operations::take_over(&**shared.pool.get().await?, &["create", "clone"], LEASE_SECONDS).await?;
    for (operation, tenant) in left {
        let id = TenantId::parse(&tenant)?;
        removal::remove(shared, &id, operation, "system", "the control plane stopped before it was finished")
            .await?;
        tracing::info!(tenant, %operation, "removed what an interrupted operation left");
    }
    Ok(())
}

/// Ends every step back without a worker: its transaction committed or not, and the tenant's version says which.
async fn steps_back(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client
        .execute(
            "UPDATE palisade_control.operations SET state = 'failed', finished_at = clock_timestamp(),
               error = '{\"message\": \"the control plane stopped meanwhile; the tenant''s version says whether it was made\"}'
             WHERE state = 'running' AND kind = 'rollback' AND lease_until < clock_timestamp() - interval '2 minutes'",
            &[],
        )
        .await?;
    Ok(())
}
