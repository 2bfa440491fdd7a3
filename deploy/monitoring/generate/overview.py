"""The first dashboard to open: rate, errors and duration of requests, the objectives, what fills, the processes."""

from typing import Final

from deploy.monitoring.generate.board import Board, Panel, Query, Row

_MODELS_ASKED: Final = 'namespace=~"$namespace",endpoint=~"/v1/emotions|/v1/classify|/classify|/predict|/"'
_GATEWAY: Final = 'job="ru-emotions-gateway",namespace=~"$namespace"'


def _quantile(share: float) -> Query:
    buckets = f"sum by (le) (rate(emotion_request_seconds_bucket{{{_MODELS_ASKED}}}[$__rate_interval]))"
    return Query(f"histogram_quantile({share}, {buckets})", f"{share:.0%}")


OVERVIEW: Final = Board(
    uid="ru-emotions-overview",
    title="Emotions: overview",
    description="Is it well? Rate, errors and duration of requests, service level objectives, load, processes.",
    rows=(
        Row(
            "Now",
            (
                Panel(
                    "Gateways ready",
                    "Gateways that answer requests, and those that Prometheus knows.",
                    (
                        Query('sum(emotion_ready{namespace=~"$namespace"})', "ready"),
                        Query(f"count(up{{{_GATEWAY}}})", "known"),
                    ),
                    kind="numbers",
                    width=6,
                ),
                Panel(
                    "Alerts that fire",
                    "docs/running/alerts.md says what each means and what to do.",
                    (
                        Query(
                            'count by (severity) (ALERTS{alertname=~"Emotion.+",alertstate="firing",'
                            'namespace=~"$namespace"})',
                            "{{severity}}",
                        ),
                    ),
                    kind="numbers",
                    width=6,
                ),
                Panel(
                    "Texts a second",
                    "Read by a model, at any gateway.",
                    (
                        Query(
                            'sum(rate(emotion_text_tokens_count{namespace=~"$namespace",model=~"$model"}'
                            "[$__rate_interval]))"
                        ),
                    ),
                    kind="numbers",
                    width=6,
                ),
                Panel(
                    "Error budget burnt, times as fast as allowed",
                    "Over the last hour. At 1 the budget of 30 days lasts 30 days; at 14.4, somebody is woken.",
                    (Query('emotion:slo_burn:1h{namespace=~"$namespace"}', "{{slo}}"),),
                    kind="numbers",
                    width=6,
                ),
            ),
        ),
        Row(
            "Requests",
            (
                Panel(
                    "Requests a second, by status",
                    "Those that ask a model. 4xx: the client's fault; 429: a limit; 5xx: ours.",
                    (
                        Query(
                            f"sum by (status) (rate(emotion_requests_total{{{_MODELS_ASKED}}}[$__rate_interval]))",
                            "{{status}}",
                        ),
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Share that failed or was refused",
                    "500, 503 and 504 count against the availability objective; 429 has an alert of its own.",
                    tuple(
                        Query(
                            f'sum(rate(emotion_requests_total{{{_MODELS_ASKED},status=~"{statuses}"}}'
                            f"[$__rate_interval])) / "
                            f"sum(rate(emotion_requests_total{{{_MODELS_ASKED}}}[$__rate_interval]))",
                            name,
                        )
                        for statuses, name in (("5..", "failed"), ("429", "refused"))
                    ),
                    unit="percentunit",
                ),
                Panel(
                    "Duration of a request",
                    "From the first byte of its head to its answer; failed and refused ones too.",
                    tuple(_quantile(share) for share in (0.5, 0.95, 0.99)),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Objectives",
            (
                Panel(
                    "Burn of the availability budget",
                    "Alerts compare two windows each: 1 h and 5 min with 14.4, 6 h and 30 min with 6, 1 d and 2 h "
                    "with 3, 3 d and 6 h with 1.",
                    tuple(
                        Query(f'emotion:slo_burn:{window}{{slo="availability",namespace=~"$namespace"}}', window)
                        for window in ("5m", "1h", "6h", "1d")
                    ),
                ),
                Panel(
                    "Burn of the latency budget",
                    "The same for requests that took longer than half a second.",
                    tuple(
                        Query(f'emotion:slo_burn:{window}{{slo="latency",namespace=~"$namespace"}}', window)
                        for window in ("5m", "1h", "6h", "1d")
                    ),
                ),
                Panel(
                    "Objectives and limits",
                    "What the alerts compare with: deploy/monitoring/rules/limits.yml.",
                    (Query("emotion:slo_objective"), Query("emotion:limit")),
                    kind="table",
                ),
            ),
        ),
        Row(
            "Load",
            (
                Panel(
                    "Requests being answered",
                    "Beyond EMOTION_MAX_IN_FLIGHT (of each gateway), requests are refused with 429.",
                    (Query('emotion_requests_in_flight{namespace=~"$namespace"}', "{{instance}}"),),
                ),
                Panel(
                    "Texts that wait in gateways",
                    "Not yet sent to Triton. What to scale on.",
                    (
                        Query(
                            'sum by (instance, model) (emotion_texts_waiting{namespace=~"$namespace",model=~"$model"})',
                            "{{instance}} {{model}}",
                        ),
                    ),
                ),
                Panel(
                    "Time until a new text's turn",
                    "Texts that wait, divided by texts computed a second.",
                    (
                        Query(
                            'sum by (model) (emotion_texts_waiting{namespace=~"$namespace",model=~"$model"}) / '
                            'sum by (model) (rate(emotion_batch_rows_sum{namespace=~"$namespace",model=~"$model"}'
                            "[$__rate_interval]))",
                            "{{model}}",
                        ),
                        Query('emotion:limit{of="queue_seconds"}', "alert"),
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Gateway processes",
            (
                Panel(
                    "Processor",
                    "Cores in use, by all workers of a gateway.",
                    (Query(f"rate(process_cpu_seconds_total{{{_GATEWAY}}}[$__rate_interval])", "{{instance}}"),),
                    width=6,
                ),
                Panel(
                    "Memory",
                    "Resident, of all workers of a gateway.",
                    (
                        Query(f"process_resident_memory_bytes{{{_GATEWAY}}}", "{{instance}}"),
                        Query('emotion:limit{of="gateway_memory_bytes"}', "alert"),
                    ),
                    unit="bytes",
                    width=6,
                ),
                Panel(
                    "File descriptors in use",
                    "Nearly all are connections. From three quarters on, idle connections are closed.",
                    (
                        Query(
                            f"process_open_fds{{{_GATEWAY}}} / process_max_fds{{{_GATEWAY}}}",
                            "{{instance}}",
                        ),
                    ),
                    unit="percentunit",
                    width=6,
                ),
                Panel(
                    "Restarts in an hour",
                    "Of workers, and of whole gateways.",
                    (
                        Query(
                            'increase(emotion_worker_restarts_total{namespace=~"$namespace"}[1h])',
                            "workers of {{instance}}",
                        ),
                        Query(f"changes(process_start_time_seconds{{{_GATEWAY}}}[1h])", "{{instance}}"),
                    ),
                    width=6,
                ),
                Panel(
                    "What runs",
                    "Release, revision and Python of each gateway.",
                    (Query('emotion_build_info{namespace=~"$namespace"}'),),
                    kind="table",
                    width=24,
                ),
            ),
        ),
    ),
)
