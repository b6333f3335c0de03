"""What ``gatewayctl log`` refuses before it reads anything: options out of form, or at odds."""

import pytest
from support.terminal import gatewayctl


@pytest.mark.parametrize("since", ["1", "", "0s", "5w", "-1h", "99999999999d", "h"])
def test_a_duration_out_of_form_is_said(since: str) -> None:
    """With the form that it has."""
    ran = gatewayctl("log", "--since", since)
    assert ran.status == 2
    assert "'--since'" in ran.err
    assert "duration" in ran.err


def test_an_id_stands_alone() -> None:
    """Filters of one request mean nothing."""
    assert gatewayctl("log", "aa", "--follow").status == 2
    assert gatewayctl("log", "aa", "--failed").status == 2
