//! How a node's components start.

use std::sync::Arc;

use env::task::Fate;
use futures::future::BoxFuture;
use informer::Informers;
use servicerules::Facts;

use super::{Context, Started};

/// The node's network: set up as soon as the node has its range.
pub(super) fn podnet(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let config = podnet::keeper::Config {
            node_name: context.wanted.node_name.clone(),
            cluster_ranges: vec![context.pod_range],
            mtu: None,
            conf_dir: context.cni_conf.clone(),
            bin_dir: context.cni_bin.clone(),
            informers: Informers::new(context.access.client(&context.place, "podnet")?),
        };
        let work = podnet::keeper::run(config, context.shutdown.clone());
        Ok(Started {
            task: Some(env::task::spawn(Fate::Vital, "podnet", work)),
            detail: format!("pods have addresses of {}/{}", context.pod_range.address, context.pod_range.prefix),
        })
    })
}

/// The rules of Services in the kernel.
pub(super) fn proxy(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let pods = servicerules::Range { address: context.pod_range.address, prefix: context.pod_range.prefix };
        let config = proxy::Config {
            facts: Facts { node_name: context.wanted.node_name.clone(), pod_ranges: vec![pods], ..Facts::default() },
            informers: Informers::new(context.access.client(&context.place, "proxy")?),
        };
        let work = proxy::run(config, context.shutdown.clone());
        let task = env::task::spawn(Fate::Vital, "proxy", async move {
            if let Err(error) = work.await {
                tracing::error!(%error, "the service proxy cannot work");
            }
        });
        let services = &context.service_range;
        let detail = format!("Services have addresses of {}/{}", services.address, services.prefix);
        Ok(Started { task: Some(task), detail })
    })
}
