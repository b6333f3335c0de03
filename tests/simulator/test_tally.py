from gatewayctl.simulator.tally import Tally


def test_calls_are_counted_by_key() -> None:
    """Each key has its own count, and its age is since its first call."""
    tally = Tally()
    assert [tally.call("a", now=now).count for now in (5.0, 6.0)] == [1, 2]
    assert tally.call("b", now=7.0).count == 1
    assert tally.call("a", now=8.5).age == 3.5


def test_a_tally_does_not_grow_without_end() -> None:
    """What was not called for longest is forgotten, what is called again and again is not."""
    tally = Tally()
    for number in range(10_000):
        tally.call(str(number), now=0.0)
        kept = tally.call("kept", now=1.0)
    assert kept.count == 10_000
    assert tally.call("9999", now=2.0).count == 2
    assert tally.call("0", now=2.0).count == 1
