# NVIDIA's Triton with the backend of the text models, which needs one package. From the repository's root:
#
#     docker build --file deploy/triton.Dockerfile --tag ru-emotions-triton .
#
# Without it everything but the text models (emotion_rubert_text, …) is served by NVIDIA's image as it is.

# The newest monthly image (Triton 2.75). NVIDIA publishes one every month and mends faults only in
# the next: its bulletins of 2026 ask for 26.07 at least. To update: change the month here, then
# `docker compose up --build --detach --wait` and `make check-served URL=127.0.0.1:8001`, which
# compares answers with those recorded in each version; docs/operations.md has the rest.
# `make pin-images` adds the digest.
ARG BASE=nvcr.io/nvidia/tritonserver:26.11-py3
FROM $BASE
# Beside the backend, where Triton's stub looks first: the image's own Python stays as it is.
COPY server/text_backend/requirements-image.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-deps --only-binary=:all: --require-hashes \
        --target /opt/tritonserver/backends/text --requirement /tmp/requirements.txt
COPY server/__init__.py server/triton_tensors.py /opt/tritonserver/backends/text/server/
COPY server/text_backend /opt/tritonserver/backends/text/server/text_backend
COPY server/text_backend/model.py /opt/tritonserver/backends/text/model.py
# Who builds for others says what it is made from: docs/running/supply-chain.md#images.
ARG VERSION=unknown REVISION=unknown SOURCE=unknown
LABEL org.opencontainers.image.title="ru-emotions-triton" \
    org.opencontainers.image.version=$VERSION \
    org.opencontainers.image.revision=$REVISION \
    org.opencontainers.image.source=$SOURCE \
    org.opencontainers.image.licenses="Apache-2.0 AND LicenseRef-NVIDIA-AI-Product"
