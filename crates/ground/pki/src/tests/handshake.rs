//! Real handshakes over an in-memory pipe.

use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::files::Pair;
use crate::tests::{authority, days};
use crate::tls::{ALPN_H2, ClientCertificate, ServerTrust, ServingCertificates, client_config, server_config};
use crate::trust::Roots;
use crate::{Algorithm, AlternativeNames, Authority, Leaf, PrivateKey, Subject, Usage};

fn pair(authority: &Authority, name: &str, usage: Usage) -> Pair {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let leaf = Leaf::new(Subject::new(name, &[]), &[usage], crate::tests::noon(), days(3650))
        .with_names(AlternativeNames::from_hosts([name]));
    Pair::new(vec![authority.issue(&leaf, &key.public()).unwrap()], key).unwrap()
}

struct Outcome {
    /// The number of certificates that the server received, or why there was no connection.
    server: Result<usize, String>,
    /// The server's leaf as the client saw it, or why there was no connection.
    client: Result<Vec<u8>, String>,
}

async fn shake(
    serving: &Arc<ServingCertificates>,
    trust: &Arc<ServerTrust>,
    certificate: Option<Arc<ClientCertificate>>,
    name: &str,
) -> Outcome {
    let (left, right) = env::net::pipe(64 << 10);
    let acceptor = TlsAcceptor::from(server_config(Arc::clone(serving)).unwrap());
    let connector = TlsConnector::from(client_config(Arc::clone(trust), certificate, &[ALPN_H2]).unwrap());
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let (server, client) = tokio::join!(acceptor.accept(left), connector.connect(name, right));
    Outcome {
        server: server
            .map(|stream| stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len))
            .map_err(|error| error.to_string()),
        client: client
            .map(|stream| stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
            .map_err(|error| error.to_string()),
    }
}

#[tokio::test]
async fn any_client_certificate_completes_the_handshake() {
    let (ours, theirs) = (authority(Algorithm::default()), authority(Algorithm::default()));
    let serving = ServingCertificates::new(&[pair(&ours, "server", Usage::Server)]).unwrap();
    let trust = ServerTrust::roots(Roots::new(vec![ours.certificate().clone()]).unwrap()).unwrap();
    assert_eq!(shake(&serving, &trust, None, "server").await.server, Ok(0));
    for issuer in [&ours, &theirs] {
        let certificate = ClientCertificate::new(&pair(issuer, "client", Usage::Client)).unwrap();
        assert_eq!(shake(&serving, &trust, Some(certificate), "server").await.server, Ok(1));
    }
}

#[tokio::test]
async fn names_choose_the_certificate_and_replacing_takes_effect() {
    let ours = authority(Algorithm::default());
    let (one, two) = (pair(&ours, "one.example", Usage::Server), pair(&ours, "*.two.example", Usage::Server));
    let (leaf_one, leaf_two) = (one.leaf().der().to_vec(), two.leaf().der().to_vec());
    let serving = ServingCertificates::new(&[one, two]).unwrap();
    let trust = ServerTrust::roots(Roots::new(vec![ours.certificate().clone()]).unwrap()).unwrap();
    assert_eq!(shake(&serving, &trust, None, "one.example").await.client, Ok(leaf_one));
    assert_eq!(shake(&serving, &trust, None, "a.two.example").await.client, Ok(leaf_two));
    assert!(shake(&serving, &trust, None, "other.example").await.client.is_err(), "the default has another name");

    let renewed = pair(&ours, "one.example", Usage::Server);
    let leaf = renewed.leaf().der().to_vec();
    serving.replace(&[renewed]).unwrap();
    assert_eq!(shake(&serving, &trust, None, "one.example").await.client, Ok(leaf));
}

#[tokio::test]
async fn clients_believe_their_roots_only() {
    let (ours, theirs) = (authority(Algorithm::default()), authority(Algorithm::default()));
    let serving = ServingCertificates::new(&[pair(&theirs, "server", Usage::Server)]).unwrap();
    let trust = ServerTrust::roots(Roots::new(vec![ours.certificate().clone()]).unwrap()).unwrap();
    assert!(shake(&serving, &trust, None, "server").await.client.is_err());
    trust.replace(Roots::new(vec![theirs.certificate().clone()]).unwrap()).unwrap();
    assert!(shake(&serving, &trust, None, "server").await.client.is_ok());
    assert!(shake(&serving, &ServerTrust::anybody(), None, "elsewhere").await.client.is_ok());
    let nobody = ServerTrust::roots(Roots::new(vec![]).unwrap()).unwrap();
    assert!(shake(&serving, &nobody, None, "server").await.client.is_err());
}

#[tokio::test]
async fn a_listed_self_signed_server_is_believed() {
    let own = authority(Algorithm::default());
    let key = PrivateKey::from_pem(own.key().to_pem().as_bytes()).unwrap();
    let serving = ServingCertificates::new(&[Pair::new(vec![own.certificate().clone()], key).unwrap()]).unwrap();
    let trust = ServerTrust::roots(Roots::new(vec![own.certificate().clone()]).unwrap()).unwrap();
    assert!(shake(&serving, &trust, None, "kubernetes").await.client.is_ok());
    assert!(shake(&serving, &trust, None, "elsewhere").await.client.is_err());
}
