# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/governance
WORKDIR /src
COPY requirements.lock ./
RUN /opt/governance/bin/pip install --require-hashes --no-deps --requirement requirements.lock
COPY pyproject.toml README.md LICENSE requirements-llm-guard.lock ./
COPY app app
COPY governance governance
COPY migrations migrations
COPY policies policies
RUN /opt/governance/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN groupadd --system --gid 10001 governance \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin governance
COPY --from=build /opt/governance /opt/governance
ENV PATH=/opt/governance/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GOVERNANCE_DATA_DIR=/data
# By number: a cluster that asks for an account other than root can tell only so.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/readyz', timeout=2)"]
# An address other than loopback is served only with OpenID Connect and an https GOVERNANCE_PUBLIC_URL (docs/operations.md):
# without them the start is refused, and the reason is the last line of the log.
CMD ["governance", "serve", "--host", "0.0.0.0"]
