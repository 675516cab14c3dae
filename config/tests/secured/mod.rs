//! An OpenAPI document with an API key and a token, for tests to fill.

/// The document with these paths.
pub(crate) fn document(paths: &str) -> String {
    format!(
        "openapi: 3.1.0
components:
  securitySchemes:
    k: {{type: apiKey, in: header, name: X-API-Key}}
    o: {{type: oauth2, flows: {{}}}}
paths:
{paths}
"
    )
}
