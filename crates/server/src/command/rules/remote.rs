//! A running server, asked through its API.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method};
use serde_json::Value;
use url::Url;

use crate::cli::StoreArgs;

/// Longest time of one request; backtests are asked about, not waited for in one.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Name of the session cookie.
const COOKIE: &str = api::SESSION_COOKIE;

/// The API of a server.
pub struct Remote {
    client: Client,
    base: Url,
    cookie: Option<String>,
}

impl Remote {
    /// The server that the arguments name; `None` when they name none.
    pub fn of(args: &StoreArgs) -> Result<Option<Self>> {
        let Some(url) = &args.url else { return Ok(None) };
        let base = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.with_context(|| format!("--url must be an http or https URL, got {url:?}"))?;
        let cookie = match &args.session_file {
            Some(file) => {
                let text = super::read(file)?;
                Some(format!("{COOKIE}={}", text.trim()))
            }
            None => None,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the person at the command line says where it goes, not a tenant"
        )]
        let client = Client::builder().timeout(TIMEOUT).build().context("no HTTP client")?;
        Ok(Some(Self { client, base, cookie }))
    }

    /// GET with query parameters.
    pub async fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Value> {
        self.send(Method::GET, path, parameters, None).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.send(Method::DELETE, path, &[], None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut url = self.base.join(path).context("--url")?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let mut request = self.client.request(method, url);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.context("the server cannot be reached")?;
        let status = answer.status();
        let text = answer.text().await.context("the answer of the server broke off")?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let lines = json["diagnostics"].as_array().into_iter().flatten();
        for fault in lines {
            eprintln!(
                "{}:{}:{}: {} [{}]",
                fault["file"].as_str().unwrap_or_default(),
                fault["line"],
                fault["column"],
                fault["message"].as_str().unwrap_or_default(),
                fault["code"].as_str().unwrap_or_default()
            );
        }
        ensure!(
            status.as_u16() != 401,
            "the server wants a login: give the value of a session cookie with --session-file"
        );
        bail!("the server answered {status}: {}", json["detail"].as_str().unwrap_or("no reason given"))
    }
}
