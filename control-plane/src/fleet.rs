//! Migrations of the fleet: what one is, who is in which wave, and its rows.

use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Client, Error, GenericClient, Row};
use utoipa::ToSchema;
use uuid::Uuid;

/// A migration as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Migration {
    pub(crate) id: Uuid,
    pub(crate) template: String,
    pub(crate) to_version: i32,
    /// `running`, `paused`, `succeeded`, `failed` (ended, and some targets failed) or `aborted`.
    pub(crate) state: String,
    /// Why it is paused.
    pub(crate) reason: Option<String>,
    /// How many tenants at a time.
    pub(crate) parallelism: i32,
    /// It pauses when more have failed.
    pub(crate) max_failures: i32,
    /// The number of waves.
    pub(crate) waves: i32,
    /// The wave that it is in; null behind the last.
    pub(crate) wave: Option<i32>,
    pub(crate) requested_by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) finished_at: Option<OffsetDateTime>,
    pub(crate) targets: TargetCounts,
}

/// How many targets are in which state.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct TargetCounts {
    pub(crate) pending: i64,
    pub(crate) running: i64,
    pub(crate) done: i64,
    pub(crate) failed: i64,
    pub(crate) skipped: i64,
}

/// One tenant of a migration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Target {
    pub(crate) tenant_id: String,
    pub(crate) slug: String,
    pub(crate) from_version: i32,
    /// From 0; the canaries are in the first.
    pub(crate) wave: i32,
    /// `pending`, `running`, `done`, `failed` or `skipped`.
    pub(crate) state: String,
    pub(crate) attempts: i32,
    /// PostgreSQL's code of the last failure.
    pub(crate) sqlstate: Option<String>,
    pub(crate) error: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) finished_at: Option<OffsetDateTime>,
}

/// A tenant that a migration would take along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    pub(crate) slug: String,
    pub(crate) version: i32,
}

/// The wave of each candidate: canaries in the first, the rest in waves that reach the given percentages of it. Empty
/// waves are left out.
pub(crate) fn waves(candidates: &[Candidate], canaries: &[String], percents: &[u8]) -> Vec<(Candidate, i32)> {
    let is_canary = |c: &&Candidate| canaries.iter().any(|name| *name == c.slug || *name == c.id);
    let mut placed: Vec<(Candidate, i32)> =
        candidates.iter().filter(is_canary).map(|c| (c.clone(), 0)).collect();
    let rest: Vec<_> = candidates.iter().filter(|c| !is_canary(c)).collect();
    let mut wave = i32::from(!placed.is_empty());
    let mut taken = 0;
    for percent in percents.iter().chain(&[100]) {
        let reach = (rest.len() * usize::from(*percent)).div_ceil(100).min(rest.len());
        if reach > taken {
            placed.extend(rest[taken..reach].iter().map(|c| ((*c).clone(), wave)));
            (taken, wave) = (reach, wave + 1);
        }
    }
    placed
}

/// The tenants of a template that are behind a version, by id: ids are random, so the order says nothing.
pub(crate) async fn candidates(
    client: &impl GenericClient,
    template: &str,
    to_version: i32,
) -> Result<Vec<Candidate>, Error> {
    let rows = client
        .query(
            "SELECT id, slug, template_version FROM palisade_control.tenants
             WHERE template = $1 AND template_version < $2 AND observed_state IN ('active', 'suspended') ORDER BY id",
            &[&template, &to_version],
        )
        .await?;
    Ok(rows.iter().map(|row| Candidate { id: row.get(0), slug: row.get(1), version: row.get(2) }).collect())
}

fn from_row(row: &Row) -> Migration {
    Migration {
        id: row.get(0),
        template: row.get(1),
        to_version: row.get(2),
        state: row.get(3),
        reason: row.get(4),
        parallelism: row.get(5),
        max_failures: row.get(6),
        waves: row.get(7),
        requested_by: row.get(8),
        created_at: row.get(9),
        finished_at: row.get(10),
        wave: row.get(11),
        targets: TargetCounts {
            pending: row.get(12),
            running: row.get(13),
            done: row.get(14),
            failed: row.get(15),
            skipped: row.get(16),
        },
    }
}

/// The newest migrations, or the one of an id.
pub(crate) async fn list(client: &Client, id: Option<Uuid>, limit: i64) -> Result<Vec<Migration>, Error> {
    let rows = client
        .query(
            "SELECT m.id, m.template, m.to_version, m.state, m.reason, m.parallelism, m.max_failures, m.waves,
                    m.requested_by, m.created_at, m.finished_at,
                    min(t.wave) FILTER (WHERE t.state IN ('pending', 'running')),
                    count(*) FILTER (WHERE t.state = 'pending'), count(*) FILTER (WHERE t.state = 'running'),
                    count(*) FILTER (WHERE t.state = 'done'), count(*) FILTER (WHERE t.state = 'failed'),
                    count(*) FILTER (WHERE t.state = 'skipped')
             FROM (SELECT * FROM palisade_control.migrations WHERE $1::uuid IS NULL OR id = $1
                   ORDER BY created_at DESC LIMIT $2) m
             JOIN palisade_control.migration_targets t ON t.migration_id = m.id
             GROUP BY m.id, m.template, m.to_version, m.state, m.reason, m.parallelism, m.max_failures, m.waves,
                      m.requested_by, m.created_at, m.finished_at
             ORDER BY m.created_at DESC",
            &[&id, &limit],
        )
        .await?;
    Ok(rows.iter().map(from_row).collect())
}

/// One page of a migration's targets, by tenant id.
pub(crate) async fn targets(
    client: &Client,
    id: Uuid,
    state: Option<&str>,
    after: Option<&str>,
    limit: i64,
) -> Result<(Vec<Target>, Option<String>), Error> {
    let rows = client
        .query(
            "SELECT tenant_id, slug, from_version, wave, state, attempts, sqlstate, error, started_at, finished_at
             FROM palisade_control.migration_targets
             WHERE migration_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR tenant_id > $3)
             ORDER BY tenant_id LIMIT $4",
            &[&id, &state, &after, &(limit + 1)],
        )
        .await?;
    let mut items: Vec<Target> = rows
        .iter()
        .map(|row| Target {
            tenant_id: row.get(0),
            slug: row.get(1),
            from_version: row.get(2),
            wave: row.get(3),
            state: row.get(4),
            attempts: row.get(5),
            sqlstate: row.get(6),
            error: row.get(7),
            started_at: row.get(8),
            finished_at: row.get(9),
        })
        .collect();
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > keep;
    items.truncate(keep);
    let next = items.last().filter(|_| more).map(|t| t.tenant_id.clone());
    Ok((items, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_hold_everybody_once_and_canaries_first() {
        let all: Vec<_> =
            (0..250).map(|n| Candidate { id: format!("id{n}"), slug: format!("s{n}"), version: 1 }).collect();
        let placed = waves(&all, &["s7".into(), "id9".into(), "nobody".into()], &[1, 10]);
        let count = |wave| placed.iter().filter(|(_, w)| *w == wave).count();
        assert_eq!((placed.len(), count(0), count(1), count(2), count(3)), (250, 2, 3, 22, 223));
        let unique: std::collections::HashSet<_> = placed.iter().map(|(c, _)| &c.id).collect();
        assert_eq!(unique.len(), 250);
        assert_eq!(waves(&all[..1], &[], &[1, 10]).len(), 1);
        assert_eq!(
            waves(&all[..3], &["s0".into(), "s1".into(), "s2".into()], &[]).iter().map(|(_, w)| *w).max(),
            Some(0)
        );
    }
}
