"""Writes places.mmdb, a MaxMind file for tests: pip install mmdb_writer==0.2.7; python3 make.py

Written by us for Tracehound's tests: addresses are those set aside for documentation (RFC 5737, RFC 3849), places are cities
as everybody knows them. Nothing in it is MaxMind's data.
"""

from netaddr import IPSet
from mmdb_writer import MMDBWriter

PLACES = {
    "198.51.100.0/25": (52.52, 13.405, 20),  # Berlin
    "198.51.100.128/25": (-33.8688, 151.2093, 50),  # Sydney
    "2001:db8:1::/48": (48.8566, 2.3522, 100),  # Paris
}

writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Tracehound-Test-City", languages=["en"],
                    description="places of documentation addresses", float_type="f64", int_type="u16")
for network, (latitude, longitude, radius) in PLACES.items():
    writer.insert_network(IPSet([network]), {
        "location": {"latitude": latitude, "longitude": longitude, "accuracy_radius": radius},
    })
# a network whose record does not say where it is
writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "DE"}})
writer.to_db_file("places.mmdb")
