# GRU NMT in a container. Nothing runs as root, and every package has the version that the tests use.
#
#     docker build -t gru-nmt .
#     docker run --rm -v "$PWD/runs:/work/runs" gru-nmt quickstart
#     docker run --rm -i -v "$PWD/runs:/work/runs" gru-nmt translate runs/quickstart < new.en > new.de
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY nmt nmt
# What builds the wheel is pinned too; which of the two pip reads depends on its version.
ENV PIP_CONSTRAINT=/source/constraints.txt PIP_BUILD_CONSTRAINT=/source/constraints.txt
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /wheels /wheels
# The extras that need no further software; what pip does not need afterwards is not kept.
RUN set -- /wheels/*.whl \
    && python -m pip install --no-cache-dir --no-compile -c /tmp/constraints.txt "$1[demo,documents,litert]" \
    && rm -rf /wheels /tmp/constraints.txt \
    && useradd --create-home --uid 1000 nmt \
    && install --directory --owner nmt --group nmt /work /work/runs
USER nmt
WORKDIR /work
ENV PYTHONUNBUFFERED=1
# The page of `nmt demo --host 0.0.0.0`.
EXPOSE 7860
ENTRYPOINT ["nmt"]
CMD ["--help"]
