//! The client of the control plane's API.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

/// Longest wait for an answer of the API.
const API_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the control plane is and how to speak to it.
#[derive(Args, Clone)]
pub(crate) struct ApiArgs {
    /// Address of the control plane
    #[arg(long, env = "PALISADE_API_URL", default_value = "http://127.0.0.1:8080", global = true)]
    pub(crate) api_url: String,
    /// A token for the API; `./dev up` writes one to .palisade/dev.env
    #[arg(long, env = "PALISADE_ADMIN_TOKEN", hide_env_values = true, global = true)]
    pub(crate) token: Option<String>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A client of one control plane.
pub(crate) struct Api {
    base: String,
    token: String,
    agent: ureq::Agent,
}

impl Api {
    /// A client for these arguments. Without a token the one in `.palisade/dev.env` is taken.
    pub(crate) fn new(args: &ApiArgs) -> Result<Self> {
        let token = match &args.token {
            Some(token) => token.clone(),
            None => crate::up::dev_env::read(std::path::Path::new(".palisade/dev.env"))
                .ok()
                .and_then(|env| env.get("PALISADE_ADMIN_TOKEN").cloned())
                .context(
                    "no token: give --token or PALISADE_ADMIN_TOKEN (after `./dev up`: source .palisade/dev.env)",
                )?,
        };
        Ok(Self::with_token(&args.api_url, token))
    }

    /// A client with a token at hand.
    pub(crate) fn with_token(url: &str, token: String) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(API_TIMEOUT))
            .build()
            .new_agent();
        Self { base: url.trim_end_matches('/').to_owned(), token, agent }
    }

    /// GET a path below `/api/v1`.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.bearer());
        self.answer(request.call())
    }

    /// POST a body to a path below `/api/v1`.
    pub(crate) fn post(&self, path: &str, body: &Value, idempotency_key: Option<&str>) -> Result<Value> {
        let mut request = self.agent.post(self.url(path)).header("Authorization", self.bearer());
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        self.answer(request.send_json(body))
    }

    /// PUT a body.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(self.agent.put(self.url(path)).header("Authorization", self.bearer()).send_json(body))
    }

    /// PATCH a body.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(self.agent.patch(self.url(path)).header("Authorization", self.bearer()).send_json(body))
    }

    /// DELETE.
    pub(crate) fn delete(&self, path: &str) -> Result<Value> {
        self.answer(self.agent.delete(self.url(path)).header("Authorization", self.bearer()).call())
    }

    /// A stream of events, behind an event's id.
    pub(crate) fn stream(&self, path: &str, last: Option<&str>) -> Result<impl std::io::BufRead + use<>> {
        let mut request = patient().get(self.url(path)).header("Authorization", self.bearer());
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        Ok(std::io::BufReader::new(self.body(request.call())?))
    }

    /// GET a path; the answer as bytes, as they come.
    pub(crate) fn read(&self, path: &str) -> Result<impl std::io::Read + use<>> {
        self.body(patient().get(self.url(path)).header("Authorization", self.bearer()).call())
    }

    /// POST a body; the answer as bytes, as they come.
    pub(crate) fn download(&self, path: &str, body: &Value) -> Result<impl std::io::Read + use<>> {
        self.body(patient().post(self.url(path)).header("Authorization", self.bearer()).send_json(body))
    }

    /// The body of an answer as it comes; a refusal is said as every other.
    fn body(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<impl std::io::Read + use<>> {
        let response = sent.map_err(|error| self.away(error))?;
        if !response.status().is_success() {
            self.answer(Ok(response))?;
            bail!("the control plane gave no answer");
        }
        Ok(response.into_body().into_reader())
    }

    fn away(&self, error: ureq::Error) -> anyhow::Error {
        anyhow::Error::new(error).context(NoAnswer(self.base.clone()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn answer(&self, result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value> {
        let mut response = result.map_err(|error| self.away(error))?;
        let status = response.status();
        let text = response.body_mut().read_to_string().context("reading the answer")?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        let title = body["title"].as_str().unwrap_or("the control plane refused");
        let said = match body["detail"].as_str() {
            Some(detail) => format!("{title}: {detail} ({})", status.as_u16()),
            None => format!("{title} ({})", status.as_u16()),
        };
        Err(Refused { status: status.as_u16(), said }.into())
    }
}

/// The control plane refused.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
struct Refused {
    status: u16,
    said: String,
}

/// For answers that take as long as they take.
fn patient() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().new_agent()
}

/// The control plane is not there.
#[derive(Debug, thiserror::Error)]
#[error("the control plane at {0} does not answer")]
struct NoAnswer(String);

/// The exit code of an error, as `palisade --help` lists them.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<NoAnswer>().is_some() {
        return ExitCode::from(6);
    }
    if error.downcast_ref::<crate::commands::leak_test::CouldNotRun>().is_some() {
        return ExitCode::from(2);
    }
    if error.downcast_ref::<crate::commands::leak_test::Interrupted>().is_some() {
        return ExitCode::from(130);
    }
    match error.downcast_ref::<Refused>().map(|refused| refused.status) {
        Some(404) => ExitCode::from(3),
        Some(400 | 409 | 412 | 422) => ExitCode::from(4),
        Some(401 | 403) => ExitCode::from(5),
        _ => ExitCode::FAILURE,
    }
}

/// Makes one query-string or path component safe.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn components_are_percent_encoded() {
        assert_eq!(super::encode("a-b/c d&é"), "a-b%2Fc%20d%26%C3%A9");
    }
}
