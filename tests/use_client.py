"""Uses the client that openapi-python-client made of the API's description, against a server that runs.

use_client.py FOLDER URL: FOLDER holds the package evenkeel_api.
"""

import importlib
import pkgutil
import sys
import uuid

sys.path.insert(0, sys.argv[1])

import evenkeel_api.api
from evenkeel_api import Client
from evenkeel_api import models
from evenkeel_api.api.executions import get_api_v1_decisions_execution, get_api_v1_executions, post_api_v1_control
from evenkeel_api.api.mode import get_api_v1_mode, put_api_v1_mode
from evenkeel_api.api.queries import get_api_v1_queries, get_api_v1_queries_id
from evenkeel_api.api.status import get_api_v1_status
from evenkeel_api.api.utilisation import get_api_v1_resources_history
from evenkeel_api.api.wire import post_delay

NOWHERE = uuid.UUID("01890000-0000-7000-8000-000000000000")
# Needs arguments, or has no end.
# The last one has nothing to say in the first seconds: tests/it/shadow.rs asks it.
ELSEWHERE = {"get_api_v1_decisions_execution", "get_api_v1_queries_id", "get_api_v1_events", "get_api_v1_shadow"}


def operations():
    for room in pkgutil.iter_modules(evenkeel_api.api.__path__, "evenkeel_api.api."):
        for module in pkgutil.iter_modules(importlib.import_module(room.name).__path__, room.name + "."):
            yield module.name.rsplit(".")[-1], importlib.import_module(module.name)


def is_problem(answer, status, says):
    assert answer.status_code == status, answer
    assert isinstance(answer.parsed, models.Problem) and says in answer.parsed.detail, answer


def main():
    client = Client(base_url=sys.argv[2])
    asked = 0
    for name, module in operations():
        if name.startswith("get_") and name not in ELSEWHERE:
            answer = module.sync_detailed(client=client)
            assert answer.status_code in (200, 204), (name, answer)
            assert not isinstance(answer.parsed, models.Problem), (name, answer)
            asked += 1
    assert asked >= 14, asked

    status = get_api_v1_status.sync(client=client)
    assert isinstance(status, models.Status) and status.ready and status.tick_ms == 100, status
    history = get_api_v1_resources_history.sync(client=client, step_windows=2)
    assert all(0 <= point.in_corridor <= 1 for point in history.points), history

    page = get_api_v1_executions.sync(client=client, limit=3)
    assert len(page.executions) == 3, page
    ran = page.executions[0]
    assert isinstance(ran.execution, uuid.UUID) and ran.outcome == models.OutcomeName.OK, ran
    why = get_api_v1_decisions_execution.sync(client=client, execution=ran.execution)
    assert why.tick == ran.tick and why.state == models.State.EXECUTED, why
    queries = get_api_v1_queries.sync(client=client, limit=2)
    assert len(queries.queries) == 2 and queries.next_ == queries.queries[1].query, queries
    one = get_api_v1_queries_id.sync(client=client, id=queries.queries[0].query)
    assert one.query == queries.queries[0].query, one
    is_problem(get_api_v1_queries_id.sync_detailed(client=client, id=NOWHERE), 404, "has not been seen")
    is_problem(get_api_v1_executions.sync_detailed(client=client, limit=0), 400, "`limit` is `0`")

    shadow = models.ModeBody(mode=models.ModeName.SHADOW)
    assert put_api_v1_mode.sync(client=client, body=shadow) == shadow
    assert get_api_v1_mode.sync(client=client) == shadow
    is_problem(post_delay.sync_detailed(client=client, body=models.DelayBody(id=NOWHERE, delay=1)), 404, "not queued")
    lease = models.ControlBody(client="a test", epoch=status.lease.epoch + 1)
    answer = post_api_v1_control.sync(client=client, body=lease)
    assert answer.mode == models.ModeName.SHADOW and answer.results == [], answer


main()
