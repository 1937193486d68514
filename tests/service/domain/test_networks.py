"""Sets of addresses."""

from __future__ import annotations

import pytest

from service.domain.networks import Networks, customer, network


def test_an_address_is_in_a_network() -> None:
    networks = Networks([network("10.0.0.0/8"), network("::1"), network(" 192.0.2.7 ")])
    assert networks
    assert not Networks([])
    for address in ("10.1.2.3", "::1", "192.0.2.7", "::ffff:10.1.2.3"):
        assert address in networks
    for address in ("11.0.0.1", "192.0.2.8", "::2", "", "testclient", "10.1.2.3:80"):
        assert address not in networks


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy", "", "10.0.0.0/33", "*"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address or a network"):
        network(text)


def test_a_client_cannot_choose_what_it_is_counted_by() -> None:
    assert customer("192.0.2.7") == "192.0.2.7"
    assert customer("2001:db8:1:2::7") == customer("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert customer("fe80::1%eth0") == "fe80::/64"
    assert customer("odd:thing") == "odd:thing"
