//! A whole Palisade of a test's own: its own data folder, ports and PostgreSQL.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod authority;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Status and body, or why there is none.
pub(crate) type Answer = Result<(u16, Value), String>;

/// A running `palisade up`, stopped when dropped.
pub(crate) struct Installation {
    folder: PathBuf,
    api_port: u16,
    proxy_port: u16,
    console_port: u16,
    metrics_port: u16,
    settings: Vec<(String, String)>,
    child: Option<Child>,
    demo: bool,
}

/// Below the ports that the system gives to outgoing connections: one of those could take it meanwhile.
pub(crate) fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from(next % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Installation {
    /// Starts one with a fresh data folder.
    pub(crate) fn start(name: &str, demo: bool) -> Self {
        Self::with(name, demo, &[])
    }

    /// Starts one with settings, given as variables.
    pub(crate) fn with(name: &str, demo: bool, settings: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("palisade-test-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut it = Self {
            folder,
            api_port: free_port(),
            proxy_port: free_port(),
            console_port: free_port(),
            metrics_port: free_port(),
            settings: owned(settings),
            child: None,
            demo,
        };
        it.launch();
        it
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn launch(&mut self) {
        let _ = std::fs::remove_file(self.folder.join("run/ready"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command.arg("up").arg("--data-dir").arg(&self.folder);
        if !self.demo {
            command.arg("--no-demo");
        }
        command
            .env("PALISADE__CONTROL_PLANE__LISTEN", format!("127.0.0.1:{}", self.api_port))
            .env("PALISADE__PROXY__LISTEN", format!("127.0.0.1:{}", self.proxy_port))
            .env("PALISADE__PROXY__ADMIN_LISTEN", format!("127.0.0.1:{}", self.console_port))
            .env("PALISADE__PROXY__METRICS_LISTEN", format!("127.0.0.1:{}", self.metrics_port))
            .envs(self.settings.iter().cloned())
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        if let Some((_, log)) = self.settings.iter().find(|(name, _)| name == "PALISADE_TEST_LOG") {
            // A test that looks at everything that is logged.
            command.env("RUST_LOG", "info").stderr(std::fs::File::create(log).unwrap());
        }
        let mut child = command.spawn().unwrap();
        let started = Instant::now();
        while !self.folder.join("run/ready").exists() {
            assert!(child.try_wait().unwrap().is_none(), "palisade up ended while starting");
            assert!(started.elapsed() < Duration::from_secs(90), "palisade up was not ready in 90 s");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.child = Some(child);
    }

    /// Kills the process as a crash would. Its PostgreSQL goes on.
    pub(crate) fn crash(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts again with other settings. The demo tenants stay as they are, and PostgreSQL goes on: its port could be
    /// taken meanwhile.
    pub(crate) fn restart(&mut self, settings: &[(&str, &str)]) {
        self.crash();
        self.settings = owned(settings);
        self.demo = false;
        self.launch();
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// The variables of dev.env.
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.folder.join("dev.env")).unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect()
    }

    /// Runs the command line with this installation's address and token: exit code, what it printed, what it complained.
    pub(crate) fn cli(&self, args: &[&str]) -> (i32, String, String) {
        let env = self.env();
        let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(args)
            .env("PALISADE_API_URL", &env["PALISADE_API_URL"])
            .env("PALISADE_ADMIN_TOKEN", &env["PALISADE_ADMIN_TOKEN"])
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// A token for a role, made by the command line.
    pub(crate) fn token(&self, role: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command
            .args(["token", "--subject", "tester", "--role", role, "--key"])
            .arg(self.folder.join("keys/jwt.pem"));
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// One request to the API: status and body.
    pub(crate) fn api(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        request(self.api_port, method, path, token, body)
    }

    /// One request with headers of its own: status, headers, body.
    pub(crate) fn with_headers(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<(u16, BTreeMap<String, String>, Value), String> {
        with_headers(self.api_port, method, path, headers, body)
    }

    /// The API's port.
    pub(crate) fn api_port(&self) -> u16 {
        self.api_port
    }

    /// Runs pg_ctl on the installation's own PostgreSQL.
    pub(crate) fn pg_ctl(&self, args: &[&str]) {
        let data = self.folder.join("postgres");
        let place =
            if data.join("PG_VERSION").exists() { data } else { std::fs::canonicalize(&data).unwrap() };
        let bin =
            Command::new("sh").args(["-c", "ls -d /usr/lib/postgresql/*/bin | tail -1"]).output().unwrap();
        let bin = String::from_utf8(bin.stdout).unwrap();
        let tool = format!("{}/pg_ctl", bin.trim());
        let mut command = match std::env::var("USER").as_deref() {
            Ok("root") | Err(_) => Command::new("setpriv"),
            _ => Command::new(&tool),
        };
        if command.get_program() == "setpriv" {
            // PostgreSQL refuses root.
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", &tool]);
        }
        command.arg("-D").arg(place).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "pg_ctl {args:?}");
    }

    /// The metrics, by name and labels.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        let text = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
        let line = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
    }

    /// One PATCH with If-Match.
    pub(crate) fn matching(&self, path: &str, token: &str, body: Value, tag: &str) -> Answer {
        let url = format!("http://127.0.0.1:{}{path}", self.api_port);
        let request =
            ureq::Agent::config_builder().http_status_as_error(false).build().new_agent().patch(url);
        let request = request.header("Authorization", format!("Bearer {token}")).header("If-Match", tag);
        answer(request.send_json(body).map_err(|e| e.to_string())?)
    }

    /// Reads a stream of events until its end or until so many have come.
    pub(crate) fn stream(&self, path: &str, token: &str, last: Option<&str>, most: usize) -> String {
        stream(self.api_port, path, token, last, most)
    }

    /// The same on a thread.
    pub(crate) fn streamer(&self, path: &str, token: &str, most: usize) -> std::thread::JoinHandle<String> {
        let (port, path, token) = (self.api_port, path.to_owned(), token.to_owned());
        std::thread::spawn(move || stream(port, &path, &token, None, most))
    }

    /// Sends the process a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let child = self.child.as_ref().unwrap();
        Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    }

    /// Stops the process; how long it took.
    pub(crate) fn stop(&mut self) -> Duration {
        let started = Instant::now();
        let mut child = self.child.take().unwrap();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        child.wait().unwrap();
        started.elapsed()
    }

    /// A way to POST that outlives a borrow of this.
    pub(crate) fn requester(&self) -> impl Fn(&str, &str, Value) -> Answer + use<> {
        let port = self.api_port;
        move |path, token, body| request(port, "POST", path, token, Some(body))
    }
}

fn request(port: u16, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .new_agent();
    let url = format!("http://127.0.0.1:{port}{path}");
    let bearer = format!("Bearer {token}");
    let answer = match (method, body) {
        ("GET", _) => agent.get(url).header("Authorization", bearer).call(),
        ("DELETE", None) => agent.delete(url).header("Authorization", bearer).call(),
        (method, body) => {
            let request = match method {
                "PATCH" => agent.patch(url),
                "PUT" => agent.put(url),
                _ => agent.post(url),
            };
            request.header("Authorization", bearer).send_json(body.unwrap_or(serde_json::json!({})))
        }
    };
    self::answer(answer.map_err(|e| e.to_string())?)
}

/// One request with headers of its own.
pub(crate) fn with_headers(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Result<(u16, BTreeMap<String, String>, Value), String> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .allow_non_standard_methods(true)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .new_agent();
    let mut request =
        ureq::http::Request::builder().method(method).uri(format!("http://127.0.0.1:{port}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let text = match body {
        Some(body) => {
            request = request.header("Content-Type", "application/json");
            body.to_string()
        }
        None => String::new(),
    };
    let mut answer = agent.run(request.body(text).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let text = answer.body_mut().read_to_string().map_err(|e| e.to_string())?;
    let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap_or_default().to_owned())
    };
    let headers = answer.headers().iter().map(header).collect();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok((answer.status().as_u16(), headers, body))
}

fn stream(port: u16, path: &str, token: &str, last: Option<&str>, most: usize) -> String {
    use std::io::{BufRead, BufReader};
    let agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30))).build().new_agent();
    let mut request = agent
        .get(format!("http://127.0.0.1:{port}{path}"))
        .header("Authorization", format!("Bearer {token}"));
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let mut lines = BufReader::new(request.call().unwrap().into_body().into_reader()).lines();
    let (mut text, mut events) = (String::new(), 0);
    // An error is the stream's end too: the server went away.
    while events < most
        && let Some(Ok(line)) = lines.next()
    {
        events += usize::from(line.is_empty() && text.ends_with('\n') && !text.ends_with("\n\n"));
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn answer(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    let text = answer.body_mut().read_to_string().map_err(|e| e.to_string())?;
    Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
}

impl Drop for Installation {
    fn drop(&mut self) {
        if self.child.is_none() {
            self.launch();
        }
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Connects with a connection string. A proxy hears of a new tenant some milliseconds after the API has answered.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let started = Instant::now();
    let (client, connection) = loop {
        match tokio_postgres::connect(url, tokio_postgres::NoTls).await {
            Ok(connected) => break connected,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(1), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    tokio::spawn(connection);
    client
}

/// Id, kind and data of each event of a stream.
pub(crate) fn events(text: &str) -> Vec<(String, String, Value)> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim_start_matches(": ").to_owned())
    };
    text.split("\n\n")
        .filter_map(|block| {
            let data = field(block, "data")?;
            Some((field(block, "id")?, field(block, "event")?, serde_json::from_str(&data).unwrap()))
        })
        .collect()
}

/// SQLSTATE and message of a statement's error.
pub(crate) async fn refusal(client: &tokio_postgres::Client, sql: &str) -> (String, String) {
    let error = client.batch_execute(sql).await.expect_err(sql);
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    (error.code().code().to_owned(), error.message().to_owned())
}

/// An address that nobody uses.
pub(crate) fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// A second proxy of an installation, stopped when dropped.
pub(crate) struct Second(Child);

impl Second {
    /// Starts it at this address, with more settings.
    pub(crate) fn start(palisade: &Installation, address: &str, settings: &[(&str, &str)]) -> Self {
        let path = |name: &str| palisade.folder().join(name).display().to_string();
        let database: tokio_postgres::Config = palisade.env()["PALISADE_DATABASE_URL"].parse().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_palisade"))
            .arg("proxy")
            .envs([
                ("PALISADE__PROXY__LISTEN", address),
                ("PALISADE__PROXY__METRICS_LISTEN", &free_address()),
                ("PALISADE__PROXY__SERVER", &format!("127.0.0.1:{}", database.get_ports()[0])),
                ("PALISADE__PROXY__MASTER_KEY_FILE", &path("keys/master.key")),
                ("PALISADE__PROXY__SNAPSHOT_FILE", &path("second.json")),
                ("PALISADE__PROXY__SPOOL_DIR", &path("second-spool")),
                ("PALISADE__PROXY__UPGRADE_SOCKET", &path("second.sock")),
                ("RUST_LOG", "warn"),
            ])
            .envs(settings.iter().copied())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the second proxy does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        // It has to hear of the tenants.
        std::thread::sleep(Duration::from_millis(500));
        Self(child)
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
