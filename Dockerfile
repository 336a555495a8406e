# Two images from one source: the ETL without torch, the trainer without Beam.
#
#     docker build --target etl   --tag driftmine-etl .
#     docker build --target train --tag driftmine-train .
#
# For another torch than constraints.txt has, such as a CUDA build, name it and, where it is not on
# your default index, the index:
#
#     docker build --target train --build-arg TORCH=torch==2.13.0+cu130 \
#                  --build-arg PIP_EXTRA_INDEX_URL=... --tag driftmine-train .

FROM python:3.11-slim AS base
LABEL org.opencontainers.image.title="driftmine" \
      org.opencontainers.image.description="Mines dissatisfied turns from chat logs and trains on them"
ENV DRIFTMINE_HOME=/data \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
# A fixed uid, so that a mounted volume can be given to it.
RUN useradd --uid 10001 --create-home driftmine \
    && install --directory --owner=driftmine --group=driftmine /data
WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
COPY warehouse ./warehouse
COPY endpoint ./endpoint
COPY ingestion ./ingestion
COPY mining ./mining
COPY training ./training
COPY driftmine ./driftmine
VOLUME /data
ENTRYPOINT ["driftmine"]
CMD ["--help"]

FROM base AS etl
RUN pip install --constraint constraints.txt '.[etl,cloud,judge,postgres]'
USER driftmine

FROM base AS train
ARG TORCH=torch==2.13.0
ARG PIP_EXTRA_INDEX_URL
RUN sed -i "s/^torch==.*/${TORCH}/" constraints.txt \
    && pip install --constraint constraints.txt '.[train,cloud,judge,postgres]'
USER driftmine
