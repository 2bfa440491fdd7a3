"""Versions on trial, and who asks: usage by API key."""

from typing import Final

from deploy.monitoring.generate.board import Board, Panel, Query, Row, rate

_CHOSEN: Final = 'namespace=~"$namespace",model=~"$model"'
_NAMESPACE: Final = 'namespace=~"$namespace"'
_NAME: Final = "{{model}} {{version}}"
_BY: Final = "model, version"
_SHADOW_TEXTS: Final = rate("emotion_shadow_texts_total", _CHOSEN, _BY)


def _per_text(counter: str) -> Query:
    by_emotion = rate(counter, _CHOSEN, f"{_BY}, emotion")
    return Query(f"{by_emotion} / on ({_BY}) group_left () {_SHADOW_TEXTS}", _NAME + " {{emotion}}")


TRIAL_AND_KEYS: Final = Board(
    uid="ru-emotions-trial-and-keys",
    title="Emotions: trials and keys",
    description="How a version on trial does beside the one that answers, and who asks how much.",
    rows=(
        Row(
            "Version on trial",
            (
                Panel(
                    "Requests that named no version, by who read them",
                    "default and canary answered; shadow was asked as well.",
                    (
                        Query(
                            rate("emotion_canary_requests_total", _CHOSEN, f"{_BY}, role"),
                            _NAME + " {{role}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Failed by the version on trial, and not asked of it",
                    "The default version answered them. Dropped: too many texts were under way, or it had just failed.",
                    (
                        Query(
                            rate("emotion_canary_failures_total", _CHOSEN, _BY),
                            "failed by " + _NAME,
                        ),
                        Query(
                            rate("emotion_shadow_dropped_total", _CHOSEN, _BY),
                            "dropped by " + _NAME,
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Texts with the same most probable emotion",
                    "Of those that both versions have read. How far they differ, not which is right.",
                    (
                        Query(
                            f"{rate('emotion_shadow_top_agreed_total', _CHOSEN, _BY)} / {_SHADOW_TEXTS}",
                            _NAME,
                        ),
                    ),
                    unit="percentunit",
                    highest=1,
                ),
                Panel(
                    "Same decision, for each emotion",
                    "At the thresholds of the request's profile.",
                    (_per_text("emotion_shadow_agreed_total"),),
                    unit="percentunit",
                    highest=1,
                    width=12,
                ),
                Panel(
                    "Difference of the probabilities, for each emotion",
                    "Mean of the absolute differences.",
                    (_per_text("emotion_shadow_difference_total"),),
                    width=12,
                ),
            ),
        ),
        Row(
            "API keys",
            (
                Panel(
                    "Texts a second, by key",
                    "A key is shown by its name or by a fingerprint.",
                    (
                        Query(
                            rate("emotion_key_texts_total", _NAMESPACE, "key"),
                            "{{key}}",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "Requests a second, by key and status",
                    "429: this key's share, or the limits for all, are reached.",
                    (
                        Query(
                            rate("emotion_key_requests_total", _NAMESPACE, "key, status"),
                            "{{key}} {{status}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Requests without a right key",
                    "401, a second.",
                    (
                        Query(
                            f'sum(rate(emotion_requests_total{{{_NAMESPACE},status="401"}}[$__rate_interval]))',
                            "401",
                        ),
                        Query('emotion:limit{of="wrong_keys_per_second"}', "alert"),
                    ),
                    unit="reqps",
                ),
            ),
        ),
    ),
)
