//! `/api/v1/slugs`: whether a slug can be had.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use palisade_catalog::ids::{SLUG_CHARS, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::http::auth::Caller;
use crate::http::problem::Problem;

/// Most suggestions that are tried.
const TRIED: usize = 20;

/// Whether a slug can be had.
#[derive(Serialize, ToSchema)]
pub(crate) struct SlugAnswer {
    slug: String,
    available: bool,
    /// The type of the problem that asking for it would give.
    problem: Option<&'static str>,
    /// The same as a sentence.
    detail: Option<String>,
    /// One that can be had, where this one cannot.
    suggestion: Option<String>,
}

/// Say whether a slug can be had
///
/// Somebody else may take it before it is asked for; the answer to that is `/problems/slug-taken`.
#[utoipa::path(get, path = "/slugs/{slug}", tag = "slugs", params(("slug" = String, Path, description = "The wished slug")),
    responses((status = 200, body = SlugAnswer)))]
pub(crate) async fn show(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(wished): Path<String>,
) -> Result<Json<SlugAnswer>, Problem> {
    let (problem, base) = match Slug::parse(&wished) {
        Ok(slug) if !taken(&shared, &[slug.to_string()]).await?.is_empty() => {
            (Some(Problem::slug_taken(format!("the slug \"{slug}\" is taken"))), slug.to_string())
        }
        Ok(slug) => (None, slug.to_string()),
        Err(error) => (Some(Problem::slug(&error)), near(&wished)),
    };
    let suggestion = if problem.is_some() { suggestion(&shared, &base).await? } else { None };
    Ok(Json(SlugAnswer {
        slug: wished,
        available: problem.is_none(),
        problem: problem.as_ref().map(|p| p.kind),
        detail: problem.map(|p| p.detail),
        suggestion,
    }))
}

/// Which of some slugs are taken.
async fn taken(shared: &Shared, slugs: &[String]) -> Result<Vec<String>, Problem> {
    let client = shared.pool.get().await?;
    let rows = client
        .query(
            "SELECT slug FROM palisade_control.tenants
             WHERE slug = ANY ($1) AND observed_state NOT IN ('deleted', 'purging')",
            &[&slugs],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn suggestion(shared: &Shared, base: &str) -> Result<Option<String>, Problem> {
    let tried = candidates(base);
    let taken = taken(shared, &tried).await?;
    Ok(tried.into_iter().find(|slug| !taken.contains(slug)))
}

/// The base where it is a slug, and the base with numbers.
fn candidates(base: &str) -> Vec<String> {
    let numbered = (2..=TRIED).map(|n| {
        let number = format!("-{n}");
        let room = SLUG_CHARS - number.len();
        format!("{}{number}", base.get(..room).unwrap_or(base).trim_end_matches('-'))
    });
    std::iter::once(base.to_owned()).chain(numbered).filter(|slug| Slug::parse(slug).is_ok()).collect()
}

/// What is left of a text when it is made to look like a slug.
fn near(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let joined = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let joined = if joined.is_empty() { "tenant" } else { joined };
    joined.chars().take(SLUG_CHARS).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suggested_is_a_slug() {
        for text in ["Acme Inc.", "--", "42", "postgres", "Ünïcode", &"x".repeat(100), "a--b", "ends-"] {
            let tried = candidates(&near(text));
            assert!(!tried.is_empty(), "{text}");
            assert!(tried.iter().all(|slug| Slug::parse(slug).is_ok()), "{text}: {tried:?}");
        }
        assert_eq!(near("Acme Inc."), "acme-inc");
        assert_eq!(candidates("postgres")[0], "postgres-2");
    }
}
