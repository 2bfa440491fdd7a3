# One shard of a bulk job (deploy/kubernetes/bulk-job.yaml), with what that needs and nothing more. Built from the
# repository's root:
#
#     docker build --file deploy/kubernetes/bulk.Dockerfile --tag ru-emotions-bulk .

FROM python:3.12-slim AS dependencies
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies']['bulk'], sep='\n')" \
        > requirements.txt \
    && python -m venv /opt/bulk \
    && /opt/bulk/bin/pip install --no-cache-dir --only-binary=:all: \
        --requirement requirements.txt --constraint constraints.txt \
    && /opt/bulk/bin/pip check

FROM python:3.12-slim
ENV PATH=/opt/bulk/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=dependencies /opt/bulk /opt/bulk
COPY contract ./contract
COPY clients ./clients
USER 10001:10001
ENTRYPOINT ["python", "-m", "clients.cluster"]
