"""LoRA: adapters of a low rank are trained in place of the encoder's own weights, and merged into them in the end.

Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021; by the library peft. A checkpoint that Trainer
writes meanwhile holds adapters and head alone; what a run keeps is an ordinary checkpoint.
"""

from pathlib import Path
from typing import Any, Final

from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from peft.utils import load_peft_weights

from training.common.command import TrainingError

# Every linear layer of the encoder: of the attention, and of what follows it.
_BERT: Final = (
    r".*\.encoder\.layer\.\d+\."
    r"(?:attention\.self\.(?:query|key|value)|attention\.output\.dense|intermediate\.dense|output\.dense)"
)
ADAPTED: Final = {
    "bert": _BERT,
    "camembert": _BERT,
    "ernie": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}
"""By model type of transformers: the layers that get adapters, as a regular expression over their full names."""
_HEAD: Final = ("pooler", "classifier")
"""What is trained as a whole. The head reads the pooler, which most encoders lack and begin at random."""
_SCALE: Final = 2
"""peft's `lora_alpha` over the rank: the product of an adapter's matrices is multiplied by it."""
_DROPOUT: Final = 0.05


def with_adapters(model: Any, rank: int) -> Any:
    """A classifier of transformers in which nothing can be trained but new adapters, pooler and head.

    Args:
        model: it becomes part of what is returned.
        rank: of each adapter.

    Raises:
        TrainingError: its architecture is none whose layers are known here, or is narrower than the rank.
    """
    config = model.config
    if config.model_type not in ADAPTED:
        raise TrainingError(
            f"--lora: which layers of the model type {config.model_type} get adapters is not known here, only for"
            f" {', '.join(ADAPTED)}. Leave --lora out, or begin with another --base-model"
        )
    if rank > config.hidden_size:
        raise TrainingError(
            f"--lora {rank} is more than the encoder's width, {config.hidden_size}, and would save nothing: 4 to 64"
            " are usual"
        )
    modules = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    adapted = get_peft_model(
        model,
        LoraConfig(
            r=rank,
            lora_alpha=_SCALE * rank,
            lora_dropout=_DROPOUT,
            target_modules=ADAPTED[config.model_type],
            modules_to_save=[name for name in _HEAD if name in modules],
        ),
    )
    # With a name there, peft asks the hub for it whenever Trainer writes a checkpoint.
    adapted.peft_config["default"].base_model_name_or_path = None
    return adapted


def merged(adapted: Any, checkpoint: Path) -> Any:
    """The classifier that one of Trainer's checkpoints is, its adapters worked into the weights; same answers.

    Args:
        adapted: what was trained, of `with_adapters`, whatever its adapters are now; it becomes what is returned.
        checkpoint: the directory that Trainer wrote.
    """
    set_peft_model_state_dict(adapted, load_peft_weights(str(checkpoint), device="cpu"))
    return adapted.merge_and_unload(safe_merge=True)
