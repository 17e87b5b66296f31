//! A real etcd, with certificates of its own, for as long as a test needs it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use store::etcd::{Config, Credentials, Etcd, Pem};
use store::{Error, Store};
use tempfile::TempDir;

/// One member, on ports of loopback that were free a moment ago.
#[derive(Debug)]
pub(crate) struct EtcdProcess {
    folder: TempDir,
    client: SocketAddr,
    peer: SocketAddr,
    child: env::process::Child,
}

impl EtcdProcess {
    /// Starts etcd and waits until it answers.
    pub(crate) async fn start() -> EtcdProcess {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_certificates(folder.path());
        let (client, peer) = (free_address().await, free_address().await);
        let child = spawn(folder.path(), client, peer);
        let etcd = EtcdProcess { folder, client, peer, child };
        etcd.wait_until_ready().await;
        etcd
    }

    /// Ends etcd at once, as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("our own child can be killed");
    }

    /// Starts it again, with the same data and address.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.client, self.peer);
        self.wait_until_ready().await;
    }

    /// How to reach it.
    pub(crate) fn config(&self) -> Config {
        Config { endpoints: vec![self.url()], credentials: self.credentials("client") }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.client)
    }

    /// The credentials of `name`: `client`, or `stranger`, whom etcd does not know.
    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        let file = |name: String| Pem::File(self.folder.path().join(name));
        Credentials {
            ca: file("ca.crt".into()),
            certificate: file(format!("{name}.crt")),
            key: file(format!("{name}.key")),
        }
    }

    async fn wait_until_ready(&self) {
        let store = Etcd::new(self.config()).expect("the configuration is sound");
        let ready = async {
            // Each attempt waits for a connection or its refusal; between them others may run.
            while let Err(Error::Unavailable { .. }) = store.status().await {
                tokio::task::yield_now().await;
            }
        };
        env::time::timeout(Duration::from_secs(30), ready).await.expect("etcd answers within 30 seconds");
    }
}

/// An address on loopback that nobody listens on.
pub(crate) async fn free_address() -> SocketAddr {
    let listener = env::net::listen_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port is free");
    listener.address().expect("a TCP listener has an address")
}

fn spawn(folder: &Path, client: SocketAddr, peer: SocketAddr) -> env::process::Child {
    let file = |name: &str| folder.join(name).display().to_string();
    let (client, peer) = (format!("https://{client}"), format!("https://{peer}"));
    let mut command = env::process::command("etcd");
    command
        .args(["--name", "test", "--data-dir", &file("data"), "--logger", "zap", "--log-level", "error"])
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("test={peer}")])
        .args(["--client-cert-auth", "--trusted-ca-file", &file("ca.crt")])
        .args(["--cert-file", &file("server.crt"), "--key-file", &file("server.key")])
        .args(["--peer-client-cert-auth", "--peer-trusted-ca-file", &file("ca.crt")])
        .args(["--peer-cert-file", &file("server.crt"), "--peer-key-file", &file("server.key")])
        .stdin(env::process::Stdio::null());
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("these tests need a real etcd (Debian: apt-get install etcd-server): {error}"),
    }
}

/// Two authorities: etcd's, with a certificate for it and one for its client, and another with a stranger's.
fn write_certificates(folder: &Path) {
    let write = |name: String, text: String| {
        env::fs::write_atomic(&folder.join(name), text.as_bytes(), env::fs::PRIVATE).expect("the folder is writable");
    };
    for (authority, names) in [("ca", &["server", "client"][..]), ("other-ca", &["stranger"][..])] {
        let (issuer, certificate) = make_authority(authority);
        write(format!("{authority}.crt"), certificate);
        for name in names {
            let (certificate, key) = make_certificate(name, &issuer);
            write(format!("{name}.crt"), certificate);
            write(format!("{name}.key"), key);
        }
    }
}

fn make_authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = params.self_signed(&key).expect("a certificate can be made").pem();
    (Issuer::new(params, key), certificate)
}

fn make_certificate(name: &str, issuer: &Issuer<'_, KeyPair>) -> (String, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("the names are sound");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = params.signed_by(&key, issuer).expect("a certificate can be made");
    (certificate.pem(), key.serialize_pem())
}
