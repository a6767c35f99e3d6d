//! The API's description (OpenAPI 3.1), made from the handlers. `docs/api/openapi.json` is the same text; a test keeps
//! it so.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::http::problem::{FieldError, Problem};

/// The scheme's name in the document.
const BEARER: &str = "token";

/// What the paths are added to: title, problems, security.
pub(crate) fn base() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A JSON Web Token, or an API token of the control plane."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .schema(Problem::name(), Problem::schema())
        .schema(FieldError::name(), FieldError::schema())
        .build();
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".into());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Palisade control plane")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("Tenants of a shared PostgreSQL: make, change, watch, take back. Errors are problem details (RFC 9457); times are RFC 3339 in UTC."))
                .license(Some(license))
                .build(),
        )
        .components(Some(components))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]))
        .build()
}

/// Gives every operation a name of its own and the answer that any endpoint may give: a problem.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    let problem =
        ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name(Problem::name())))).build();
    let response =
        ResponseBuilder::new().description("A problem").content("application/problem+json", problem).build();
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]
            .into_iter()
            .flatten()
        {
            let tag = operation.tags.as_ref().and_then(|tags| tags.first()).cloned().unwrap_or_default();
            operation.operation_id =
                operation.operation_id.as_ref().map(|function| format!("{tag}_{function}"));
            for (status, answer) in &mut operation.responses.responses {
                if let RefOr::T(answer) = answer
                    && answer.description.is_empty()
                {
                    answer.description = if status == "201" { "Made" } else { "As asked" }.into();
                }
            }
            operation.responses.responses.insert("default".into(), RefOr::T(response.clone()));
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::http::endpoints::{ENDPOINTS, right};

    fn document() -> Value {
        serde_json::from_str(&crate::http::api().1).unwrap()
    }

    #[test]
    fn the_committed_document_is_the_served_one() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api/openapi.json");
        let served = crate::http::api().1;
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, &served).unwrap();
        }
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(served == committed, "run this test with UPDATE_GOLDEN=1 and review the difference");
    }

    #[test]
    fn every_endpoint_has_a_right_and_a_name_of_its_own() {
        let document = document();
        let mut names = BTreeSet::new();
        let mut endpoints = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let route = path.strip_prefix("/api/v1").unwrap();
                assert!(right(&method.to_uppercase(), route).is_some(), "{method} {route} has no right");
                assert!(
                    names.insert(operation["operationId"].to_string()),
                    "{method} {route} shares its name"
                );
                assert!(operation["summary"].is_string(), "{method} {route} has no summary");
                endpoints += 1;
            }
        }
        assert_eq!(endpoints, ENDPOINTS.len(), "a right is for no endpoint");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
        assert!(text.contains("\"openapi\":\"3.1"));
    }
}
