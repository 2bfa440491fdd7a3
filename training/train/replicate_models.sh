#!/bin/sh
# Train the three models of the project this follows, as it did: every epoch, and the last checkpoint kept.
#
#   training/train/replicate_models.sh [more flags of python -m training.train, such as --data-dir DIRECTORY]
#
# Started again after an interruption it goes on where it was. EMOTION_PYTHON names another interpreter.
set -eu

train() {
    "${EMOTION_PYTHON:-python}" -m training.train --train-model --resume --evaluate-devset --batch-size 64 --lr 1e-5 \
        --scheduler cosine --warmup 0 --weight-decay 0.1 --patience 0 --keep last "$@"
}

train --base-model rubert --dataset combo --epochs 35 --create-onnx "$@"
# Over-fitted on purpose: the audit reads labelling mistakes from its errors on the rows it was trained on.
train --base-model rubert --dataset cedr --epochs 100 "$@"
train --base-model xlm --dataset combo --epochs 16 --create-onnx "$@"
