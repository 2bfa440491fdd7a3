"""Training: from labelled rows to a published version, and small encoders from scratch.

Rooms, from the bottom up; each imports only those above it in this list:

- `common`: errors as sentences, files written whole or not at all, pages, work on all cores;
- `encoder`: tokenizer, checkpoint with a head for the six emotions, predictions;
- `data`: data sets, cleaning, folds, paraphrases, written texts (`python -m training.data`);
- `behaviour`: short texts as people send them, changes that mean nothing, and what a model makes of both;
- `measuring`: metrics, intervals, thresholds, the baseline;
- `runs`: whether a run can begin, its directory, its folds, how it is resumed;
- `train` (`python -m training.train`), `scratch` (`python -m training.scratch.pretrain` and others),
  and `export`: a checkpoint's two ONNX graphs, through the gate;
- `evaluate` (`python -m training.evaluate`), `compare` (`python -m training.compare`): one model's figures, and two's;
- `publish` (`python -m training.publish`): versions of a model;
- `audit` (`python -m training.audit`): the data set's own labelling mistakes.

A labelled row's way, in six files:

1. `data/rows/loading.py`: a line of a file becomes an example;
2. `data/splits/training_rows.py`: corrected and cleaned, it is trained on or held out;
3. `train/fine_tune.py`: an encoder is trained on it, or predicts it, and the run keeps the prediction;
4. `measuring/thresholds.py`: out-of-fold predictions give thresholds;
5. `export/checkpoint.py`: the checkpoint becomes graphs that have passed the gate;
6. `publish/checkpoint.py`: graphs, thresholds and figures become a version directory.

May import: torch, transformers, datasets, scikit-learn, onnx, onnxruntime, `contract`.
Never imports `gateway` or `server`.
"""
