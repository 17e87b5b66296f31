//! Front proxies, which say in headers for whom they speak.

use gate::Known;
use kind::User;
use serving::Peer;

use super::{Union, Verdict};

const USER: &str = "x-remote-user";
const UID: &str = "x-remote-uid";
const GROUP: &str = "x-remote-group";
const EXTRA: &str = "x-remote-extra-";

impl Union {
    pub(super) fn by_front_proxy(&self, known: &Known) -> Verdict {
        let Some((trust, allowed)) = &self.front_proxy else { return Verdict::NotMine };
        let parts = known.parts();
        let Some(name) = parts.headers.get(USER).and_then(|name| name.to_str().ok()) else { return Verdict::NotMine };
        let Some(chain) = parts.extensions.get::<Peer>().and_then(Peer::chain) else { return Verdict::NotMine };
        // A client that is no front proxy may send such headers; then they mean nothing.
        let Ok(identity) = trust.verify(chain, env::time::now()) else { return Verdict::NotMine };
        if !allowed.is_empty() && !allowed.contains(&identity.common_name) {
            return Verdict::Rejected(format!("{} is no front proxy", identity.common_name));
        }
        let all = |header: &str| -> Vec<String> {
            let values = parts.headers.get_all(header).iter();
            values.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
        };
        let mut extra: Vec<(String, Vec<String>)> = Vec::new();
        for key in parts.headers.keys() {
            if let Some(name) = key.as_str().strip_prefix(EXTRA) {
                extra.push((name.to_owned(), all(key.as_str())));
            }
        }
        extra.sort();
        let uid = all(UID).into_iter().next().unwrap_or_default();
        Verdict::Accepted(User { name: name.to_owned(), uid, groups: all(GROUP), extra })
    }
}
