//! The embedded admin UI: unknown paths get the page, so that its own routes can be loaded.

use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../admin-ui/dist"]
struct Assets;

/// What is served where the UI was not built.
const NOT_BUILT: &str = "<!doctype html><html lang=en><title>Palisade</title><h1>Palisade</h1>\
    <p>The admin UI is not part of this build. The API is below /api/v1.</p></html>";

pub(crate) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let (name, file) = match Assets::get(path) {
        Some(file) => (path, file),
        None => match Assets::get("index.html") {
            Some(file) => ("index.html", file),
            None if path.is_empty() => return Html(NOT_BUILT).into_response(),
            None => return (StatusCode::NOT_FOUND, "there is no such page").into_response(),
        },
    };
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    // Built assets carry a hash in their names; the page itself is asked for anew.
    let caching =
        if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, kind.essence_str()), (header::CACHE_CONTROL, caching)], file.data)
        .into_response()
}
