//! ConfigMaps, Secrets and ServiceAccounts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kind::Context;
use object::{Text, Value};

use crate::promises::Promises;
use crate::tree::{default_text, each, owned};

/// A ConfigMap.
pub(crate) const CONFIG_MAP: Promises = Promises {
    check_create: crate::check::data::config_map,
    check_update: crate::check::data::config_map_update,
    columns: crate::print::core::DATA_COUNT,
    cells: crate::print::core::config_map,
    ..Promises::DATA
};

/// A Secret.
pub(crate) const SECRET: Promises = Promises {
    default: default_secret,
    check_create: crate::check::data::secret,
    check_update: crate::check::data::secret_update,
    warn: crate::check::warnings::secret,
    selectable: &["type"],
    select: |secret| vec![("type", owned(secret, &["type"]))],
    columns: crate::print::core::SECRET,
    cells: crate::print::core::secret,
    ..Promises::DATA
};

/// A ServiceAccount.
pub(crate) const SERVICE_ACCOUNT: Promises = Promises {
    create: |_, account| keep_secret_names(account),
    update: |_: &Context<'_>, account, _| keep_secret_names(account),
    columns: crate::print::core::SERVICE_ACCOUNT,
    cells: crate::print::core::service_account,
    ..Promises::DATA
};

/// Text that was sent as such becomes data like the rest.
fn default_secret(secret: &mut Value) {
    default_text(secret, "type", "Opaque");
    let Some(plain) = secret.remove(&["stringData"]) else { return };
    let pairs = plain.as_map().into_iter().flat_map(object::Map::iter);
    let encoded: Vec<(Text, Value)> = pairs
        .map(|(key, value)| (key.into(), Value::from(STANDARD.encode(value.as_str().unwrap_or_default()))))
        .collect();
    if encoded.is_empty() {
        return;
    }
    crate::tree::ensure(secret, "data");
    if let Some(data) = secret.get_mut("data").and_then(Value::as_map_mut) {
        data.extend(encoded);
    }
}

/// Of a secret that belongs to an account only the name counts.
fn keep_secret_names(account: &mut Value) {
    each(account, "secrets", |secret| {
        if let Some(map) = secret.as_map_mut() {
            map.retain(|key, _| key == "name");
        }
    });
}
