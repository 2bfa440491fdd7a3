"""Clients that ask a gateway while a test breaks it, and models that are broken."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import httpx
import onnx
from onnx import TensorProto, helper

from tests.gateway.support import small_model
from tests.gateway.support.gateway_process import SECRET, GatewayProcess

TEXTS = ("рад", "мне страшно", "ого, вот это да", "грустно мне, дом мой пуст", "злюсь", "заседание")


@contextlib.contextmanager
def asking(
    gateway: GatewayProcess, texts: Sequence[str] = TEXTS, *, clients: int = 2, pause: float = 0.1, key: str = SECRET
) -> Iterator[Counter[int]]:
    """Clients in a thread of their own, one text a request, whatever comes back; gives a count of the statuses."""
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    async def one(number: int) -> None:
        headers = {"authorization": f"Bearer {key}"}
        while not stop.is_set():
            async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=60, headers=headers) as client:
                while not stop.is_set():
                    number += 1
                    try:
                        answer = await client.post("/v1/emotions", json={"text": texts[number % len(texts)]})
                    except httpx.TransportError:
                        statuses[0] += 1  # the gateway is being restarted
                        break
                    statuses[answer.status_code] += 1
                    await asyncio.sleep(pause)
            await asyncio.sleep(pause)

    async def run() -> None:
        await asyncio.gather(*(one(number) for number in range(clients)))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        thread.join()


def graph_with(table: list[list[float]]) -> onnx.ModelProto:
    """The small model's graph with other logits for its tokens."""
    graph = small_model.make_graph(1)
    values = [value for row in table for value in row]
    changed = helper.make_tensor("table", TensorProto.FLOAT, [len(table), 6], values)
    constants = graph.graph.initializer
    constants[[constant.name for constant in constants].index("table")].CopyFrom(changed)
    return graph


def failing_graph() -> onnx.ModelProto:
    """Looks up `злюсь` beyond the end of its table, which ONNX Runtime refuses."""
    graph = small_model.make_graph(1)
    constants, nodes = graph.graph.initializer, graph.graph.node
    constants.append(helper.make_tensor("bad", TensorProto.INT64, [], [small_model.VOCABULARY.index("злюсь")]))
    constants.append(helper.make_tensor("far", TensorProto.INT64, [], [10**6]))
    look_up = [node.op_type for node in nodes].index("Gather")
    nodes[look_up].input[1] = "ids"
    nodes.insert(look_up, helper.make_node("Where", ["is_bad", "far", "input_ids"], ["ids"]))
    nodes.insert(look_up, helper.make_node("Equal", ["input_ids", "bad"], ["is_bad"]))
    onnx.checker.check_model(graph)
    return graph


def graph_without_probabilities() -> onnx.ModelProto:
    """`злюсь` comes to a number that is none."""
    table = small_model.table(1)
    table[small_model.VOCABULARY.index("злюсь")] = [float("nan")] * 6
    return graph_with(table)


def disagreeing_graph() -> onnx.ModelProto:
    """Every emotion is taken for the next one."""
    return graph_with([[*row[1:], row[0]] for row in small_model.table(1)])
