//! Which networks of all rules an address lies in: one lookup for each length of prefix that occurs.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ipnet::IpNet;

/// Networks, by length of prefix and address.
#[derive(Debug, Default)]
pub struct Networks {
    by_length: Vec<(u8, HashMap<IpNet, Vec<u32>, RandomState>)>,
}

impl Networks {
    /// Asks whether an address lies in this network.
    pub fn add(&mut self, network: IpNet, atom: u32) {
        let (network, length) = (network.trunc(), network.prefix_len());
        let at = self.by_length.iter().position(|(known, _)| *known == length).unwrap_or_else(|| {
            self.by_length.push((length, HashMap::default()));
            self.by_length.len() - 1
        });
        self.by_length[at].1.entry(network).or_default().push(atom);
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }

    /// The atoms that an address satisfies.
    pub fn find(&self, address: IpAddr, hit: &mut impl FnMut(u32)) {
        for (length, networks) in &self.by_length {
            // a prefix that is too long for an address of the other family holds none
            let Ok(network) = IpNet::new(address, *length) else { continue };
            networks.get(&network.trunc()).into_iter().flatten().for_each(|atom| hit(*atom));
        }
    }
}
