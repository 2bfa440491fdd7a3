"""Models and their versions: which answer, which are left out and why, and what their calls to Triton take."""

from typing import Final

from deploy.monitoring.generate.board import Board, Panel, Query, Row, rate

_CHOSEN: Final = 'namespace=~"$namespace",model=~"$model"'


def _quantiles(histogram: str) -> tuple[Query, ...]:
    buckets = f"sum by (le, model, version) (rate({histogram}_bucket{{{_CHOSEN}}}[$__rate_interval]))"
    return tuple(
        Query(f"histogram_quantile({share}, {buckets})", f"{{{{model}}}} {{{{version}}}} {share:.0%}")
        for share in (0.5, 0.99)
    )


def _rate(counter: str, by: str = "model, version", legend: str = "{{model}} {{version}}") -> Query:
    return Query(rate(counter, _CHOSEN, by), legend)


def _share_of_texts(how: str) -> Query:
    return Query(
        f"sum by (model, version) (rate(emotion_texts_{how}_total{{{_CHOSEN}}}[$__rate_interval])) / "
        f"sum by (model, version) (rate(emotion_text_tokens_count{{{_CHOSEN}}}[$__rate_interval]))",
        f"{{{{model}}}} {{{{version}}}} {how}",
    )


VERSIONS: Final = Board(
    uid="ru-emotions-versions",
    title="Emotions: models and versions",
    description="Which versions answer, which are left out and why, and what calls to Triton take.",
    rows=(
        Row(
            "Versions",
            (
                Panel(
                    "Served",
                    "By how many gateways. Fewer than there are gateways: they differ.",
                    (Query(f"sum by (model, version) (emotion_version_served{{{_CHOSEN}}})"),),
                    kind="table",
                ),
                Panel(
                    "Left out",
                    "Damaged versions: another one answers. docs/running/alerts.md says what the reasons mean.",
                    (Query(f"max by (model, version, reason) (emotion_version_unusable{{{_CHOSEN}}})"),),
                    kind="table",
                ),
                Panel(
                    "Age of the last look at Triton",
                    "Gateways look every second. An old look: Triton can't be reached.",
                    (
                        Query(
                            'time() - emotion_last_look_timestamp_seconds{namespace=~"$namespace"}',
                            "{{instance}}",
                        ),
                        Query('emotion:limit{of="last_look_seconds"}', "alert"),
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Texts",
            (
                Panel(
                    "Texts a second",
                    "Read by each version, as a shadow too.",
                    (_rate("emotion_text_tokens_count"),),
                ),
                Panel(
                    "Tokenization",
                    "Of all texts of a request.",
                    _quantiles("emotion_tokenization_seconds"),
                    unit="s",
                ),
                Panel(
                    "Texts in a call to Triton",
                    "On average. Under load, texts of many requests travel together.",
                    (
                        Query(
                            f"sum by (model, version) (rate(emotion_batch_rows_sum{{{_CHOSEN}}}[$__rate_interval])) / "
                            f"sum by (model, version) (rate(emotion_batch_rows_count{{{_CHOSEN}}}[$__rate_interval]))",
                            "{{model}} {{version}}",
                        ),
                    ),
                ),
                Panel(
                    "Texts that were not computed",
                    "Share that got the answer of an equal one, kept or on its way. See EMOTION_ANSWER_CACHE.",
                    (_share_of_texts("cached"), _share_of_texts("shared")),
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "Calls to Triton",
            (
                Panel("Duration of a call", "As the gateway sees it.", _quantiles("emotion_triton_seconds"), unit="s"),
                Panel(
                    "Calls under way",
                    "At most EMOTION_TRITON_CALLS for each version, from each worker to each Triton.",
                    (
                        Query(
                            f"sum by (instance, model, version) (emotion_triton_calls_in_flight{{{_CHOSEN}}})",
                            "{{instance}} {{model}} {{version}}",
                        ),
                    ),
                ),
                Panel(
                    "Failed calls a second, by gRPC code",
                    "UNAVAILABLE: no Triton, its queue is full, or it does not serve the version.",
                    (_rate("emotion_triton_failures_total", "model, version, code", "{{model}} {{version}} {{code}}"),),
                ),
                Panel(
                    "Answers refused a second",
                    "Numbers from Triton that are no probabilities. Each text is asked once more by itself.",
                    (_rate("emotion_answers_refused_total"),),
                ),
            ),
        ),
    ),
)
