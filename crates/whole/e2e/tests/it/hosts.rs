//! What scenarios stand on: hosts that see each other and nothing else, and whose leavings are seen.

use std::path::Path;

use e2e::Fixture;

#[tokio::test]
async fn hosts_are_machines_of_their_own() -> anyhow::Result<()> {
    let Some(fixture) = Fixture::open().await? else { return Ok(()) };
    let (m1, c1) = (fixture.host("m1", 11).await?, fixture.host("c1", 100).await?);
    m1.sh("hostname").await.says("m1");
    m1.write("/tmp/www/index.html", "here")?;
    m1.sh("busybox httpd -p 80 -h /tmp/www").await.ok();
    c1.sh("curl -s -m3 http://10.77.0.11/").await.says("here");
    c1.sh("test -e /tmp/www").await.fails(1);
    // Whoever asks beyond the switch learns at once that nobody is there.
    let beyond = c1.sh("curl -s -m30 http://192.0.2.1/").await;
    assert!(beyond.code == Some(7) && beyond.took.as_secs() < 5, "{beyond}");
    c1.plug(false).await?;
    c1.sh("curl -s -m1 http://10.77.0.11/").await.fails(28);
    c1.plug(true).await?;
    c1.sh("curl -s -m10 --retry 3 http://10.77.0.11/").await.says("here");
    let root = m1.path("/");
    assert!(root.exists());
    drop((m1, c1));
    assert!(!root.exists(), "its processes ended with it");
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_switched_off_and_on_has_its_disk_again() -> anyhow::Result<()> {
    let Some(fixture) = Fixture::on("10.1.10").await? else { return Ok(()) };
    let m1 = fixture.host("m1", 101).await?;
    assert_eq!(m1.address(), "10.1.10.101");
    let machine = m1.sh("cat /etc/machine-id").await.ok();
    m1.sh("for file in /etc/mark /root/mark /var/lib/ferrokube/mark /run/mark; do echo here > $file; done").await.ok();
    m1.sh("busybox httpd -p 80 -h /tmp").await.ok();
    drop(m1);
    let m1 = fixture.host("m1", 101).await?;
    m1.sh("cat /etc/machine-id").await.says(machine.trim());
    m1.sh("cat /etc/mark /root/mark /var/lib/ferrokube/mark").await.says("here\nhere\nhere");
    m1.sh("test -e /run/mark").await.fails(1);
    m1.sh("busybox pidof httpd").await.fails(1);
    Ok(())
}

#[tokio::test]
async fn what_a_host_leaves_behind_is_seen() -> anyhow::Result<()> {
    let Some(fixture) = Fixture::open().await? else { return Ok(()) };
    let m1 = fixture.host("m1", 11).await?;
    let before = m1.traces().await?;
    assert_eq!(m1.traces().await?.beyond(&before), Vec::<String>::new());
    let leavings = "ip link add left type bridge
        mkdir /run/left && mount -t tmpfs tmpfs /run/left
        touch /run/socket
        nft add table ip left
        for procs in /sys/fs/cgroup/*/cgroup.procs; do mkdir ${procs%/*}/left; done
        busybox httpd -p 81 -h /tmp";
    m1.sh(leavings).await.ok();
    let left = m1.traces().await?.beyond(&before);
    for kind in ["cgroup", "link left", "mount /run/left", "process", "rule table ip left {", "file"] {
        assert!(left.iter().any(|line| line.starts_with(kind)), "{kind} is not among {left:#?}");
    }
    let folder = Path::new("/sys/fs/cgroup");
    let cgroups = || {
        let hierarchies = std::fs::read_dir(folder).into_iter().flatten().flatten();
        hierarchies.filter(|entry| entry.path().join("left").exists()).count()
    };
    assert_eq!(cgroups(), 0, "the machine's own cgroups are not touched");
    Ok(())
}
