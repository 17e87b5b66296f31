//! Names by hand: the plugin `hosts`.

use crate::Outcome;
use crate::config::{Hosts, is_in};
use crate::lookup::reverse_address;
use crate::wire::{A, AAAA, Code, INTERNET, Owner, PTR, Query, Reply, Section, is_within};

impl Hosts {
    /// Writes the reply to `query`, if it is about one of these names; `zone` is the server's.
    pub(crate) fn answer(&self, zone: &[u8], query: &Query<'_>, out: &mut Vec<u8>, bytes_max: usize) -> Outcome {
        let name = query.name();
        let is_mine = if self.zones.is_empty() { is_within(name, zone) } else { is_in(name, &self.zones) };
        if query.class != INTERNET || (!is_mine && query.kind != PTR) {
            return Outcome::Forward;
        }
        if query.kind == PTR {
            let names = reverse_address(name).and_then(|address| self.names.get(&address));
            // Addresses that have no name here may have one elsewhere, whatever falls through.
            let Some(names) = names else { return Outcome::Forward };
            let mut reply = Reply::begin(query, out, bytes_max);
            for target in names {
                reply.record(Section::Answer, Owner::Question, (PTR, self.ttl_s), |out| out.extend_from_slice(target));
            }
            reply.finish(Code::NoError);
            return Outcome::Answered;
        }
        let Some(addresses) = self.addresses.get(name) else {
            if is_in(name, &self.fallthrough) {
                return Outcome::Forward;
            }
            // There is no zone whose SOA could be shown with a denial.
            Reply::begin(query, out, bytes_max).finish(Code::ServerFailure);
            return Outcome::Answered;
        };
        let mut reply = Reply::begin(query, out, bytes_max);
        let of_type =
            |it: &&std::net::IpAddr| (query.kind == A && it.is_ipv4()) || (query.kind == AAAA && it.is_ipv6());
        for address in addresses.iter().filter(of_type) {
            reply.address(Section::Answer, Owner::Question, *address, self.ttl_s);
        }
        reply.finish(Code::NoError);
        Outcome::Answered
    }
}
