import sys
from hypothesis import settings, Phase
import tests.service.protocol.test_lease_protocol as t
def test_hunt(databases, monkeypatch):
    with t.running(databases.ready("sqlite"), monkeypatch) as wire:
        machine = type("LeaseProtocol", (t.LeaseProtocol,), {"wire": wire})
        t.run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=40, phases=[Phase.generate], derandomize=False, report_multiple_bugs=False, deadline=None))
