//! Private servers of a test, to stop, kill and restart.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::environment::free_port;

/// A private RabbitMQ broker. Durable queues survive a stop; a start takes 10 to 20 seconds.
#[derive(Debug)]
pub struct PrivateBroker(Server);

/// A private PostgreSQL server. Committed data survive a stop.
#[derive(Debug)]
pub struct PrivatePostgres(Server);

impl PrivateBroker {
    /// Starts a broker on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Panics if RabbitMQ is not installed or does not start. The other calls panic if they fail.
    pub async fn start() -> Self {
        Self(Server::start("rabbitmq", &std::env::temp_dir()).await)
    }

    /// Starts a broker that also accepts TLS, with this certificate and its private key in PEM format.
    ///
    /// # Panics
    /// As for [`PrivateBroker::start`].
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let server = Server::new("rabbitmq", &std::env::temp_dir());
        let port = free_port().to_string();
        server.write_tls(&[("cert.pem", certificate), ("key.pem", key), ("port", &port)]);
        server.run(&["start"]).await;
        Self(server)
    }

    /// The URL with TLS.
    ///
    /// # Panics
    /// Panics if the broker does not use TLS.
    pub fn tls_url(&self) -> String {
        let port = std::fs::read_to_string(self.0.folder.path().join("tls/port"));
        format!(
            "amqps://guest:guest@127.0.0.1:{}/%2f",
            port.expect("the broker uses TLS")
        )
    }

    /// The URL for `TONGHOP_AMQP_URL`. It stays the same after a restart.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.0.port)
    }

    /// Stops the broker cleanly.
    pub async fn stop(&self) {
        self.0.run(&["stop"]).await;
    }

    /// Kills the broker without a clean shutdown.
    pub async fn kill(&self) {
        self.0.run(&["stop", "--kill"]).await;
    }

    /// Starts the stopped or killed broker with the same data and port.
    pub async fn restart(&self) {
        self.0.run(&["start"]).await;
    }

    /// Raises the memory alarm of the broker: it stops reading from publishing connections until
    /// [`PrivateBroker::end_alarm`].
    pub async fn raise_alarm(&self) {
        self.0.run(&["alarm", "on"]).await;
    }

    /// Ends the memory alarm.
    pub async fn end_alarm(&self) {
        self.0.run(&["alarm", "off"]).await;
    }

    /// Runs shell commands in which `rabbitmqctl` controls this broker. Returns their output.
    pub async fn run_shell(&self, commands: &str) -> String {
        let file = self.0.folder.path().join("commands");
        std::fs::write(&file, commands).expect("a file can be written");
        self.0.run_with(&["shell"], Some(file)).await
    }

    /// Returns, for each connection, whether it uses TLS.
    pub async fn connections_with_tls(&self) -> Vec<bool> {
        let output = self.0.run(&["connections"]).await;
        output.lines().map(|line| line.trim() == "true").collect()
    }

    /// Returns the number of messages in each queue, by name.
    pub async fn queues(&self) -> BTreeMap<String, u64> {
        let output = self.0.run(&["queues"]).await;
        output
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, count)| (name.to_owned(), count.trim().parse().expect("a count")))
            .collect()
    }
}

impl PrivatePostgres {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Panics if PostgreSQL is not installed or does not start. The other calls panic if they fail.
    pub async fn start() -> Self {
        Self(Server::start("postgres", &std::env::temp_dir()).await)
    }

    /// Starts a server whose files are in a folder below `parent`.
    ///
    /// # Panics
    /// As for [`PrivatePostgres::start`].
    pub async fn start_in(parent: &Path) -> Self {
        Self(Server::start("postgres", parent).await)
    }

    /// Starts a server that also accepts TLS, with this certificate and its private key in PEM format.
    ///
    /// # Panics
    /// As for [`PrivatePostgres::start`].
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let server = Server::new("postgres", &std::env::temp_dir());
        server.write_tls(&[("cert.pem", certificate), ("key.pem", key)]);
        server.run(&["start"]).await;
        Self(server)
    }

    /// The URL for `TONGHOP_DATABASE_URL`, of the empty database `postgres`. It stays the same after a restart.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.0.port)
    }

    /// Stops the server cleanly and ends open sessions.
    pub async fn stop(&self) {
        self.0.run(&["stop"]).await;
    }

    /// Stops the server like a crash: the next start recovers from the log.
    pub async fn kill(&self) {
        self.0.run(&["stop", "--kill"]).await;
    }

    /// Starts the stopped or killed server with the same data and port.
    pub async fn restart(&self) {
        self.0.run(&["start"]).await;
    }
}

#[derive(Debug)]
struct Server {
    script: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Server {
    async fn start(name: &str, parent: &Path) -> Self {
        let server = Self::new(name, parent);
        server.run(&["start"]).await;
        server
    }

    fn new(name: &str, parent: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/servers")
            .join(name);
        let folder = tempfile::tempdir_in(parent).expect("a temporary folder can be created");
        Self {
            script,
            folder,
            port: free_port(),
        }
    }

    /// Writes the files with which the script makes the server accept TLS.
    fn write_tls(&self, files: &[(&str, &str)]) {
        let folder = self.folder.path().join("tls");
        std::fs::create_dir(&folder).expect("a folder can be created");
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("a file can be written");
        }
    }

    /// Runs the script and returns its output.
    async fn run(&self, action: &[&str]) -> String {
        self.run_with(action, None).await
    }

    /// Runs the script with a file as its input.
    async fn run_with(&self, action: &[&str], input: Option<PathBuf>) -> String {
        let mut command = self.command(action);
        if let Some(file) = input {
            command.stdin(File::open(file).expect("the file can be read"));
        }
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("running a script does not panic")
            .unwrap_or_else(|error| panic!("{}: {error}", self.script.display()));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {action:?} failed: {stderr}",
            self.script.display()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, action: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(action).arg(self.folder.path());
        if action == ["start"] {
            command.arg(self.port.to_string());
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.command(&["stop", "--kill"]).output();
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::NoTls;

    use super::*;

    #[tokio::test]
    async fn committed_data_survive_stop_and_kill() {
        let server = PrivatePostgres::start().await;
        let query = async |sql: &str| {
            let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
            tokio::spawn(connection);
            client.simple_query(sql).await.unwrap().len()
        };
        query("CREATE TABLE report (id int)").await;
        query("INSERT INTO report VALUES (1)").await;
        server.stop().await;
        assert!(tokio_postgres::connect(&server.url(), NoTls).await.is_err());
        server.restart().await;
        query("INSERT INTO report VALUES (2)").await;
        server.kill().await;
        server.restart().await;
        // The row description, two rows and the end of the command.
        assert_eq!(query("SELECT id FROM report").await, 4);
    }
}
