//! The API for people: the OpenAPI document as one page without scripts, for a browser without a network.

use std::fmt::Write;

use serde_json::Value;

/// The page of a document.
pub(crate) fn page(document: &Value) -> String {
    let mut out = String::from(concat!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">",
        "<title>Palisade API</title><style>",
        ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}",
        "code,pre{font:14px/1.45 ui-monospace,monospace}pre{overflow:auto}summary{cursor:pointer;padding:.35rem 0}",
        "details{border-top:1px solid #8884}details>:not(summary){margin-left:1.25rem}table{border-collapse:collapse}",
        "td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0}b.m{display:inline-block;min-width:4.5rem}</style>",
        "</head><body><main>"
    ));
    let info = &document["info"];
    heading(&mut out, 1, &format!("{} {}", text(&info["title"]), text(&info["version"])));
    paragraph(&mut out, text(&info["description"]));
    out.push_str("<p><a href=\"openapi.json\">openapi.json</a></p>");
    heading(&mut out, 2, "Endpoints");
    for (path, item) in entries(&document["paths"]) {
        for (method, operation) in entries(item) {
            endpoint(&mut out, path, method, operation);
        }
    }
    heading(&mut out, 2, "Schemas");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        // Writing to a String cannot fail.
        let _ = write!(out, "<details id=\"{0}\"><summary><code>{0}</code></summary>", escape(name));
        schema_table(&mut out, schema);
        out.push_str("</details>");
    }
    out.push_str("</main></body></html>");
    out
}

fn endpoint(out: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        out,
        "<details><summary><b class=m>{}</b> <code>{}</code> {}</summary>",
        escape(&method.to_uppercase()),
        escape(path),
        escape(text(&operation["summary"]))
    );
    paragraph(out, text(&operation["description"]));
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() {
        out.push_str("<table><tr><th>parameter<th>in<th>type<th></tr>");
        for p in parameters {
            row(out, &[text(&p["name"]), text(&p["in"]), &kind(&p["schema"]), text(&p["description"])]);
        }
        out.push_str("</table>");
    }
    for (media, content) in entries(&operation["requestBody"]["content"]) {
        let _ = write!(out, "<p>Body: {} <code>{}</code></p>", linked(&content["schema"]), escape(media));
    }
    out.push_str("<table><tr><th>answer<th>body<th></tr>");
    for (status, answer) in entries(&operation["responses"]) {
        let bodies: Vec<_> = entries(&answer["content"]).map(|(_, c)| linked(&c["schema"])).collect();
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}</tr>",
            escape(status),
            bodies.join(" "),
            escape(text(&answer["description"]))
        );
    }
    out.push_str("</table></details>");
}

fn schema_table(out: &mut String, schema: &Value) {
    paragraph(out, text(&schema["description"]));
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|r| r == name));
    out.push_str("<table>");
    for (name, field) in entries(&schema["properties"]) {
        let shown = if required(name) { name.to_owned() } else { format!("{name}?") };
        let _ = write!(
            out,
            "<tr><td><code>{}</code><td>{}<td>{}</tr>",
            escape(&shown),
            linked(field),
            escape(text(&field["description"]))
        );
    }
    out.push_str("</table>");
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        let _ = write!(out, "<p>or {}</p>", linked(one));
    }
}

/// A type as text, with a link where it has a name.
fn linked(schema: &Value) -> String {
    let kind = kind(schema);
    match kind.trim_end_matches("[]") {
        name if name.chars().next().is_some_and(char::is_uppercase) => {
            format!("<a href=\"#{0}\"><code>{1}</code></a>", escape(name), escape(&kind))
        }
        _ => format!("<code>{}</code>", escape(&kind)),
    }
}

/// A type in a word.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    for any in ["oneOf", "allOf", "anyOf"] {
        if let Some(all) = schema[any].as_array() {
            return all.iter().map(kind).filter(|k| k != "null").collect::<Vec<_>>().join(" | ");
        }
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("{}[]", self::kind(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            kinds.iter().map(text).filter(|k| *k != "null").collect::<Vec<_>>().join(" | ")
        }
        _ => "any".into(),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn heading(out: &mut String, level: u8, text: &str) {
    let _ = write!(out, "<h{level}>{}</h{level}>", escape(text));
}

fn paragraph(out: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = write!(out, "<p>{}</p>", escape(text));
    }
}

fn row(out: &mut String, cells: &[&str]) {
    out.push_str("<tr>");
    for cell in cells {
        let _ = write!(out, "<td>{}", escape(cell));
    }
    out.push_str("</tr>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_endpoint_and_escapes() {
        let document: Value = serde_json::from_str(&crate::http::api().1).unwrap();
        let page = page(&document);
        for (path, _) in entries(&document["paths"]) {
            assert!(page.contains(&escape(path)), "{path}");
        }
        assert!(!page.contains("<script"));
        assert_eq!(escape("<a \"b\">&"), "&lt;a &quot;b&quot;&gt;&amp;");
    }
}
