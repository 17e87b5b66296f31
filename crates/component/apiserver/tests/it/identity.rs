//! Who asks, and what they may.

use http::Method;

use crate::fixture::{Client, Cluster, MAPS, PODS, Protocol, chain_of, config_map, identity, pod};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

async fn allow(admin: &Client, user: &str, rules: &str) {
    let role = format!(r#"{{"metadata":{{"name":"{user}"}},"rules":{rules}}}"#);
    admin.post(&format!("{RBAC}/clusterroles"), &role).await.is(201);
    let binding = format!(
        r#"{{"metadata":{{"name":"{user}"}},"roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"{user}"}},"subjects":[{{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"{user}"}}]}}"#
    );
    admin.post(&format!("{RBAC}/clusterrolebindings"), &binding).await.is(201);
}

/// Asks until the answer has the code: roles are heard of a moment after they are written.
async fn until(client: &Client, path: &str, code: u16) {
    let asking = async {
        while client.get(path).await.code != code {
            tokio::task::yield_now().await;
        }
    };
    env::time::timeout(crate::fixture::DEADLINE, asking)
        .await
        .unwrap_or_else(|_| panic!("{path} never answers {code}"));
}

#[tokio::test]
async fn strangers_and_impostors_are_turned_away() {
    let cluster = Cluster::start().await;
    let stranger = cluster.stranger();
    let anonymous = stranger.get("/api/v1/namespaces/default/pods").await;
    anonymous.refuses(
        403,
        "Forbidden",
        r#"pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default""#,
    );
    assert_eq!(anonymous.at("details"), r#"{"kind":"pods"}"#);
    stranger.get("/version").await.is(200);
    stranger.get("/healthz").await.is(200);
    stranger.get("/metrics").await.refuses(
        403,
        "Forbidden",
        r#"forbidden: User "system:anonymous" cannot get path "/metrics""#,
    );
    for token in ["nonsense", "a.b.c", "abcdef.0123456789abcdef", "eyJhbGciOiJub25lIn0.e30."] {
        cluster.bearer(token).get(PODS).await.refuses(401, "Unauthorized", "Unauthorized");
    }
    let foreign = pki::Authority::create(
        "kubernetes",
        pki::PrivateKey::generate(pki::Algorithm::default()).expect("a key"),
        env::time::now(),
        pki::layout::LEAF_VALIDITY,
    )
    .expect("an authority");
    let impostor = identity(&foreign, "admin", &["system:masters"]);
    let door = cluster.server.door(chain_of(&impostor));
    let answer = door.call(http::Request::get(PODS).body(serving::Body::empty()).expect("a request")).await;
    assert_eq!(answer.status(), 401);
    let listening = cluster.listen().await;
    for protocol in [Protocol::One, Protocol::Two] {
        let mut connection = listening.connect(protocol, Some(&impostor)).await;
        connection.send(Method::GET, PODS, &[], b"").await.refuses(401, "Unauthorized", "Unauthorized");
        let mut connection = listening.connect(protocol, None).await;
        connection.send(Method::GET, PODS, &[], b"").await.is(403);
        let mut connection = listening.connect(protocol, Some(&listening.admin)).await;
        let made = connection
            .send(
                Method::POST,
                MAPS,
                &[("content-type", "application/json")],
                b"{\"metadata\":{\"generateName\":\"g-\"}}",
            )
            .await;
        made.is(201);
    }
}

#[tokio::test]
async fn roles_allow_what_they_say_and_no_more() {
    let cluster = Cluster::start().await;
    let (admin, jane) = (cluster.admin(), cluster.user("jane", &["dev"]));
    jane.get(&format!("{MAPS}/one")).await.refuses(
        403,
        "Forbidden",
        r#"configmaps "one" is forbidden: User "jane" cannot get resource "configmaps" in API group "" in the namespace "default""#,
    );
    jane.get("/apis/apps/v1/deployments").await.refuses(
        403,
        "Forbidden",
        r#"deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" at the cluster scope"#,
    );
    jane.get(&format!("{PODS}/p/log")).await.refuses(
        403,
        "Forbidden",
        r#"pods "p" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "default""#,
    );
    allow(&admin, "jane", r#"[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list"]},{"nonResourceURLs":["/metrics"],"verbs":["get"]}]"#).await;
    until(&jane, MAPS, 200).await;
    jane.get("/metrics").await.is(200);
    jane.get("/api/v1/secrets").await.is(403);
    jane.post(MAPS, &config_map("x", "y")).await.is(403);
    jane.get(&format!("{MAPS}?watch=true&timeoutSeconds=1")).await.is(403);
    admin.delete(&format!("{RBAC}/clusterrolebindings/jane"), "").await.is(200);
    until(&jane, MAPS, 403).await;
}

#[tokio::test]
async fn nobody_gives_away_what_they_do_not_have() {
    let cluster = Cluster::start().await;
    let (admin, jane) = (cluster.admin(), cluster.user("jane", &[]));
    allow(&admin, "jane", r#"[{"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles","clusterrolebindings"],"verbs":["create","get","update"]}]"#).await;
    until(&jane, &format!("{RBAC}/clusterroles/jane"), 200).await;
    let role = r#"{"metadata":{"name":"more"},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}"#;
    let role = jane.post(&format!("{RBAC}/clusterroles"), role).await.is(403);
    assert!(
        role.at("message").contains("is attempting to grant RBAC permissions not currently held"),
        "{}",
        role.text()
    );
    let binding = r#"{"metadata":{"name":"more"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"User","name":"jane","apiGroup":"rbac.authorization.k8s.io"}]}"#;
    jane.post(&format!("{RBAC}/clusterrolebindings"), binding).await.is(403);
}

#[tokio::test]
async fn tokens_of_accounts_live_as_long_as_what_they_are_bound_to() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    admin.post(accounts, r#"{"metadata":{"name":"robot"}}"#).await.is(201);
    let body = pod("p").replacen(r#""spec":{"#, r#""spec":{"serviceAccountName":"robot","#, 1);
    let uid = admin.post(PODS, &body).await.is(201).at("metadata.uid");
    let ask =
        |spec: &str| format!(r#"{{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{spec}}}"#);
    let path = format!("{accounts}/robot/token");
    let plain = admin.post(&path, &ask("{}")).await.is(201);
    let bound = ask(&format!(r#"{{"boundObjectRef":{{"apiVersion":"v1","kind":"Pod","name":"p","uid":"{uid}"}}}}"#));
    let bound = admin.post(&path, &bound).await.is(201);
    assert_ne!(bound.at("status.expirationTimestamp"), "");
    admin
        .post(&path, &ask(r#"{"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"p","uid":"other"}}"#))
        .await
        .is(409);
    admin.post(&path, &ask(r#"{"expirationSeconds":10}"#)).await.is(422);
    let me = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = cluster.bearer(&bound.at("status.token")).post(me, "{}").await.is(201);
    assert_eq!(review.at("status.userInfo.username"), "system:serviceaccount:default:robot");
    assert_eq!(
        review.at("status.userInfo.groups"),
        r#"["system:serviceaccounts","system:serviceaccounts:default","system:authenticated"]"#
    );
    assert_eq!(
        review
            .tree()
            .at(&["status", "userInfo", "extra", "authentication.kubernetes.io/pod-name"])
            .map(|name| crate::fixture::at(name, "0")),
        Some("p".into())
    );
    let token_review = |token: &str| format!(r#"{{"spec":{{"token":"{token}"}}}}"#);
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = admin.post(reviews, &token_review(&bound.at("status.token"))).await.is(201);
    assert_eq!(
        (review.at("status.authenticated"), review.at("status.user.username")),
        ("true".into(), "system:serviceaccount:default:robot".into())
    );
    let review = admin.post(reviews, &token_review("nonsense")).await.is(201);
    assert_eq!(review.at("status.authenticated"), "");
    admin.delete(&format!("{PODS}/p"), "").await.is(200);
    cluster.bearer(&bound.at("status.token")).get("/version").await.is(401);
    cluster.bearer(&plain.at("status.token")).get("/version").await.is(200);
    let foreign = admin.post(&path, &ask(r#"{"audiences":["elsewhere"]}"#)).await.is(201);
    cluster.bearer(&foreign.at("status.token")).get("/version").await.is(401);
    admin.delete(&format!("{accounts}/robot"), "").await.is(200);
    cluster.bearer(&plain.at("status.token")).get("/version").await.is(401);
}

#[tokio::test]
async fn bootstrap_tokens_and_front_proxies_speak_for_others() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let secret = r#"{"metadata":{"name":"bootstrap-token-abcdef"},"type":"bootstrap.kubernetes.io/token","stringData":{"token-id":"abcdef","token-secret":"0123456789abcdef","usage-bootstrap-authentication":"true","auth-extra-groups":"system:bootstrappers:kubeadm:default-node-token"}}"#;
    admin.post("/api/v1/namespaces/kube-system/secrets", secret).await.is(201);
    let me = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = cluster.bearer("abcdef.0123456789abcdef").post(me, "{}").await.is(201);
    assert_eq!(review.at("status.userInfo.username"), "system:bootstrap:abcdef");
    assert_eq!(
        review.at("status.userInfo.groups"),
        r#"["system:bootstrappers","system:bootstrappers:kubeadm:default-node-token","system:authenticated"]"#
    );
    cluster.bearer("abcdef.0123456789abcdeX").get(PODS).await.is(401);
    cluster.bearer("abcdef.0123456789abcdee").get(PODS).await.is(401);

    let proxy = identity(&cluster.authority("front-proxy-ca"), "front-proxy-client", &[]);
    let speak = |pair: &pki::files::Pair| {
        cluster
            .client_with(pair)
            .with("x-remote-user", "alice")
            .with("x-remote-group", "dev")
            .with("x-remote-extra-scopes", "a")
    };
    let review = speak(&proxy).post(me, "{}").await.is(201);
    assert_eq!(
        review.at("status.userInfo"),
        r#"{"extra":{"scopes":["a"]},"groups":["dev","system:authenticated"],"username":"alice"}"#
    );
    speak(&identity(&cluster.authority("front-proxy-ca"), "somebody", &[])).post(me, "{}").await.is(401);
    let plain = speak(&identity(&cluster.authority("ca"), "bob", &[])).post(me, "{}").await.is(201);
    assert_eq!(plain.at("status.userInfo.username"), "bob", "headers of somebody who is no front proxy mean nothing");
}

#[tokio::test]
async fn acting_as_another_is_a_permission() {
    let cluster = Cluster::start().await;
    let (admin, jane) = (cluster.admin(), cluster.user("jane", &[]));
    let me = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = admin.with("impersonate-user", "carol").with("impersonate-group", "ops").post(me, "{}").await.is(201);
    assert_eq!(review.at("status.userInfo"), r#"{"groups":["ops","system:authenticated"],"username":"carol"}"#);
    jane.with("impersonate-user", "carol").get(PODS).await.refuses(
        403,
        "Forbidden",
        r#"users "carol" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope"#,
    );
    admin.with("impersonate-group", "ops").get(PODS).await.is(400);
    admin.with("impersonate-user", "carol").get(PODS).await.is(403);
    let account = admin.with("impersonate-user", "system:serviceaccount:default:robot").post(me, "{}").await.is(201);
    assert_eq!(
        account.at("status.userInfo.groups"),
        r#"["system:serviceaccounts","system:serviceaccounts:default","system:authenticated"]"#
    );
}

#[tokio::test]
async fn one_can_ask_what_one_may() {
    let cluster = Cluster::start().await;
    let (admin, jane) = (cluster.admin(), cluster.user("jane", &[]));
    allow(&admin, "jane", r#"[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list"]}]"#).await;
    until(&jane, MAPS, 200).await;
    let reviews = "/apis/authorization.k8s.io/v1";
    let ask = |verb: &str| {
        format!(
            r#"{{"spec":{{"resourceAttributes":{{"namespace":"default","verb":"{verb}","resource":"configmaps"}}}}}}"#
        )
    };
    let yes = jane.post(&format!("{reviews}/selfsubjectaccessreviews"), &ask("get")).await.is(201);
    assert_eq!(yes.at("status.allowed"), "true");
    assert_eq!(
        yes.at("status.reason"),
        r#"RBAC: allowed by ClusterRoleBinding "jane" of ClusterRole "jane" to User "jane""#
    );
    let no = jane.post(&format!("{reviews}/selfsubjectaccessreviews"), &ask("delete")).await.is(201);
    assert_eq!(no.at("status.allowed"), "false");
    let rules =
        jane.post(&format!("{reviews}/selfsubjectrulesreviews"), r#"{"spec":{"namespace":"default"}}"#).await.is(201);
    assert!(rules.at("status.resourceRules").contains(r#""configmaps""#), "{}", rules.text());
    jane.post(
        &format!("{reviews}/subjectaccessreviews"),
        r#"{"spec":{"user":"x","nonResourceAttributes":{"path":"/","verb":"get"}}}"#,
    )
    .await
    .is(403);
    let other = r#"{"spec":{"user":"jane","resourceAttributes":{"verb":"list","resource":"configmaps"}}}"#;
    assert_eq!(
        admin.post(&format!("{reviews}/subjectaccessreviews"), other).await.is(201).at("status.allowed"),
        "true"
    );
    admin.post(&format!("{reviews}/subjectaccessreviews"), r#"{"spec":{}}"#).await.is(422);
}
