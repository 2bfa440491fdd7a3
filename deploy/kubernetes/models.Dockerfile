# The model repository as an image that is nothing else: it is never run, but mounted (deploy/chart, models.source image).
# Built from the repository's root:
#
#     docker build --file deploy/kubernetes/models.Dockerfile --tag <registry>/ru-emotions-models:7 .
#     docker push <registry>/ru-emotions-models:7       # prints the digest that goes into models.image.digest
#
# Without a graph for GPUs there (make gpu-weights), it is for device cpu alone.

FROM scratch
COPY model_repository /
