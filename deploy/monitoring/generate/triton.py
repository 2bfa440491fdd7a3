"""Triton's own metrics: what it computes, what waits in it, what it fails, its machine and its GPUs."""

from typing import Final

from deploy.monitoring.generate.board import Board, Panel, Query, Row, rate

_CHOSEN: Final = 'namespace=~"$namespace",model=~"$model"'
_TRITON: Final = 'job="ru-emotions-triton",namespace=~"$namespace"'
_BY: Final = "model, version"
_NAME: Final = "{{model}} {{version}}"


def _rate(counter: str) -> str:
    return rate(counter, _CHOSEN, _BY)


def _microseconds(counter: str) -> Query:
    return Query(f"{_rate(counter)} / {_rate('nv_inference_request_success')}", _NAME)


TRITON: Final = Board(
    uid="ru-emotions-triton",
    title="Emotions: Triton",
    description="What Triton computes, what waits in it, what it fails; its machine and its GPUs.",
    rows=(
        Row(
            "Requests",
            (
                Panel(
                    "Requests a second",
                    "Answered, whoever asked.",
                    (Query(_rate("nv_inference_request_success"), _NAME),),
                ),
                Panel(
                    "Failed requests a second",
                    "BACKEND: the computation failed. REJECTED: the queue was full. CANCELED and OTHER: the client's.",
                    (
                        Query(
                            rate("nv_inference_request_failure", _CHOSEN, f"{_BY}, reason"),
                            _NAME + " {{reason}}",
                        ),
                    ),
                ),
                Panel(
                    "Requests that wait",
                    "On average over all instances of a model.",
                    (
                        Query(f"sum by ({_BY}) (nv_inference_pending_request_count{{{_CHOSEN}}})", _NAME),
                        Query('emotion:limit{of="triton_pending_requests"}', "alert"),
                    ),
                ),
            ),
        ),
        Row(
            "Executions",
            (
                Panel("Texts a second", "Rows computed.", (Query(_rate("nv_inference_count"), _NAME),), width=6),
                Panel(
                    "Texts in one execution",
                    "What dynamic batching makes of the requests.",
                    (Query(f"{_rate('nv_inference_count')} / {_rate('nv_inference_exec_count')}", _NAME),),
                    width=6,
                ),
                Panel(
                    "Waiting, for each request",
                    "In Triton's queue, of those that have been answered.",
                    (_microseconds("nv_inference_queue_duration_us"),),
                    unit="µs",
                    width=6,
                ),
                Panel(
                    "Computing, for each request",
                    "The graph itself, without copies.",
                    (_microseconds("nv_inference_compute_infer_duration_us"),),
                    unit="µs",
                    width=6,
                ),
            ),
        ),
        Row(
            "Machine",
            (
                Panel(
                    "Can be reached",
                    "By Prometheus.",
                    (Query(f"up{{{_TRITON}}}", "{{instance}}"),),
                    highest=1,
                ),
                Panel(
                    "Processor",
                    "Of the whole machine.",
                    (Query(f"nv_cpu_utilization{{{_TRITON}}}", "{{instance}}"),),
                    unit="percentunit",
                    highest=1,
                ),
                Panel(
                    "Memory in use",
                    "Of the whole machine.",
                    (
                        Query(
                            f"nv_cpu_memory_used_bytes{{{_TRITON}}} / nv_cpu_memory_total_bytes{{{_TRITON}}}",
                            "{{instance}}",
                        ),
                        Query('emotion:limit{of="host_memory_share"}', "alert"),
                    ),
                    unit="percentunit",
                    highest=1,
                ),
            ),
        ),
        Row(
            "GPU",
            (
                Panel(
                    "GPU: share of time it computes",
                    "Empty without a GPU, or with --allow-gpu-metrics=false.",
                    (Query(f"nv_gpu_utilization{{{_TRITON}}}", "{{instance}} {{gpu_uuid}}"),),
                    unit="percentunit",
                    highest=1,
                ),
                Panel(
                    "GPU: memory in use",
                    "By everything on this GPU.",
                    (
                        Query(
                            f"nv_gpu_memory_used_bytes{{{_TRITON}}} / nv_gpu_memory_total_bytes{{{_TRITON}}}",
                            "{{instance}} {{gpu_uuid}}",
                        ),
                    ),
                    unit="percentunit",
                    highest=1,
                ),
                Panel(
                    "GPU: power",
                    "Drawn, and the limit.",
                    (
                        Query(f"nv_gpu_power_usage{{{_TRITON}}}", "{{instance}} {{gpu_uuid}}"),
                        Query(f"nv_gpu_power_limit{{{_TRITON}}}", "limit of {{gpu_uuid}}"),
                    ),
                    unit="watt",
                ),
            ),
        ),
    ),
)
