"""Drift: do clients still send what the model was measured on?"""

from typing import Final

from deploy.monitoring.generate.board import Board, Panel, Query, Row

_CHOSEN: Final = 'namespace=~"$namespace",model=~"$model"'
_NAME: Final = "{{model}} {{version}}"

DRIFT: Final = Board(
    uid="ru-emotions-drift",
    title="Emotions: drift",
    description="What texts come to, how long they are and how much of them is unknown, against the card's reference.",
    rows=(
        Row(
            "Emotions",
            (
                Panel(
                    "Share of each emotion, over six hours",
                    "Texts by their most probable emotion.",
                    (Query(f"emotion:predicted_share:6h{{{_CHOSEN}}}", _NAME + " {{emotion}}"),),
                    unit="percentunit",
                    width=12,
                ),
                Panel(
                    "The reference's shares",
                    "From the version's card: what it predicted for the texts that it was measured on.",
                    (Query(f"emotion:reference_share{{{_CHOSEN}}}", _NAME + " {{emotion}}"),),
                    unit="percentunit",
                    width=12,
                ),
                Panel(
                    "Distance between the two",
                    "The share of texts that would need another emotion to have the reference's shares.",
                    (
                        Query(f"emotion:prediction_drift:6h{{{_CHOSEN}}}", _NAME),
                        Query('emotion:limit{of="prediction_drift"}', "alert"),
                    ),
                    unit="percentunit",
                    highest=1,
                    width=12,
                ),
                Panel(
                    "Texts in six hours",
                    "With few of them, shares say little: below the limit no alert judges them.",
                    (
                        Query(f"emotion:texts:increase6h{{{_CHOSEN}}}", _NAME),
                        Query('emotion:limit{of="drift_texts"}', "limit"),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Texts",
            (
                Panel(
                    "Tokens that the model knows nothing of",
                    "Another language or script, or a broken encoding.",
                    (
                        Query(f"emotion:unknown_share:6h{{{_CHOSEN}}}", _NAME),
                        Query(
                            f"max by (model, version) (emotion_reference_unknown_share{{{_CHOSEN}}})",
                            "reference of " + _NAME,
                        ),
                    ),
                    unit="percentunit",
                ),
                Panel(
                    "Tokens of a text, on average",
                    "The special tokens at both ends included.",
                    (
                        Query(f"emotion:text_tokens:mean6h{{{_CHOSEN}}}", _NAME),
                        Query(
                            f"max by (model, version) (emotion_reference_tokens{{{_CHOSEN}}})",
                            "reference of " + _NAME,
                        ),
                    ),
                ),
                Panel(
                    "Texts that are cut",
                    "Longer than the model reads.",
                    (
                        Query(f"emotion:truncated_share:6h{{{_CHOSEN}}}", _NAME),
                        Query('emotion:limit{of="truncated_share"}', "alert"),
                    ),
                    unit="percentunit",
                ),
            ),
        ),
    ),
)
