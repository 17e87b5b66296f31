//! etcd's messages and clients, made from `proto/`.

#[expect(clippy::enum_variant_names, clippy::allow_attributes_without_reason, reason = "made by tonic-prost-build")]
#[expect(unreachable_pub, reason = "made by tonic-prost-build")]
#[rustfmt::skip]
pub(super) mod etcdserverpb;
#[expect(unreachable_pub, reason = "made by tonic-prost-build")]
#[rustfmt::skip]
pub(super) mod mvccpb;
