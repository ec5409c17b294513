//! Servers of a test's own, to stop, kill and start again.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::free_port;

/// A RabbitMQ broker of the test's own. Its durable queues outlive a stop; starting takes 10 to 20 seconds.
#[derive(Debug)]
pub struct PrivateBroker(Server);

/// A PostgreSQL server of the test's own. What was committed outlives a stop.
#[derive(Debug)]
pub struct PrivatePostgres(Server);

impl PrivateBroker {
    /// Starts a broker on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start; so do the other calls when theirs fails.
    pub async fn start() -> Self {
        Self(Server::start("rabbitmq", &std::env::temp_dir()).await)
    }

    /// A broker that also speaks TLS, with this certificate and its private key in PEM format.
    ///
    /// # Panics
    /// As [`PrivateBroker::start`].
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let server = Server::new("rabbitmq", &std::env::temp_dir());
        let port = free_port().to_string();
        server.write_tls(&[("cert.pem", certificate), ("key.pem", key), ("port", &port)]);
        server.run(&["start"]).await;
        Self(server)
    }

    /// Where the broker speaks TLS.
    ///
    /// # Panics
    /// When it does not.
    pub fn tls_url(&self) -> String {
        let port = std::fs::read_to_string(self.0.folder.path().join("tls/port"));
        format!(
            "amqps://guest:guest@127.0.0.1:{}/%2f",
            port.expect("it speaks TLS")
        )
    }

    /// Where the broker listens, as `TONGHOP_AMQP_URL` wants it. The same after every start.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.0.port)
    }

    /// Stops the broker in good order.
    pub async fn stop(&self) {
        self.0.run(&["stop"]).await;
    }

    /// Kills the broker, with no chance to put anything in order.
    pub async fn kill(&self) {
        self.0.run(&["stop", "--kill"]).await;
    }

    /// Starts the stopped or killed broker again, with the same data and on the same port.
    pub async fn start_again(&self) {
        self.0.run(&["start"]).await;
    }

    /// Raises the broker's memory alarm: it takes nothing more from connections that publish, until
    /// [`PrivateBroker::end_alarm`].
    pub async fn raise_alarm(&self) {
        self.0.run(&["alarm", "on"]).await;
    }

    /// Ends the memory alarm.
    pub async fn end_alarm(&self) {
        self.0.run(&["alarm", "off"]).await;
    }

    /// Runs commands of a shell whose `rabbitmqctl` asks this broker; answers what they printed.
    pub async fn operate(&self, commands: &str) -> String {
        let file = self.0.folder.path().join("commands");
        std::fs::write(&file, commands).expect("a file can be written");
        self.0.run_with(&["shell"], Some(file)).await
    }

    /// For each connection, whether it has TLS.
    pub async fn connections_with_tls(&self) -> Vec<bool> {
        let told = self.0.run(&["connections"]).await;
        told.lines().map(|line| line.trim() == "true").collect()
    }

    /// How many messages each queue holds, by its name.
    pub async fn queues(&self) -> BTreeMap<String, u64> {
        let told = self.0.run(&["queues"]).await;
        told.lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, count)| (name.to_owned(), count.trim().parse().expect("a count")))
            .collect()
    }
}

impl PrivatePostgres {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start; so do the other calls when theirs fails.
    pub async fn start() -> Self {
        Self(Server::start("postgres", &std::env::temp_dir()).await)
    }

    /// The same with its files in a folder of another folder's.
    ///
    /// # Panics
    /// As [`PrivatePostgres::start`].
    pub async fn start_in(parent: &Path) -> Self {
        Self(Server::start("postgres", parent).await)
    }

    /// A server that also speaks TLS, with this certificate and its private key in PEM format.
    ///
    /// # Panics
    /// As [`PrivatePostgres::start`].
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let server = Server::new("postgres", &std::env::temp_dir());
        server.write_tls(&[("cert.pem", certificate), ("key.pem", key)]);
        server.run(&["start"]).await;
        Self(server)
    }

    /// Where the server listens, as `TONGHOP_DATABASE_URL` wants it: its empty database `postgres`. The same after every
    /// start.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.0.port)
    }

    /// Stops the server in good order; open sessions are ended.
    pub async fn stop(&self) {
        self.0.run(&["stop"]).await;
    }

    /// Stops the server as a crash would: the next start recovers from the log.
    pub async fn kill(&self) {
        self.0.run(&["stop", "--kill"]).await;
    }

    /// Starts the stopped or killed server again, with the same data and on the same port.
    pub async fn start_again(&self) {
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
        let folder = tempfile::tempdir_in(parent).expect("a temporary folder can be made");
        Self {
            script,
            folder,
            port: free_port(),
        }
    }

    /// Puts down the files by which the script has the server speak TLS.
    fn write_tls(&self, files: &[(&str, &str)]) {
        let folder = self.folder.path().join("tls");
        std::fs::create_dir(&folder).expect("a folder can be made");
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("a file can be written");
        }
    }

    /// Runs the script; answers what it printed.
    async fn run(&self, action: &[&str]) -> String {
        self.run_with(action, None).await
    }

    /// The same with a file for its input.
    async fn run_with(&self, action: &[&str], input: Option<PathBuf>) -> String {
        let mut command = self.command(action);
        if let Some(file) = input {
            command.stdin(File::open(file).expect("the file can be read"));
        }
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("running a script does not panic")
            .unwrap_or_else(|error| panic!("{}: {error}", self.script.display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {action:?} failed: {said}",
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
    async fn what_was_committed_outlives_stop_and_kill() {
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
        server.start_again().await;
        query("INSERT INTO report VALUES (2)").await;
        server.kill().await;
        server.start_again().await;
        // A row description, two rows and the end of the command.
        assert_eq!(query("SELECT id FROM report").await, 4);
    }
}
