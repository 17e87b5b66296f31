//! The images of the scenarios: a shell with everything that busybox is, and a web server of it in two versions.

use std::path::Path;

use crate::image::{Entry, Image, Layer};

const BUSYBOX: &str = "/bin/busybox";
/// A shell with tools: `wget`, `nslookup`, `httpd`.
pub const SHELL: &str = "localhost/busybox:1";
/// Says its version and host name at `/`; `/fail` is an error after ten seconds; `/burn` uses a CPU for a
/// while; `/who` says who asks.
pub const WEB_1: &str = "localhost/web:v1";
/// The next version of it.
pub const WEB_2: &str = "localhost/web:v2";

/// The first process traps the request to end: without it, as process 1, it would have no effect.
///
/// A folder without `index.html` is answered by `cgi-bin/index.cgi`.
const WEB: &str = r#"#!/bin/sh
mkdir -p /tmp/www/cgi-bin /tmp/www/burn /tmp/www/who
cd /tmp/www
echo "$VERSION $(hostname)" > index.html
echo ok > fail
cat > cgi-bin/index.cgi <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
case $REQUEST_URI in /who*) echo "$REMOTE_ADDR" | sed "s/[][]//g; s/^::ffff://"; exit ;; esac
i=0
while [ $i -lt 100000 ]; do i=$((i + 1)); done
echo $i
END
chmod 755 cgi-bin/index.cgi
httpd -f -p 80 -h /tmp/www &
server=$!
(sleep 10; rm -f fail) &
trap 'kill $server; exit 0' TERM
wait $server
"#;

/// All of them.
pub async fn all() -> anyhow::Result<Vec<Image>> {
    let list = env::process::command(BUSYBOX).arg("--list").output().await?;
    let list = String::from_utf8(list.stdout)?;
    let links: Vec<String> = list.lines().filter(|name| *name != "busybox").map(|name| format!("bin/{name}")).collect();
    let mut entries = vec![
        Entry::Folder("bin"),
        Entry::Folder("etc"),
        Entry::Open("tmp"),
        Entry::Text("etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
        Entry::Text("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        Entry::Program("bin/busybox", Path::new(BUSYBOX)),
    ];
    entries.extend(links.iter().map(|name| Entry::Link(name, "busybox")));
    let shell = Layer::of(&entries)?;
    let web = Layer::of(&[Entry::Script("web", WEB)])?;
    let image = |name: &str, layers: &[&Layer], command: &str, version: &str| Image {
        name: name.to_owned(),
        layers: layers.iter().map(|layer| (*layer).clone()).collect(),
        command: vec![command.to_owned()],
        environment: [("PATH", "/bin"), ("VERSION", version)].map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec(),
        user: String::new(),
    };
    Ok(vec![
        image(SHELL, &[&shell], "sh", "1"),
        image(WEB_1, &[&shell, &web], "/web", "v1"),
        image(WEB_2, &[&shell, &web], "/web", "v2"),
    ])
}
