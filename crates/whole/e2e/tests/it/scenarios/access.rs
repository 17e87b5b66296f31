//! Who somebody is and what they may: certificates by request, roles, tokens, strangers.

use e2e::Host;

use super::{seconds, single_node};

const SIGNING_REQUEST: &str = r"
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: dev1 }
spec:
  request: REQUEST
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
";
/// Debian's kubectl cannot write maps, so it cannot write this.
const KUBECONFIG: &str = r"
apiVersion: v1
kind: Config
clusters:
  - name: k
    cluster: { server: 'https://ADDRESS:6443', certificate-authority: /etc/kubernetes/pki/ca.crt }
users:
  - name: dev1
    user: { client-certificate: /root/dev1.crt, client-key: /root/dev1.key }
contexts:
  - name: c
    context: { cluster: k, user: dev1 }
current-context: c
";
const TOKEN_REQUEST: &str =
    r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":600}}"#;
const WHO: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;

#[tokio::test]
async fn everybody_has_the_rights_they_were_given() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    a_certificate_by_request(m1).await?;
    roles(m1).await;
    tokens(m1).await?;
    strangers(m1).await;
    who_am_i(m1).await?;
    cluster.down(&[]).await?;
    Ok(())
}

async fn a_certificate_by_request(m1: &Host) -> anyhow::Result<()> {
    let key = "openssl req -new -newkey rsa:2048 -nodes -keyout dev1.key -subj /CN=dev1/O=dev -out dev1.csr";
    m1.sh(key).await.ok();
    let request = m1.sh("base64 -w0 dev1.csr").await.ok();
    m1.write("/root/csr.yaml", &SIGNING_REQUEST.replace("REQUEST", &request))?;
    m1.sh("kubectl apply -f csr.yaml").await.ok();
    m1.sh("kubectl get csr dev1").await.has("Pending");
    let mut issued = m1.follow(r#"kubectl get csr dev1 -w -o jsonpath='{.status.certificate}{"\n"}'"#)?;
    m1.sh("kubectl certificate approve dev1").await.has("certificatesigningrequest.certificates.k8s.io/dev1 approved");
    issued.until("a certificate", seconds(10), |line| line.len() > 100).await;
    m1.sh("kubectl get csr dev1").await.has("Approved,Issued");
    m1.sh("kubectl get csr dev1 -o jsonpath='{.status.certificate}' | base64 -d > dev1.crt").await.ok();
    m1.sh("openssl verify -CAfile /etc/kubernetes/pki/ca.crt dev1.crt").await.says("dev1.crt: OK");
    m1.sh("openssl x509 -in dev1.crt -noout -subject").await.has("CN = dev1");
    m1.write("/root/dev1.conf", &KUBECONFIG.replace("ADDRESS", m1.address()))
}

async fn roles(m1: &Host) {
    let forbidden = |resource: &str, verb: &str| {
        format!(
            "Error from server (Forbidden): {resource} is forbidden: User \"dev1\" cannot {verb} resource \
             \"{resource}\" in API group \"\" in the namespace \"default\""
        )
    };
    let refused = m1.sh("kubectl --kubeconfig dev1.conf get pods").await.fails(1);
    assert_eq!(refused.trim(), forbidden("pods", "list"));
    m1.sh("kubectl create role r --verb=get,list --resource=pods").await.ok();
    m1.sh("kubectl create rolebinding rb --role=r --user=dev1").await.ok();
    m1.sh("kubectl --as dev1 auth can-i list pods").await.says("yes");
    let no = m1.sh("kubectl --as dev1 auth can-i delete pods").await;
    assert!(no.code == Some(1) && no.out.trim() == "no", "{no}");
    m1.sh("kubectl run one --image=localhost/busybox:1 -- sleep 1d").await.ok();
    m1.sh("kubectl --kubeconfig dev1.conf get pods").await.has("one ");
    let refused = m1.sh("kubectl --kubeconfig dev1.conf get secrets").await.fails(1);
    assert_eq!(refused.trim(), forbidden("secrets", "list"));
    let refused = m1.sh("kubectl --kubeconfig dev1.conf get nodes").await.fails(1);
    let cluster_wide =
        "nodes is forbidden: User \"dev1\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
    assert!(refused.contains(cluster_wide), "{refused}");
    // Who may list pods may not speak for others.
    let refused = m1.sh("kubectl --kubeconfig dev1.conf --as kubernetes-admin get secrets").await.fails(1);
    assert!(refused.contains("User \"dev1\" cannot impersonate resource \"users\""), "{refused}");
}

async fn tokens(m1: &Host) -> anyhow::Result<()> {
    m1.sh("kubectl create sa ci").await.says("serviceaccount/ci created");
    m1.write("/root/token.json", TOKEN_REQUEST)?;
    let raw = "kubectl create --raw /api/v1/namespaces/default/serviceaccounts/ci/token -f token.json";
    let answer = m1.sh(raw).await.ok();
    let tree = codec::json::parse(answer.as_bytes())?;
    let token = tree.str_at(&["status", "token"]).unwrap_or_default();
    assert_eq!(token.split('.').count(), 3, "{answer}");
    m1.write("/root/token", token)?;
    if m1.sh("kubectl create token --help").await.out.contains("--duration") {
        let other = m1.sh("kubectl create token ci --duration=10m").await.ok();
        assert_eq!(other.trim().split('.').count(), 3, "{other}");
    }
    let pods = format!(
        "curl -sk -H \"Authorization: Bearer $(cat token)\" https://{}:6443/api/v1/namespaces/default/pods",
        m1.address()
    );
    let refused = m1.sh(&pods).await.ok();
    let forbidden = r#"pods is forbidden: User \"system:serviceaccount:default:ci\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""#;
    assert!(refused.contains(forbidden), "{refused}");
    m1.sh("kubectl create rolebinding ci --role=r --serviceaccount=default:ci").await.ok();
    let listed = m1.sh(&pods).await.ok();
    assert!(listed.contains(r#""kind": "PodList""#) && listed.contains(r#""name": "one""#), "{listed}");
    // The token ends with its account.
    m1.sh("kubectl delete sa ci").await.ok();
    m1.sh(&pods).await.has(r#""code": 401"#);
    Ok(())
}

async fn strangers(m1: &Host) {
    let ask = |header: &str| {
        format!("curl -sk -w '\\n%{{http_code}}\\n' {header} https://{}:6443/api/v1/nodes", m1.address())
    };
    let nobody = m1.sh(&ask("")).await.ok();
    assert!(nobody.ends_with("\n403\n") && nobody.contains(r#""kind": "Status""#), "{nobody}");
    let forbidden = r#"nodes is forbidden: User \"system:anonymous\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"#;
    assert!(nobody.contains(forbidden) && nobody.contains(r#""reason": "Forbidden""#), "{nobody}");
    let wrong = m1.sh(&ask("-H 'Authorization: Bearer wrong'")).await.ok();
    assert!(wrong.ends_with("\n401\n") && wrong.contains(r#""reason": "Unauthorized""#), "{wrong}");
    assert!(wrong.starts_with("{\n  \"kind\": \"Status\""), "people read what curl fetches: {wrong}");
    // A certificate of somebody else's authority is as good as none.
    let own = "openssl req -x509 -newkey rsa:2048 -nodes -keyout evil.key -out evil.crt -subj /CN=kubernetes-admin/O=system:masters";
    m1.sh(own).await.ok();
    let evil = m1.sh(&ask("--cert evil.crt --key evil.key")).await;
    assert!(!evil.out.contains("200"), "{evil}");
}

async fn who_am_i(m1: &Host) -> anyhow::Result<()> {
    m1.write("/root/who.json", WHO)?;
    let raw = "kubectl create --raw /apis/authentication.k8s.io/v1/selfsubjectreviews -f who.json";
    m1.sh(raw).await.has(r#""username":"kubernetes-admin""#);
    if m1.sh("kubectl auth whoami --help").await.out.contains("auth whoami") {
        let table = m1.sh("kubectl auth whoami").await.has("kubernetes-admin");
        assert!(table.contains("ATTRIBUTE") && table.contains("system:authenticated"), "{table}");
    }
    Ok(())
}
